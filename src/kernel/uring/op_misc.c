/* SPDX-License-Identifier: MIT */
/* Operations that fit nowhere else: nothing at all, memory advice, splices, epolls, registered files, messages to other rings. */
#include "uring_internal.h"
#include <linux/eventpoll.h>
#include <cloudos/uring.h>
#include <cloudos/vm.h>
#include "call_epoll.h"
#include "call_splice.h"

static int64_t nop_issue(struct uring_request *r, bool may_block)
{
	(void)r, (void)may_block;
	return 0;
}

const struct uring_op op_nop = { .issue = nop_issue, .flags = OP_IOPOLL };

/* ---- OP_MADVISE ---- */

static int madvise_prep(struct uring_request *r)
{
	return r->sqe.buf_index || r->sqe.off || r->sqe.splice_fd_in ? -EINVAL : 0;
}

static int64_t madvise_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return vm_advise(thread_current()->vm, r->sqe.addr, r->sqe.len, (int)r->sqe.fadvise_advice);
}

const struct uring_op op_madvise = { .prep = madvise_prep, .issue = madvise_issue };

/* ---- OP_SPLICE, OP_TEE ---- */

#define SPLICE_FLAGS (CALL_SPLICE_FLAGS | SPLICE_F_FD_IN_FIXED)

static int splice_prep(struct uring_request *r)
{
	return r->sqe.splice_flags & ~SPLICE_FLAGS ? -EINVAL : 0;
}

static int tee_prep(struct uring_request *r)
{
	return r->sqe.off || r->sqe.splice_off_in ? -EINVAL : splice_prep(r);
}

static struct file *splice_source(struct uring_request *r)
{
	if (r->sqe.splice_flags & SPLICE_F_FD_IN_FIXED)
		return uring_file_get(r->ring, (uint32_t)r->sqe.splice_fd_in);
	return fd_get(r->sqe.splice_fd_in);
}

static int64_t splice_with(struct uring_request *r, bool tee)
{
	unsigned flags = r->sqe.splice_flags & CALL_SPLICE_FLAGS;
	struct file *in = splice_source(r);
	int64_t n;

	if (!in)
		return -EBADF;
	n = tee ? call_tee(in, r->file, r->sqe.len, flags)
		: call_splice(in, r->sqe.splice_off_in, r->file, r->sqe.off, r->sqe.len, flags, true);
	file_put(in);
	r->failed = n >= 0 && (uint64_t)n < r->sqe.len;
	return n;
}

static int64_t splice_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return splice_with(r, false);
}

static int64_t tee_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return splice_with(r, true);
}

const struct uring_op op_splice = { .prep = splice_prep, .issue = splice_issue, .flags = OP_FILE | OP_BLOCKS };
const struct uring_op op_tee = { .prep = tee_prep, .issue = tee_issue, .flags = OP_FILE | OP_BLOCKS };

/* ---- OP_EPOLL_CTL ---- */

static int epoll_ctl_prep(struct uring_request *r)
{
	struct epoll_event *event;

	if (r->sqe.buf_index || r->sqe.splice_fd_in)
		return -EINVAL;
	event = kzalloc(sizeof(*event));
	if (!event)
		return -ENOMEM;
	r->data = event;
	return (int)r->sqe.len == EPOLL_CTL_DEL ? 0 : get_user(*event, r->sqe.addr);
}

static int64_t epoll_ctl_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return call_epoll_ctl(r->sqe.fd, (int)r->sqe.len, (int)r->sqe.off, r->data);
}

const struct uring_op op_epoll_ctl = { .prep = epoll_ctl_prep, .issue = epoll_ctl_issue, .flags = OP_DATA_FREE };

/* ---- OP_FILES_UPDATE ---- */

static int files_update_prep(struct uring_request *r)
{
	if ((r->sqe.flags & (IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT)) || r->sqe.rw_flags || r->sqe.splice_fd_in || !r->sqe.len)
		return -EINVAL;
	return r->sqe.off > UINT32_MAX && r->sqe.off != UINT64_MAX ? -EINVAL : 0;
}

/* Offset -1: each gets a free slot, whose index is written over its descriptor. */
static int64_t files_update_any(struct uring_request *r)
{
	uint32_t done = 0;
	int64_t index = 0;

	if (!READ_ONCE(r->ring->file_count))
		return -ENXIO;
	for (; done < r->sqe.len; done++) {
		uaddr_t at = r->sqe.addr + done * sizeof(int32_t);
		struct file *f;
		int32_t fd;

		if (get_user(fd, at)) {
			index = -EFAULT;
			break;
		}
		f = fd_get(fd);
		index = f ? uring_file_install(r->ring, f, IORING_FILE_INDEX_ALLOC) : -EBADF;
		if (index < 0)
			break;
		if (put_user((int32_t)index, at)) {
			(void)uring_file_remove(r->ring, (uint32_t)index);
			index = -EFAULT;
			break;
		}
	}
	return done ? (int64_t)done : index;
}

static int64_t files_update_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	if (r->sqe.off == UINT64_MAX || r->sqe.off == UINT32_MAX)
		return files_update_any(r);
	return uring_files_update(r->ring, (uint32_t)r->sqe.off, r->sqe.addr, 0, r->sqe.len);
}

const struct uring_op op_files_update = { .prep = files_update_prep, .issue = files_update_issue, .flags = OP_IOPOLL };

/* ---- OP_MSG_RING ---- */

static int msg_ring_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if (s->buf_index || s->personality || (s->msg_ring_flags & ~IORING_MSG_RING_CQE_SKIP))
		return -EINVAL;
	if (s->addr == IORING_MSG_DATA)
		return s->splice_fd_in || s->addr3 || s->msg_ring_flags ? -EINVAL : 0;
	return s->addr == IORING_MSG_SEND_FD ? 0 : -EINVAL;
}

static int64_t send_fd(struct uring_request *r, struct uring *to)
{
	struct file *f;
	int64_t index;

	if (r->sqe.len || to == r->ring)
		return -EINVAL;
	if (!r->sqe.file_index)
		return -EINVAL;
	f = uring_file_get(r->ring, (uint32_t)r->sqe.addr3);
	if (!f)
		return -EBADF;
	index = uring_file_install(to, f, r->sqe.file_index);
	if (index >= 0 && !(r->sqe.msg_ring_flags & IORING_MSG_RING_CQE_SKIP))
		uring_post(to, r->sqe.off, (int32_t)index, 0);
	return index;
}

static int64_t msg_ring_issue(struct uring_request *r, bool may_block)
{
	struct uring *to = uring_of_file(r->file);

	(void)may_block;
	if (!to || READ_ONCE(to->disabled))
		return -EBADFD;
	if (r->sqe.addr == IORING_MSG_SEND_FD)
		return send_fd(r, to);
	uring_post(to, r->sqe.off, (int32_t)r->sqe.len, 0);
	return 0;
}

const struct uring_op op_msg_ring = { .prep = msg_ring_prep, .issue = msg_ring_issue, .flags = OP_FILE | OP_IOPOLL };
