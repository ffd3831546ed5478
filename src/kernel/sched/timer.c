/* SPDX-License-Identifier: MIT */
/*
 * Timers: each CPU keeps its own in a tree by deadline and programs its one-shot timer for the earliest, or for the end of the running
 * thread's slice if that comes first (cpu_timer_want). There is no tick: a CPU with no timer and nobody waiting is not disturbed.
 * The hardware is left armed when a deadline moves away: a wake-up too many is cheaper than programming it each time.
 *
 * Locking: timers->lock (RANK_TIMER, interrupts off) guards the tree and timer.cpu of those in it. A timer that runs is
 * timers->running until its function has returned, which is what timer_cancel() waits for.
 *
 * T1  A timer is in at most one tree: who arms it claims timer.cpu under the lock of the tree that it goes into.
 * T2  Its function runs on one CPU at a time: a timer that was armed again meanwhile, on another CPU, and is due there, is
 *     put off by AGAIN_NS until the function has returned (timer.last says where it may be running).
 */
#include <cloudos/timer.h>
#include "sched_internal.h"

#define AGAIN_NS (10 * NSEC_PER_USEC)

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
	t->last = 0;
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
	int32_t none;

	do {
		take_out(t);
		spin_lock(&q->lock);
		none = -1;
		if (__atomic_compare_exchange_n(&t->cpu, &none, (int32_t)hal_cpu_id(), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			t->deadline_ns = deadline_ns;
			insert(q, t);
			program(q, deadline_ns);
		}
		spin_unlock(&q->lock);
	} while (none != -1); /* another CPU has just armed it */
	hal_irq_restore(irq);
}

/* Neither in a tree nor running: at one moment, since only the CPU of t->last can take it from the one to the other. */
static bool at_rest(const struct timer *t)
{
	struct timers *q = timers_of((unsigned)__atomic_load_n(&t->last, __ATOMIC_ACQUIRE));
	bool rests;

	if (q == own_timers() && q->running == t)
		return true; /* called from fn */
	spin_lock(&q->lock);
	rests = q->running != t && !timer_armed(t);
	spin_unlock(&q->lock);
	return rests;
}

bool timer_cancel(struct timer *t)
{
	bool was_armed = false, rests;

	for (;;) {
		unsigned long irq = hal_irq_save();

		was_armed |= take_out(t);
		rests = at_rest(t);
		hal_irq_restore(irq);
		if (likely(rests))
			return was_armed;
		cpus_call_poll();
		hal_cpu_relax();
	}
}

/* Due, but its function runs on another CPU yet: later. True if so. */
static bool put_off(struct timers *q, struct timer *t, uint64_t now)
{
	struct timers *last = timers_of((unsigned)t->last);

	if (likely(last == q || __atomic_load_n(&last->running, __ATOMIC_ACQUIRE) != t))
		return false;
	rb_remove(&q->tree, &t->node);
	t->deadline_ns = now + AGAIN_NS;
	insert(q, t);
	return true;
}

/* The first timer that is due, which runs from now on. */
static struct timer *take_expired(struct timers *q, uint64_t now)
{
	struct rb_node *first;

	while ((first = rb_first(&q->tree))) {
		struct timer *t = rb_entry(first, struct timer, node);

		if (t->deadline_ns > now)
			return NULL;
		if (unlikely(put_off(q, t, now)))
			continue;
		rb_remove(&q->tree, first);
		__atomic_store_n(&q->running, t, __ATOMIC_RELEASE);
		__atomic_store_n(&t->last, (int32_t)hal_cpu_id(), __ATOMIC_RELEASE);
		__atomic_store_n(&t->cpu, -1, __ATOMIC_RELEASE);
		return t;
	}
	return NULL;
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

/* The slice is over. If those who waited were taken to other CPUs meanwhile, the next to wait wants its end to be seen to again. */
static void check_slice(struct timers *q)
{
	struct run_queue *rq = this_run_queue();

	if (q->wanted_ns > hal_clock_ns())
		return;
	q->wanted_ns = HAL_TIMER_NEVER;
	spin_lock(&rq->lock);
	if (rq->queued > 0 || rq->current->group) /* which may have a limit */
		__atomic_fetch_or(&rq->current->work, THREAD_WORK_RESCHEDULE, __ATOMIC_RELEASE);
	else
		rq->slice_deadline_ns = HAL_TIMER_NEVER;
	spin_unlock(&rq->lock);
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
