/* SPDX-License-Identifier: MIT */
/*
 * CPUs: starting them, and calling functions on others.
 *
 * cpus_call() leaves a pointer to its request in a slot of each target, one slot per calling CPU, sets the caller's bit in the target's mask,
 * and interrupts it. While it waits it runs what others ask of it, so that two CPUs that call each other do not wait for ever.
 */
#include <cloudos/cmdline.h>
#include <cloudos/format.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/wait.h>
#include <linux/sched.h>
#include "sched_internal.h"

struct call {
	void (*fn)(void *);
	void *arg;
	uint32_t left; /* atomic: targets that have not finished */
};

struct calls {
	uint64_t mask; /* atomic: CPUs whose slot is filled */
	struct call *from[HAL_CPU_MAX];
};
static DEFINE_PER_CPU(struct calls, calls);

static void run_calls(void)
{
	struct calls *c = &this_cpu(calls);
	uint64_t mask = __atomic_exchange_n(&c->mask, 0, __ATOMIC_ACQUIRE);

	for (; mask; mask &= mask - 1) {
		struct call *call = c->from[__builtin_ctzll(mask)];

		call->fn(call->arg);
		__atomic_fetch_sub(&call->left, 1, __ATOMIC_RELEASE); /* call may be gone from here on */
	}
}

void cpus_call_poll(void)
{
	unsigned long irq = hal_irq_save();

	run_calls();
	hal_irq_restore(irq);
}

void cpus_call(uint64_t mask, void (*fn)(void *), void *arg)
{
	unsigned self = hal_cpu_id();
	struct call call = { .fn = fn, .arg = arg };

	mask &= READ_ONCE(cpus_online) & ~(UINT64_C(1) << self);
	call.left = (uint32_t)__builtin_popcountll(mask);
	for (uint64_t left = mask; left; left &= left - 1) {
		unsigned cpu = (unsigned)__builtin_ctzll(left);
		struct calls *c = &per_cpu(calls, cpu);

		c->from[self] = &call;
		hal_point(HAL_POINT_ATOMIC, &c->mask);
		__atomic_fetch_or(&c->mask, UINT64_C(1) << self, __ATOMIC_SEQ_CST);
		hal_ipi_send(cpu);
	}
	while (__atomic_load_n(&call.left, __ATOMIC_ACQUIRE) > 0) {
		cpus_call_poll();
		hal_cpu_relax();
	}
}

/* Somebody changed this CPU's run queue, or calls. */
static void ipi(void)
{
	struct run_queue *rq = this_run_queue();

	lock_debug_irq_enter();
	run_calls();
	spin_lock(&rq->lock);
	if (rq->queued > 0 && rq->slice_deadline_ns == HAL_TIMER_NEVER && rq->current != rq->idle) {
		uint64_t now = hal_clock_ns();

		rq->slice_deadline_ns = max(rq->current->slice_end_ns, now);
		cpu_timer_want(rq->slice_deadline_ns);
	}
	spin_unlock(&rq->lock);
	lock_debug_irq_exit();
}

/* ---- start ---- */

static void never_runs(void *arg)
{
	(void)arg;
	panic("an idle thread was switched to as if it were new");
}

/* The CPU's idle thread, which is what the CPU runs first; its stack is its own only on the other CPUs. */
static struct thread *make_idle(unsigned cpu)
{
	struct thread *t = kmalloc(sizeof(*t));
	char name[16];

	if (!t)
		return NULL;
	fmt_string(name, sizeof(name), "idle/%u", cpu);
	if (thread_init(t, name, never_runs, NULL)) {
		kfree(t);
		return NULL;
	}
	t->cpu = cpu;
	t->policy = SCHED_IDLE;
	queue_classify(t);
	t->affinity = UINT64_C(1) << cpu;
	t->state = THREAD_RUNNABLE;
	t->on_queue = true;
	return t;
}

/* Whoever may wake a thread here already looks at `current` under the lock. */
static void become_current(struct run_queue *rq, struct thread *t)
{
	spin_lock(&rq->lock);
	WRITE_ONCE(rq->current, t);
	t->run_from_ns = hal_clock_ns();
	spin_unlock(&rq->lock);
	hal_set_current(t);
}

static void cpu_entry(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg;
	struct run_queue *rq;

	hal_cpu_set_area(percpu_base[cpu]);
	rq = this_run_queue();
	become_current(rq, rq->idle);
	__atomic_fetch_or(&idle_cpus, UINT64_C(1) << cpu, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&cpus_online, UINT64_C(1) << cpu, __ATOMIC_SEQ_CST);
	idle_loop();
}

static int start_cpu(unsigned cpu)
{
	struct run_queue *rq;
	int err = percpu_init_cpu(cpu);

	if (err)
		return err;
	rq = &per_cpu(run_queue, cpu);
	queue_init(rq, cpu);
	rq->idle = make_idle(cpu);
	if (!rq->idle)
		return -ENOMEM;
	return hal_cpu_start(cpu, (char *)rq->idle->stack + HAL_KSTACK_SIZE, cpu_entry, (void *)(uintptr_t)cpu);
}

void sched_start_cpus(void)
{
	for (unsigned cpu = 1; cpu < hal_cpu_count(); cpu++) {
		int err = start_cpu(cpu);

		if (err)
			log_err("CPU %u did not start: error %d", cpu, -err);
	}
}

static void describe_thread(char *buf, size_t size)
{
	const struct thread *t = thread_current();

	fmt_string(buf, size, "thread %s[%d]", t->name, t->tid);
}


/* ---- what the machine asks of contexts (hal_upcalls) ---- */

static void describe_context(const struct hal_context *c, char *buf, size_t size, bool detail)
{
	static const char *const states[] = { "runnable", "asleep, interruptible", "asleep", "stopped", "new", "dead" };
	const struct thread *t = c ? container_of(c, struct thread, context) : thread_current();
	char lock[96] = "";

	if (!t) {
		str_copy(buf, size, "-");
		return;
	}
	if (!detail) {
		fmt_string(buf, size, "%s[%d]", t->name, t->tid);
		return;
	}
	if (t->waits_for)
		mutex_describe(t->waits_for, lock, sizeof(lock));
	fmt_string(buf, size, "%s[%d], CPU %u: %s%s", t->name, t->tid, t->cpu, states[t->state], lock);
}

static bool wake_context(struct hal_context *c)
{
	struct thread *t = container_of(c, struct thread, context);

	if (t->state != THREAD_SLEEPING && t->state != THREAD_INTERRUPTIBLE)
		return false;
	return thread_wake(t);
}

/* ---- what the service registry needs of threads ---- */

static struct wait_queue service_changes = WAIT_QUEUE_INIT(service_changes);

static void services_wait(bool (*done)(void))
{
	wait_event(&service_changes, done());
}

static void services_notify(void)
{
	wake_all(&service_changes);
}

/* Runs once, when the boot thread first gives the boot CPU away. */
static void boot_idle_entry(void *arg)
{
	(void)arg;
	idle_loop();
}

void sched_init(void)
{
	static struct thread boot, idle;
	struct run_queue *rq = this_run_queue();

	queue_init(rq, 0);
	thread_setup(&boot, "boot");
	boot.state = THREAD_RUNNABLE;
	boot.on_queue = true;
	become_current(rq, &boot);
	rq->idle = &idle;
	if (thread_init(&idle, "idle/0", boot_idle_entry, NULL))
		panic("no memory for the first thread");
	idle.state = THREAD_RUNNABLE;
	idle.on_queue = true;
	idle.policy = SCHED_IDLE;
	idle.affinity = 1;
	cpus_online = 1;
	sched_set_slice_ns(cmdline_u64("cloudos.quantum_us", 4000) * NSEC_PER_USEC);
	panic_describe_thread = describe_thread;
	hal_upcalls.timer = cpu_timer_interrupt;
	hal_upcalls.ipi = ipi;
	hal_upcalls.describe_context = describe_context;
	hal_upcalls.wake_context = wake_context;
	if (hal_cpu_count() > 1)
		service_threads.spawn = thread_spawn;
	service_threads.wait = services_wait;
	service_threads.notify = services_notify;
}

void sched_cpu_get_stats(unsigned cpu, struct sched_cpu_stats *ret)
{
	struct run_queue *rq = &per_cpu(run_queue, cpu);
	unsigned long irq = spin_lock_irq(&rq->lock);

	*ret = rq->stats;
	ret->runnable = rq->queued + (rq->current != rq->idle);
	*(rq->current == rq->idle ? &ret->idle_ns : &ret->busy_ns) += hal_clock_ns() - rq->current->run_from_ns;
	spin_unlock_irq(&rq->lock, irq);
	ret->system_ns = min(ret->system_ns, ret->busy_ns); /* a sample may say more than there was */
	ret->user_ns = ret->busy_ns - ret->system_ns;
}

void sched_count_system(uint64_t ns)
{
	struct run_queue *rq = &this_cpu(run_queue); /* and stays so: the kernel is not preempted */
	unsigned long irq = spin_lock_irq(&rq->lock);

	rq->stats.system_ns += ns;
	if (unlikely(rq->current->group))
		__atomic_fetch_add(&rq->current->group->stats.system_ns, ns, __ATOMIC_RELAXED);
	spin_unlock_irq(&rq->lock, irq);
}
