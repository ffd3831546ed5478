/* SPDX-License-Identifier: MIT */
/*
 * Models that are wrong on purpose, one a verdict: what finds faults is itself tried on them (`./cloudos test sim`), and docs/SIM.md
 * reads their messages. The explorer leaves them out unless they are named.
 */
#include "model.h"

#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/thread.h>
#include <cloudos/wait.h>

/* ---- deadlock: two workers take two mutexes, each in its own order ---- */

static struct mutex left = MUTEX_INIT(left, RANK_NONE), right = MUTEX_INIT(right, RANK_NONE);

static void take_both(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		struct mutex *first = worker ? &right : &left, *second = worker ? &left : &right;

		mutex_lock(first);
		mutex_lock(second);
		mutex_unlock(second);
		mutex_unlock(first);
	}
}

static void deadlock(void)
{
	model_workers(2, take_both);
}
MODEL_DEFINE(faulty_deadlock, .what = "two mutexes, taken in both orders", .run = deadlock, .cpus = 2, .cpus_min = 2,
	     .operations = 50, .faulty = "deadlock");

/* ---- lost wake-up: the condition is changed after the wake ---- */

static struct wait_queue bell = WAIT_QUEUE_INIT(bell);
static uint32_t rung;

static void ring_or_listen(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);
	uint32_t turn = 0;

	while (model_next(&op)) {
		turn++;
		if (worker == 0) {
			thread_delay(1000 + model_below(&op, 1000));
			wake_all(&bell);
			__atomic_store_n(&rung, turn, __ATOMIC_SEQ_CST);
		} else {
			wait_event(&bell, __atomic_load_n(&rung, __ATOMIC_SEQ_CST) >= turn);
		}
	}
}

static void lost_wakeup(void)
{
	model_workers(2, ring_or_listen);
}
MODEL_DEFINE(faulty_wakeup, .what = "the bell is rung before there is something to hear", .run = lost_wakeup, .cpus = 2,
	     .cpus_min = 2, .operations = 1, .faulty = "lost wake-up");

/* ---- livelock: one that relaxes, one that does not ---- */

static bool never;

static void spins(void)
{
	while (!__atomic_load_n(&never, __ATOMIC_RELAXED))
		hal_cpu_relax();
}
MODEL_DEFINE(faulty_spin, .what = "a spin loop that nothing ends", .run = spins, .cpus = 1, .operations = 1, .faulty = "livelock");

static void loops(void)
{
	while (!__atomic_load_n(&never, __ATOMIC_RELAXED))
		;
}
MODEL_DEFINE(faulty_loop, .what = "a loop that does not even relax", .run = loops, .cpus = 1, .operations = 1, .faulty = "livelock");

/* ---- a race: a counter that is read and written without its lock ---- */

static uint32_t counter;

static void count(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		uint32_t seen = __atomic_load_n(&counter, __ATOMIC_RELAXED);

		hal_point(HAL_POINT_ATOMIC, &counter);
		__atomic_store_n(&counter, seen + 1, __ATOMIC_RELAXED);
	}
}

static void race(void)
{
	model_workers(2, count);
	MODEL_EQUAL(counter, 2 * model_operations());
}
MODEL_DEFINE(faulty_race, .what = "a counter without a lock", .run = race, .cpus = 2, .cpus_min = 2, .operations = 20,
	     .faulty = "model");

/* ---- a leak ---- */

static void leak(void)
{
	model_recover();
	MODEL_CHECK(page_alloc(0, 0));
}
MODEL_DEFINE(faulty_leak, .what = "a page that is not freed", .run = leak, .cpus = 1, .operations = 1, .faulty = "leak");
