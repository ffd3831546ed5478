/* SPDX-License-Identifier: MIT */
/* Clocks, sleeping, interval timers, POSIX timers. */
#include "cases.h"
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

static volatile sig_atomic_t count, overruns, value;

static void on_signal(int signo, siginfo_t *si, void *context)
{
	(void)signo;
	(void)context;
	count++;
	value = si->si_value.sival_int;
	overruns = si->si_overrun;
}

static int64_t now_ms(clockid_t clock)
{
	struct timespec ts;

	EXPECT(clock_gettime(clock, &ts) == 0);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void clocks_advance(void)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW,
					    CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE };
	struct timespec res;

	for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		int64_t start = now_ms(clocks[i]);

		usleep(20000);
		EXPECT(now_ms(clocks[i]) >= start + 10);
		EXPECT(clock_getres(clocks[i], &res) == 0 && res.tv_sec == 0 && res.tv_nsec > 0);
	}
	EXPECT_ERRNO(syscall(SYS_clock_gettime, 77, &res), EINVAL);
	EXPECT_ERRNO(clock_getres(77, &res), EINVAL);
	EXPECT(clock_getres(CLOCK_MONOTONIC, NULL) == 0);
}

static void cpu_clocks_count_work_only(void)
{
	struct timespec a, b;
	clockid_t own;

	EXPECT(clock_getcpuclockid(0, &own) == 0);
	EXPECT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a) == 0);
	usleep(50000);
	EXPECT(clock_gettime(own, &b) == 0);
	EXPECT((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 45);
	EXPECT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a) == 0);
	for (volatile int i = 0; i < 5000000; i++)
		;
	EXPECT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b) == 0);
	EXPECT(b.tv_sec > a.tv_sec || b.tv_nsec > a.tv_nsec);
	EXPECT(times(NULL) != (clock_t)-1);
}

static void both_ways_to_ask_agree(void)
{
	struct timespec by_call, by_library;
	struct timeval tv;

	EXPECT(syscall(SYS_clock_gettime, CLOCK_REALTIME, &by_call) == 0);
	EXPECT(clock_gettime(CLOCK_REALTIME, &by_library) == 0);
	EXPECT(gettimeofday(&tv, NULL) == 0);
	EXPECT(by_library.tv_sec - by_call.tv_sec <= 1 && tv.tv_sec - by_call.tv_sec <= 1);
	EXPECT(time(NULL) - by_call.tv_sec <= 1);
}

static void sleeping_takes_as_long_as_asked(void)
{
	struct timespec at;
	int64_t start = now_ms(CLOCK_MONOTONIC);

	EXPECT(nanosleep(&(struct timespec){ 0, 30000000 }, NULL) == 0);
	EXPECT(now_ms(CLOCK_MONOTONIC) >= start + 30);
	clock_gettime(CLOCK_MONOTONIC, &at);
	EXPECT(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0);
	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec -= 5;
	EXPECT(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) == 0);
	EXPECT_ERRNO(nanosleep(&(struct timespec){ 0, 1000000000 }, NULL), EINVAL);
	EXPECT_ERRNO(nanosleep(&(struct timespec){ -1, 0 }, NULL), EINVAL);
	EXPECT(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &at, NULL) == EINVAL);
	EXPECT(clock_nanosleep(99, 0, &at, NULL) == EINVAL);
}

static void interval_timers_go_off(void)
{
	struct itimerval it = { .it_interval = { 0, 10000 }, .it_value = { 0, 10000 } }, old;

	count = 0;
	EXPECT(setitimer(ITIMER_REAL, &it, NULL) == 0);
	while (count < 3)
		pause();
	EXPECT(getitimer(ITIMER_REAL, &old) == 0 && old.it_interval.tv_usec == 10000);
	memset(&it, 0, sizeof(it));
	EXPECT(setitimer(ITIMER_REAL, &it, &old) == 0 && old.it_value.tv_usec > 0);
	EXPECT(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_usec == 0 && old.it_value.tv_sec == 0);
	EXPECT(alarm(100) == 0 && alarm(0) == 100);
	it.it_value.tv_usec = 1000000;
	EXPECT_ERRNO(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	EXPECT_ERRNO(getitimer(9, &old), EINVAL);
}

static void profiling_timers_count_cpu_time(void)
{
	struct itimerval it = { .it_value = { 0, 20000 } };
	int64_t start = now_ms(CLOCK_MONOTONIC);

	count = 0;
	EXPECT(setitimer(ITIMER_PROF, &it, NULL) == 0);
	while (!count && now_ms(CLOCK_MONOTONIC) < start + 20000)
		;
	EXPECT(count == 1);
}

static void posix_timers_go_off_and_count_overruns(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 55 };
	struct itimerspec it = { .it_interval = { 0, 5000000 }, .it_value = { 0, 5000000 } };
	sigset_t set;
	timer_t id;

	count = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	EXPECT(timer_create(CLOCK_MONOTONIC, &ev, &id) == 0);
	sigprocmask(SIG_BLOCK, &set, NULL);
	EXPECT(timer_settime(id, 0, &it, NULL) == 0);
	usleep(60000);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	EXPECT(count >= 1 && value == 55);
	EXPECT(timer_gettime(id, &it) == 0 && it.it_interval.tv_nsec == 5000000);
	memset(&it, 0, sizeof(it));
	EXPECT(timer_settime(id, 0, &it, NULL) == 0);
	EXPECT(timer_gettime(id, &it) == 0 && it.it_value.tv_nsec == 0);
	EXPECT(timer_delete(id) == 0);
	EXPECT_ERRNO(syscall(SYS_timer_delete, 12345), EINVAL);
	EXPECT_ERRNO(syscall(SYS_timer_create, 99, &ev, &id), EINVAL);
	ev.sigev_signo = 77;
	EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
}

static void too_short_an_interval_leaves_the_machine_alive(void)
{
	struct itimerspec shortest = { .it_interval = { 0, 1 }, .it_value = { 0, 1 } };
	const int clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };
	struct itimerval real = { .it_interval = { 0, 1 }, .it_value = { 0, 1 } }, off = { 0 };
	struct sigevent blocked = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 }, silent = { .sigev_notify = SIGEV_NONE };
	timer_t ids[6];
	int64_t until = now_ms(CLOCK_MONOTONIC) + 50;
	sigset_t usr2, both;

	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	both = usr2;
	sigaddset(&both, SIGALRM);
	sigprocmask(SIG_BLOCK, &both, NULL);
	for (int i = 0; i < 6; i++) {
		EXPECT(timer_create(clocks[i / 2], i % 2 ? &silent : &blocked, &ids[i]) == 0);
		EXPECT(timer_settime(ids[i], 0, &shortest, NULL) == 0);
	}
	EXPECT(setitimer(ITIMER_REAL, &real, NULL) == 0);
	while (now_ms(CLOCK_MONOTONIC) < until)
		;
	EXPECT(setitimer(ITIMER_REAL, &off, NULL) == 0);
	EXPECT(sigwaitinfo(&usr2, NULL) == SIGUSR2);
	EXPECT(timer_getoverrun(ids[0]) > 1000 || timer_getoverrun(ids[2]) > 1000 || timer_getoverrun(ids[4]) > 1000);
	for (int i = 0; i < 6; i++)
		EXPECT(timer_delete(ids[i]) == 0);
	sigprocmask(SIG_UNBLOCK, &both, NULL);
}

static void bad_addresses_are_refused(void)
{
	for (unsigned i = 1; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, abi_bad_addresses[i]), EFAULT);
		EXPECT_ERRNO(syscall(SYS_nanosleep, abi_bad_addresses[i], NULL), EFAULT);
		EXPECT_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, abi_bad_addresses[i], NULL), EFAULT);
		EXPECT_ERRNO(syscall(SYS_getitimer, ITIMER_REAL, abi_bad_addresses[i]), EFAULT);
		EXPECT_ERRNO(syscall(SYS_gettimeofday, abi_bad_addresses[i], NULL), EFAULT);
		EXPECT_ERRNO(syscall(SYS_times, abi_bad_addresses[i]), EFAULT);
	}
}

int main(void)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(SIGALRM, &act, NULL);
	sigaction(SIGPROF, &act, NULL);
	sigaction(SIGUSR1, &act, NULL);
	CASE(clocks_advance);
	CASE(cpu_clocks_count_work_only);
	CASE(both_ways_to_ask_agree);
	CASE(sleeping_takes_as_long_as_asked);
	CASE(interval_timers_go_off);
	CASE(profiling_timers_count_cpu_time);
	CASE(posix_timers_go_off_and_count_overruns);
	CASE(too_short_an_interval_leaves_the_machine_alive);
	CASE(bad_addresses_are_refused);
	return abi_result();
}
