/* SPDX-License-Identifier: MIT */
/* Locks with priority inheritance: the word, waiting, time-outs, chains and circles, owners that end, robust ones, wrong words. */
#include "cases.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static long futex(uint32_t *addr, int op, const struct timespec *timeout)
{
	return syscall(SYS_futex, addr, op | FUTEX_PRIVATE_FLAG, 0, timeout, NULL, 0);
}

static uint32_t self(void)
{
	return (uint32_t)gettid();
}

static void nap(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

static struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static uint32_t word, second;

static void alone(void)
{
	word = 0;
	EXPECT(futex(&word, FUTEX_LOCK_PI, NULL) == 0 && word == self());
	EXPECT_ERRNO(futex(&word, FUTEX_LOCK_PI, NULL), EDEADLK);
	EXPECT_ERRNO(futex(&word, FUTEX_TRYLOCK_PI, NULL), EDEADLK);
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, NULL) == 0 && word == 0);
	EXPECT_ERRNO(futex(&word, FUTEX_UNLOCK_PI, NULL), EPERM);
	EXPECT(futex(&word, FUTEX_TRYLOCK_PI, NULL) == 0 && word == self());
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, NULL) == 0);
	EXPECT(futex(&word, FUTEX_LOCK_PI2, NULL) == 0 && futex(&word, FUTEX_UNLOCK_PI, NULL) == 0);
	word = self() | FUTEX_WAITERS; /* who waited is gone */
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, NULL) == 0 && word == 0);
	word = FUTEX_OWNER_DIED;
	EXPECT(futex(&word, FUTEX_LOCK_PI, NULL) == 0 && word == (self() | FUTEX_OWNER_DIED));
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, NULL) == 0 && word == 0);
}

static void wrong_words(void)
{
	struct timespec wrong = { .tv_nsec = 1000000000 };
	uint32_t *read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_ERRNO(futex((uint32_t *)((uintptr_t)&word + 1), FUTEX_LOCK_PI, NULL), EINVAL);
	EXPECT_ERRNO(futex((uint32_t *)((uintptr_t)&word + 1), FUTEX_UNLOCK_PI, NULL), EPERM);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++) {
		uint32_t *bad = (uint32_t *)((uintptr_t)abi_bad_addresses[i] & ~3ul);

		EXPECT_ERRNO(futex(bad, FUTEX_LOCK_PI, NULL), EFAULT);
		EXPECT_ERRNO(futex(bad, FUTEX_TRYLOCK_PI, NULL), EFAULT);
		EXPECT_ERRNO(futex(bad, FUTEX_UNLOCK_PI, NULL), EFAULT);
	}
	EXPECT_ERRNO(futex(read_only, FUTEX_LOCK_PI, NULL), EFAULT);
	word = 0x3fffffff; /* nobody's id */
	EXPECT_ERRNO(futex(&word, FUTEX_LOCK_PI, NULL), ESRCH);
	word = 0;
	EXPECT_ERRNO(futex(&word, FUTEX_LOCK_PI, &wrong), EINVAL);
	EXPECT_ERRNO(syscall(SYS_futex, &word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	EXPECT(word == 0 && munmap(read_only, 4096) == 0);
}

static volatile bool holds;

/* Has the lock for a while. */
static void *hold(void *ms)
{
	futex(&word, FUTEX_LOCK_PI, NULL);
	holds = true;
	nap((long)ms);
	holds = false;
	futex(&word, FUTEX_UNLOCK_PI, NULL);
	return NULL;
}

static void start_holder(pthread_t *thread, long ms)
{
	word = 0;
	holds = false;
	pthread_create(thread, NULL, hold, (void *)ms);
	while (!holds)
		sched_yield();
}

static void waiting(void)
{
	pthread_t thread;

	start_holder(&thread, 40);
	EXPECT_ERRNO(futex(&word, FUTEX_TRYLOCK_PI, NULL), EAGAIN);
	EXPECT_ERRNO(futex(&word, FUTEX_UNLOCK_PI, NULL), EPERM);
	EXPECT(futex(&word, FUTEX_LOCK_PI, NULL) == 0 && !holds && (word & FUTEX_TID_MASK) == self());
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, NULL) == 0 && word == 0);
	pthread_join(thread, NULL);
}

static void time_outs(void)
{
	struct timespec past = { .tv_sec = 1 }, at;
	pthread_t thread;

	start_holder(&thread, 150);
	EXPECT_ERRNO(futex(&word, FUTEX_LOCK_PI, &past), ETIMEDOUT);
	EXPECT(word & FUTEX_WAITERS);
	at = in_ms(CLOCK_REALTIME, 20);
	EXPECT_ERRNO(futex(&word, FUTEX_LOCK_PI, &at), ETIMEDOUT);
	at = in_ms(CLOCK_MONOTONIC, 20);
	EXPECT_ERRNO(futex(&word, FUTEX_LOCK_PI2, &at), ETIMEDOUT);
	at = in_ms(CLOCK_REALTIME, 20);
	EXPECT_ERRNO(syscall(SYS_futex, &word, FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME, 0, &at, NULL, 0), ETIMEDOUT);
	EXPECT(holds);
	pthread_join(thread, NULL);
	EXPECT(word == 0); /* though it was marked as waited for */
}

static int signals;

static void count_signal(int signo)
{
	(void)signo;
	signals++;
}

/* A signal's handler runs, and the call goes on. */
static void signals_come_between(void)
{
	struct sigaction act = { .sa_handler = count_signal };
	struct itimerval once = { .it_value.tv_usec = 15000 };
	pthread_t thread;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	signals = 0;
	sigaction(SIGALRM, &act, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	start_holder(&thread, 80);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &once, NULL);
	EXPECT(futex(&word, FUTEX_LOCK_PI, NULL) == 0 && signals == 1 && !holds);
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, NULL) == 0);
	pthread_join(thread, NULL);
}

/* ---- several ---- */

static long counter;

static void *count_up(void *lock)
{
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(lock);
		counter++;
		pthread_mutex_unlock(lock);
	}
	return NULL;
}

static void mutexes_exclude(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t lock;
	pthread_t threads[4];

	pthread_mutexattr_init(&attr);
	EXPECT(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0 && pthread_mutex_init(&lock, &attr) == 0);
	counter = 0;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, count_up, &lock);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	EXPECT(counter == 4 * 2000 && pthread_mutex_destroy(&lock) == 0);
}

static volatile int turn, turns[3];

static void *wait_turn(void *number)
{
	futex(&word, FUTEX_LOCK_PI, NULL);
	turns[(intptr_t)number] = ++turn;
	futex(&word, FUTEX_UNLOCK_PI, NULL);
	return NULL;
}

/* The most urgent one gets it, though it came last. */
static void by_urgency(void)
{
	static const int priorities[3] = { 0, 10, 20 };
	pthread_t threads[3];
	bool may = true;

	word = 0;
	turn = 0;
	EXPECT(futex(&word, FUTEX_LOCK_PI, NULL) == 0);
	for (int i = 0; i < 3; i++) {
		struct sched_param param = { .sched_priority = priorities[i] };
		pthread_attr_t attr;

		pthread_attr_init(&attr);
		pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attr, i ? SCHED_FIFO : SCHED_OTHER);
		pthread_attr_setschedparam(&attr, &param);
		if (pthread_create(&threads[i], &attr, wait_turn, (void *)(intptr_t)i)) {
			may = false;
			pthread_create(&threads[i], NULL, wait_turn, (void *)(intptr_t)i);
		}
		nap(30);
	}
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, NULL) == 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	EXPECT(word == 0 && turn == 3);
	if (may)
		EXPECT(turns[2] == 1 && turns[1] == 2 && turns[0] == 3);
}

/* Holds the second and waits for the first. */
static void *close_circle(void *arg)
{
	(void)arg;
	futex(&second, FUTEX_LOCK_PI, NULL);
	holds = true;
	futex(&word, FUTEX_LOCK_PI, NULL);
	futex(&word, FUTEX_UNLOCK_PI, NULL);
	futex(&second, FUTEX_UNLOCK_PI, NULL);
	return NULL;
}

static void circles(void)
{
	pthread_t thread;

	word = second = 0;
	holds = false;
	EXPECT(futex(&word, FUTEX_LOCK_PI, NULL) == 0);
	pthread_create(&thread, NULL, close_circle, NULL);
	while (!holds || !(*(volatile uint32_t *)&word & FUTEX_WAITERS))
		sched_yield();
	nap(20);
	EXPECT_ERRNO(futex(&second, FUTEX_LOCK_PI, NULL), EDEADLK);
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, NULL) == 0);
	pthread_join(thread, NULL);
	EXPECT(word == 0 && (second & FUTEX_TID_MASK) == 0);
}

/* ---- owners that end ---- */

static void *die_with_it(void *ms)
{
	futex(&word, FUTEX_LOCK_PI, NULL);
	holds = true;
	nap((long)ms);
	return NULL;
}

static void an_owner_ends(void)
{
	pthread_t thread;

	word = 0;
	holds = false;
	pthread_create(&thread, NULL, die_with_it, (void *)40l);
	while (!holds)
		sched_yield();
	EXPECT(futex(&word, FUTEX_LOCK_PI, NULL) == 0); /* it was waited for: handed on */
	EXPECT((word & FUTEX_TID_MASK) == self() && (word & FUTEX_OWNER_DIED));
	EXPECT(futex(&word, FUTEX_UNLOCK_PI, NULL) == 0 && word == 0);
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, die_with_it, (void *)0l);
	pthread_join(thread, NULL);
	EXPECT_ERRNO(futex(&word, FUTEX_LOCK_PI, NULL), ESRCH); /* nobody waited */
}

static pthread_mutex_t *robust;

static void *die_with_mutex(void *ms)
{
	pthread_mutex_lock(robust);
	holds = true;
	nap((long)ms);
	return NULL;
}

static void robust_ones(void)
{
	pthread_mutexattr_t attr;
	pthread_t thread;
	pid_t pid;

	robust = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	EXPECT(pthread_mutex_init(robust, &attr) == 0);
	for (long ms = 0; ms <= 40; ms += 40) { /* it ends before somebody waits, and while somebody does */
		holds = false;
		pthread_create(&thread, NULL, die_with_mutex, (void *)ms);
		while (!holds)
			sched_yield();
		if (!ms)
			pthread_join(thread, NULL);
		EXPECT(pthread_mutex_lock(robust) == EOWNERDEAD && pthread_mutex_consistent(robust) == 0);
		EXPECT(pthread_mutex_unlock(robust) == 0);
		if (ms)
			pthread_join(thread, NULL);
	}
	pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(robust);
		nap(40);
		_exit(0);
	}
	nap(15);
	EXPECT(pthread_mutex_lock(robust) == EOWNERDEAD && pthread_mutex_consistent(robust) == 0 && pthread_mutex_unlock(robust) == 0);
	EXPECT(waitpid(pid, NULL, 0) == pid);
	EXPECT(pthread_mutex_lock(robust) == 0 && pthread_mutex_unlock(robust) == 0);
	EXPECT(munmap(robust, 4096) == 0);
}

/* Nobody's ids, one after the other. */
static void *never_the_same(void *arg)
{
	volatile uint32_t *at = &word;

	(void)arg;
	for (uint32_t n = 0;; n = (n + 1) & 0xffff)
		*at = FUTEX_WAITERS | (0x3fff0000 + n);
	return NULL;
}

/* Whoever wants such a lock can be ended. */
static void words_that_do_not_rest(void)
{
	pthread_t thread;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_create(&thread, NULL, never_the_same, NULL);
		for (;;)
			futex(&word, FUTEX_LOCK_PI, NULL);
	}
	nap(100);
	EXPECT(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

/* The priority that the kernel runs a thread with, as /proc shows it: field 18. */
static long shown_priority(int tid)
{
	char path[64], text[1024] = "", *at;
	long priority = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	if (f && fgets(text, sizeof(text), f) && (at = strrchr(text, ')')))
		sscanf(at + 1, " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld", &priority);
	if (f)
		fclose(f);
	return priority;
}

static int holder_tid;

static void *hold_and_tell(void *arg)
{
	(void)arg;
	futex(&word, FUTEX_LOCK_PI, NULL);
	holder_tid = gettid();
	holds = true;
	while (holds)
		nap(5);
	futex(&word, FUTEX_UNLOCK_PI, NULL);
	nap(60);
	return NULL;
}

static void *wait_turn_urgently(void *arg)
{
	struct sched_param param = { .sched_priority = 30 };

	(void)arg;
	sched_setscheduler(0, SCHED_FIFO, &param);
	futex(&word, FUTEX_LOCK_PI, NULL);
	futex(&word, FUTEX_UNLOCK_PI, NULL);
	return NULL;
}

static void priority_is_lent(void)
{
	struct sched_param param = { .sched_priority = 1 };
	pthread_t holder, waiter;

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		return;
	param.sched_priority = 0;
	sched_setscheduler(0, SCHED_OTHER, &param);
	word = 0;
	holds = false;
	pthread_create(&holder, NULL, hold_and_tell, NULL);
	while (!holds)
		sched_yield();
	EXPECT(shown_priority(holder_tid) == 20);
	pthread_create(&waiter, NULL, wait_turn_urgently, NULL);
	nap(40);
	EXPECT(shown_priority(holder_tid) == -31);
	EXPECT(sched_getscheduler(holder_tid) == SCHED_OTHER); /* its own stays */
	holds = false;
	pthread_join(waiter, NULL);
	EXPECT(shown_priority(holder_tid) == 20);
	pthread_join(holder, NULL);
}

int main(void)
{
	CASE(alone);
	CASE(wrong_words);
	CASE(waiting);
	CASE(time_outs);
	CASE(signals_come_between);
	CASE(mutexes_exclude);
	CASE(by_urgency);
	CASE(circles);
	CASE(an_owner_ends);
	CASE(robust_ones);
	CASE(words_that_do_not_rest);
	CASE(priority_is_lent);
	return abi_result();
}
