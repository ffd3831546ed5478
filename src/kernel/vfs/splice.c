/* SPDX-License-Identifier: MIT */
/*
 * splice, tee, vmsplice. The bytes are copied, through a buffer: what is moved here is no page but the two copies to and from the
 * program's memory.
 *
 * Between a pipe and another file the pipe cannot stay locked while the file's operation runs, which may sleep and takes locks of lower
 * rank. So the splice claims the pipe's content, or its space, for the time (P4 in pipe.c): bytes leave the pipe when the file has taken
 * them, and none is lost when it does not; and what was read from a file has its place, with pages, before it is read.
 *
 * Between two pipes both are locked, the one at the lower address first.
 */
#include <asm/poll.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/splice.h>
#include "pipe_internal.h"

#define PIECE UINT32_C(65536) /* of one step between a pipe and a file */

bool splice_is_pipe(const struct file *f)
{
	return pipe_of(f) != NULL;
}

/* ---- waiting; the pipe is locked before and after ---- */

static bool has_data(const struct pipe *p)
{
	return ring_used(&p->ring) > 0 && !p->reading;
}

static bool has_space(const struct pipe *p)
{
	return ring_space(&p->ring) > 0 && !p->writing;
}

/* 1: there are bytes; 0: there will be none; -EAGAIN, -ERESTARTSYS. */
static int wait_data(struct pipe *p, bool nonblock)
{
	while (!has_data(p)) {
		int error = -EAGAIN;

		if (ring_used(&p->ring) == 0 && p->writers == 0)
			return 0;
		if (!nonblock) {
			mutex_unlock(&p->lock);
			error = wait_event_interruptible(&p->can_read, pipe_may_read(p));
			mutex_lock(&p->lock);
		}
		if (error)
			return error;
	}
	return 1;
}

/* 0: there is space; -EPIPE, -EAGAIN, -ERESTARTSYS. */
static int wait_space(struct pipe *p, bool nonblock)
{
	while (p->readers > 0 && !has_space(p)) {
		int error = -EAGAIN;

		if (!nonblock) {
			mutex_unlock(&p->lock);
			error = wait_event_interruptible(&p->can_write, pipe_may_write(p));
			mutex_lock(&p->lock);
		}
		if (error)
			return error;
	}
	return p->readers > 0 ? 0 : -EPIPE;
}

/*
 * The pipe has changed, or a wake-up was taken that another might have had: one of each kind looks again; all of them, where the other end
 * is closed, since that was announced once, and they went back to sleep for the claim.
 */
static void announce(struct pipe *p)
{
	if (pipe_may_read(p))
		wake_events(&p->can_read, POLLIN | POLLRDNORM, READ_ONCE(p->writers) > 0);
	if (pipe_may_write(p))
		wake_events(&p->can_write, POLLOUT | POLLWRNORM, READ_ONCE(p->readers) > 0);
}

/* ---- from a file ---- */

/* Claims space for up to len bytes, with pages: how many, or an errno. */
static ssize_t claim_space(struct pipe *p, size_t len, bool nonblock)
{
	ssize_t n;

	mutex_lock(&p->lock);
	n = wait_space(p, nonblock);
	if (!n) {
		len = min(len, (size_t)PIECE);
		n = (ssize_t)min(len, (size_t)ring_space(&p->ring));
		if (ring_reserve(&p->ring, (uint32_t)n))
			n = -ENOMEM;
		else
			WRITE_ONCE(p->writing, true);
	}
	mutex_unlock(&p->lock);
	if (n == -ENOMEM)
		announce(p);
	return n;
}

static void fill_claimed(struct pipe *p, const char *buf, size_t len)
{
	struct io_iter it;

	io_iter_kernel(&it, buf, len);
	mutex_lock(&p->lock);
	if (len > 0)
		ASSERT(ring_put(&p->ring, &it, len) == (ssize_t)len);
	WRITE_ONCE(p->writing, false);
	mutex_unlock(&p->lock);
	announce(p);
}

ssize_t splice_from_file(struct file *from, int64_t *pos, struct file *to, size_t len, bool nonblock)
{
	struct pipe *p = pipe_of(to);
	struct io_iter it;
	ssize_t room, n;
	char *buf;

	if (!(from->ops->splice & SPLICE_READ))
		return -EINVAL;
	room = claim_space(p, len, nonblock);
	if (room < 0)
		return room;
	buf = kmalloc((size_t)room);
	n = -ENOMEM;
	if (buf) {
		io_iter_kernel(&it, buf, (size_t)room);
		n = file_read(from, &it, pos);
	}
	fill_claimed(p, buf, n > 0 ? (size_t)n : 0);
	kfree(buf);
	return n;
}

/* ---- to a file ---- */

/* Claims the content and copies the first bytes of it: how many, 0 at the end, or an errno. */
static ssize_t claim_data(struct pipe *p, char *buf, size_t len, bool nonblock)
{
	struct io_iter it;
	ssize_t n;

	io_iter_kernel(&it, buf, len);
	mutex_lock(&p->lock);
	n = wait_data(p, nonblock);
	if (n > 0) {
		n = ring_peek(&p->ring, 0, &it, len);
		WRITE_ONCE(p->reading, true);
	}
	mutex_unlock(&p->lock);
	return n;
}

static void drop_claimed(struct pipe *p, size_t len)
{
	mutex_lock(&p->lock);
	ring_drop(&p->ring, (uint32_t)len);
	WRITE_ONCE(p->reading, false);
	mutex_unlock(&p->lock);
	announce(p);
}

/* All that is in the pipe, up to len; it waits for the first bytes only. */
static ssize_t drain_into(struct pipe *p, struct file *to, int64_t *pos, size_t len, bool nonblock, char *buf)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < len) {
		struct io_iter it;
		ssize_t piece = claim_data(p, buf, min(len - done, (size_t)PIECE), nonblock || done > 0);

		if (piece <= 0) {
			n = piece;
			break;
		}
		io_iter_kernel(&it, buf, (size_t)piece);
		n = file_write(to, &it, pos);
		drop_claimed(p, n > 0 ? (size_t)n : 0);
		if (n > 0)
			done += (size_t)n;
		if (n < piece || thread_signal_pending())
			break;
		sched_point();
	}
	return done > 0 ? (ssize_t)done : n;
}

ssize_t splice_to_file(struct file *from, struct file *to, int64_t *pos, size_t len, bool nonblock)
{
	char *buf;
	ssize_t n;

	if (!(to->ops->splice & SPLICE_WRITE))
		return -EINVAL;
	buf = kmalloc(min(len, (size_t)PIECE));
	if (!buf)
		return -ENOMEM;
	n = drain_into(pipe_of(from), to, pos, len, nonblock, buf);
	kfree(buf);
	return n;
}

/* ---- from pipe to pipe ---- */

static void lock_both(struct pipe *a, struct pipe *b)
{
	mutex_lock(a < b ? &a->lock : &b->lock);
	mutex_lock_beside(a < b ? &b->lock : &a->lock);
}

static void unlock_both(struct pipe *a, struct pipe *b)
{
	mutex_unlock(&a->lock);
	mutex_unlock(&b->lock);
}

/* Both are locked, and there is something to do. */
static ssize_t copy_between(struct pipe *from, struct pipe *to, size_t len, bool keep, char *page)
{
	size_t done = 0;

	len = min(len, (size_t)ring_used(&from->ring));
	len = min(len, (size_t)ring_space(&to->ring));
	while (done < len) {
		struct io_iter it;
		ssize_t n;

		io_iter_kernel(&it, page, min(len - done, (size_t)PAGE_SIZE));
		n = ring_peek(&from->ring, keep ? (uint32_t)done : 0, &it, it.count);
		io_iter_kernel(&it, page, (size_t)n);
		n = ring_put(&to->ring, &it, it.count);
		if (n <= 0)
			return done > 0 ? (ssize_t)done : n;
		if (!keep)
			ring_drop(&from->ring, (uint32_t)n);
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Waits for either side in turn, with one of them locked at a time. 1: both may be ready. */
static int wait_both(struct pipe *from, struct pipe *to, bool nonblock)
{
	int result;

	mutex_lock(&from->lock);
	result = wait_data(from, nonblock);
	mutex_unlock(&from->lock);
	if (result <= 0)
		return result;
	announce(from); /* this one may wait long for the other side */
	mutex_lock(&to->lock);
	result = wait_space(to, nonblock);
	mutex_unlock(&to->lock);
	return result ? result : 1;
}

static ssize_t move_between(struct pipe *from, struct pipe *to, size_t len, bool nonblock, bool keep, char *page)
{
	for (;;) {
		ssize_t n = wait_both(from, to, nonblock);
		bool ready;

		if (n <= 0)
			return n;
		lock_both(from, to);
		ready = has_data(from) && has_space(to) && to->readers > 0;
		if (ready)
			n = copy_between(from, to, len, keep, page);
		unlock_both(from, to);
		announce(from);
		announce(to);
		if (ready)
			return n;
	}
}

ssize_t splice_between(struct file *from, struct file *to, size_t len, bool nonblock, bool keep)
{
	char *page;
	ssize_t n;

	if (pipe_of(from) == pipe_of(to))
		return -EINVAL;
	page = kmalloc(PAGE_SIZE);
	if (!page)
		return -ENOMEM;
	n = move_between(pipe_of(from), pipe_of(to), len, nonblock, keep, page);
	kfree(page);
	return n;
}

/* ---- memory ---- */

ssize_t splice_from_memory(struct file *to, struct io_iter *from, bool nonblock)
{
	struct pipe *p = pipe_of(to);
	ssize_t n;

	mutex_lock(&p->lock);
	n = wait_space(p, nonblock);
	if (!n)
		n = ring_put(&p->ring, from, from->count);
	mutex_unlock(&p->lock);
	announce(p);
	return n;
}

ssize_t splice_to_memory(struct file *from, struct io_iter *to, bool nonblock)
{
	struct pipe *p = pipe_of(from);
	ssize_t n;

	mutex_lock(&p->lock);
	n = wait_data(p, nonblock);
	if (n > 0)
		n = ring_get(&p->ring, to, to->count);
	mutex_unlock(&p->lock);
	announce(p);
	return n;
}
