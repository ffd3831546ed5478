/* SPDX-License-Identifier: MIT */
/*
 * The order in which the runnable threads of a CPU run.
 *
 * Real time (SCHED_FIFO, SCHED_RR) goes first, by priority, first come first served within one. All others share by weight: each
 * has a virtual run time, which grows by (time run) * 1024 / weight, and the smallest runs next (Stoica et al., A Proportional
 * Share Resource Allocation Algorithm, 1996). Waiting is aging: who waits does not grow, who runs does, so with n threads of
 * weights w the longest wait for one of weight w_i is about quantum * (sum of w) / w_i + n quanta, whatever the others do.
 *
 * The queue's minimum is that of the running thread and the waiting ones, and never falls; it follows the running one while that is alone, so
 * that who comes then shares from there on. Only a thread that shares and is on a queue has a vruntime to be compared with it (V1). One that sleeps
 * or is on its way to another CPU keeps its vruntime relative to the minimum, and so does one that is real-time, which is not charged meanwhile:
 * what it was ahead when it last shared (V2). A sleeper comes back at most one quantum before the minimum: it gets the CPU soon, but cannot save up.
 * And it comes back at most what it was ahead, less the time that it was away: a short sleep is no way around one's weight.
 *
 * A thread in a group (group.c) shares by what its group leaves it of its own share, which changes with whoever else in the group can run.
 *
 * What class, level and weight a thread has follows from its urgency (cloudos/thread.h): its own, or one that is lent to it.
 */
#include <linux/sched.h>
#include "sched_internal.h"

/* Linux's weights: each step of nice changes a thread's share by about 10% (sched(7)). */
const uint32_t sched_nice_weights[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
	3906,  3121,  2501,  1991,  1586,  1277,  1024,	 820,	655,   526,   423,  335,  272,	215,
	172,   137,   110,   87,    70,	   56,	  45,	 36,	29,    23,    18,   15,
};

#define WEIGHT_IDLE 3

static unsigned own_urgency(const struct thread *t)
{
	if (t->rt_priority)
		return RT_LEVELS - 1 - t->rt_priority;
	return t->policy == SCHED_IDLE ? URGENCY_IDLE : (unsigned)(URGENCY_NICE_0 + t->nice);
}

void queue_classify(struct thread *t)
{
	unsigned urgency = min(own_urgency(t), (unsigned)t->lent);

	WRITE_ONCE(t->urgency, (uint8_t)urgency);
	t->level = (uint8_t)(urgency < RT_LEVELS ? RT_LEVELS - 1 - urgency : 0);
	t->weight = urgency < RT_LEVELS ? WEIGHT_NICE_0 : urgency == URGENCY_IDLE ? WEIGHT_IDLE : sched_nice_weights[urgency - RT_LEVELS];
}

static unsigned rt_level(const struct thread *t)
{
	return RT_LEVELS - 1 - t->level;
}

void queue_init(struct run_queue *rq, unsigned cpu)
{
	spin_init(&rq->lock, RANK_RUN_QUEUE);
	rq->cpu = cpu;
	rq->slice_deadline_ns = HAL_TIMER_NEVER;
	for (size_t i = 0; i < RT_LEVELS; i++)
		list_init(&rq->rt[i]);
}

static void fair_insert(struct run_queue *rq, struct thread *t)
{
	struct rb_node **at = &rq->fair.root, *parent = NULL;
	bool first = true;

	while (*at) {
		parent = *at;
		if ((int64_t)(t->vruntime - rb_entry(parent, struct thread, queue_node)->vruntime) < 0) {
			at = &parent->left;
		} else {
			at = &parent->right;
			first = false;
		}
	}
	rb_link(&rq->fair, &t->queue_node, parent, at);
	if (first)
		rq->fair_first = &t->queue_node;
}

static void fair_take(struct run_queue *rq, struct thread *t)
{
	if (rq->fair_first == &t->queue_node)
		rq->fair_first = rb_next(&t->queue_node);
	rb_remove(&rq->fair, &t->queue_node);
}

/* After rq->current was charged, or the first one taken. */
static void raise_minimum(struct run_queue *rq)
{
	const struct thread *now = rq->current;
	bool runs = now && now != rq->idle && !thread_is_rt(now);
	uint64_t least = runs ? now->vruntime : rq->min_vruntime;

	if (rq->fair_first) {
		uint64_t first = rb_entry(rq->fair_first, struct thread, queue_node)->vruntime;

		if (!runs || (int64_t)(first - least) < 0)
			least = first;
	}
	if ((int64_t)(least - rq->min_vruntime) > 0)
		rq->min_vruntime = least;
}

void queue_charge_current(struct run_queue *rq, uint64_t now)
{
	if (rq->current && now > rq->current->run_from_ns)
		queue_charge(rq, rq->current, now);
}

/* One that is to end does so soon, whatever its share. */
static int64_t lag_most(const struct thread *t)
{
	uint64_t quantum = sched_slice_ns();

	return (int64_t)(READ_ONCE(t->work) & THREAD_WORK_EXIT ? quantum : group_stretch(t, quantum));
}

/* Where a thread that comes to this queue starts, and is counted in its group. A thread was away since it last ran. */
static void fair_place(struct run_queue *rq, struct thread *t)
{
	int64_t lag = (int64_t)t->vruntime, quantum = (int64_t)sched_slice_ns();
	uint64_t now = hal_clock_ns();

	queue_charge_current(rq, now);
	group_join(t);
	if (lag > 0) {
		lag = min(lag, lag_most(t));
		lag = max(lag - (int64_t)(now - t->run_from_ns), (int64_t)0);
	}
	t->vruntime = rq->min_vruntime + (uint64_t)max(lag, -quantum);
}

void queue_add(struct run_queue *rq, struct thread *t, bool woken)
{
	if (thread_is_rt(t)) {
		/* One that was preempted keeps its place at the front (POSIX 2.8.4); a woken or expired one goes to the end. */
		bool front = !woken && !(t->policy == SCHED_RR && hal_clock_ns() >= t->slice_end_ns);

		if (front)
			list_add(&rq->rt[rt_level(t)], &t->queue_link);
		else
			list_add_tail(&rq->rt[rt_level(t)], &t->queue_link);
		rq->rt_levels[rt_level(t) / 64] |= UINT64_C(1) << (rt_level(t) % 64);
	} else {
		if (woken)
			fair_place(rq, t);
		fair_insert(rq, t);
	}
	WRITE_ONCE(t->on_queue, true);
	ADD_ONCE(rq->queued, 1);
}

void queue_limit_lag(struct run_queue *rq, struct thread *t)
{
	int64_t lag = (int64_t)(t->vruntime - rq->min_vruntime), most = lag_most(t);

	if (lag <= most)
		return;
	fair_take(rq, t);
	t->vruntime = rq->min_vruntime + (uint64_t)most;
	fair_insert(rq, t);
}

static void rt_take(struct run_queue *rq, struct thread *t)
{
	unsigned level = rt_level(t);

	list_del(&t->queue_link);
	if (list_empty(&rq->rt[level]))
		rq->rt_levels[level / 64] &= ~(UINT64_C(1) << (level % 64));
}

void queue_remove(struct run_queue *rq, struct thread *t)
{
	if (thread_is_rt(t))
		rt_take(rq, t);
	else
		fair_take(rq, t);
	ADD_ONCE(rq->queued, -1);
}

static struct thread *rt_first(const struct run_queue *rq)
{
	for (size_t i = 0; i < 2; i++)
		if (rq->rt_levels[i])
			return list_first(&rq->rt[i * 64 + (size_t)__builtin_ctzll(rq->rt_levels[i])], struct thread, queue_link);
	return NULL;
}

struct thread *queue_take_first(struct run_queue *rq)
{
	struct thread *t;

	if (rq->queued == 0)
		return NULL;
	t = rt_first(rq);
	if (!t)
		t = rb_entry(rq->fair_first, struct thread, queue_node);
	queue_remove(rq, t);
	if (!thread_is_rt(t) && (int64_t)(t->vruntime - rq->min_vruntime) > 0)
		rq->min_vruntime = t->vruntime;
	return t;
}

struct thread *queue_find_movable(struct run_queue *rq, unsigned to_cpu)
{
	struct thread *t = rt_first(rq);

	if (t && (t->affinity >> to_cpu & 1))
		return t;
	for (struct rb_node *n = rb_last(&rq->fair); n; n = rb_prev(n)) {
		t = rb_entry(n, struct thread, queue_node);
		if (t->affinity >> to_cpu & 1)
			return t;
	}
	return NULL;
}

bool queue_preempts(const struct run_queue *rq, const struct thread *t)
{
	const struct thread *now = rq->current;

	if (now == rq->idle)
		return true;
	if (thread_is_rt(t))
		return !thread_is_rt(now) || t->level > now->level;
	if (thread_is_rt(now))
		return false;
	/* By half a quantum, so that a wake-up storm does not switch at every wake. */
	return (int64_t)(now->vruntime - t->vruntime) > (int64_t)(sched_slice_ns() / 2);
}

void queue_charge(struct run_queue *rq, struct thread *t, uint64_t now)
{
	uint64_t delta = now - t->run_from_ns;

	t->run_from_ns = now;
	t->run_ns += delta;
	if (t == rq->idle) {
		rq->stats.idle_ns += delta;
		return;
	}
	rq->stats.busy_ns += delta;
	if (!READ_ONCE(t->space)) /* a kernel thread */
		rq->stats.system_ns += delta;
	if (unlikely(t->group))
		group_charge(t, delta, now);
	else if (!thread_is_rt(t)) /* V2 */
		t->vruntime += likely(t->weight == WEIGHT_NICE_0) ? delta : delta * WEIGHT_NICE_0 / t->weight;
	raise_minimum(rq);
}

/* V1, V2: from one to the other. */
static void make_relative(const struct run_queue *rq, struct thread *t)
{
	if (!thread_is_rt(t))
		t->vruntime -= rq->min_vruntime;
}

static void make_comparable(const struct run_queue *rq, struct thread *t)
{
	if (!thread_is_rt(t))
		t->vruntime += rq->min_vruntime;
}

void queue_leave(struct run_queue *rq, struct thread *t)
{
	make_relative(rq, t);
	group_leave(t);
	WRITE_ONCE(t->on_queue, false);
}

void queue_enter(struct run_queue *rq, struct thread *t)
{
	make_comparable(rq, t);
	group_join(t);
	WRITE_ONCE(t->on_queue, true);
}

void queue_reclassify(struct run_queue *rq, struct thread *t)
{
	if (!t->on_queue) {
		queue_classify(t);
		return;
	}
	if (rq->current == t)
		queue_charge_current(rq, hal_clock_ns()); /* as what it has been */
	make_relative(rq, t);
	group_leave(t);
	queue_classify(t);
	group_join(t);
	make_comparable(rq, t);
}
