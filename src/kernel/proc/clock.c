/* SPDX-License-Identifier: MIT */
/*
 * POSIX clocks. The coarse clocks are the fine ones, the boot-time clock is the monotonic one (nothing suspends), and TAI is UTC until
 * adjtimex(2) says otherwise. Clocks of CPU time are in cpu_clock.c. There is no clock that wakes the machine, as without a battery clock that can.
 */
#include "proc_internal.h"
#include <cloudos/clock.h>
#include <cloudos/wall.h>

static bool is_wall(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static bool is_monotonic(int clock)
{
	return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
	       clock == CLOCK_BOOTTIME;
}

/* What the clock is ahead of the wall clock. */
static uint64_t tai_of(int clock)
{
	return clock == CLOCK_TAI ? ntp_tai_ns() : 0;
}

int clock_read(int clock, uint64_t *ret_ns)
{
	if (is_monotonic(clock))
		*ret_ns = hal_clock_ns();
	else if (is_wall(clock))
		*ret_ns = hal_wall_ns() + tai_of(clock);
	else
		return cpu_clock_read(clock, ret_ns);
	return 0;
}

int clock_resolution(int clock, uint64_t *ret_ns)
{
	*ret_ns = 1;
	return is_monotonic(clock) || is_wall(clock) ? 0 : cpu_clock_resolution(clock, ret_ns);
}

bool clock_on_wall(int clock, uint64_t time_ns, uint64_t *ret_wall_ns)
{
	uint64_t tai = tai_of(clock);

	if (!is_wall(clock))
		return false;
	*ret_wall_ns = time_ns > tai ? time_ns - tai : 0;
	return true;
}

bool clock_is_alarm(int clock)
{
	return clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

bool clock_has_timers(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
}

int clock_deadline(int clock, uint64_t time_ns, uint64_t *ret_deadline_ns)
{
	uint64_t wall_ns;

	if (is_monotonic(clock)) {
		*ret_deadline_ns = time_ns;
		return 0;
	}
	if (!clock_on_wall(clock, time_ns, &wall_ns))
		return -EINVAL;
	*ret_deadline_ns = wall_deadline(wall_ns);
	return 0;
}

uint64_t clock_deadline_in(uint64_t ns)
{
	uint64_t now = hal_clock_ns();

	return ns < HAL_TIMER_NEVER - now ? now + ns : HAL_TIMER_NEVER;
}
