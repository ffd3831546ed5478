/* SPDX-License-Identifier: MIT */
/*
 * Cancelling requests of a ring: OP_ASYNC_CANCEL, and the call that waits for it (IORING_REGISTER_SYNC_CANCEL). A request that waits for a
 * file, a time or a worker ends with -ECANCELED; one that a worker is at is interrupted, and may end either way (-EALREADY).
 */
#include "uring_internal.h"
#include <cloudos/clock.h>
#include <cloudos/task.h>

#define KNOWN (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_FD_FIXED)

int uring_cancel_target_locked(struct uring_request *target)
{
	return async_cancel(&target->job) == ASYNC_RUNNING && target->begun ? -EALREADY : 0;
}

static bool names(const struct uring_request *r, const struct uring_cancel *c)
{
	if (!r->begun || r == c->except)
		return false;
	if (c->flags & IORING_ASYNC_CANCEL_ANY)
		return true;
	if (c->flags & IORING_ASYNC_CANCEL_FD)
		return READ_ONCE(r->file) == c->file;
	return r->sqe.user_data == c->user_data;
}

/* Cancels at most so many of those that are not cancelled yet: how many; *ret: what the last of them was told. */
static uint32_t cancel_some(struct uring *ring, const struct uring_cancel *c, uint32_t most, int *ret)
{
	struct uring_request *r;
	uint32_t found = 0;

	spin_lock(&ring->state);
	list_for_each(r, &ring->requests, of_ring) {
		if (found == most)
			break;
		if (!names(r, c) || async_cancelled(&r->job))
			continue;
		found++;
		*ret = uring_cancel_target_locked(r);
	}
	spin_unlock(&ring->state);
	return found;
}

int uring_cancel(struct uring *ring, const struct uring_cancel *c)
{
	uint32_t left = READ_ONCE(ring->request_count), found = 0; /* others may submit more all the while */
	int err = -ENOENT;

	if (!(c->flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY))) {
		(void)cancel_some(ring, c, 1, &err);
		return err;
	}
	while (found < left) {
		uint32_t most = min(left - found, (uint32_t)ASYNC_CANCELLED_AT_ONCE), n = cancel_some(ring, c, most, &err);

		found += n;
		if (n < most)
			break;
		sched_point();
	}
	return (int)found;
}

/* ---- OP_ASYNC_CANCEL ---- */

static int cancel_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if ((s->flags & IOSQE_BUFFER_SELECT) || s->off || s->len || s->splice_fd_in || (s->cancel_flags & ~KNOWN))
		return -EINVAL;
	return (s->cancel_flags & IORING_ASYNC_CANCEL_FD) && (s->cancel_flags & IORING_ASYNC_CANCEL_ANY) ? -EINVAL : 0;
}

static int64_t cancel_issue(struct uring_request *r, bool may_block)
{
	struct uring_cancel c = { .user_data = r->sqe.addr, .flags = r->sqe.cancel_flags, .except = r };
	int result;

	(void)may_block;
	if (c.flags & IORING_ASYNC_CANCEL_FD) {
		bool fixed = (r->sqe.flags & IOSQE_FIXED_FILE) || (c.flags & IORING_ASYNC_CANCEL_FD_FIXED);

		c.file = fixed ? uring_file_get(r->ring, (uint32_t)r->sqe.fd) : fd_get(r->sqe.fd);
		if (!c.file)
			return -EBADF;
	}
	result = uring_cancel(r->ring, &c);
	if (c.file)
		file_put(c.file);
	return result;
}

const struct uring_op op_cancel = { .prep = cancel_prep, .issue = cancel_issue };

/* ---- IORING_REGISTER_SYNC_CANCEL ---- */

static bool any_left(struct uring *ring, const struct uring_cancel *c)
{
	const struct uring_request *r;
	bool left = false;

	spin_lock(&ring->state);
	list_for_each(r, &ring->requests, of_ring)
		left |= names(r, c) && async_cancelled(&r->job);
	spin_unlock(&ring->state);
	return left;
}

/* Until those that were cancelled are over, whose ends wake who waits for completions. */
static int wait_for_end(struct uring *ring, const struct uring_cancel *c, uint64_t deadline_ns)
{
	int err = wait_event_deadline(&ring->completions, deadline_ns, !any_left(ring, c));

	return err == -ERESTARTSYS ? -EINTR : err == -ETIMEDOUT ? -ETIME : err;
}

int uring_sync_cancel(struct uring *ring, uaddr_t arg)
{
	struct io_uring_sync_cancel_reg reg;
	struct uring_cancel c = { 0 };
	uint64_t deadline_ns = HAL_TIMER_NEVER, ns = HAL_TIMER_NEVER;
	int result;

	if (get_user(reg, arg))
		return -EFAULT;
	if (reg.flags & ~KNOWN)
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(reg.pad) / sizeof(reg.pad[0]); i++)
		if (reg.pad[i])
			return -EINVAL;
	c.user_data = reg.addr;
	c.flags = reg.flags;
	if ((reg.timeout.tv_sec != -1 || reg.timeout.tv_nsec != -1) && uring_time_ns(&reg.timeout, &ns))
		return -EINVAL;
	if (ns != HAL_TIMER_NEVER)
		deadline_ns = clock_deadline_in(ns);
	if (c.flags & IORING_ASYNC_CANCEL_FD) {
		c.file = c.flags & IORING_ASYNC_CANCEL_FD_FIXED ? uring_file_get(ring, (uint32_t)reg.fd) : fd_get(reg.fd);
		if (!c.file)
			return -EBADF;
	}
	result = uring_cancel(ring, &c);
	if (result == -EALREADY || result == 0 || result > 0)
		result = wait_for_end(ring, &c, deadline_ns);
	if (c.file)
		file_put(c.file);
	return result;
}
