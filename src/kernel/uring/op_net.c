/* SPDX-License-Identifier: MIT */
/* Sockets. Each is tried without waiting first; one that would wait is waited for by poll, or by a worker where poll cannot tell. */
#include "uring_internal.h"
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/socket.h>
#include "call_fd.h"
#include "call_socket.h"

static struct socket *socket_of(const struct uring_request *r)
{
	return socket_of_file(r->file);
}

/* -EAGAIN of a socket that is to wait becomes a wait for `events`. */
static int64_t or_wait(struct uring_request *r, int64_t n, uint32_t events, bool may_block)
{
	if (n != -EAGAIN || may_block || (READ_ONCE(r->file->flags) & O_NONBLOCK) || (r->sqe.msg_flags & MSG_DONTWAIT))
		return n;
	r->events = events;
	return URING_POLL;
}

static unsigned flags_of(const struct uring_request *r, bool may_block)
{
	return r->sqe.msg_flags | (may_block ? 0 : MSG_DONTWAIT);
}

/* All of it, or a wait: not by bits of it, between which the rest would be waited for. */
static bool wants_all(const struct uring_request *r, bool may_block)
{
	return (r->sqe.msg_flags & MSG_WAITALL) && !(r->sqe.msg_flags & MSG_DONTWAIT) && !may_block;
}

/* ---- OP_SEND, OP_RECV ---- */

static int send_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if (s->splice_fd_in || s->addr2 || (s->ioprio & ~(unsigned)IORING_RECVSEND_POLL_FIRST))
		return -EINVAL;
	return (s->flags & IOSQE_BUFFER_SELECT) || user_range_ok(s->addr, s->len) ? 0 : -EFAULT;
}

static int64_t send_issue(struct uring_request *r, bool may_block)
{
	struct socket_message m = { .flags = flags_of(r, may_block) | MSG_NOSIGNAL };
	struct socket *s = socket_of(r);
	struct io_iter it;
	int64_t n;

	if (!s)
		return -ENOTSOCK;
	if (wants_all(r, may_block))
		return URING_WORK;
	io_iter_user(&it, r->sqe.addr, min((size_t)r->sqe.len, (size_t)INT32_MAX));
	m.data = &it;
	n = or_wait(r, socket_send(s, &m), POLLOUT, may_block);
	r->failed = n >= 0 && (uint64_t)n < r->sqe.len;
	return n;
}

static int recv_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if (s->splice_fd_in || s->addr2 || (s->ioprio & ~(unsigned)(IORING_RECVSEND_POLL_FIRST | IORING_RECV_MULTISHOT)))
		return -EINVAL;
	if ((s->ioprio & IORING_RECV_MULTISHOT) && (!(s->flags & IOSQE_BUFFER_SELECT) || s->len || (s->msg_flags & MSG_WAITALL)))
		return -EINVAL;
	return (s->flags & IOSQE_BUFFER_SELECT) || user_range_ok(s->addr, s->len) ? 0 : -EFAULT;
}

static int64_t receive_once(struct uring_request *r, bool may_block)
{
	struct socket_message m = { .flags = flags_of(r, may_block) };
	bool select = r->sqe.flags & IOSQE_BUFFER_SELECT;
	struct io_iter it;
	int64_t n;

	if (select) {
		int err = uring_buffer_select(r, r->sqe.len);

		if (err)
			return err;
		io_iter_user(&it, r->buffer_addr, min((size_t)r->buffer_len, (size_t)INT32_MAX));
	} else {
		io_iter_user(&it, r->sqe.addr, min((size_t)r->sqe.len, (size_t)INT32_MAX));
	}
	m.data = &it;
	n = or_wait(r, socket_receive(socket_of(r), &m), POLLIN, may_block);
	if (select && n == URING_POLL)
		uring_buffer_return(r);
	return n;
}

/* Until there is no more, or no buffer; the last completion says that it is the last. */
static int64_t receive_many(struct uring_request *r)
{
	unsigned rounds = 0;

	for (;;) {
		int64_t n = receive_once(r, false);
		uint32_t flags;

		if (n <= 0)
			return n;
		flags = uring_buffer_flags(r);
		if (!uring_post_more(r, (int32_t)n, flags)) {
			r->cqe_flags = flags;
			return n;
		}
		n = uring_next_round(r, &rounds);
		if (n)
			return n;
	}
}

static int64_t recv_issue(struct uring_request *r, bool may_block)
{
	int64_t n;

	if (!socket_of(r))
		return -ENOTSOCK;
	if (wants_all(r, may_block))
		return URING_WORK;
	if (r->sqe.ioprio & IORING_RECV_MULTISHOT)
		return receive_many(r);
	n = receive_once(r, may_block);
	r->failed = n >= 0 && (r->sqe.msg_flags & MSG_WAITALL) && (uint64_t)n < r->sqe.len;
	return n;
}

const struct uring_op op_send = { .prep = send_prep, .issue = send_issue, .flags = OP_FILE | OP_IOPRIO };
const struct uring_op op_recv = { .prep = recv_prep, .issue = recv_issue, .flags = OP_FILE | OP_BUFFERS | OP_IOPRIO };

/* ---- OP_SENDMSG, OP_RECVMSG ---- */

/* What a message says is taken once; a try that would wait leaves it as it was. */
struct message_data {
	struct message_call call;
	struct io_iter whole;
};

static int message_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;
	struct message_data *d;
	int err;

	if (s->splice_fd_in || s->addr2 || (s->flags & IOSQE_BUFFER_SELECT) || (s->ioprio & ~(unsigned)IORING_RECVSEND_POLL_FIRST))
		return -EINVAL;
	d = kmalloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	err = message_begin(&d->call, s->addr, s->msg_flags);
	if (err) {
		kfree(d);
		return err;
	}
	d->whole = d->call.it;
	r->data = d;
	return 0;
}

static void message_cleanup(struct uring_request *r)
{
	struct message_data *d = r->data;

	if (d)
		message_end(&d->call);
	kfree(d);
}

static struct message_call *message_again(struct uring_request *r, unsigned flags)
{
	struct message_data *d = r->data;

	d->call.it = d->whole;
	d->call.control = (struct socket_control){ 0 };
	d->call.m = (struct socket_message){ .data = &d->call.it, .flags = flags };
	return &d->call;
}

static int64_t sendmsg_issue(struct uring_request *r, bool may_block)
{
	struct message_call *c = message_again(r, flags_of(r, may_block) | MSG_NOSIGNAL);

	if (!socket_of(r))
		return -ENOTSOCK;
	if (wants_all(r, may_block))
		return URING_WORK;
	return or_wait(r, message_send(socket_of(r), c), POLLOUT, may_block);
}

static int64_t recvmsg_issue(struct uring_request *r, bool may_block)
{
	struct message_call *c = message_again(r, flags_of(r, may_block));

	if (!socket_of(r))
		return -ENOTSOCK;
	if (wants_all(r, may_block))
		return URING_WORK;
	return or_wait(r, message_receive(socket_of(r), c, r->sqe.addr), POLLIN, may_block);
}

const struct uring_op op_sendmsg = {
	.prep = message_prep, .issue = sendmsg_issue, .cleanup = message_cleanup, .flags = OP_FILE | OP_IOPRIO,
};
const struct uring_op op_recvmsg = {
	.prep = message_prep, .issue = recvmsg_issue, .cleanup = message_cleanup, .flags = OP_FILE | OP_IOPRIO,
};

/* ---- OP_ACCEPT ---- */

static bool close_on_exec(const struct uring_request *r)
{
	return r->sqe.accept_flags & SOCK_CLOEXEC;
}

static int accept_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;
	bool multi = s->ioprio & IORING_ACCEPT_MULTISHOT;

	if (s->len || s->buf_index || (s->ioprio & ~(unsigned)IORING_ACCEPT_MULTISHOT))
		return -EINVAL;
	if (s->accept_flags & ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	if (s->file_index && close_on_exec(r))
		return -EINVAL;
	if (!multi)
		return 0;
	return (s->file_index && s->file_index != IORING_FILE_INDEX_ALLOC) || (s->flags & IOSQE_CQE_SKIP_SUCCESS) ? -EINVAL : 0;
}

static int64_t accept_once(struct uring_request *r, bool may_block)
{
	bool nonblock = !may_block || (READ_ONCE(r->file->flags) & O_NONBLOCK);
	struct file *f;
	int64_t n;

	if (r->sqe.file_index)
		n = call_accept(socket_of(r), r->sqe.addr, r->sqe.addr2, r->sqe.accept_flags, nonblock, &f);
	else
		n = call_accept_fd(socket_of(r), r->sqe.addr, r->sqe.addr2, r->sqe.accept_flags, nonblock);
	if (n == -EAGAIN && !may_block && !(READ_ONCE(r->file->flags) & O_NONBLOCK)) {
		r->events = POLLIN;
		return URING_POLL;
	}
	return n || !r->sqe.file_index ? n : uring_file_install(r->ring, f, r->sqe.file_index);
}

static int64_t accept_issue(struct uring_request *r, bool may_block)
{
	unsigned rounds = 0;
	int64_t n;

	if (!socket_of(r))
		return -ENOTSOCK;
	if (!(r->sqe.ioprio & IORING_ACCEPT_MULTISHOT))
		return accept_once(r, may_block);
	for (;;) {
		n = accept_once(r, false);
		if (n < 0 || !uring_post_more(r, (int32_t)n, 0))
			return n;
		n = uring_next_round(r, &rounds);
		if (n)
			return n;
	}
}

const struct uring_op op_accept = { .prep = accept_prep, .issue = accept_issue, .flags = OP_FILE | OP_IOPRIO };

/* ---- OP_CONNECT, OP_SHUTDOWN, OP_SOCKET ---- */

static int connect_prep(struct uring_request *r)
{
	struct socket_address *a;
	int err;

	if (r->sqe.len || r->sqe.buf_index || r->sqe.rw_flags || r->sqe.splice_fd_in)
		return -EINVAL;
	a = kmalloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	r->data = a;
	err = call_address_from_user(r->sqe.addr, r->sqe.addr2, a);
	return err;
}

static int64_t connect_issue(struct uring_request *r, bool may_block)
{
	bool nonblock = READ_ONCE(r->file->flags) & O_NONBLOCK;
	int err;

	if (!socket_of(r))
		return -ENOTSOCK;
	err = call_connect(socket_of(r), r->data, nonblock || !may_block);
	return err == -EAGAIN && !nonblock && !may_block ? URING_WORK : err;
}

const struct uring_op op_connect = { .prep = connect_prep, .issue = connect_issue, .flags = OP_FILE | OP_DATA_FREE };

static int shutdown_prep(struct uring_request *r)
{
	return r->sqe.off || r->sqe.addr || r->sqe.rw_flags || r->sqe.buf_index || r->sqe.splice_fd_in ? -EINVAL : 0;
}

static int64_t shutdown_issue(struct uring_request *r, bool may_block)
{
	(void)may_block;
	return socket_of(r) ? call_shutdown(socket_of(r), (int)r->sqe.len) : -ENOTSOCK;
}

const struct uring_op op_shutdown = { .prep = shutdown_prep, .issue = shutdown_issue, .flags = OP_FILE };

static int socket_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if (s->addr || s->rw_flags || s->buf_index || !call_socket_type_ok((int)s->off))
		return -EINVAL;
	return s->file_index && (s->off & SOCK_CLOEXEC) ? -EINVAL : 0;
}

static int64_t socket_issue(struct uring_request *r, bool may_block)
{
	int type = (int)r->sqe.off;
	struct file *f;
	int err = socket_create(r->sqe.fd, type & SOCK_TYPE_MASK, (int)r->sqe.len, (uint32_t)type & O_NONBLOCK, &f);

	(void)may_block;
	if (err)
		return err;
	return r->sqe.file_index ? uring_file_install(r->ring, f, r->sqe.file_index) : fd_give(f, type & SOCK_CLOEXEC);
}

const struct uring_op op_socket = { .prep = socket_prep, .issue = socket_issue };
