/* SPDX-License-Identifier: MIT */
/*
 * Clocks of CPU time. CLOCK_PROCESS_CPUTIME_ID and CLOCK_THREAD_CPUTIME_ID are the running thread's; a negative id names a process's or a
 * thread's: ~pid in the bits above the third (0: the running one), bit 2 for a thread, and what is counted in bits 0 and 1 (clock_getcpuclockid(3)).
 * Threads of other processes have no clock for us.
 *
 * CPU time has no interrupt of its own: a process cannot use up `left` ns of it sooner than in `left` ns divided by the number of its threads, or of
 * CPUs, so whoever waits for it looks again then, but not sooner than CPU_LOOK_NS. A look goes over all threads, so it is the rarer the more there are,
 * and all timers of a process share one: what is waited for is late by a pause and a half at most.
 */
#include "cpu_clock.h"
#include "proc_internal.h"
#include <cloudos/child.h>
#include <cloudos/clock.h>

#define CPU_CLOCK_THREAD 4
#define CPU_CLOCK_MASK	 3 /* PROF 0, VIRT 1, SCHED 2; 3: clocks of devices, of which there are none */
#define CPU_CLOCK_VIRT	 1
#define CPU_CLOCK_SCHED	 2
#define CPU_CLOCK_LAST	 2
#define CPU_LOOK_NS	 (4 * NSEC_PER_MSEC)
#define CPU_LOOK_TASK_NS (4 * NSEC_PER_USEC) /* for each thread: a look takes a small part of the pause */

static uint64_t usage_time(const struct task_usage *u, bool user_only)
{
	return user_only ? u->run_ns - min(u->system_ns, u->run_ns) : u->run_ns;
}

static void sum_up_locked(struct process *p, struct task_usage *ret)
{
	struct task *t;

	*ret = p->dead_usage;
	list_for_each(t, &p->tasks, process_link) {
		struct task_usage one;

		task_usage_now(t, &one);
		usage_add(ret, &one);
	}
}

uint64_t cpu_time_locked(struct process *p, bool user_only)
{
	struct task_usage sum;

	sum_up_locked(p, &sum);
	return usage_time(&sum, user_only);
}

static uint64_t look_pause(uint64_t threads)
{
	return max(CPU_LOOK_NS, threads * CPU_LOOK_TASK_NS);
}

/* The same, or what it was half a pause ago. S held. */
static uint64_t time_lately_locked(struct process *p, bool user_only)
{
	uint64_t now = hal_clock_ns();

	if (!p->looked_ns || now - p->looked_ns >= look_pause(p->task_count) / 2) {
		sum_up_locked(p, &p->looked_usage);
		p->looked_ns = now;
	}
	return usage_time(&p->looked_usage, user_only);
}

uint64_t cpu_time_look(const struct process *p, uint64_t left_ns)
{
	uint64_t threads = max(READ_ONCE(p->task_count), UINT32_C(1));

	return clock_deadline_in(max(left_ns / min(threads, (uint64_t)cpus_online_count()), look_pause(threads)));
}

/* ---- which clock ---- */

static int get_task(int id, struct cpu_clock *ret)
{
	struct task *t = task_find(id ? id : task_number(task_self()));

	if (!t)
		return -EINVAL;
	if (t->process != process_self()) {
		task_put(t);
		return -EINVAL;
	}
	ret->task = t;
	ret->process = t->process;
	refcount_get(&t->process->refs);
	return 0;
}

/* `reading`: the running thread's number does for its process's. */
static int get_process(int id, bool reading, struct cpu_clock *ret)
{
	bool own = !id || (reading && id == task_number(task_self()));

	if (own)
		refcount_get(&process_self()->refs);
	ret->process = own ? process_self() : process_find(pid_global(id));
	return ret->process ? 0 : -EINVAL;
}

static int get(int clock, bool reading, struct cpu_clock *ret)
{
	unsigned what = (unsigned)clock & CPU_CLOCK_MASK;
	int id = ~(clock >> 3);

	*ret = (struct cpu_clock){ .user_only = clock < 0 && what == CPU_CLOCK_VIRT };
	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return get_process(0, reading, ret);
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return get_task(0, ret);
	if (clock >= 0 || what > CPU_CLOCK_LAST)
		return -EOPNOTSUPP;
	return clock & CPU_CLOCK_THREAD ? get_task(id, ret) : get_process(id, reading, ret);
}

int cpu_clock_get(int clock, struct cpu_clock *ret)
{
	return get(clock, false, ret);
}

struct cpu_clock cpu_clock_copy(const struct cpu_clock *c)
{
	if (c->task)
		refcount_get(&c->task->refs);
	if (c->process)
		refcount_get(&c->process->refs);
	return *c;
}

void cpu_clock_put(struct cpu_clock *c)
{
	if (c->task)
		task_put(c->task);
	if (c->process)
		process_put(c->process);
	*c = (struct cpu_clock){ 0 };
}

/* ---- what it says ---- */

static uint64_t clock_says(const struct cpu_clock *c, uint64_t (*of_process)(struct process *p, bool user_only))
{
	struct task_usage usage;
	unsigned long flags;
	uint64_t now;

	if (c->task) {
		task_usage_now(c->task, &usage);
		return usage_time(&usage, c->user_only);
	}
	flags = spin_lock_irq(&c->process->signal_lock);
	now = of_process(c->process, c->user_only);
	spin_unlock_irq(&c->process->signal_lock, flags);
	return now;
}

uint64_t cpu_clock_now(const struct cpu_clock *c)
{
	return clock_says(c, cpu_time_locked);
}

uint64_t cpu_clock_lately(const struct cpu_clock *c)
{
	return clock_says(c, time_lately_locked);
}

bool cpu_clock_stands(const struct cpu_clock *c)
{
	unsigned long flags = spin_lock_irq(&c->process->signal_lock);
	bool stands = c->task ? list_empty(&c->task->process_link) : list_empty(&c->process->tasks);

	spin_unlock_irq(&c->process->signal_lock, flags);
	return stands;
}

uint64_t cpu_clock_look(const struct cpu_clock *c, uint64_t left_ns)
{
	return c->task ? clock_deadline_in(max(left_ns, CPU_LOOK_NS)) : cpu_time_look(c->process, left_ns);
}

int cpu_clock_read(int clock, uint64_t *ret_ns)
{
	struct cpu_clock c;
	int err = get(clock, true, &c);

	if (err < 0)
		return -EINVAL;
	*ret_ns = cpu_clock_now(&c);
	cpu_clock_put(&c);
	return 0;
}

int cpu_clock_resolution(int clock, uint64_t *ret_ns)
{
	struct cpu_clock c;

	if (get(clock, false, &c) < 0)
		return -EINVAL;
	cpu_clock_put(&c);
	*ret_ns = clock >= 0 || ((unsigned)clock & CPU_CLOCK_MASK) == CPU_CLOCK_SCHED ? 1 : CPU_LOOK_NS;
	return 0;
}

/* ---- sleeping ---- */

/* One round: 1: the time has come; 0: look again; -ERESTARTSYS. The end of what it counts is no wake-up. */
static int sleep_round(const struct cpu_clock *c, uint64_t target_ns)
{
	uint64_t now = cpu_clock_now(c), deadline = cpu_clock_look(c, now < target_ns ? target_ns - now : 0);

	if (now >= target_ns)
		return 1;
	if (cpu_clock_stands(c))
		deadline = HAL_TIMER_NEVER;
	thread_prepare_sleep(THREAD_INTERRUPTIBLE);
	if (!thread_signal_pending()) {
		(void)thread_sleep(deadline);
		return 0;
	}
	thread_cancel_sleep();
	return -ERESTARTSYS;
}

int cpu_clock_sleep(int clock, uint64_t target_ns)
{
	struct cpu_clock c;
	int result = clock == CLOCK_THREAD_CPUTIME_ID ? -EOPNOTSUPP : cpu_clock_get(clock, &c);

	if (result < 0)
		return result;
	result = c.task == task_self() ? -EINVAL : 0;
	while (result == 0)
		result = sleep_round(&c, target_ns);
	cpu_clock_put(&c);
	return result == 1 ? 0 : result;
}
