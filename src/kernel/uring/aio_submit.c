/* SPDX-License-Identifier: MIT */
/*
 * Requests of AIO. Reads, writes and syncs are done while they are submitted, as Linux does with files that have no direct way to a device; their
 * results are events all the same. Polls are jobs (async.c): they wait.
 */
#include "aio_internal.h"
#include <asm/poll.h>
#include <linux/fs.h>
#include <cloudos/aio.h>
#include <cloudos/errno.h>
#include <cloudos/eventfd.h>
#include <cloudos/fs.h>
#include <cloudos/io.h>
#include <cloudos/mm.h>
#include <cloudos/thread.h>
#include <cloudos/uaccess.h>
#include "async.h"
#include "call_rw.h"

#define KEY 0u /* in iocb.aio_key of what was submitted */
#define VECS_FAST 8

/* One request while it is submitted. */
struct request {
	struct aio *ctx;
	uaddr_t user;	/* the iocb */
	struct iocb iocb;
	struct file *file, *eventfd; /* with references; the second may be null */
};

static void post(struct request *r, int64_t result)
{
	const struct io_event e = { .data = r->iocb.aio_data, .obj = r->user, .res = result };

	aio_post(r->ctx, &e, r->eventfd);
}

/* ---- reading, writing, syncing ---- */

static int64_t done(int64_t n)
{
	return n == -ERESTARTSYS || n == -ERESTARTNOINTR || n == -ERESTARTNOHAND ? -EINTR : n;
}

static int move(struct request *r, struct io_iter *it, bool write)
{
	bool seekable = r->file->mode & FILE_SEEKABLE;

	post(r, done(call_rw(r->file, it, seekable ? r->iocb.aio_offset : CALL_RW_OWN_POSITION, write, (unsigned)r->iocb.aio_rw_flags)));
	return 0;
}

static int read_or_write(struct request *r, bool write, bool vectors)
{
	struct io_vec fast[VECS_FAST], *v;
	struct io_iter it;
	int err = call_rw_flags((unsigned)r->iocb.aio_rw_flags);

	if (!err && (r->iocb.aio_rw_flags & RWF_NOWAIT) && r->file->ops->rwf_nowait == NOWAIT_REFUSED)
		err = -EOPNOTSUPP;
	if (err)
		return err;
	if (!(r->file->mode & (write ? FILE_WRITE : FILE_READ)))
		return -EBADF;
	if (!(write ? r->file->ops->write != NULL : r->file->ops->read != NULL))
		return -EINVAL;
	if ((r->file->mode & FILE_SEEKABLE) && r->iocb.aio_offset < 0)
		return -EINVAL;
	if (!vectors) {
		if (!user_range_ok(r->iocb.aio_buf, r->iocb.aio_nbytes))
			return -EFAULT;
		io_iter_user(&it, r->iocb.aio_buf, min(r->iocb.aio_nbytes, (uint64_t)RW_MAX));
		return move(r, &it, write);
	}
	err = io_import(r->iocb.aio_buf, r->iocb.aio_nbytes, fast, VECS_FAST, &v, &it);
	if (err)
		return err;
	err = move(r, &it, write);
	io_import_free(v, fast);
	return err;
}

static int sync(struct request *r, bool data_only)
{
	if (r->iocb.aio_buf || r->iocb.aio_offset || r->iocb.aio_nbytes || r->iocb.aio_rw_flags)
		return -EINVAL;
	if (!r->file->inode || (!r->file->ops->fsync && !r->file->inode->data))
		return -EINVAL;
	post(r, done(call_sync(r->file, data_only)));
	return 0;
}

/* ---- polls ---- */

struct aio_poll {
	struct async_job job;
	struct request request; /* what it holds is its own */
	struct list link;	/* in ctx->polls, by its lock */
	uint32_t events;
	bool armed;
};

static void poll_end(struct aio_poll *p, uint32_t mask)
{
	struct aio *ctx = p->request.ctx;

	spin_lock(&ctx->lock);
	list_del(&p->link);
	spin_unlock(&ctx->lock);
	post(&p->request, mask);
	file_put(p->request.file);
	if (p->request.eventfd)
		file_put(p->request.eventfd);
	async_end(&p->job);
	kfree(p);
	aio_put(ctx);
}

static void poll_run(struct async_job *job, bool may_block)
{
	struct aio_poll *p = container_of(job, struct aio_poll, job);
	uint32_t mask = 0;

	(void)may_block;
	for (;;) {
		if (p->armed) {
			mask = file_poll(p->request.file, NULL) & p->events;
			async_disarm(job);
		}
		p->armed = true;
		if (mask || async_cancelled(job))
			break;
		if (async_arm_poll(job, p->request.file, p->events, &mask))
			return;
		sched_point();
	}
	async_disarm(job);
	poll_end(p, mask);
}

static int poll(struct request *r)
{
	struct async_task *task;
	struct aio_poll *p;
	int err;

	if (r->iocb.aio_nbytes || r->iocb.aio_offset || r->iocb.aio_rw_flags || r->iocb.aio_buf > UINT16_MAX)
		return -EINVAL;
	err = async_task_get(&task);
	if (err)
		return err == -ERESTARTNOINTR ? -EINTR : err;
	p = kzalloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->request = *r;
	p->events = (uint32_t)r->iocb.aio_buf | POLLERR | POLLHUP;
	file_get(r->file);
	if (r->eventfd)
		file_get(r->eventfd);
	refcount_get(&r->ctx->refs);
	async_begin(&p->job, task, thread_current()->cred, poll_run);
	spin_lock(&r->ctx->lock);
	list_add_tail(&r->ctx->polls, &p->link);
	if (r->ctx->dead) /* and what waits was cancelled before this came */
		(void)async_cancel(&p->job);
	spin_unlock(&r->ctx->lock);
	poll_run(&p->job, false);
	return 0;
}

/* True: there may be more. */
static bool cancel_some(struct aio *a)
{
	struct aio_poll *p;
	unsigned n = 0;

	spin_lock(&a->lock);
	list_for_each(p, &a->polls, link) {
		if (n == ASYNC_CANCELLED_AT_ONCE)
			break;
		if (async_cancelled(&p->job))
			continue;
		(void)async_cancel(&p->job);
		n++;
	}
	spin_unlock(&a->lock);
	return n == ASYNC_CANCELLED_AT_ONCE;
}

void aio_cancel_polls(struct aio *a)
{
	while (cancel_some(a)) /* no new ones come, for it is dead */
		sched_point();
}

int aio_cancel_one(uaddr_t id, uaddr_t iocb)
{
	struct aio *a;
	struct aio_poll *p;
	uint32_t key;
	int err = -EINVAL;

	if (get_user(key, iocb + offsetof(struct iocb, aio_key)))
		return -EFAULT;
	if (key != KEY)
		return -EINVAL;
	a = aio_find(id);
	if (!a)
		return -EINVAL;
	spin_lock(&a->lock);
	list_for_each(p, &a->polls, link) {
		if (p->request.user != iocb || async_cancelled(&p->job))
			continue;
		(void)async_cancel(&p->job);
		err = -EINPROGRESS;
		break;
	}
	spin_unlock(&a->lock);
	aio_put(a);
	return err;
}

/* ---- submitting ---- */

static int start(struct request *r)
{
	switch (r->iocb.aio_lio_opcode) {
	case IOCB_CMD_PREAD:
		return read_or_write(r, false, false);
	case IOCB_CMD_PWRITE:
		return read_or_write(r, true, false);
	case IOCB_CMD_PREADV:
		return read_or_write(r, false, true);
	case IOCB_CMD_PWRITEV:
		return read_or_write(r, true, true);
	case IOCB_CMD_FSYNC:
		return sync(r, false);
	case IOCB_CMD_FDSYNC:
		return sync(r, true);
	case IOCB_CMD_POLL:
		return poll(r);
	default:
		return -EINVAL;
	}
}

static int check(const struct iocb *i)
{
	if (i->aio_reserved2 || (int64_t)i->aio_nbytes < 0)
		return -EINVAL;
	return 0;
}

static int get_eventfd(struct request *r)
{
	if (!(r->iocb.aio_flags & IOCB_FLAG_RESFD))
		return 0;
	r->eventfd = fd_get((int)r->iocb.aio_resfd);
	if (!r->eventfd)
		return -EBADF;
	return file_is_eventfd(r->eventfd) ? 0 : -EINVAL;
}

static int submit_file(struct request *r)
{
	int err = get_eventfd(r);

	if (!err && put_user(KEY, r->user + offsetof(struct iocb, aio_key)))
		err = -EFAULT;
	if (!err)
		err = start(r);
	if (r->eventfd)
		file_put(r->eventfd);
	return err;
}

static int submit_one(struct aio *a, uaddr_t user)
{
	struct request r = { .ctx = a, .user = user };
	int err;

	if (get_user(r.iocb, user))
		return -EFAULT;
	err = check(&r.iocb);
	if (err)
		return err;
	if (!aio_reserve(a))
		return -EAGAIN;
	r.file = fd_get((int)r.iocb.aio_fildes);
	err = r.file ? submit_file(&r) : -EBADF;
	if (r.file)
		file_put(r.file);
	if (err)
		aio_unreserve(a);
	return err;
}

int64_t aio_submit(uaddr_t id, int64_t n, uaddr_t iocbs)
{
	struct aio *a;
	int64_t submitted = 0;
	int err = 0;

	if (n < 0)
		return -EINVAL;
	a = aio_find(id);
	if (!a)
		return -EINVAL;
	for (; submitted < min(n, (int64_t)a->slots); submitted++) {
		uint64_t user;

		err = get_user(user, iocbs + (uint64_t)submitted * sizeof(user));
		if (!err)
			err = submit_one(a, user);
		if (err || thread_exit_pending())
			break;
		sched_point();
	}
	aio_put(a);
	return submitted ? submitted : err;
}
