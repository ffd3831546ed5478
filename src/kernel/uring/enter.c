/* SPDX-License-Identifier: MIT */
/*
 * io_uring_enter(2): submitting, then waiting for completions. While it waits, the task runs what of its own becomes ready; workers do so
 * otherwise.
 */
#include "uring_internal.h"
#include <cloudos/clock.h>
#include <cloudos/proc.h>
#include <cloudos/task.h>
#include <cloudos/uring.h>

/* What the call waits with. */
struct wait_arg {
	bool has_mask;
	uint64_t mask, deadline_ns;
};

static int arg_from_user(uint32_t flags, uaddr_t arg, size_t size, struct wait_arg *ret)
{
	struct io_uring_getevents_arg ext = { .sigmask = arg, .sigmask_sz = (uint32_t)size };
	struct __kernel_timespec ts;
	uint64_t ns;

	*ret = (struct wait_arg){ .deadline_ns = HAL_TIMER_NEVER };
	if (flags & IORING_ENTER_EXT_ARG) {
		if (size != sizeof(ext))
			return -EINVAL;
		if (get_user(ext, arg))
			return -EFAULT;
		if (ext.pad)
			return -EINVAL;
	}
	if ((flags & IORING_ENTER_EXT_ARG) && ext.ts) {
		if (get_user(ts, ext.ts))
			return -EFAULT;
		if (uring_time_ns(&ts, &ns))
			return -EINVAL;
		ret->deadline_ns = clock_deadline_in(ns);
	}
	ret->has_mask = ext.sigmask != 0;
	if (!ret->has_mask)
		return 0;
	if (ext.sigmask_sz != sizeof(ret->mask))
		return -EINVAL;
	return get_user(ret->mask, ext.sigmask);
}

/* ---- waiting ---- */

/* What is waited for: so many completions, or a time-out more than there had been. */
struct goal {
	uint32_t wanted, timed_out;
};

static bool enough(struct uring *ring, const struct goal *g)
{
	return uring_ready(ring) >= g->wanted || READ_ONCE(ring->timed_out) != g->timed_out;
}

/* One sleep; 0, -ERESTARTSYS or -ETIMEDOUT. */
static int sleep_once(struct uring *ring, struct async_task *task, const struct goal *g, uint64_t deadline_ns)
{
	struct waiter for_events, for_work;
	int err = 0;

	waiter_init(&for_events, WAIT_ANY, false);
	wait_add(&ring->completions, &for_events);
	async_attend(task, &for_work);
	thread_prepare_sleep(THREAD_INTERRUPTIBLE);
	if (!enough(ring, g) && !READ_ONCE(ring->overflow_count) && (!async_any_ready(task) || thread_signal_pending()))
		err = wait_round(THREAD_INTERRUPTIBLE, deadline_ns);
	thread_cancel_sleep();
	async_leave(task, &for_work);
	wait_remove(&ring->completions, &for_events);
	return err;
}

static int wait_for(struct uring *ring, struct async_task *task, uint32_t wanted, uint64_t deadline_ns)
{
	const struct goal goal = { wanted, READ_ONCE(ring->timed_out) };
	int err = 0;

	for (;;) {
		(void)async_run_ready(task);
		(void)uring_flush_overflow(ring);
		if (enough(ring, &goal) || err)
			break;
		if (READ_ONCE(ring->overflow_count) > 0) /* the ring is full, and that is not enough: it never will be */
			break;
		err = sleep_once(ring, task, &goal, deadline_ns);
	}
	if (uring_ready(ring) > 0)
		return 0;
	return err == -ETIMEDOUT ? -ETIME : err == -ERESTARTSYS ? -EINTR : err;
}

static int wait_masked(struct uring *ring, struct async_task *task, uint32_t wanted, const struct wait_arg *w)
{
	int err;

	if (!w->has_mask)
		return wait_for(ring, task, wanted, w->deadline_ns);
	signal_mask_begin(w->mask);
	err = wait_for(ring, task, wanted, w->deadline_ns);
	signal_mask_end(err == -EINTR);
	return err;
}

/* ---- the call ---- */

static int may_submit(struct uring *ring)
{
	if (READ_ONCE(ring->disabled))
		return -EBADFD;
	if ((ring->flags & IORING_SETUP_SINGLE_ISSUER) && READ_ONCE(ring->issuer) != task_self())
		return -EEXIST;
	return 0;
}

static int64_t submit(struct uring *ring, struct async_task *task, uint32_t count)
{
	int64_t done = may_submit(ring);

	if (done)
		return done;
	mutex_lock(&ring->lock);
	done = uring_submit(ring, task, count);
	mutex_unlock(&ring->lock);
	return done;
}

int64_t uring_enter(struct file *f, uint32_t count, uint32_t min_complete, uint32_t flags, uaddr_t arg, size_t arg_size)
{
	struct uring *ring = uring_of_file(f);
	struct async_task *task;
	struct wait_arg w;
	int64_t done = 0;
	int err;

	if (!ring)
		return -EOPNOTSUPP;
	if (READ_ONCE(ring->disabled))
		return -EBADFD;
	if ((ring->flags & IORING_SETUP_DEFER_TASKRUN) && (flags & IORING_ENTER_GETEVENTS) && READ_ONCE(ring->issuer) != task_self())
		return -EEXIST;
	err = async_task_get(&task);
	if (err)
		return err;
	if (count)
		done = submit(ring, task, count);
	if (done < 0 || !(flags & IORING_ENTER_GETEVENTS) || (count && (uint64_t)done != count)) {
		(void)async_run_ready(task);
		return done;
	}
	err = arg_from_user(flags, arg, arg_size, &w);
	if (!err)
		err = wait_masked(ring, task, min(min_complete, ring->cq_entries), &w);
	return done ? done : err;
}
