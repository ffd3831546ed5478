/* SPDX-License-Identifier: MIT */
/*
 * Timers: each CPU keeps its own in a tree by deadline and programs its one-shot timer for the earliest, or for the end of the running
 * thread's slice if that comes first (cpu_timer_want). There is no tick: a CPU with no timer and nobody waiting is not disturbed.
 * The hardware is left armed when a deadline moves away: a wake-up too many is cheaper than programming it each time.
 *
 * Locking: timers->lock (RANK_TIMER, interrupts off) guards the tree and timer.cpu of those in it. A timer that runs is
 * timers->running until its function has returned, which is what timer_cancel() waits for.
 */
#include <cloudos/timer.h>
#include "sched_internal.h"

struct timers {
	struct spinlock lock;
	struct rb_tree tree;
	struct timer *running;
	uint64_t wanted_ns; /* end of slice; HAL_TIMER_NEVER: none; this CPU only */
	uint64_t armed_ns;  /* what the hardware is set to; this CPU only */
	bool ready;
};
static DEFINE_PER_CPU(struct timers, timers);

static struct timers *timers_of(unsigned cpu)
{
	return &per_cpu(timers, cpu);
}

static struct timers *own_timers(void)
{
	struct timers *q = &this_cpu(timers);

	if (unlikely(!q->ready)) {
		spin_init(&q->lock, RANK_TIMER);
		q->wanted_ns = q->armed_ns = HAL_TIMER_NEVER;
		q->ready = true;
	}
	return q;
}

static void program(struct timers *q, uint64_t deadline_ns)
{
	if (deadline_ns >= q->armed_ns)
		return;
	q->armed_ns = deadline_ns;
	hal_timer_arm(deadline_ns);
}

void cpu_timer_want(uint64_t deadline_ns)
{
	struct timers *q = own_timers();

	q->wanted_ns = deadline_ns;
	program(q, deadline_ns);
}

void timer_setup(struct timer *t, void (*fn)(struct timer *))
{
	t->deadline_ns = 0;
	t->fn = fn;
	t->cpu = -1;
}

static void insert(struct timers *q, struct timer *t)
{
	struct rb_node **at = &q->tree.root, *parent = NULL;

	while (*at) {
		parent = *at;
		at = t->deadline_ns < rb_entry(parent, struct timer, node)->deadline_ns ? &parent->left : &parent->right;
	}
	rb_link(&q->tree, &t->node, parent, at);
}

/* Takes t off whatever CPU's tree it is in; the lock of that is taken and released. */
static bool take_out(struct timer *t)
{
	int cpu;

	while ((cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE)) >= 0) {
		struct timers *q = timers_of((unsigned)cpu);
		bool here;

		spin_lock(&q->lock);
		here = t->cpu == cpu;
		if (here) {
			rb_remove(&q->tree, &t->node);
			__atomic_store_n(&t->cpu, -1, __ATOMIC_RELEASE);
		}
		spin_unlock(&q->lock);
		if (here)
			return true;
	}
	return false;
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	unsigned long irq = hal_irq_save();
	struct timers *q = own_timers();

	take_out(t);
	spin_lock(&q->lock);
	t->deadline_ns = deadline_ns;
	insert(q, t);
	__atomic_store_n(&t->cpu, (int32_t)hal_cpu_id(), __ATOMIC_RELEASE);
	program(q, deadline_ns);
	spin_unlock(&q->lock);
	hal_irq_restore(irq);
}

/* Is fn running for t on some other CPU? */
static bool runs_elsewhere(const struct timer *t)
{
	for (uint64_t left = READ_ONCE(cpus_online) & ~(UINT64_C(1) << hal_cpu_id()); left; left &= left - 1)
		if (__atomic_load_n(&timers_of((unsigned)__builtin_ctzll(left))->running, __ATOMIC_ACQUIRE) == t)
			return true;
	return false;
}

bool timer_cancel(struct timer *t)
{
	unsigned long irq = hal_irq_save();
	bool was_armed = take_out(t);

	hal_irq_restore(irq);
	while (!was_armed && runs_elsewhere(t)) {
		cpus_call_poll();
		hal_cpu_relax();
	}
	return was_armed;
}

static struct timer *take_expired(struct timers *q, uint64_t now)
{
	struct rb_node *first = rb_first(&q->tree);
	struct timer *t = first ? rb_entry(first, struct timer, node) : NULL;

	if (!t || t->deadline_ns > now)
		return NULL;
	rb_remove(&q->tree, first);
	__atomic_store_n(&q->running, t, __ATOMIC_RELEASE);
	__atomic_store_n(&t->cpu, -1, __ATOMIC_RELEASE);
	return t;
}

/* Once fn has been called, t may be gone. */
static void run_expired(struct timers *q)
{
	struct timer *t;

	spin_lock(&q->lock);
	while ((t = take_expired(q, hal_clock_ns()))) {
		spin_unlock(&q->lock);
		t->fn(t);
		spin_lock(&q->lock);
		__atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
	}
	spin_unlock(&q->lock);
}

static void check_slice(struct timers *q)
{
	struct run_queue *rq = this_run_queue();

	if (q->wanted_ns > hal_clock_ns())
		return;
	q->wanted_ns = HAL_TIMER_NEVER;
	if (READ_ONCE(rq->queued) > 0)
		__atomic_fetch_or(&rq->current->work, THREAD_WORK_RESCHEDULE, __ATOMIC_RELEASE);
}

void cpu_timer_interrupt(void)
{
	struct timers *q = own_timers();
	struct rb_node *first;

	lock_debug_irq_enter();
	q->armed_ns = HAL_TIMER_NEVER;
	run_expired(q);
	check_slice(q);
	spin_lock(&q->lock);
	first = rb_first(&q->tree);
	if (first)
		program(q, rb_entry(first, struct timer, node)->deadline_ns);
	spin_unlock(&q->lock);
	if (q->wanted_ns != HAL_TIMER_NEVER)
		program(q, q->wanted_ns);
	lock_debug_irq_exit();
}
