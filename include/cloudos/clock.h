/* SPDX-License-Identifier: MIT */
/* POSIX clocks and timers of the running process: for the system calls. Times are nanoseconds; a clock is Linux's clockid_t. */
#ifndef CLOUDOS_CLOCK_H
#define CLOUDOS_CLOCK_H

#include <cloudos/types.h>
#include <linux/signal.h>

/* What the clock says: 0 or -EINVAL. */
int clock_read(int clock, uint64_t *ret_ns);
/* How fine it is. */
int clock_resolution(int clock, uint64_t *ret_ns);
/* Turns a time on the clock into a deadline on hal_clock_ns()'s scale (0: past); -EINVAL for CPU-time and unknown clocks. */
int clock_deadline(int clock, uint64_t time_ns, uint64_t *ret_deadline_ns);

/* Is it a clock that goes with the wall clock? Then *ret_wall_ns is the time on that. */
bool clock_on_wall(int clock, uint64_t time_ns, uint64_t *ret_wall_ns);
/* One that would wake a sleeping machine? There are none, which is EOPNOTSUPP instead of EINVAL for timers and sleep. */
bool clock_is_alarm(int clock);
/* Can one sleep, and set timers, by it? (CPU-time clocks: cpu_clock_sleep().) */
bool clock_has_timers(int clock);

/*
 * Sleeps until a CPU-time clock says `target_ns`; it may be late by a few milliseconds. 0, -ERESTARTSYS; -EINVAL: the clock is of nothing that is
 * there, or of the running thread, which uses no time while it sleeps; -EOPNOTSUPP: it is no CPU-time clock, or CLOCK_THREAD_CPUTIME_ID.
 */
int cpu_clock_sleep(int clock, uint64_t target_ns);

/* An absolute deadline that many ns from now; HAL_TIMER_NEVER stays. */
uint64_t clock_deadline_in(uint64_t ns);

/* getitimer, setitimer: which is ITIMER_*; value 0 disarms. */
struct itimer_setting {
	uint64_t value_ns, interval_ns;
};
int itimer_get(int which, struct itimer_setting *ret);
int itimer_set(int which, const struct itimer_setting *new, struct itimer_setting *ret_old);

/* timer_create(2) and its family. Ids are the process's own. */
int posix_timer_create(int clock, const struct sigevent *event, int *ret_id);
int posix_timer_without_event(int clock, int *ret_id); /* as with no sigevent: SIGALRM */
int posix_timer_set(int id, bool absolute, const struct itimer_setting *new, struct itimer_setting *ret_old);
int posix_timer_get(int id, struct itimer_setting *ret);
int posix_timer_overrun(int id);
int posix_timer_delete(int id);

#endif
