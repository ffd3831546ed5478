/* SPDX-License-Identifier: MIT */
/* Mutexes, rwlocks, wait queues and timers, with threads on four CPUs. */
#include "unit.h"
#include <cloudos/timer.h>
#include <cloudos/wait.h>
#include <cloudos/work.h>
#include <hal/hal.h>

#define THREADS 8
#define ROUNDS	3000

static struct wait_queue finished = WAIT_QUEUE_INIT(finished);
static uint32_t running;

static void finish(void)
{
	__atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
	wake_all(&finished);
}

static void start_and_wait(unsigned threads, void (*entry)(void *))
{
	running = threads;
	for (unsigned i = 0; i < threads; i++)
		assert_int_equal(thread_spawn("test", entry, (void *)(uintptr_t)i), 0);
	wait_event(&finished, __atomic_load_n(&running, __ATOMIC_SEQ_CST) == 0);
	thread_delay(NSEC_PER_MSEC); /* lets the last one go */
}

static struct mutex mutex = MUTEX_INIT(mutex, RANK_SLEEP_LEAF);
static uint64_t counter, mirror;

static void count_under_mutex(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		mutex_lock(&mutex);
		ASSERT(counter == mirror && mutex_held(&mutex));
		counter++;
		if (i % 64 == 0)
			thread_yield();
		mirror++;
		mutex_unlock(&mutex);
		sched_point();
	}
	finish();
}

static void a_mutex_excludes(void **state)
{
	(void)state;
	counter = mirror = 0;
	start_and_wait(THREADS, count_under_mutex);
	assert_int_equal(counter, THREADS * ROUNDS);
	assert_true(mutex_try_lock(&mutex));
	mutex_unlock(&mutex);
}

static struct rwlock rwlock = RWLOCK_INIT(rwlock, RANK_SLEEP_LEAF);
static uint32_t readers_inside, most_readers, writers_inside;

static void read_mostly(void *arg)
{
	bool writes = (uintptr_t)arg % 4 == 0;

	for (int i = 0; i < ROUNDS / 4; i++) {
		if (writes && i % 8 == 0) {
			rwlock_write(&rwlock);
			ASSERT(__atomic_add_fetch(&writers_inside, 1, __ATOMIC_SEQ_CST) == 1);
			ASSERT(__atomic_load_n(&readers_inside, __ATOMIC_SEQ_CST) == 0);
			thread_yield();
			__atomic_fetch_sub(&writers_inside, 1, __ATOMIC_SEQ_CST);
			rwlock_write_unlock(&rwlock);
		} else {
			uint32_t n;

			rwlock_read(&rwlock);
			n = __atomic_add_fetch(&readers_inside, 1, __ATOMIC_SEQ_CST);
			if (n > most_readers)
				most_readers = n;
			ASSERT(__atomic_load_n(&writers_inside, __ATOMIC_SEQ_CST) == 0);
			thread_yield();
			__atomic_fetch_sub(&readers_inside, 1, __ATOMIC_SEQ_CST);
			rwlock_read_unlock(&rwlock);
		}
	}
	finish();
}

static void an_rwlock_lets_readers_share_and_writers_alone(void **state)
{
	(void)state;
	most_readers = 0;
	start_and_wait(THREADS, read_mostly);
	assert_true(most_readers > 1);
}

static struct wait_queue turn_changed[2] = { WAIT_QUEUE_INIT(turn_changed[0]), WAIT_QUEUE_INIT(turn_changed[1]) };
static uint32_t turn;

static void take_turns(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		wait_event(&turn_changed[me], __atomic_load_n(&turn, __ATOMIC_SEQ_CST) == me);
		__atomic_store_n(&turn, !me, __ATOMIC_SEQ_CST);
		wake_one(&turn_changed[!me]);
	}
	finish();
}

static void no_wake_up_is_lost(void **state)
{
	(void)state;
	turn = 0;
	start_and_wait(2, take_turns);
	assert_int_equal(turn, 0);
}

static void a_wait_times_out(void **state)
{
	uint64_t begin = hal_clock_ns();

	(void)state;
	assert_int_equal(wait_event_deadline(&finished, begin + 5 * NSEC_PER_MSEC, false), -ETIMEDOUT);
	assert_true(hal_clock_ns() - begin >= 5 * NSEC_PER_MSEC);
	assert_int_equal(wait_event_deadline(&finished, begin, true), 0);
}

static uint32_t fired;

static void on_timer(struct timer *t)
{
	(void)t;
	__atomic_fetch_add(&fired, 1, __ATOMIC_SEQ_CST);
}

static void timers_fire_once_unless_cancelled(void **state)
{
	struct timer a, b;
	uint64_t now = hal_clock_ns();

	(void)state;
	fired = 0;
	timer_setup(&a, on_timer);
	timer_setup(&b, on_timer);
	timer_arm(&a, now + NSEC_PER_MSEC);
	timer_arm(&b, now + 2 * NSEC_PER_MSEC);
	assert_true(timer_armed(&b));
	assert_true(timer_cancel(&b));
	assert_false(timer_cancel(&b));
	thread_delay(4 * NSEC_PER_MSEC);
	assert_int_equal(fired, 1);
	assert_false(timer_armed(&a));
	timer_arm(&a, now); /* the past: at once */
	thread_delay(NSEC_PER_MSEC);
	assert_int_equal(fired, 2);
}

static uint32_t works_run;

static void on_work(struct work *w)
{
	(void)w;
	thread_yield();
	__atomic_fetch_add(&works_run, 1, __ATOMIC_SEQ_CST);
}

static void workers_start(void **state) /* and stay: no check for leaks around this one */
{
	(void)state;
	assert_int_equal(work_start_workers(), 0);
}

static void queued_work_runs_once(void **state)
{
	static struct work works[50];

	(void)state;
	works_run = 0;
	for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
		work_setup(&works[i], on_work);
		assert_true(work_queue(&works[i]));
	}
	work_flush();
	assert_int_equal(works_run, ARRAY_SIZE(works));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(a_mutex_excludes),
		UNIT_TEST(an_rwlock_lets_readers_share_and_writers_alone),
		UNIT_TEST(no_wake_up_is_lost),
		UNIT_TEST(a_wait_times_out),
		UNIT_TEST(timers_fire_once_unless_cancelled),
		cmocka_unit_test(workers_start),
		UNIT_TEST(queued_work_runs_once),
	};

	return UNIT_MAIN(tests, 64, 4);
}
