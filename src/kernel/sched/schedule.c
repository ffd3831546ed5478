/* SPDX-License-Identifier: MIT */
/*
 * Switching threads, and waking them.
 *
 *   schedule()   charges the running thread, puts it back on the queue if it is still runnable, takes the first (or steals one from
 *                another CPU, or idles), and switches; the lock of the run queue is held from the decision until the new
 *                thread runs (finish_switch), so that nobody else can see a thread as runnable while its registers are not all saved.
 *   thread_wake  makes a sleeper runnable: on the CPU where it ran last if that idles, else on another idle one, else there.
 *
 * I1: a thread is on_queue from the moment it is queued until a schedule() finds its state not RUNNABLE. I2: state leaves RUNNABLE only by
 * the thread itself; it returns to it by a waker, under the lock of its queue, or by the thread itself. I3: a wake between the
 * sleeper's setting of its state and its schedule() finds on_queue still true and only resets the state: the sleeper goes on.
 */
#include <cloudos/mm.h>
#include <linux/sched.h>
#include "sched_internal.h"

DEFINE_PER_CPU(struct run_queue, run_queue);
uint64_t idle_cpus, cpus_online;

static uint64_t slice_ns = 4 * NSEC_PER_MSEC;

uint64_t sched_slice_ns(void)
{
	return READ_ONCE(slice_ns);
}

void sched_set_slice_ns(uint64_t ns)
{
	WRITE_ONCE(slice_ns, max(min(ns, NSEC_PER_SEC), 100 * NSEC_PER_USEC));
}

/* ---- address spaces ---- */

void space_activate(struct run_queue *rq, struct sched_space *space)
{
	struct sched_space *old = rq->active;
	uint64_t bit = UINT64_C(1) << rq->cpu;

	if (old == space)
		return;
	if (space)
		__atomic_fetch_or(&space->cpus, bit, __ATOMIC_SEQ_CST);
	hal_point(HAL_POINT_ATOMIC, space);
	rq->active = space;
	hal_aspace_activate(space ? &space->hal : NULL);
	if (old && !HAL_ASPACE_KEEPS)
		__atomic_fetch_and(&old->cpus, ~bit, __ATOMIC_RELEASE);
}

void thread_set_space(struct thread *t, struct sched_space *space)
{
	unsigned long irq = hal_irq_save();

	ASSERT(t == thread_current());
	WRITE_ONCE(t->space, space); /* others ask whether there is one, when they charge it */
	space_activate(this_run_queue(), space);
	hal_irq_restore(irq);
}

static void drop_space(void *arg)
{
	struct run_queue *rq = this_run_queue();

	if (rq->active == arg)
		space_activate(rq, NULL);
	__atomic_fetch_and(&((struct sched_space *)arg)->cpus, ~(UINT64_C(1) << rq->cpu), __ATOMIC_RELEASE);
}

void sched_space_retire(struct sched_space *space)
{
	unsigned long irq = hal_irq_save();
	uint64_t others;

	drop_space(space);
	others = __atomic_load_n(&space->cpus, __ATOMIC_SEQ_CST);
	hal_irq_restore(irq);
	if (others)
		cpus_call(others, drop_space, space);
}

/* ---- the switch ---- */

/*
 * Chooses a CPU for t, which is runnable (or about to be) and on no queue, so that nobody else moves it. rq is its queue, locked; returns its new
 * queue, locked. Its affinity may change between the two locks: then it chooses again.
 */
static struct run_queue *choose_queue(struct run_queue *rq, struct thread *t)
{
	unsigned cpu = choose_cpu(t);

	while (cpu != rq->cpu) {
		STORE_RELEASE(t->cpu, cpu); /* who sees it finds t as it was left: thread_lock_queue() */
		spin_unlock(&rq->lock);
		rq = &per_cpu(run_queue, cpu);
		spin_lock(&rq->lock);
		if (likely(t->affinity >> cpu & 1))
			break;
		if (rq->current == rq->idle)
			__atomic_fetch_or(&idle_cpus, UINT64_C(1) << cpu, __ATOMIC_RELAXED);
		cpu = choose_cpu(t);
	}
	return rq;
}

void queue_somewhere(struct run_queue *rq, struct thread *t)
{
	rq = choose_queue(rq, t);
	enqueue_and_notify(rq, t, true);
	spin_unlock(&rq->lock);
}

/* t, which ran here until now, may not run here any more. Interrupts off. */
static void place(struct thread *t)
{
	struct run_queue *rq = this_run_queue();

	spin_lock(&rq->lock);
	queue_somewhere(rq, t);
}

/* Runs in the new thread, interrupts off, with the lock of its queue that the old one took. */
static void finish_switch(void)
{
	struct run_queue *rq = this_run_queue();
	struct thread *self = rq->current, *dead = rq->dead, *moves = rq->moves;

	rq->dead = rq->moves = NULL;
	spin_unlock(&rq->lock);
	if (unlikely(moves))
		place(moves);
	if (self->user)
		hal_user_load(self->user);
	if (unlikely(dead)) {
		hal_context_fini(&dead->context);
		kstack_free(dead->stack);
		if (dead->release)
			dead->release(dead);
	}
}

/* First code of every thread. */
static void thread_entry(void *arg)
{
	struct thread *t = arg;

	finish_switch();
	hal_irq_enable();
	t->entry(t->arg);
	thread_exit();
}

void thread_setup_context(struct thread *t)
{
	hal_context_init(&t->context, t->stack, HAL_KSTACK_SIZE, thread_entry, t);
}

static void switch_to(struct run_queue *rq, struct thread *prev, struct thread *next, uint64_t now)
{
	WRITE_ONCE(rq->current, next);
	rq->stats.switches++;
	next->run_from_ns = now;
	next->wait_ns += now - next->queued_ns;
	if (prev->user)
		hal_user_save(prev->user);
	if (prev->switch_work)
		__atomic_fetch_or(&prev->work, prev->switch_work, __ATOMIC_RELAXED);
	if (next->space)
		space_activate(rq, next->space);
	hal_set_current(next);
	hal_context_switch(&prev->context, &next->context);
	finish_switch();
}

/* Takes a waiting thread from the CPU that has most of them; rq->lock is held, other queues are only tried. */
static struct thread *steal(struct run_queue *rq)
{
	uint64_t online = READ_ONCE(cpus_online);
	struct thread *t = NULL;

	for (uint64_t left = online & ~(UINT64_C(1) << rq->cpu); left && !t; left &= left - 1) {
		struct run_queue *from = &per_cpu(run_queue, __builtin_ctzll(left));

		if (READ_ONCE(from->queued) == 0 || !spin_try_lock(&from->lock))
			continue;
		t = queue_find_movable(from, rq->cpu);
		if (t) {
			queue_remove(from, t);
			queue_leave(from, t);
			STORE_RELEASE(t->cpu, rq->cpu);
			queue_enter(rq, t);
			rq->stats.steals++;
		}
		spin_unlock(&from->lock);
	}
	return t;
}

static struct thread *pick(struct run_queue *rq)
{
	struct thread *t = queue_take_first(rq);

	if (!t && cpus_online_count() > 1)
		t = steal(rq);
	return t ? t : rq->idle;
}

static void note_idle(struct run_queue *rq, bool idle)
{
	uint64_t bit = UINT64_C(1) << rq->cpu;

	if (idle)
		__atomic_fetch_or(&idle_cpus, bit, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&idle_cpus, ~bit, __ATOMIC_SEQ_CST);
}

/* The chosen thread gets a slice; its end matters only if somebody else waits. */
static void begin_slice(struct run_queue *rq, struct thread *t, uint64_t now)
{
	if (t->slice_end_ns <= now)
		t->slice_end_ns = now + sched_slice_ns();
	if (rq->queued > 0 && t != rq->idle && thread_has_slices(t)) {
		rq->slice_deadline_ns = t->slice_end_ns;
		cpu_timer_want(t->slice_end_ns);
	} else {
		rq->slice_deadline_ns = HAL_TIMER_NEVER;
	}
	if (unlikely(t->group)) {
		uint64_t deadline = min(group_deadline(t, now), rq->slice_deadline_ns);

		if (deadline != HAL_TIMER_NEVER)
			cpu_timer_want(deadline);
	}
}

/* The running thread stays runnable or goes; returns with it queued or left. */
static void put_previous(struct run_queue *rq, struct thread *prev, uint64_t now)
{
	queue_charge(rq, prev, now);
	if (prev == rq->idle)
		return;
	if (__atomic_load_n(&prev->state, __ATOMIC_RELAXED) == THREAD_RUNNABLE) {
		if (unlikely(!(prev->affinity >> rq->cpu & 1))) {
			queue_leave(rq, prev);
			rq->moves = prev;
			return;
		}
		prev->queued_ns = now;
		ADD_ONCE(prev->preemptions, 1);
		queue_add(rq, prev, false);
	} else {
		ADD_ONCE(prev->switches, 1);
		prev->slice_end_ns = 0;
		queue_leave(rq, prev);
		if (prev->state == THREAD_DEAD)
			rq->dead = prev;
	}
}

void schedule(void)
{
	struct thread *prev = thread_current(), *next;
	unsigned long irq = hal_irq_save();
	struct run_queue *rq = this_run_queue();
	uint64_t now = hal_clock_ns();

	lock_may_sleep();
	spin_lock(&rq->lock);
	__atomic_fetch_and(&prev->work, ~(uint32_t)THREAD_WORK_RESCHEDULE, __ATOMIC_RELAXED);
	put_previous(rq, prev, now);
	next = pick(rq);
	if (next == rq->idle || prev == rq->idle)
		note_idle(rq, next == rq->idle);
	begin_slice(rq, next, now);
	load_sample(now);
	if (next == prev) {
		if (prev != rq->idle)
			ADD_ONCE(prev->preemptions, -1);
		spin_unlock(&rq->lock);
	} else {
		switch_to(rq, prev, next, now);
	}
	hal_irq_restore(irq);
}

void thread_yield(void)
{
	struct run_queue *rq;
	unsigned long irq;

	if (READ_ONCE(this_run_queue()->queued) == 0)
		return;
	irq = hal_irq_save();
	rq = this_run_queue();
	spin_lock(&rq->lock);
	thread_current()->slice_end_ns = 0;
	if (rq->fair_first && !thread_is_rt(rq->current)) { /* behind everybody else who waits */
		uint64_t last = rb_entry(rb_last(&rq->fair), struct thread, queue_node)->vruntime;

		if ((int64_t)(last - rq->current->vruntime) > 0 && last - rq->current->vruntime < 2 * sched_slice_ns())
			rq->current->vruntime = last;
	}
	spin_unlock(&rq->lock);
	schedule();
	hal_irq_restore(irq);
}

/* ---- waking ---- */

struct run_queue *thread_lock_queue(struct thread *t, unsigned long *ret_irq)
{
	*ret_irq = hal_irq_save();
	for (;;) {
		unsigned cpu = LOAD_ACQUIRE(t->cpu); /* its new lock may never have been held by who moves it there */
		struct run_queue *rq = &per_cpu(run_queue, cpu);

		spin_lock(&rq->lock);
		if (likely(LOAD_ACQUIRE(t->cpu) == cpu))
			return rq;
		spin_unlock(&rq->lock);
	}
}

void thread_unlock_queue(struct run_queue *rq, unsigned long irq)
{
	spin_unlock_irq(&rq->lock, irq);
}

unsigned choose_cpu(const struct thread *t)
{
	uint64_t allowed = t->affinity & READ_ONCE(cpus_online);
	uint64_t idle = allowed & __atomic_load_n(&idle_cpus, __ATOMIC_RELAXED);

	if (idle) {
		unsigned cpu = idle >> t->cpu & 1 ? t->cpu : (unsigned)__builtin_ctzll(idle);

		/* Taken: the next one looks for another. It is set again when the CPU idles again. */
		__atomic_fetch_and(&idle_cpus, ~(UINT64_C(1) << cpu), __ATOMIC_RELAXED);
		return cpu;
	}
	if (allowed >> t->cpu & 1)
		return t->cpu;
	return (unsigned)__builtin_ctzll(allowed ? allowed : t->affinity);
}

void make_reschedule(struct run_queue *rq)
{
	__atomic_fetch_or(&rq->current->work, THREAD_WORK_RESCHEDULE, __ATOMIC_RELEASE);
	if (rq != this_run_queue())
		hal_ipi_send(rq->cpu);
}

/* Queues t; rq->lock is held. Makes the CPU look if it should: t comes first, or the running thread now needs an end to its slice. */
void enqueue_and_notify(struct run_queue *rq, struct thread *t, bool woken)
{
	bool here = rq == this_run_queue();

	t->queued_ns = hal_clock_ns();
	queue_add(rq, t, woken);
	if (queue_preempts(rq, t)) {
		make_reschedule(rq);
	} else if (rq->slice_deadline_ns == HAL_TIMER_NEVER) {
		if (here)
			begin_slice(rq, rq->current, t->queued_ns);
		else
			hal_ipi_send(rq->cpu);
	}
}

static bool wake_if(struct thread *t, uint32_t states)
{
	unsigned long irq;
	struct run_queue *rq;
	uint32_t state;

	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* the waker's condition before the look at the state */
	hal_point(HAL_POINT_WAKE, t);
	rq = thread_lock_queue(t, &irq);
	state = READ_ONCE(t->state);
	do { /* the sleeper itself sets it without the lock: either it hears of this wake-up, or the caller does that it does not */
		if (!(states >> state & 1)) {
			thread_unlock_queue(rq, irq);
			return false;
		}
	} while (!__atomic_compare_exchange_n(&t->state, &state, THREAD_RUNNABLE, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (t->on_queue) {
		thread_unlock_queue(rq, irq);
		return true;
	}
	queue_somewhere(rq, t);
	hal_irq_restore(irq);
	return true;
}

#define STATE_BIT(s) (1u << (s))

bool thread_wake(struct thread *t)
{
	return wake_if(t, STATE_BIT(THREAD_INTERRUPTIBLE) | STATE_BIT(THREAD_SLEEPING) | STATE_BIT(THREAD_STOPPED));
}

bool thread_wake_state(struct thread *t, enum thread_state state)
{
	return wake_if(t, STATE_BIT(state));
}

void thread_post(struct thread *t, uint32_t work)
{
	unsigned long irq;
	struct run_queue *rq;

	__atomic_fetch_or(&t->work, work, __ATOMIC_SEQ_CST);
	hal_point(HAL_POINT_ATOMIC, &t->work);
	if (t == thread_current())
		return;
	rq = thread_lock_queue(t, &irq);
	if ((work & THREAD_WORK_EXIT) && thread_is_in_line(rq, t))
		queue_limit_lag(rq, t);
	if (rq->current == t && rq != this_run_queue())
		hal_ipi_send(rq->cpu);
	thread_unlock_queue(rq, irq);
}

/* ---- a CPU with nothing to do ---- */

_Noreturn void idle_loop(void)
{
	struct thread *self = thread_current();

	for (;;) {
		hal_irq_disable();
		while (!(__atomic_load_n(&self->work, __ATOMIC_ACQUIRE) & THREAD_WORK_RESCHEDULE))
			hal_cpu_idle();
		hal_irq_enable();
		schedule();
	}
}
