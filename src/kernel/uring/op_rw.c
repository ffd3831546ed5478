/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing. In memory, a file is read at once. One that looks at io_iter.nowait is tried, and waited for; another that may have to
 * wait (a terminal, a disk) is a worker's.
 */
#include "uring_internal.h"
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <cloudos/fs.h>
#include <cloudos/io.h>
#include "call_rw.h"

/* r->data: the vectors of readv and writev. */
struct vectors {
	struct io_iter it;
	struct io_vec *vec;
};

static bool in_memory(const struct file *f)
{
	return !f->ops->poll && f->inode && f->inode->data && (f->inode->sb->flags & SB_PINNED) && f->ops == &cached_file_ops;
}

/* ---- one transfer ---- */

static int64_t position(const struct uring_request *r)
{
	if (!(r->file->mode & FILE_SEEKABLE))
		return CALL_RW_OWN_POSITION;
	return (int64_t)r->sqe.off;
}

static int64_t transfer(struct uring_request *r, struct io_iter *it, bool write, bool may_block)
{
	struct file *f = r->file;
	bool nowait = (r->sqe.rw_flags & RWF_NOWAIT) != 0;
	size_t wanted = it->count;
	int64_t n;

	if (!(f->mode & (write ? FILE_WRITE : FILE_READ)))
		return -EBADF;
	if ((f->mode & FILE_SEEKABLE) && (int64_t)r->sqe.off < -1)
		return -EINVAL;
	if (r->ring->flags & IORING_SETUP_IOPOLL) /* no device can be polled */
		return -EOPNOTSUPP;
	if (nowait && !f->ops->nowait && !in_memory(f))
		return -EOPNOTSUPP;
	if (!may_block && !f->ops->nowait && !in_memory(f))
		return URING_WORK;
	it->nowait = nowait || !may_block;
	n = call_rw(f, it, position(r), write, r->sqe.rw_flags & ~(uint32_t)RWF_NOWAIT);
	if (n == -EAGAIN && !nowait && !may_block && !(READ_ONCE(f->flags) & O_NONBLOCK)) {
		r->events = write ? POLLOUT : POLLIN;
		return URING_POLL;
	}
	r->failed = n >= 0 && (size_t)n < wanted;
	return n;
}

static int check_priority(uint16_t priority)
{
	switch (IOPRIO_PRIO_CLASS(priority)) {
	case IOPRIO_CLASS_NONE:
		return IOPRIO_PRIO_DATA(priority) ? -EINVAL : 0;
	case IOPRIO_CLASS_RT:
		return cred_capable(thread_current()->cred, CAP_SYS_ADMIN) || cred_capable(thread_current()->cred, CAP_SYS_NICE) ? 0 : -EPERM;
	case IOPRIO_CLASS_BE:
	case IOPRIO_CLASS_IDLE:
		return 0;
	default:
		return -EINVAL;
	}
}

static int check_flags(const struct uring_request *r)
{
	int err = check_priority(r->sqe.ioprio);

	if (err)
		return err;
	return call_rw_flags(r->sqe.rw_flags & ~(uint32_t)RWF_NOWAIT);
}

/* ---- a buffer ---- */

static int buffer_prep(struct uring_request *r)
{
	if (!(r->sqe.flags & IOSQE_BUFFER_SELECT) && !user_range_ok(r->sqe.addr, r->sqe.len))
		return -EFAULT;
	return check_flags(r);
}

static int64_t buffer_issue(struct uring_request *r, bool write, bool may_block)
{
	bool select = r->sqe.flags & IOSQE_BUFFER_SELECT;
	struct io_iter it;
	int64_t n;

	if (select) {
		int err = uring_buffer_select(r, r->sqe.len);

		if (err)
			return err;
		io_iter_user(&it, r->buffer_addr, min((size_t)r->buffer_len, RW_MAX));
	} else {
		io_iter_user(&it, r->sqe.addr, min((size_t)r->sqe.len, RW_MAX));
	}
	n = transfer(r, &it, write, may_block);
	if (select && n == URING_POLL)
		uring_buffer_return(r);
	return n;
}

static int64_t read_issue(struct uring_request *r, bool may_block)
{
	return buffer_issue(r, false, may_block);
}

static int64_t write_issue(struct uring_request *r, bool may_block)
{
	return buffer_issue(r, true, may_block);
}

const struct uring_op op_read = { .prep = buffer_prep, .issue = read_issue, .flags = OP_FILE | OP_BUFFERS | OP_IOPRIO | OP_IOPOLL };
const struct uring_op op_write = { .prep = buffer_prep, .issue = write_issue, .flags = OP_FILE | OP_IOPRIO | OP_IOPOLL };

/* ---- a registered buffer ---- */

static int fixed_prep(struct uring_request *r)
{
	int err = uring_buffer_check(r->ring, r->sqe.buf_index, r->sqe.addr, r->sqe.len);

	return err ? err : buffer_prep(r);
}

const struct uring_op op_read_fixed = { .prep = fixed_prep, .issue = read_issue, .flags = OP_FILE | OP_IOPRIO | OP_IOPOLL };
const struct uring_op op_write_fixed = { .prep = fixed_prep, .issue = write_issue, .flags = OP_FILE | OP_IOPRIO | OP_IOPOLL };

/* ---- vectors ---- */

static int vectors_prep(struct uring_request *r)
{
	struct vectors *v;
	int err = check_flags(r);

	if (err)
		return err;
	v = kmalloc(sizeof(*v));
	if (!v)
		return -ENOMEM;
	err = io_import(r->sqe.addr, r->sqe.len, &v->it.one, 1, &v->vec, &v->it);
	if (err)
		kfree(v);
	else
		r->data = v;
	return err;
}

static void vectors_cleanup(struct uring_request *r)
{
	struct vectors *v = r->data;

	if (v)
		io_import_free(v->vec, &v->it.one);
	kfree(v);
}

/* One vector may be of a group of provided buffers, of which it says the length. */
static int vectors_select(struct uring_request *r, struct io_iter *it)
{
	int err;

	if (!(r->sqe.flags & IOSQE_BUFFER_SELECT))
		return 0;
	if (it->vecs != 1)
		return -EINVAL;
	err = uring_buffer_select(r, (uint32_t)min(it->vec->len, (uint64_t)UINT32_MAX));
	if (!err)
		io_iter_user(it, r->buffer_addr, min((size_t)r->buffer_len, RW_MAX));
	return err;
}

static int64_t vectors_issue(struct uring_request *r, bool write, bool may_block)
{
	const struct vectors *v = r->data;
	struct io_iter it = v->it;
	int64_t n = vectors_select(r, &it);

	if (n)
		return n;
	n = transfer(r, &it, write, may_block);
	if (n == URING_POLL)
		uring_buffer_return(r);
	return n;
}

static int64_t readv_issue(struct uring_request *r, bool may_block)
{
	return vectors_issue(r, false, may_block);
}

static int64_t writev_issue(struct uring_request *r, bool may_block)
{
	return vectors_issue(r, true, may_block);
}

const struct uring_op op_readv = {
	.prep = vectors_prep, .issue = readv_issue, .cleanup = vectors_cleanup,
	.flags = OP_FILE | OP_BUFFERS | OP_IOPRIO | OP_IOPOLL,
};
const struct uring_op op_writev = {
	.prep = vectors_prep, .issue = writev_issue, .cleanup = vectors_cleanup,
	.flags = OP_FILE | OP_IOPRIO | OP_IOPOLL,
};

/* ---- writing out, reserving, advice ---- */

static int fsync_prep(struct uring_request *r)
{
	if (r->sqe.addr || r->sqe.buf_index || r->sqe.splice_fd_in || (r->sqe.fsync_flags & ~IORING_FSYNC_DATASYNC))
		return -EINVAL;
	return 0;
}

static int64_t fsync_issue(struct uring_request *r, bool may_block)
{
	if (!may_block && r->file->ops->fsync)
		return URING_WORK;
	return call_sync(r->file, r->sqe.fsync_flags & IORING_FSYNC_DATASYNC);
}

const struct uring_op op_fsync = { .prep = fsync_prep, .issue = fsync_issue, .flags = OP_FILE };

static int sync_range_prep(struct uring_request *r)
{
	if (r->sqe.addr || r->sqe.buf_index || r->sqe.splice_fd_in || (r->sqe.sync_range_flags & ~7u))
		return -EINVAL;
	return (int64_t)r->sqe.off < 0 ? -EINVAL : 0;
}

static int64_t sync_range_issue(struct uring_request *r, bool may_block)
{
	if (!may_block && r->file->ops->fsync)
		return URING_WORK;
	(void)call_sync(r->file, true);
	return 0;
}

const struct uring_op op_sync_range = { .prep = sync_range_prep, .issue = sync_range_issue, .flags = OP_FILE };

static int fallocate_prep(struct uring_request *r)
{
	return r->sqe.buf_index || r->sqe.rw_flags || r->sqe.splice_fd_in ? -EINVAL : 0;
}

static int64_t fallocate_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return call_fallocate(r->file, r->sqe.len, (int64_t)r->sqe.off, (int64_t)r->sqe.addr);
}

const struct uring_op op_fallocate = { .prep = fallocate_prep, .issue = fallocate_issue, .flags = OP_FILE | OP_BLOCKS };

static int fadvise_prep(struct uring_request *r)
{
	return r->sqe.addr || r->sqe.buf_index || r->sqe.splice_fd_in ? -EINVAL : 0;
}

static int64_t fadvise_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return call_fadvise(r->file, r->sqe.len, (int)r->sqe.fadvise_advice);
}

const struct uring_op op_fadvise = { .prep = fadvise_prep, .issue = fadvise_issue, .flags = OP_FILE };
