/* SPDX-License-Identifier: MIT */
/* Clocks of CPU time: ids, who may ask, sleeping by them, timers on them. */
#include "cases.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define CLOCK_OF(id, thread, what) ((int)(~(unsigned)(id) << 3 | (thread ? 4u : 0u) | (what)))
enum { PROF, VIRT, SCHED, DEVICE };

static int gettime(int clock, struct timespec *t)
{
	return (int)syscall(SYS_clock_gettime, clock, t);
}

static int64_t ns_of(int clock)
{
	struct timespec t = { -1, 0 };

	return gettime(clock, &t) ? -1 : t.tv_sec * 1000000000l + t.tv_nsec;
}

static void burn(int64_t ms)
{
	int64_t until = ns_of(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000;

	while (ns_of(CLOCK_THREAD_CPUTIME_ID) < until)
		;
}

static volatile bool stop;

static void *burn_until_stopped(void *tid)
{
	if (tid)
		__atomic_store_n((int *)tid, gettid(), __ATOMIC_RELEASE);
	while (!stop)
		;
	return NULL;
}

static void nap(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

static void ids(void)
{
	struct timespec t;
	clockid_t id;

	burn(20);
	for (int what = PROF; what <= SCHED; what++) {
		EXPECT(gettime(CLOCK_OF(0, 0, what), &t) == 0 && gettime(CLOCK_OF(getpid(), 0, what), &t) == 0);
		EXPECT(gettime(CLOCK_OF(0, 1, what), &t) == 0 && gettime(CLOCK_OF(gettid(), 1, what), &t) == 0);
	}
	EXPECT(ns_of(CLOCK_OF(0, 0, SCHED)) >= 20000000 && ns_of(CLOCK_OF(0, 1, SCHED)) >= 20000000);
	EXPECT_ERRNO(gettime(CLOCK_OF(0, 0, DEVICE), &t), EINVAL);
	EXPECT_ERRNO(gettime(CLOCK_OF(0x3ffffff, 0, SCHED), &t), EINVAL);
	EXPECT(clock_getcpuclockid(0, &id) == 0 && ns_of(id) >= 20000000);
	EXPECT(clock_getcpuclockid(getppid(), &id) == 0 && gettime(id, &t) == 0);
	EXPECT(pthread_getcpuclockid(pthread_self(), &id) == 0 && ns_of(id) >= 20000000);
	EXPECT_ERRNO(gettime(CLOCK_OF(getppid(), 1, SCHED), &t), EINVAL); /* another process's thread */
	EXPECT(syscall(SYS_clock_getres, CLOCK_OF(getpid(), 0, SCHED), &t) == 0 && t.tv_sec == 0 && t.tv_nsec == 1);
	EXPECT(syscall(SYS_clock_getres, CLOCK_OF(getpid(), 0, PROF), &t) == 0 && t.tv_sec == 0 && t.tv_nsec > 1);
	EXPECT_ERRNO(syscall(SYS_clock_getres, CLOCK_OF(0, 0, DEVICE), &t), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clock_settime, CLOCK_OF(getpid(), 0, SCHED), &t), EPERM);
	EXPECT_ERRNO(syscall(SYS_clock_settime, CLOCK_OF(0x3ffffff, 0, SCHED), &t), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clock_settime, CLOCK_PROCESS_CPUTIME_ID, &t), EINVAL);
}

static void a_thread_number_names_its_process_to_itself(void)
{
	pthread_t thread;
	int tid = 0;
	struct timespec t;

	stop = false;
	pthread_create(&thread, NULL, burn_until_stopped, &tid);
	while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
		sched_yield();
	EXPECT_ERRNO(gettime(CLOCK_OF(tid, 0, SCHED), &t), EINVAL);
	EXPECT(gettime(CLOCK_OF(tid, 1, SCHED), &t) == 0);
	stop = true;
	pthread_join(thread, NULL);
}

static int sleep_on(int clock, int flags, int64_t ns, struct timespec *left)
{
	struct timespec t = { ns / 1000000000, ns % 1000000000 };

	return (int)syscall(SYS_clock_nanosleep, clock, flags, &t, left);
}

static void sleeping_refuses(void)
{
	EXPECT_ERRNO(sleep_on(CLOCK_THREAD_CPUTIME_ID, 0, 1, NULL), EOPNOTSUPP);
	EXPECT_ERRNO(sleep_on(CLOCK_MONOTONIC_RAW, 0, 1, NULL), EOPNOTSUPP);
	EXPECT_ERRNO(sleep_on(CLOCK_REALTIME_COARSE, 0, 1, NULL), EOPNOTSUPP);
	EXPECT_ERRNO(sleep_on(77, 0, 1, NULL), EINVAL);
	EXPECT_ERRNO(sleep_on(CLOCK_OF(0, 1, SCHED), 0, 1, NULL), EINVAL);
	EXPECT_ERRNO(sleep_on(CLOCK_OF(gettid(), 1, SCHED), 0, 1, NULL), EINVAL);
	EXPECT_ERRNO(sleep_on(CLOCK_OF(0x3ffffff, 0, SCHED), 0, 1, NULL), EINVAL);
	EXPECT_ERRNO(sleep_on(CLOCK_OF(0, 0, DEVICE), 0, 1, NULL), EOPNOTSUPP);
	EXPECT(sleep_on(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, 1, NULL) == 0);
}

static void sleeping_while_another_works(void)
{
	pthread_t thread;
	int tid = 0;
	int64_t before, thread_before;

	stop = false;
	pthread_create(&thread, NULL, burn_until_stopped, &tid);
	while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
		sched_yield();
	before = ns_of(CLOCK_PROCESS_CPUTIME_ID);
	EXPECT(sleep_on(CLOCK_PROCESS_CPUTIME_ID, 0, 30000000, NULL) == 0 && ns_of(CLOCK_PROCESS_CPUTIME_ID) >= before + 30000000);
	thread_before = ns_of(CLOCK_OF(tid, 1, SCHED));
	EXPECT(sleep_on(CLOCK_OF(tid, 1, SCHED), TIMER_ABSTIME, thread_before + 30000000, NULL) == 0);
	EXPECT(ns_of(CLOCK_OF(tid, 1, SCHED)) >= thread_before + 30000000);
	stop = true;
	pthread_join(thread, NULL);
}

static volatile sig_atomic_t count, signo_seen;

static void on_signal(int signo)
{
	count++;
	signo_seen = signo;
}

static void a_sleep_is_interrupted(void)
{
	struct sigaction act = { .sa_handler = on_signal };
	struct itimerspec once = { .it_value.tv_nsec = 20000000 };
	struct timespec left = { 0, 0 };
	timer_t timer;

	sigaction(SIGALRM, &act, NULL);
	count = 0;
	EXPECT(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0);
	EXPECT_ERRNO(sleep_on(CLOCK_PROCESS_CPUTIME_ID, 0, 5000000000, &left), EINTR);
	EXPECT(count == 1 && left.tv_sec >= 4 && left.tv_sec < 5);
	EXPECT(timer_delete(timer) == 0);
}

/* ---- timers ---- */

static void timers_refuse(void)
{
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	int id;

	EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, &none, &id), EOPNOTSUPP);
	EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC_COARSE, &none, &id), EOPNOTSUPP);
	EXPECT_ERRNO(syscall(SYS_timer_create, 77, &none, &id), EINVAL);
	EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_OF(0x3ffffff, 0, SCHED), &none, &id), EINVAL);
	EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_OF(getppid(), 1, SCHED), &none, &id), EINVAL);
	EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_OF(0, 0, DEVICE), &none, &id), EOPNOTSUPP);
}

static void timers_count_cpu_time(void)
{
	static const int clocks[] = { CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_OF(0, 0, PROF), CLOCK_OF(0, 1, SCHED) };
	struct sigaction act = { .sa_handler = on_signal };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };

	sigaction(SIGUSR1, &act, NULL);
	for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		struct itimerspec set = { .it_value.tv_nsec = 40000000, .it_interval.tv_nsec = 20000000 }, now;
		int64_t start = ns_of(CLOCK_THREAD_CPUTIME_ID);
		int id;

		count = 0;
		EXPECT(syscall(SYS_timer_create, clocks[i], &event, &id) == 0);
		EXPECT(syscall(SYS_timer_settime, id, 0, &set, NULL) == 0);
		nap(80); /* uses no time */
		EXPECT(count == 0);
		EXPECT(syscall(SYS_timer_gettime, id, &now) == 0 && now.it_value.tv_sec == 0 && now.it_value.tv_nsec > 20000000 &&
		       now.it_value.tv_nsec <= 40000000 && now.it_interval.tv_nsec == 20000000);
		while (count == 0)
			;
		EXPECT(i == 2 || ns_of(CLOCK_THREAD_CPUTIME_ID) - start >= 38000000); /* Linux counts PROF in ticks, and may count too many */
		while (count < 3)
			;
		set = (struct itimerspec){ 0 };
		EXPECT(syscall(SYS_timer_settime, id, 0, &set, NULL) == 0);
		count = 0;
		burn(30);
		EXPECT(count == 0 && syscall(SYS_timer_gettime, id, &now) == 0 && now.it_value.tv_nsec == 0);
		EXPECT(syscall(SYS_timer_delete, id) == 0);
	}
}

static void absolute_times_of_the_past_go_off_at_once(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec set = { .it_value.tv_nsec = 1 };
	int id;

	count = 0;
	EXPECT(syscall(SYS_timer_create, CLOCK_PROCESS_CPUTIME_ID, &event, &id) == 0);
	EXPECT(syscall(SYS_timer_settime, id, TIMER_ABSTIME, &set, NULL) == 0);
	for (int64_t until = ns_of(CLOCK_MONOTONIC) + 1000000000; count == 0 && ns_of(CLOCK_MONOTONIC) < until;)
		;
	EXPECT(count == 1 && syscall(SYS_timer_delete, id) == 0);
}

/* Another process's time; and when it is gone there is nothing to count. */
static void of_another_process(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec set = { .it_value.tv_nsec = 30000000 };
	struct timespec t;
	pid_t pid = fork();
	int id;

	if (pid == 0) {
		stop = false;
		burn_until_stopped(NULL);
	}
	count = 0;
	EXPECT(syscall(SYS_timer_create, CLOCK_OF(pid, 0, SCHED), &event, &id) == 0);
	EXPECT(syscall(SYS_timer_settime, id, 0, &set, NULL) == 0);
	for (int tries = 0; count == 0 && tries < 500; tries++)
		nap(10);
	EXPECT(count == 1);
	kill(pid, SIGKILL);
	EXPECT(waitpid(pid, NULL, 0) == pid);
	EXPECT_ERRNO(gettime(CLOCK_OF(pid, 0, SCHED), &t), EINVAL);
	EXPECT_ERRNO(syscall(SYS_timer_settime, id, 0, &set, NULL), ESRCH);
	EXPECT(syscall(SYS_timer_delete, id) == 0);
}

int main(void)
{
	CASE(ids);
	CASE(a_thread_number_names_its_process_to_itself);
	CASE(sleeping_refuses);
	CASE(sleeping_while_another_works);
	CASE(a_sleep_is_interrupted);
	CASE(timers_refuse);
	CASE(timers_count_cpu_time);
	CASE(absolute_times_of_the_past_go_off_at_once);
	CASE(of_another_process);
	return abi_result();
}
