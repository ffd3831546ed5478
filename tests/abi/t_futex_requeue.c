/* SPDX-License-Identifier: MIT */
/* futex_waitv(2), and moving waiters to a lock with priority inheritance (FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI). */
#include "cases.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static uint32_t word, other, lock;
static uint32_t words[4];

static long futex(uint32_t *addr, int op, uint32_t value, const void *timeout, uint32_t *addr2, uint32_t value3)
{
	return syscall(SYS_futex, addr, op | FUTEX_PRIVATE_FLAG, value, timeout, addr2, value3);
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

/* ---- futex_waitv ---- */

static struct futex_waitv on(uint32_t *addr, uint64_t value)
{
	return (struct futex_waitv){ .uaddr = (uintptr_t)addr, .val = value, .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG };
}

static long waitv(struct futex_waitv *w, unsigned count, struct timespec *timeout, int clock)
{
	return syscall(SYS_futex_waitv, w, count, 0, timeout, clock);
}

static void waitv_refuses(void)
{
	struct futex_waitv w[2] = { on(&words[0], 0), on(&words[1], 0) };
	struct timespec wrong = { .tv_nsec = 1000000000 }, past = { 1, 0 };

	EXPECT_ERRNO(syscall(SYS_futex_waitv, w, 2, 1, NULL, 0), EINVAL);
	EXPECT_ERRNO(waitv(w, 0, NULL, 0), EINVAL);
	EXPECT_ERRNO(waitv(w, FUTEX_WAITV_MAX + 1, NULL, 0), EINVAL);
	EXPECT_ERRNO(waitv(NULL, 1, NULL, 0), EINVAL);
	EXPECT_ERRNO(waitv((void *)16, 1, NULL, 0), EFAULT);
	EXPECT_ERRNO(waitv(w, 2, &past, CLOCK_BOOTTIME), EINVAL);
	EXPECT_ERRNO(waitv(w, 2, &wrong, CLOCK_MONOTONIC), EINVAL);
	EXPECT_ERRNO(waitv(w, 2, (void *)16, CLOCK_MONOTONIC), EFAULT);
	EXPECT_ERRNO(waitv(w, 2, &past, CLOCK_MONOTONIC), ETIMEDOUT);
	EXPECT_ERRNO(waitv(w, 2, &past, CLOCK_REALTIME), ETIMEDOUT);
	w[1].val = 1;
	EXPECT_ERRNO(waitv(w, 2, NULL, 77), EAGAIN);
	w[1].val = UINT64_C(1) << 32; /* no word of 32 bits has it */
	EXPECT_ERRNO(waitv(w, 2, NULL, 0), EINVAL);
	w[1] = on(&words[1], 0);
	w[1].flags = FUTEX_PRIVATE_FLAG;
	EXPECT_ERRNO(waitv(w, 2, NULL, 0), EINVAL);
	w[1].flags = FUTEX_32 | 0x40;
	EXPECT_ERRNO(waitv(w, 2, NULL, 0), EINVAL);
	w[1] = on(&words[1], 0);
	w[1].__reserved = 1;
	EXPECT_ERRNO(waitv(w, 2, NULL, 0), EINVAL);
	w[1] = on((uint32_t *)((uintptr_t)words + 1), 0);
	EXPECT_ERRNO(waitv(w, 2, NULL, 0), EINVAL);
	w[1] = on((void *)16, 0);
	EXPECT_ERRNO(waitv(w, 2, NULL, 0), EFAULT);
}

static void *wait_for_four(void *shared)
{
	struct futex_waitv w[4];

	for (int i = 0; i < 4; i++) {
		w[i] = on(&words[i], 0);
		if (shared)
			w[i].flags = FUTEX_32;
	}
	return (void *)waitv(w, 4, NULL, 0);
}

static void waitv_says_which(void)
{
	for (uintptr_t shared = 0; shared < 2; shared++) {
		for (long i = 0; i < 4; i++) {
			pthread_t thread;
			void *result;

			pthread_create(&thread, NULL, wait_for_four, (void *)shared);
			while (syscall(SYS_futex, &words[i], shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0)
				nap(1);
			pthread_join(thread, &result);
			EXPECT((long)result == i);
		}
	}
	EXPECT(futex(&words[0], FUTEX_WAKE, 1, NULL, NULL, 0) == 0); /* nobody is left */
}

static void waitv_same_word_twice(void)
{
	struct futex_waitv w[2] = { on(&words[0], 0), on(&words[0], 0) };
	struct timespec soon = in_ms(CLOCK_MONOTONIC, 20);

	EXPECT_ERRNO(waitv(w, 2, &soon, CLOCK_MONOTONIC), ETIMEDOUT);
}

static void take_signal(int signo)
{
	(void)signo;
}

static void waitv_ends_by_signal(void)
{
	struct sigaction act = { .sa_handler = take_signal };
	struct futex_waitv w = on(&words[0], 0);
	struct timespec later;
	timer_t timer;
	struct itimerspec once = { .it_value.tv_nsec = 20000000 };

	sigaction(SIGALRM, &act, NULL);
	EXPECT(timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0);
	EXPECT_ERRNO(waitv(&w, 1, NULL, 0), EINTR);
	act.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &act, NULL);
	later = in_ms(CLOCK_MONOTONIC, 60);
	timer_settime(timer, 0, &once, NULL);
	EXPECT_ERRNO(waitv(&w, 1, &later, CLOCK_MONOTONIC), ETIMEDOUT);
	EXPECT(timer_delete(timer) == 0);
}

/* ---- requeueing to a lock ---- */

static void requeue_refuses(void)
{
	struct timespec past = { 1, 0 };

	word = other = lock = 0;
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &word, 0), EINVAL);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &lock, 0), EAGAIN);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, &past, &lock, 0), ETIMEDOUT);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 0, &past, &lock, 0), ETIMEDOUT);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, (uint32_t *)((uintptr_t)&lock + 1), 0), EINVAL);
	EXPECT_ERRNO(futex((void *)16, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &lock, 0), EFAULT);
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PI, 0, (void *)1, &lock, 0), EINVAL);
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &lock, 0), EINVAL);
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)-1, &lock, 0), EINVAL);
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &word, 0), EINVAL);
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock, 1), EAGAIN);
	EXPECT(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock, 0) == 0);
	EXPECT(lock == 0);
}

static int came[4], turn;

/* A condition variable's waiter; it gives the lock back at once. */
static void *wait_for_lock(void *number)
{
	long result = futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &lock, 0);

	if (result == 0) {
		if ((lock & FUTEX_TID_MASK) != (uint32_t)gettid())
			return (void *)-1l;
		came[(long)number] = ++turn;
		if (__sync_bool_compare_and_swap(&lock, (uint32_t)gettid(), 0) || futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0)
			return NULL;
	}
	return (void *)result;
}

static void start(pthread_t *threads, int count)
{
	word = lock = 0;
	turn = 0;
	for (int i = 0; i < count; i++) {
		pthread_create(&threads[i], NULL, wait_for_lock, (void *)(long)i);
		nap(20);
	}
}

static void join(pthread_t *threads, int count)
{
	for (int i = 0; i < count; i++) {
		void *result;

		pthread_join(threads[i], &result);
		EXPECT(result == NULL);
	}
}

static void first_gets_a_free_lock(void)
{
	pthread_t threads[3];

	start(threads, 3);
	EXPECT_ERRNO(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL); /* they come back with the lock or not at all */
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE, 0, (void *)1, &lock, 0), EINVAL);
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &other, 0), EINVAL);
	EXPECT(other == 0 && lock == 0);
	EXPECT(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, &lock, 0) == 1);
	nap(20);
	EXPECT(turn == 1 && came[0] == 1 && lock == 0);
	EXPECT(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)INT32_MAX, &lock, 0) == 2);
	join(threads, 3);
	EXPECT(turn == 3 && lock == 0);
}

static void all_wait_for_a_lock_that_is_held(void)
{
	pthread_t threads[3];

	start(threads, 3);
	EXPECT(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0);
	word = 1;
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)INT32_MAX, &lock, 0), EAGAIN);
	EXPECT(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)INT32_MAX, &lock, 1) == 3);
	nap(20);
	EXPECT(turn == 0 && lock == ((uint32_t)gettid() | FUTEX_WAITERS));
	EXPECT(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0);
	join(threads, 3);
	EXPECT(turn == 3 && lock == 0);
}

/* ---- waits that end otherwise ---- */

static void *wait_with_time(void *realtime)
{
	struct timespec until = in_ms(realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, 120);
	long result = futex(&word, FUTEX_WAIT_REQUEUE_PI | (realtime ? FUTEX_CLOCK_REALTIME : 0), 0, &until, &lock, 0);

	return (void *)(long)(result ? errno : 0);
}

static void time_runs_out_before_and_after(void)
{
	for (int moved = 0; moved < 2; moved++) {
		for (intptr_t realtime = 0; realtime < 2; realtime++) {
			pthread_t thread;
			void *result;

			word = lock = 0;
			EXPECT(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0);
			pthread_create(&thread, NULL, wait_with_time, (void *)realtime);
			nap(30);
			if (moved)
				EXPECT(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock, 0) == 1);
			pthread_join(thread, &result);
			EXPECT((long)result == ETIMEDOUT);
			EXPECT(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0 && lock == 0);
			EXPECT(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock, 0) == 0);
		}
	}
}

static void *wait_and_say(void *arg)
{
	(void)arg;
	return (void *)(long)(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &lock, 0) ? errno : 0);
}

static void signals_before_and_after(void)
{
	struct sigaction act = { .sa_handler = take_signal };
	pthread_t thread;
	void *result;

	sigaction(SIGUSR1, &act, NULL);
	word = lock = 0;
	EXPECT(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0);
	pthread_create(&thread, NULL, wait_and_say, NULL);
	nap(30);
	pthread_kill(thread, SIGUSR1); /* goes on waiting */
	nap(30);
	EXPECT(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock, 0) == 1);
	pthread_kill(thread, SIGUSR1); /* once it has been moved it has to look at the word again */
	pthread_join(thread, &result);
	EXPECT((long)result == EAGAIN);
	EXPECT(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0 && lock == 0);
}

static void *lock_and_end(void *arg)
{
	(void)arg;
	futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	nap(80);
	return NULL;
}

static void an_owner_ends(void)
{
	pthread_t owner, thread;
	void *result;

	word = lock = 0;
	pthread_create(&owner, NULL, lock_and_end, NULL);
	pthread_create(&thread, NULL, wait_and_say, NULL);
	nap(30);
	EXPECT(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock, 0) == 1);
	pthread_join(owner, NULL);
	pthread_join(thread, &result);
	EXPECT(result == NULL && (lock & FUTEX_OWNER_DIED));
}

/* ---- what a C library makes of it ---- */

static pthread_mutex_t mutex;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int phase, arrived, done;

static void *condition_waiter(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&mutex);
	for (int i = 0; i < 50; i++) {
		int now = phase;

		arrived++;
		while (phase == now)
			pthread_cond_wait(&condition, &mutex);
	}
	done++;
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void conditions_with_pi_mutexes(void)
{
	pthread_mutexattr_t attr;
	pthread_t threads[3];

	pthread_mutexattr_init(&attr);
	EXPECT(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0 && pthread_mutex_init(&mutex, &attr) == 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, condition_waiter, NULL);
	for (int finished = 0; !finished;) {
		pthread_mutex_lock(&mutex);
		if (arrived == 3) {
			arrived = 0;
			phase++;
			pthread_cond_broadcast(&condition);
		}
		finished = done == 3;
		pthread_mutex_unlock(&mutex);
		sched_yield();
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	EXPECT(phase == 50 && pthread_mutex_destroy(&mutex) == 0);
}

int main(void)
{
	CASE(waitv_refuses);
	CASE(waitv_says_which);
	CASE(waitv_same_word_twice);
	CASE(waitv_ends_by_signal);
	CASE(requeue_refuses);
	CASE(first_gets_a_free_lock);
	CASE(all_wait_for_a_lock_that_is_held);
	CASE(time_runs_out_before_and_after);
	CASE(signals_before_and_after);
	CASE(an_owner_ends);
	CASE(conditions_with_pi_mutexes);
	return abi_result();
}
