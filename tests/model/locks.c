/* SPDX-License-Identifier: MIT */
/*
 * Mutexes, rwlocks and wait queues. Workers take random ones of a few locks, in the order of their ranks, change what the
 * locks guard, and sleep now and then; two counters that must always agree stand behind each lock. A bounded buffer passes
 * numbers from worker to worker over wait queues: nothing is lost, nothing comes twice.
 */
#include "model.h"

#include <cloudos/lock.h>
#include <cloudos/thread.h>
#include <cloudos/wait.h>

#define MUTEXES	 3
#define WORKERS	 4
#define BUFFER	 4
#define DELAY_NS 50000

static struct {
	struct mutex mutex;
	uint64_t a, b;
} guarded[MUTEXES];

static struct {
	struct rwlock lock;
	uint64_t a, b;
	uint32_t readers, writers; /* inside, by the reference */
} shared;

/* The buffer: `put` and `taken` count; what lies between them is there. */
static struct {
	struct spinlock lock;
	struct wait_queue not_full, not_empty;
	uint64_t put, taken, numbers[BUFFER];
	uint64_t sum_put, sum_taken;
} buffer;

static uint32_t passed[WORKERS]; /* operations that put, and those that take, by worker */

static void with_mutexes(struct model_op *op)
{
	unsigned first = (unsigned)model_below(op, MUTEXES), both = (unsigned)model_below(op, 2);
	unsigned last = both ? MUTEXES - 1 : first;
	uint64_t delay = model_chance(op, 10) ? model_below(op, DELAY_NS) : 0;

	for (unsigned i = first; i <= last; i++)
		mutex_lock(&guarded[i].mutex);
	for (unsigned i = first; i <= last; i++) {
		uint64_t a = READ_ONCE(guarded[i].a);

		MODEL_EQUAL(a, READ_ONCE(guarded[i].b));
		WRITE_ONCE(guarded[i].a, a + 1);
		if (delay)
			thread_delay(delay);
		hal_point(HAL_POINT_ATOMIC, &guarded[i]);
		MODEL_EQUAL(READ_ONCE(guarded[i].a), a + 1);
		WRITE_ONCE(guarded[i].b, a + 1);
	}
	for (unsigned i = last + 1; i-- > first;)
		mutex_unlock(&guarded[i].mutex);
}

static void with_try(struct model_op *op)
{
	unsigned i = (unsigned)model_below(op, MUTEXES);

	if (!mutex_try_lock(&guarded[i].mutex))
		return;
	MODEL_CHECK(mutex_held(&guarded[i].mutex));
	MODEL_EQUAL(READ_ONCE(guarded[i].a), READ_ONCE(guarded[i].b));
	hal_point(HAL_POINT_ATOMIC, &guarded[i]);
	MODEL_EQUAL(READ_ONCE(guarded[i].a), READ_ONCE(guarded[i].b));
	mutex_unlock(&guarded[i].mutex);
}

static void as_reader(struct model_op *op)
{
	uint64_t delay = model_chance(op, 20) ? model_below(op, DELAY_NS) : 0;

	rwlock_read(&shared.lock);
	__atomic_fetch_add(&shared.readers, 1, __ATOMIC_SEQ_CST);
	MODEL_EQUAL(READ_ONCE(shared.writers), 0);
	MODEL_EQUAL(READ_ONCE(shared.a), READ_ONCE(shared.b));
	if (delay)
		thread_delay(delay);
	hal_point(HAL_POINT_ATOMIC, &shared);
	MODEL_EQUAL(READ_ONCE(shared.writers), 0);
	__atomic_fetch_sub(&shared.readers, 1, __ATOMIC_SEQ_CST);
	rwlock_read_unlock(&shared.lock);
}

static void as_writer(struct model_op *op)
{
	uint64_t delay = model_chance(op, 20) ? model_below(op, DELAY_NS) : 0;

	rwlock_write(&shared.lock);
	MODEL_CHECK(rwlock_write_held(&shared.lock));
	MODEL_EQUAL(READ_ONCE(shared.readers), 0);
	MODEL_EQUAL(__atomic_fetch_add(&shared.writers, 1, __ATOMIC_SEQ_CST), 0);
	WRITE_ONCE(shared.a, shared.a + 1);
	if (delay)
		thread_delay(delay);
	hal_point(HAL_POINT_ATOMIC, &shared);
	MODEL_EQUAL(READ_ONCE(shared.readers), 0);
	WRITE_ONCE(shared.b, shared.a);
	__atomic_fetch_sub(&shared.writers, 1, __ATOMIC_SEQ_CST);
	rwlock_write_unlock(&shared.lock);
}

/* ---- the buffer ---- */

static bool try_put(uint64_t number)
{
	bool room;

	spin_lock(&buffer.lock);
	room = buffer.put - buffer.taken < BUFFER;
	if (room) {
		buffer.numbers[buffer.put++ % BUFFER] = number;
		buffer.sum_put += number;
	}
	spin_unlock(&buffer.lock);
	return room;
}

static bool try_take(void)
{
	bool some;

	spin_lock(&buffer.lock);
	some = buffer.put != buffer.taken;
	if (some)
		buffer.sum_taken += buffer.numbers[buffer.taken++ % BUFFER];
	spin_unlock(&buffer.lock);
	return some;
}

/* Even workers put, odd ones take; each does as many as the other side, so that nobody waits for ever. */
static void pass(unsigned worker, uint64_t number)
{
	if (worker % 2 == 0) {
		wait_event(&buffer.not_full, try_put(number));
		wake_one(&buffer.not_empty);
	} else {
		wait_event(&buffer.not_empty, try_take());
		wake_one(&buffer.not_full);
	}
	passed[worker]++;
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		switch (model_below(&op, 5)) {
		case 0:
			with_mutexes(&op);
			break;
		case 1:
			with_try(&op);
			break;
		case 2:
			as_reader(&op);
			break;
		case 3:
			as_writer(&op);
			break;
		}
		model_state(guarded[0].a << 40 ^ guarded[1].a << 20 ^ shared.a << 8 ^ (buffer.put - buffer.taken));
	}
	/* Outside the operations, so that leaving some out leaves the two sides equal. */
	for (uint64_t i = 0; i < model_operations() / 2; i++)
		pass(worker, worker << 20 | i);
}

static void run(void)
{
	for (unsigned i = 0; i < MUTEXES; i++)
		mutex_init(&guarded[i].mutex, RANK_INODE + i);
	rwlock_init(&shared.lock, RANK_VM_SPACE);
	spin_init(&buffer.lock, RANK_SPIN);
	wait_queue_init(&buffer.not_full);
	wait_queue_init(&buffer.not_empty);
	model_workers(WORKERS, work);
	model_recover();
	for (unsigned i = 0; i < MUTEXES; i++)
		MODEL_EQUAL(guarded[i].a, guarded[i].b);
	MODEL_EQUAL(buffer.put, buffer.taken);
	MODEL_EQUAL(buffer.sum_put, buffer.sum_taken);
}

MODEL_DEFINE(locks, .what = "mutexes, rwlocks, wait queues", .run = run, .cpus = 4, .operations = 40);
