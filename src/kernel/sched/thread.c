/* SPDX-License-Identifier: MIT */
/* Making, starting, ending threads; sleeping; their scheduling parameters. */
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <linux/sched.h>
#include "sched_internal.h"

static void sleep_over(struct timer *timer)
{
	thread_wake(container_of(timer, struct thread, sleep_timer));
}

void thread_setup(struct thread *t, const char *name)
{
	memset(t, 0, sizeof(*t));
	str_copy(t->name, sizeof(t->name), name);
	t->state = THREAD_NEW;
	t->lent = URGENCY_NONE;
	t->affinity = UINT64_MAX;
	queue_classify(t);
	list_init(&t->queue_link);
	timer_setup(&t->sleep_timer, sleep_over);
}

int thread_init(struct thread *t, const char *name, void (*entry)(void *), void *arg)
{
	const struct thread *parent = thread_current();

	thread_setup(t, name);
	t->stack = kstack_alloc();
	if (!t->stack)
		return -ENOMEM;
	t->entry = entry;
	t->arg = arg;
	t->cpu = hal_cpu_id();
	if (parent) {
		t->policy = READ_ONCE(parent->policy);
		t->nice = READ_ONCE(parent->nice);
		t->rt_priority = READ_ONCE(parent->rt_priority);
		queue_classify(t);
		t->affinity = READ_ONCE(parent->affinity);
	}
	thread_setup_context(t);
	return 0;
}

void thread_fini(struct thread *t)
{
	ASSERT(t->state == THREAD_NEW);
	hal_context_fini(&t->context);
	kstack_free(t->stack);
	t->stack = NULL;
}

void thread_start(struct thread *t)
{
	unsigned long irq;
	struct run_queue *rq = thread_lock_queue(t, &irq);

	ASSERT(t->state == THREAD_NEW);
	__atomic_store_n(&t->state, THREAD_RUNNABLE, __ATOMIC_RELAXED);
	queue_somewhere(rq, t);
	hal_irq_restore(irq);
}

struct spawned {
	struct thread thread;
	void (*entry)(void *);
	void *arg;
};

static void spawned_free(struct thread *t)
{
	kfree(container_of(t, struct spawned, thread));
}

int thread_spawn(const char *name, void (*entry)(void *), void *arg)
{
	struct spawned *s = kmalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (thread_init(&s->thread, name, entry, arg)) {
		kfree(s);
		return -ENOMEM;
	}
	s->thread.release = spawned_free;
	thread_start(&s->thread);
	return 0;
}

_Noreturn void thread_exit(void)
{
	hal_irq_disable();
	thread_prepare_sleep(THREAD_DEAD);
	schedule();
	panic("a dead thread runs");
}

bool thread_sleep(uint64_t deadline_ns)
{
	struct thread *t = thread_current();

	if (likely(deadline_ns == HAL_TIMER_NEVER)) {
		schedule();
		return true;
	}
	if (hal_clock_ns() >= deadline_ns) {
		thread_cancel_sleep();
		return false;
	}
	timer_arm(&t->sleep_timer, deadline_ns);
	schedule();
	timer_cancel(&t->sleep_timer);
	return hal_clock_ns() < deadline_ns;
}

void thread_delay(uint64_t ns)
{
	uint64_t deadline = hal_clock_ns() + ns;

	do
		thread_prepare_sleep(THREAD_SLEEPING);
	while (thread_sleep(deadline));
	thread_cancel_sleep();
}

/* ---- parameters ---- */

/* Takes t off its queue if it waits there, changes it, puts it back. */
static void change(struct thread *t, void (*set)(struct thread *t, uint64_t a, uint64_t b), uint64_t a, uint64_t b)
{
	unsigned long irq;
	struct run_queue *rq = thread_lock_queue(t, &irq);
	bool waits = t->on_queue && rq->current != t;

	if (waits)
		queue_remove(rq, t);
	set(t, a, b);
	queue_reclassify(rq, t);
	if (waits)
		enqueue_and_notify(rq, t, false);
	else if (rq->current == t && rq->queued > 0) /* it may have become the less urgent one */
		make_reschedule(rq);
	thread_unlock_queue(rq, irq);
}

static void set_policy(struct thread *t, uint64_t policy, uint64_t priority)
{
	WRITE_ONCE(t->policy, (uint8_t)policy);
	WRITE_ONCE(t->rt_priority, (uint8_t)priority);
}

int thread_set_policy(struct thread *t, unsigned policy, unsigned rt_priority)
{
	bool rt = policy == SCHED_FIFO || policy == SCHED_RR;

	if (!rt && policy != SCHED_NORMAL && policy != SCHED_BATCH && policy != SCHED_IDLE)
		return -EINVAL;
	if (rt ? rt_priority < 1 || rt_priority > 99 : rt_priority != 0)
		return -EINVAL;
	change(t, set_policy, policy, rt_priority);
	return 0;
}

static void set_nice(struct thread *t, uint64_t nice, uint64_t unused)
{
	(void)unused;
	WRITE_ONCE(t->nice, (int8_t)nice);
}

int thread_set_nice(struct thread *t, int nice)
{
	if (nice < -20 || nice > 19)
		return -EINVAL;
	change(t, set_nice, (uint64_t)nice, 0);
	return 0;
}

static void set_lent(struct thread *t, uint64_t urgency, uint64_t unused)
{
	(void)unused;
	t->lent = (uint8_t)urgency;
}

void thread_lend(struct thread *t, unsigned urgency)
{
	ASSERT(urgency <= URGENCY_NONE);
	change(t, set_lent, urgency, 0);
}

/* t waits on a CPU that it may not use: over to another one. rq is the locked queue of its CPU; released here. */
static void move_waiting(struct thread *t, struct run_queue *rq, unsigned long irq)
{
	queue_remove(rq, t);
	queue_leave(rq, t);
	queue_somewhere(rq, t);
	hal_irq_restore(irq);
}

int thread_set_affinity(struct thread *t, uint64_t mask)
{
	int error = thread_post_affinity(t, mask);

	if (!error && t == thread_current() && !(mask >> t->cpu & 1))
		schedule();
	return error;
}

int thread_post_affinity(struct thread *t, uint64_t mask)
{
	unsigned long irq;
	struct run_queue *rq;

	mask &= READ_ONCE(cpus_online);
	if (!mask)
		return -EINVAL;
	rq = thread_lock_queue(t, &irq);
	WRITE_ONCE(t->affinity, mask);
	if ((mask >> rq->cpu & 1) || !t->on_queue) { /* a sleeper is placed when it wakes */
		thread_unlock_queue(rq, irq);
		return 0;
	}
	if (rq->current != t) {
		move_waiting(t, rq, irq);
		return 0;
	}
	thread_unlock_queue(rq, irq);
	thread_post(t, THREAD_WORK_RESCHEDULE);
	return 0;
}

void thread_times(struct thread *t, uint64_t *ret_run_ns, uint64_t *ret_wait_ns)
{
	unsigned long irq;
	struct run_queue *rq = thread_lock_queue(t, &irq);

	*ret_run_ns = t->run_ns + (rq->current == t ? hal_clock_ns() - t->run_from_ns : 0);
	*ret_wait_ns = t->wait_ns;
	thread_unlock_queue(rq, irq);
}
