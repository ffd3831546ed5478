/* SPDX-License-Identifier: MIT */
/*
 * Time-outs: OP_TIMEOUT ends at a time, or after so many other completions; OP_LINK_TIMEOUT cancels the request before it in its chain when
 * that takes too long; OP_TIMEOUT_REMOVE ends or changes one.
 *
 * T1  ring->counting has the armed time-outs with a count, ordered by the value of ring->counted at which each ends.
 * T2  A linked time-out and whom it guards point at each other, both or neither, under ring->state. Whoever ends first cuts that; the request
 *     takes the time-out along if that is only armed.
 */
#include "uring_internal.h"
#include <linux/time.h>
#include <cloudos/clock.h>
#include <linux/time_types.h>

#define CLOCK_FLAGS (IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME)
#define SECONDS_MAX (INT64_MAX / (int64_t)NSEC_PER_SEC - 1)

enum { PHASE_NEW, PHASE_ARMED };

/* ---- times ---- */

int uring_time_ns(const struct __kernel_timespec *ts, uint64_t *ret_ns)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0) /* a second may have more of them */
		return -EINVAL;
	*ret_ns = ts->tv_sec > SECONDS_MAX ? HAL_TIMER_NEVER : (uint64_t)ts->tv_sec * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
	return 0;
}

/* The wall clock may be set meanwhile: a time on it is turned into one since boot when the time-out begins. */
static int time_from_user(uaddr_t at, uint32_t flags, uint64_t *ret_deadline_ns)
{
	int clock = flags & IORING_TIMEOUT_REALTIME ? CLOCK_REALTIME : flags & IORING_TIMEOUT_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_MONOTONIC;
	struct __kernel_timespec ts;
	uint64_t ns;
	int err;

	if (get_user(ts, at))
		return -EFAULT;
	err = uring_time_ns(&ts, &ns);
	if (err)
		return err;
	if ((flags & IORING_TIMEOUT_ABS) && ns != HAL_TIMER_NEVER)
		return clock_deadline(clock, ns, ret_deadline_ns);
	*ret_deadline_ns = clock_deadline_in(ns);
	return 0;
}

static bool clocks_ok(uint32_t flags)
{
	return (flags & CLOCK_FLAGS) != CLOCK_FLAGS;
}

/* ---- OP_TIMEOUT ---- */

static int timeout_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;

	if (s->buf_index || s->len != 1 || s->splice_fd_in)
		return -EINVAL;
	if ((s->timeout_flags & ~(IORING_TIMEOUT_ABS | IORING_TIMEOUT_ETIME_SUCCESS | CLOCK_FLAGS)) || !clocks_ok(s->timeout_flags))
		return -EINVAL;
	if (s->off > UINT32_MAX)
		return -EINVAL;
	return time_from_user(s->addr, s->timeout_flags, &r->deadline_ns);
}

static void count_in_locked(struct uring_request *r)
{
	struct uring *ring = r->ring;
	struct list *at = &ring->counting;

	r->count_target = ring->counted + (uint32_t)r->sqe.off;
	while (at->prev != &ring->counting) {
		const struct uring_request *before = list_entry(at->prev, struct uring_request, timeouts);

		if ((int32_t)(before->count_target - r->count_target) <= 0)
			break;
		at = at->prev;
	}
	list_add_tail(at, &r->timeouts);
}

void uring_count_timeouts_locked(struct uring *ring)
{
	while (!list_empty(&ring->counting)) {
		struct uring_request *r = list_first(&ring->counting, struct uring_request, timeouts);

		if ((int32_t)(ring->counted - r->count_target) < 0)
			return;
		list_del(&r->timeouts);
		r->counted_off = true;
		(void)async_claim(&r->job);
	}
}

/* Under the lock all the while: a count that is reached between the two would be lost, and what is armed may be over behind it. */
static bool arm(struct uring_request *r)
{
	struct uring *ring = r->ring;
	bool armed;

	spin_lock(&ring->state);
	r->phase = PHASE_ARMED;
	if (r->sqe.off)
		count_in_locked(r);
	armed = async_arm_timer(&r->job, r->deadline_ns);
	spin_unlock(&ring->state);
	return armed;
}

static int64_t timeout_issue(struct uring_request *r, bool may_block)
{
	bool counted;

	(void)may_block;
	if (r->phase == PHASE_NEW && !async_cancelled(&r->job) && arm(r))
		return URING_ARMED;
	async_disarm(&r->job);
	spin_lock(&r->ring->state);
	list_del(&r->timeouts);
	counted = r->counted_off;
	spin_unlock(&r->ring->state);
	if (counted)
		return 0;
	if (async_cancelled(&r->job))
		return -ECANCELED;
	r->failed = !(r->sqe.timeout_flags & IORING_TIMEOUT_ETIME_SUCCESS);
	return -ETIME;
}

const struct uring_op op_timeout = { .prep = timeout_prep, .issue = timeout_issue, .flags = OP_OWN_END };

/* ---- OP_LINK_TIMEOUT ---- */

static int link_timeout_prep(struct uring_request *r)
{
	return r->sqe.off ? -EINVAL : timeout_prep(r);
}

void uring_link_timeout_arm(struct uring_request *r)
{
	struct uring_request *t = r->next;
	uint64_t deadline_ns;

	if (!t || t->op != &op_link_timeout)
		return;
	r->next = t->next;
	t->next = NULL;
	spin_lock(&r->ring->state);
	r->timeout = t;
	t->target = r;
	t->begun = true;
	t->phase = PHASE_ARMED;
	deadline_ns = t->deadline_ns;
	spin_unlock(&r->ring->state);
	if (!async_arm_timer(&t->job, deadline_ns))
		async_ready(&t->job);
}

struct uring_request *uring_link_timeout_drop_locked(struct uring_request *r)
{
	struct uring_request *t = r->timeout;

	if (r->target) { /* r is one itself */
		r->target->timeout = NULL;
		r->target = NULL;
	}
	if (!t)
		return NULL;
	r->timeout = NULL;
	t->target = NULL;
	return async_take(&t->job) ? t : NULL;
}

/* Its time is up, or it is cancelled by itself. */
static int64_t link_timeout_issue(struct uring_request *r, bool may_block)
{
	struct uring_request *target;
	int err = 0;

	(void)may_block;
	async_disarm(&r->job);
	if (async_cancelled(&r->job) || r->phase != PHASE_ARMED)
		return -ECANCELED;
	spin_lock(&r->ring->state);
	target = r->target;
	if (target) {
		target->timeout = NULL;
		r->target = NULL;
		err = uring_cancel_target_locked(target);
	}
	spin_unlock(&r->ring->state);
	return target ? (err ? err : -ETIME) : -ECANCELED;
}

const struct uring_op op_link_timeout = { .prep = link_timeout_prep, .issue = link_timeout_issue, .flags = OP_OWN_END };

/* ---- OP_TIMEOUT_REMOVE ---- */

#define UPDATE_FLAGS (IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE)

static int remove_prep(struct uring_request *r)
{
	const struct io_uring_sqe *s = &r->sqe;
	uint32_t flags = s->timeout_flags;

	if ((s->flags & (IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT)) || s->buf_index || s->len || s->splice_fd_in)
		return -EINVAL;
	if (!(flags & UPDATE_FLAGS))
		return flags ? -EINVAL : 0;
	if ((flags & UPDATE_FLAGS) == UPDATE_FLAGS || (flags & ~(UPDATE_FLAGS | IORING_TIMEOUT_ABS | CLOCK_FLAGS)) || !clocks_ok(flags))
		return -EINVAL;
	return time_from_user(s->off, flags, &r->deadline_ns);
}

static struct uring_request *find_locked(struct uring *ring, const struct uring_op *op, uint64_t user_data)
{
	struct uring_request *r;

	list_for_each(r, &ring->requests, of_ring)
		if (r->begun && r->op == op && r->sqe.user_data == user_data)
			return r;
	return NULL;
}

static int64_t remove_issue(struct uring_request *r, bool may_block)
{
	const struct uring_op *op = r->sqe.timeout_flags & IORING_LINK_TIMEOUT_UPDATE ? &op_link_timeout : &op_timeout;
	struct uring *ring = r->ring;
	struct uring_request *found;
	int64_t result = 0;

	(void)may_block;
	spin_lock(&ring->state);
	found = find_locked(ring, op, r->sqe.addr);
	if (!found || found->phase != PHASE_ARMED) {
		result = -ENOENT;
	} else if (!(r->sqe.timeout_flags & UPDATE_FLAGS)) {
		result = async_cancel(&found->job) == ASYNC_WAITED ? 0 : -EALREADY;
	} else if (async_take(&found->job)) { /* it is ours: with another time it goes back */
		(void)timer_cancel(&found->job.timer);
		found->deadline_ns = r->deadline_ns;
		list_del(&found->timeouts); /* a count does not survive */
		if (!async_arm_timer(&found->job, r->deadline_ns))
			async_ready(&found->job);
	} else {
		result = -EALREADY;
	}
	spin_unlock(&ring->state);
	return result;
}

const struct uring_op op_timeout_remove = { .prep = remove_prep, .issue = remove_issue };
