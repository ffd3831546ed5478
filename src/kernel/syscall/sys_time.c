/* SPDX-License-Identifier: MIT */
/* Clocks, sleeping, interval and POSIX timers, times used. */
#include <cloudos/child.h>
#include <cloudos/clock.h>
#include <cloudos/errno.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/wall.h>
#include <linux/capability.h>
#include <linux/time_types.h>
#include <linux/times.h>
#include "call_usage.h"
#include "syscalls_gen.h"

#define SECONDS_MAX   (INT64_MAX / (int64_t)NSEC_PER_SEC - 1)
#define NSEC_PER_TICK UINT64_C(10000000)

/* ---- conversions ---- */

static struct __kernel_timespec to_timespec(uint64_t ns)
{
	return (struct __kernel_timespec){ .tv_sec = (int64_t)(ns / NSEC_PER_SEC), .tv_nsec = (int64_t)(ns % NSEC_PER_SEC) };
}

static struct __kernel_old_timeval to_timeval(uint64_t ns)
{
	return (struct __kernel_old_timeval){ .tv_sec = (int64_t)(ns / NSEC_PER_SEC),
					      .tv_usec = (int64_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC) };
}

/* Times beyond what 64 bits of nanoseconds hold are cut: they are centuries away. */
static int from_timespec(const struct __kernel_timespec *ts, uint64_t *ret)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	*ret = (uint64_t)min(ts->tv_sec, SECONDS_MAX) * NSEC_PER_SEC + (uint64_t)ts->tv_nsec;
	return 0;
}

static int from_timeval(const struct __kernel_old_timeval *tv, uint64_t *ret)
{
	if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000)
		return -EINVAL;
	*ret = (uint64_t)min(tv->tv_sec, SECONDS_MAX) * NSEC_PER_SEC + (uint64_t)tv->tv_usec * NSEC_PER_USEC;
	return 0;
}

static int get_timespec(uaddr_t from, uint64_t *ret)
{
	struct __kernel_timespec ts;

	return get_user(ts, from) < 0 ? -EFAULT : from_timespec(&ts, ret);
}

/* ---- clocks ---- */

int64_t sys_clock_gettime(int clock, uaddr_t time)
{
	uint64_t now;
	int err = clock_read(clock, &now);

	return err < 0 ? err : put_user(to_timespec(now), time);
}

int64_t sys_clock_getres(int clock, uaddr_t resolution)
{
	uint64_t ns;
	int err = clock_resolution(clock, &ns);

	if (err < 0 || !resolution)
		return err;
	return put_user(to_timespec(ns), resolution);
}

static int set_wall(uint64_t ns)
{
	if (!cred_capable(thread_current()->cred, CAP_SYS_TIME))
		return -EPERM;
	wall_set(ns);
	return 0;
}

int64_t sys_clock_settime(int clock, uaddr_t time)
{
	uint64_t ns;
	int err;

	if (clock != CLOCK_REALTIME)
		return clock < 0 && clock_resolution(clock, &ns) == 0 ? -EPERM : -EINVAL;
	err = get_timespec(time, &ns);
	return err < 0 ? err : set_wall(ns);
}

int64_t sys_gettimeofday(uaddr_t time, uaddr_t zone)
{
	static const struct timezone utc;

	if (time && put_user(to_timeval(hal_wall_ns()), time) < 0)
		return -EFAULT;
	return zone ? copy_to_user(zone, &utc, sizeof(utc)) : 0;
}

/* The time zone is the C library's business; it is checked and forgotten. */
int64_t sys_settimeofday(uaddr_t time, uaddr_t zone)
{
	struct __kernel_old_timeval tv;
	struct timezone tz;
	uint64_t ns;
	int err;

	if (zone && get_user(tz, zone) < 0)
		return -EFAULT;
	if (!time)
		return cred_capable(thread_current()->cred, CAP_SYS_TIME) ? 0 : -EPERM;
	if (get_user(tv, time) < 0)
		return -EFAULT;
	err = from_timeval(&tv, &ns);
	return err < 0 ? err : set_wall(ns);
}

int64_t sys_time(uaddr_t time)
{
	int64_t now = (int64_t)(hal_wall_ns() / NSEC_PER_SEC);

	return time && put_user(now, time) < 0 ? -EFAULT : now;
}

/* ---- sleeping ---- */

static bool sleep_until(uint64_t deadline_ns)
{
	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (thread_signal_pending())
			break;
		if (!thread_sleep(deadline_ns))
			return true;
	}
	thread_cancel_sleep();
	return hal_clock_ns() >= deadline_ns;
}

/* Interrupted: writes what is left, and leaves a note for restart_syscall. */
static int64_t sleep_more(struct task *t, uint64_t deadline_ns, uaddr_t remain);

static uint64_t sleep_again(struct task *t)
{
	return (uint64_t)sleep_more(t, t->restart.deadline_ns, t->restart.user);
}

static int64_t sleep_more(struct task *t, uint64_t deadline_ns, uaddr_t remain)
{
	uint64_t now;

	if (sleep_until(deadline_ns))
		return 0;
	now = hal_clock_ns();
	if (remain && put_user(to_timespec(deadline_ns > now ? deadline_ns - now : 0), remain) < 0)
		return -EFAULT;
	t->restart.fn = sleep_again;
	t->restart.deadline_ns = deadline_ns;
	t->restart.user = remain;
	return -ERESTART_BLOCK;
}

int64_t sys_nanosleep(uaddr_t request, uaddr_t remain)
{
	uint64_t ns;
	int err = get_timespec(request, &ns);

	return err < 0 ? err : sleep_more(task_self(), clock_deadline_in(ns), remain);
}

/* ---- until a time on a clock that may be set ---- */

struct wall_sleeper {
	struct wall_watch watch;
	struct thread *thread;
};

static void wake_sleeper(struct wall_watch *w)
{
	thread_wake(container_of(w, struct wall_sleeper, watch)->thread);
}

static int sleep_until_wall(uint64_t wall_ns)
{
	struct wall_sleeper self = { .thread = thread_current() };
	int result = 1;

	wall_watch_init(&self.watch, wake_sleeper);
	wall_watch_add(&self.watch);
	while (result == 1) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (hal_wall_ns() >= wall_ns)
			result = 0;
		else if (thread_signal_pending())
			result = -ERESTARTNOHAND;
		else
			(void)thread_sleep(wall_deadline(wall_ns));
	}
	thread_cancel_sleep();
	wall_watch_remove(&self.watch);
	return result;
}

/* ---- until CPU time has been used ---- */

/* Interrupted: as sleep_more(), on another clock. */
static int64_t sleep_cpu_time(struct task *t, int clock, uint64_t target_ns, uaddr_t remain);

static uint64_t sleep_cpu_again(struct task *t)
{
	return (uint64_t)sleep_cpu_time(t, (int)t->restart.flags, t->restart.deadline_ns, t->restart.user);
}

static int64_t sleep_cpu_time(struct task *t, int clock, uint64_t target_ns, uaddr_t remain)
{
	int err = cpu_clock_sleep(clock, target_ns);
	uint64_t now = target_ns;

	if (err != -ERESTARTSYS)
		return err;
	(void)clock_read(clock, &now);
	if (remain && put_user(to_timespec(target_ns > now ? target_ns - now : 0), remain) < 0)
		return -EFAULT;
	t->restart.fn = sleep_cpu_again;
	t->restart.flags = (uint32_t)clock;
	t->restart.deadline_ns = target_ns;
	t->restart.user = remain;
	return -ERESTART_BLOCK;
}

static int64_t nanosleep_cpu(int clock, bool absolute, uint64_t ns, uaddr_t remain)
{
	uint64_t now;
	int err;

	if (absolute) {
		err = cpu_clock_sleep(clock, ns);
		return err == -ERESTARTSYS ? -ERESTARTNOHAND : err;
	}
	err = clock_read(clock, &now);
	if (err < 0)
		return cpu_clock_sleep(clock, 0); /* says what is wrong */
	return sleep_cpu_time(task_self(), clock, ns < UINT64_MAX - now ? now + ns : UINT64_MAX, remain);
}

int64_t sys_clock_nanosleep(int clock, int flags, uaddr_t request, uaddr_t remain)
{
	bool absolute = (flags & TIMER_ABSTIME) != 0, cpu = clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID;
	uint64_t ns, wall_ns, now;
	int err;

	if (!clock_has_timers(clock) && !cpu)
		return clock_is_alarm(clock) || clock_read(clock, &now) == 0 ? -EOPNOTSUPP : -EINVAL;
	err = get_timespec(request, &ns);
	if (err < 0)
		return err;
	if (cpu)
		return nanosleep_cpu(clock, absolute, ns, remain);
	if (!absolute)
		return sleep_more(task_self(), clock_deadline_in(ns), remain);
	if (clock_on_wall(clock, ns, &wall_ns))
		return sleep_until_wall(wall_ns);
	return sleep_until(ns) ? 0 : -ERESTARTNOHAND;
}

/* ---- interval timers ---- */

static int get_itimerval(uaddr_t from, struct itimer_setting *ret)
{
	struct __kernel_old_itimerval v;
	int err;

	if (get_user(v, from) < 0)
		return -EFAULT;
	err = from_timeval(&v.it_value, &ret->value_ns);
	return err < 0 ? err : from_timeval(&v.it_interval, &ret->interval_ns);
}

static int put_itimerval(uaddr_t to, const struct itimer_setting *s)
{
	struct __kernel_old_itimerval v = { .it_interval = to_timeval(s->interval_ns), .it_value = to_timeval(s->value_ns) };

	return put_user(v, to);
}

int64_t sys_getitimer(int which, uaddr_t value)
{
	struct itimer_setting s;
	int err = itimer_get(which, &s);

	return err < 0 ? err : put_itimerval(value, &s);
}

int64_t sys_setitimer(int which, uaddr_t new, uaddr_t old)
{
	struct itimer_setting wanted = { 0 }, former;
	int err = new ? get_itimerval(new, &wanted) : 0;

	if (err == 0)
		err = itimer_set(which, &wanted, &former);
	return err < 0 || !old ? err : put_itimerval(old, &former);
}

/* The seconds left of the last alarm, rounded, but never to nothing. */
int64_t sys_alarm(unsigned seconds)
{
	struct itimer_setting wanted = { .value_ns = seconds * NSEC_PER_SEC }, former;
	uint64_t left;

	(void)itimer_set(ITIMER_REAL, &wanted, &former);
	left = (former.value_ns + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	return former.value_ns && !left ? 1 : (int64_t)left;
}

/* ---- POSIX timers ---- */

int64_t sys_timer_create(int clock, uaddr_t event, uaddr_t id)
{
	struct sigevent e;
	int number, err;

	if (event && get_user(e, event) < 0)
		return -EFAULT;
	err = event ? posix_timer_create(clock, &e, &number) : posix_timer_without_event(clock, &number);
	if (err < 0)
		return err;
	if (put_user(number, id) < 0) {
		(void)posix_timer_delete(number);
		return -EFAULT;
	}
	return 0;
}

static int put_itimerspec(uaddr_t to, const struct itimer_setting *s)
{
	struct __kernel_itimerspec v = { .it_interval = to_timespec(s->interval_ns), .it_value = to_timespec(s->value_ns) };

	return put_user(v, to);
}

int64_t sys_timer_settime(int id, int flags, uaddr_t new, uaddr_t old)
{
	struct __kernel_itimerspec v;
	struct itimer_setting wanted, former;
	int err;

	if (!new)
		return -EINVAL;
	if (get_user(v, new) < 0)
		return -EFAULT;
	err = from_timespec(&v.it_value, &wanted.value_ns);
	if (err == 0)
		err = from_timespec(&v.it_interval, &wanted.interval_ns);
	if (err == 0)
		err = posix_timer_set(id, (flags & TIMER_ABSTIME) != 0, &wanted, &former);
	return err < 0 || !old ? err : put_itimerspec(old, &former);
}

int64_t sys_timer_gettime(int id, uaddr_t value)
{
	struct itimer_setting s;
	int err = posix_timer_get(id, &s);

	return err < 0 ? err : put_itimerspec(value, &s);
}

int64_t sys_timer_getoverrun(int id)
{
	return posix_timer_overrun(id);
}

int64_t sys_timer_delete(int id)
{
	return posix_timer_delete(id);
}

/* ---- times used ---- */

static uint64_t system_of(const struct task_usage *u)
{
	return min(u->system_ns, u->run_ns);
}

int call_put_rusage(uaddr_t to, const struct task_usage *u)
{
	struct rusage r = {
		.ru_utime = to_timeval(u->run_ns - system_of(u)),
		.ru_stime = to_timeval(system_of(u)),
		.ru_maxrss = (__kernel_long_t)(u->peak_resident_pages * PAGE_SIZE / 1024),
		.ru_minflt = (__kernel_long_t)u->faults_minor,
		.ru_majflt = (__kernel_long_t)u->faults_major,
		.ru_nvcsw = (__kernel_long_t)u->switches,
		.ru_nivcsw = (__kernel_long_t)u->preemptions,
	};

	return put_user(r, to);
}

int64_t sys_getrusage(int who, uaddr_t usage)
{
	struct task_usage own, children;

	if (who == RUSAGE_THREAD)
		task_usage_now(task_self(), &own);
	else if (who == RUSAGE_SELF || who == RUSAGE_CHILDREN)
		process_usage(process_self(), &own, &children);
	else
		return -EINVAL;
	return call_put_rusage(usage, who == RUSAGE_CHILDREN ? &children : &own);
}

int64_t sys_times(uaddr_t times)
{
	struct task_usage own, children;
	struct tms t;

	process_usage(process_self(), &own, &children);
	t = (struct tms){
		.tms_utime = (__kernel_clock_t)((own.run_ns - system_of(&own)) / NSEC_PER_TICK),
		.tms_stime = (__kernel_clock_t)(system_of(&own) / NSEC_PER_TICK),
		.tms_cutime = (__kernel_clock_t)((children.run_ns - system_of(&children)) / NSEC_PER_TICK),
		.tms_cstime = (__kernel_clock_t)(system_of(&children) / NSEC_PER_TICK),
	};
	if (times && put_user(t, times) < 0)
		return -EFAULT;
	return (int64_t)(hal_clock_ns() / NSEC_PER_TICK);
}
