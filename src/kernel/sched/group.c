/* SPDX-License-Identifier: MIT */
/*
 * Groups of threads: shares and limits, without run queues of their own.
 *
 * Shares. All threads of a CPU stay in one order of virtual run time (queue.c). A thread's time counts by what it has of its group's share:
 *
 *   share(thread) = weight(thread) * prod over its groups g, innermost first, of  weight(g) / load(g)
 *
 * where load(g) is the sum of the weights of the threads, or groups, directly in g that can run now, on any CPU. So a group's threads together
 * have the group's weight, however many they are, and who has more CPUs to run on gets less on each. A group that does not share is as if it were
 * not there. A group counts in its parent's load while it has any load (G1).
 *
 * Limits. What runs is charged to each group above it. A period's time is given out by whoever finds that one has begun; there are no timers of
 * groups. A thread whose group has used up its time finishes what it does in the kernel, since it may hold locks there, and sleeps on its way to user
 * mode until the period in which there will be something again; what it ran too long is made up for in the next ones (left_ns < 0). The
 * CPU's timer looks at one that runs alone when its groups' time may be over; where several CPUs draw on it, each takes a part at a time.
 *
 * Locking: a thread's group is its run queue's lock's, figures are atomic, and groups_lock guards G1.
 *
 * A thread outside all groups pays a test at a switch.
 */
#include <cloudos/string.h>
#include "sched_internal.h"

#define SHARE_BITS   10 /* shares have so many binary places */
#define SHARE_LEAST  UINT64_C(16)
#define PART_LEAST_NS (500 * NSEC_PER_USEC) /* that a CPU takes at a time */
#define WAIT_MOST_NS NSEC_PER_SEC

static struct spinlock groups_lock = SPINLOCK_INIT(RANK_LEAF);

/* ---- shares ---- */

static uint32_t scaled(uint32_t weight)
{
	return weight * WEIGHT_NICE_0 / GROUP_WEIGHT_DEFAULT;
}

uint32_t sched_nice_weight(int nice)
{
	return sched_nice_weights[nice + 20];
}

/* G1: after a group's load has become something or nothing. */
static void settle(struct sched_group *g)
{
	spin_lock(&groups_lock);
	for (; g->parent; g = g->parent) {
		bool active = __atomic_load_n(&g->load, __ATOMIC_SEQ_CST) > 0;

		if (active == g->active)
			break;
		g->active = active;
		__atomic_add_fetch(&g->parent->load, active ? (int64_t)g->weight : -(int64_t)g->weight, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&groups_lock);
}

static void add_load(struct sched_group *g, int64_t weight)
{
	int64_t load = __atomic_add_fetch(&g->load, weight, __ATOMIC_SEQ_CST);

	if (g->parent && (load > 0) != (load - weight > 0))
		settle(g);
}

void group_join_slow(struct thread *t)
{
	struct sched_group *g = t->group;

	if (thread_is_rt(t))
		return;
	while (g && !READ_ONCE(g->shares))
		g = g->parent;
	t->counted_in = g;
	if (g)
		add_load(g, t->weight);
}

void group_leave_slow(struct thread *t)
{
	struct sched_group *g = t->counted_in;

	t->counted_in = NULL;
	add_load(g, -(int64_t)t->weight);
}

/* In WEIGHT_NICE_0 << SHARE_BITS. */
static uint64_t share_of(const struct thread *t)
{
	uint64_t share = (uint64_t)t->weight << SHARE_BITS, inner = t->weight;

	for (const struct sched_group *g = t->counted_in; g; g = g->parent) {
		uint64_t weight = READ_ONCE(g->weight);

		if (!READ_ONCE(g->shares))
			continue;
		share = share * weight / (uint64_t)max(READ_ONCE(g->load), (int64_t)inner);
		inner = weight;
	}
	return max(share, SHARE_LEAST);
}

uint64_t group_stretch(const struct thread *t, uint64_t ns)
{
	return (ns << SHARE_BITS) * WEIGHT_NICE_0 / share_of(t);
}

/* ---- limits ---- */

/* What n periods make of `left`: at most `most`. */
static int64_t filled(int64_t left, uint64_t n, uint64_t quota, uint64_t most)
{
	uint64_t missing = (uint64_t)((int64_t)most - left); /* also what is to be made up for */

	if (left > (int64_t)most)
		return (int64_t)most;
	return n > missing / quota ? (int64_t)most : left + (int64_t)(n * quota);
}

/* Gives out what the periods since the last time have brought. */
static void refill(struct sched_group *g, uint64_t now)
{
	uint64_t period = READ_ONCE(g->period_ns), quota = READ_ONCE(g->quota_ns), from = READ_ONCE(g->period_from_ns), n, throttled;
	int64_t left, more;

	if ((int64_t)(now - from) < (int64_t)period || !quota)
		return;
	n = (now - from) / period;
	if (!__atomic_compare_exchange_n(&g->period_from_ns, &from, from + n * period, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return; /* another CPU does it */
	left = READ_ONCE(g->left_ns);
	do
		more = filled(left, n, quota, quota + READ_ONCE(g->burst_ns));
	while (!__atomic_compare_exchange_n(&g->left_ns, &left, more, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	__atomic_fetch_add(&g->stats.periods, left < 0 ? n : 1, __ATOMIC_RELAXED);
	throttled = more > 0 ? __atomic_exchange_n(&g->throttled_from_ns, 0, __ATOMIC_RELAXED) : 0;
	if (throttled && now > throttled)
		__atomic_fetch_add(&g->stats.throttled_ns, now - throttled, __ATOMIC_RELAXED);
}

/* Is its time used up? Says when there will be something again. */
static bool used_up(struct sched_group *g, uint64_t now, uint64_t *ret_until)
{
	uint64_t quota = READ_ONCE(g->quota_ns), none = 0;
	int64_t left;

	if (likely(!quota))
		return false;
	refill(g, now);
	left = READ_ONCE(g->left_ns);
	if (left > 0)
		return false;
	if (__atomic_compare_exchange_n(&g->throttled_from_ns, &none, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		__atomic_fetch_add(&g->stats.throttled, 1, __ATOMIC_RELAXED);
	*ret_until = READ_ONCE(g->period_from_ns) + ((uint64_t)-left / quota + 1) * READ_ONCE(g->period_ns);
	return true;
}

/* 0: t may run; else when it is worth another look. Its queue's lock is held. */
static uint64_t throttled_until(const struct thread *t, uint64_t now)
{
	uint64_t until = 0, one;

	if (thread_is_rt(t))
		return 0;
	for (struct sched_group *g = t->group; g; g = g->parent)
		if (used_up(g, now, &one))
			until = max(until, one);
	return until;
}

void group_charge(struct thread *t, uint64_t delta, uint64_t now)
{
	__atomic_fetch_add(&t->group->stats.usage_ns, delta, __ATOMIC_RELAXED);
	if (thread_is_rt(t))
		return;
	t->vruntime += group_stretch(t, delta);
	for (struct sched_group *g = t->group; g; g = g->parent) {
		if (likely(!READ_ONCE(g->quota_ns)))
			continue;
		refill(g, now);
		if (__atomic_sub_fetch(&g->left_ns, (int64_t)delta, __ATOMIC_RELAXED) <= 0)
			__atomic_fetch_or(&t->work, THREAD_WORK_THROTTLE, __ATOMIC_RELEASE);
	}
}

uint64_t group_deadline(struct thread *t, uint64_t now)
{
	uint64_t deadline = HAL_TIMER_NEVER;

	if (thread_is_rt(t))
		return deadline;
	for (struct sched_group *g = t->group; g; g = g->parent) {
		uint64_t part = PART_LEAST_NS;
		int64_t left;

		if (likely(!READ_ONCE(g->quota_ns)))
			continue;
		refill(g, now);
		left = READ_ONCE(g->left_ns);
		if (left > 0)
			part = max(part, (uint64_t)left / cpus_online_count());
		else
			__atomic_fetch_or(&t->work, THREAD_WORK_THROTTLE, __ATOMIC_RELEASE);
		deadline = min(deadline, now + part);
	}
	return deadline;
}

void sched_unthrottle(struct thread *t)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* it says that it waits, and then looks at the limit */
	if (READ_ONCE(t->throttled))
		thread_wake_state(t, THREAD_INTERRUPTIBLE);
}

void sched_throttle(void)
{
	struct thread *t = thread_current();

	WRITE_ONCE(t->throttled, true);
	for (;;) {
		unsigned long irq;
		struct run_queue *rq;
		uint64_t now, until;

		thread_clear_work(THREAD_WORK_THROTTLE);
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		rq = thread_lock_queue(t, &irq);
		now = hal_clock_ns();
		until = throttled_until(t, now);
		thread_unlock_queue(rq, irq);
		if (!until || thread_exit_pending())
			break;
		if (thread_signal_pending()) {
			thread_post(t, THREAD_WORK_THROTTLE); /* after what the signal asks for */
			break;
		}
		(void)thread_sleep(min(until, now + WAIT_MOST_NS));
	}
	thread_cancel_sleep();
	WRITE_ONCE(t->throttled, false);
}

/* ---- changes ---- */

void sched_group_init(struct sched_group *g, struct sched_group *parent)
{
	*g = (struct sched_group){ .parent = parent, .weight = scaled(GROUP_WEIGHT_DEFAULT), .period_ns = 100 * NSEC_PER_MSEC };
}

void sched_group_set_shares(struct sched_group *g, bool on)
{
	WRITE_ONCE(g->shares, on);
}

void sched_group_set_weight(struct sched_group *g, uint32_t weight)
{
	unsigned long irq = spin_lock_irq(&groups_lock);
	int64_t more = (int64_t)scaled(weight) - (int64_t)g->weight;

	if (g->active)
		__atomic_add_fetch(&g->parent->load, more, __ATOMIC_SEQ_CST);
	WRITE_ONCE(g->weight, scaled(weight));
	spin_unlock_irq(&groups_lock, irq);
}

void sched_group_set_limit(struct sched_group *g, uint64_t quota_ns, uint64_t period_ns, uint64_t burst_ns)
{
	uint64_t now = hal_clock_ns(), throttled;

	WRITE_ONCE(g->quota_ns, 0); /* while it changes */
	WRITE_ONCE(g->period_ns, period_ns);
	WRITE_ONCE(g->burst_ns, burst_ns);
	WRITE_ONCE(g->period_from_ns, now);
	__atomic_store_n(&g->left_ns, (int64_t)quota_ns, __ATOMIC_RELEASE);
	throttled = __atomic_exchange_n(&g->throttled_from_ns, 0, __ATOMIC_RELAXED);
	if (throttled && now > throttled)
		__atomic_fetch_add(&g->stats.throttled_ns, now - throttled, __ATOMIC_RELAXED);
	__atomic_store_n(&g->quota_ns, quota_ns, __ATOMIC_RELEASE);
}

void thread_set_group(struct thread *t, struct sched_group *g)
{
	unsigned long irq;
	struct run_queue *rq;

	if (!g && !READ_ONCE(t->group))
		return;
	rq = thread_lock_queue(t, &irq);
	if (rq->current == t)
		queue_charge_current(rq, hal_clock_ns());
	group_leave(t);
	WRITE_ONCE(t->group, g);
	if (t->on_queue)
		group_join(t);
	if (thread_is_in_line(rq, t))
		queue_limit_lag(rq, t); /* what it was charged by another's share is past */
	if (rq->current == t && g)
		make_reschedule(rq); /* there may be a limit to watch */
	thread_unlock_queue(rq, irq);
}

void sched_charge_running(void)
{
	for (uint64_t left = READ_ONCE(cpus_online); left; left &= left - 1) {
		struct run_queue *rq = &per_cpu(run_queue, __builtin_ctzll(left));
		unsigned long irq = spin_lock_irq(&rq->lock);

		queue_charge_current(rq, hal_clock_ns());
		spin_unlock_irq(&rq->lock, irq);
	}
}
