/* SPDX-License-Identifier: MIT */
/*
 * POSIX clocks. The coarse clocks are the fine ones, the boot-time clock is the monotonic one (nothing suspends), and TAI is UTC until
 * somebody says otherwise. A negative id names the CPU-time clock of a process or thread: ~pid in the bits above the third, bit 2 for
 * a thread, and what is counted in bits 0 and 1 (clock_getcpuclockid(3)).
 */
#include "proc_internal.h"
#include <cloudos/child.h>
#include <cloudos/clock.h>

#define CPU_CLOCK_THREAD 4
#define CPU_CLOCK_MASK	 3 /* PROF 0, VIRT 1, SCHED 2 */
#define CPU_CLOCK_VIRT	 1

static bool is_wall(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static bool is_monotonic(int clock)
{
	return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
	       clock == CLOCK_BOOTTIME;
}

static uint64_t usage_time(const struct task_usage *u, unsigned what)
{
	return what == CPU_CLOCK_VIRT ? u->run_ns - min(u->system_ns, u->run_ns) : u->run_ns;
}

uint64_t process_cpu_time(struct process *p, bool user_only)
{
	struct task_usage own, children;

	process_usage(p, &own, &children);
	return usage_time(&own, user_only ? CPU_CLOCK_VIRT : 0);
}

static int other_cpu_clock(int clock, uint64_t *ret)
{
	unsigned what = (unsigned)clock & CPU_CLOCK_MASK;
	int id = ~(clock >> 3);
	struct task_usage usage;
	struct process *p;
	struct task *t;

	if (what > 2)
		return -EINVAL;
	if (clock & CPU_CLOCK_THREAD) {
		t = task_find(id ? id : task_number(task_self()));
		if (!t)
			return -EINVAL;
		task_usage_now(t, &usage);
		*ret = usage_time(&usage, what);
		task_put(t);
		return 0;
	}
	p = process_find(id ? pid_global(id) : process_self()->pid);
	if (!p)
		return -EINVAL;
	*ret = process_cpu_time(p, what == CPU_CLOCK_VIRT);
	process_put(p);
	return 0;
}

static int own_cpu_clock(int clock, uint64_t *ret)
{
	uint64_t wait;

	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		*ret = process_cpu_time(process_self(), false);
	else if (clock == CLOCK_THREAD_CPUTIME_ID)
		thread_times(thread_current(), ret, &wait);
	else
		return -EINVAL;
	return 0;
}

int clock_read(int clock, uint64_t *ret_ns)
{
	if (is_monotonic(clock))
		*ret_ns = hal_clock_ns();
	else if (is_wall(clock))
		*ret_ns = hal_wall_ns();
	else if (clock < 0)
		return other_cpu_clock(clock, ret_ns);
	else
		return own_cpu_clock(clock, ret_ns);
	return 0;
}

int clock_resolution(int clock, uint64_t *ret_ns)
{
	uint64_t now;

	*ret_ns = 1;
	return is_monotonic(clock) || is_wall(clock) ? 0 : clock_read(clock, &now);
}

int clock_deadline(int clock, uint64_t time_ns, uint64_t *ret_deadline_ns)
{
	uint64_t ahead;

	if (is_monotonic(clock)) {
		*ret_deadline_ns = time_ns;
		return 0;
	}
	if (!is_wall(clock))
		return -EINVAL;
	ahead = hal_wall_ns() - hal_clock_ns();
	*ret_deadline_ns = time_ns > ahead ? time_ns - ahead : 0;
	return 0;
}

uint64_t clock_deadline_in(uint64_t ns)
{
	uint64_t now = hal_clock_ns();

	return ns < HAL_TIMER_NEVER - now ? now + ns : HAL_TIMER_NEVER;
}
