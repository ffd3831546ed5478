/* SPDX-License-Identifier: MIT */
/*
 * Waiting for any of several files.
 *
 * The files are asked once without any waiter: what is ready already costs no more than that. Only then a waiter goes onto each queue
 * that the files announce on, and they are asked again. A waiter's function sets `triggered` before it wakes the thread, and
 * the thread looks at it after it has said that it is going to sleep; so a change between the question and the sleep is not lost,
 * and a file's poll operation may itself sleep.
 *
 * Waiters lie on the stack for a few queues, in pages beyond that. They are all taken off before poll_items() returns.
 */
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/poll.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>

#define WAITERS_INLINE 6

struct poll_waiter {
	struct waiter waiter;
	struct wait_queue *queue;
	struct poll_set *set;
};

#define WAITERS_PER_BLOCK ((PAGE_SIZE - 16) / sizeof(struct poll_waiter))

struct poll_block {
	struct poll_block *next;
	uint64_t used;
	struct poll_waiter waiters[WAITERS_PER_BLOCK];
};
_Static_assert(sizeof(struct poll_block) <= PAGE_SIZE, "a block of waiters is a page");

struct poll_set {
	struct poll_table table;
	uint32_t triggered; /* atomic */
	uint32_t events;    /* of the item that is being asked */
	uint32_t used;	    /* of first[] */
	bool no_memory;
	struct poll_block *blocks;
	struct poll_waiter first[WAITERS_INLINE];
};

static bool poll_wake(struct waiter *w, uint32_t events)
{
	struct poll_set *set = container_of(w, struct poll_waiter, waiter)->set;

	(void)events;
	__atomic_store_n(&set->triggered, 1, __ATOMIC_SEQ_CST);
	thread_wake(w->thread);
	return true;
}

static struct poll_waiter *waiter_alloc(struct poll_set *set)
{
	struct poll_block *block = set->blocks;

	if (set->used < WAITERS_INLINE)
		return &set->first[set->used++];
	if (!block || block->used == WAITERS_PER_BLOCK) {
		block = kmalloc(sizeof(*block));
		if (!block)
			return NULL;
		block->next = set->blocks;
		block->used = 0;
		set->blocks = block;
	}
	return &block->waiters[block->used++];
}

static void poll_set_add(struct poll_table *pt, struct wait_queue *q)
{
	struct poll_set *set = container_of(pt, struct poll_set, table);
	struct poll_waiter *w = waiter_alloc(set);

	if (!w) {
		set->no_memory = true;
		return;
	}
	waiter_init(&w->waiter, set->events, false);
	w->waiter.fn = poll_wake;
	w->queue = q;
	w->set = set;
	wait_add(q, &w->waiter);
}

static void poll_set_fini(struct poll_set *set)
{
	struct poll_block *block;

	for (uint32_t i = 0; i < set->used; i++)
		wait_remove(set->first[i].queue, &set->first[i].waiter);
	while ((block = set->blocks)) {
		for (uint64_t i = 0; i < block->used; i++)
			wait_remove(block->waiters[i].queue, &block->waiters[i].waiter);
		set->blocks = block->next;
		kfree(block);
	}
}

/* Asks every file; with a set, puts waiters on their queues until one turns out to be ready. */
static int64_t ask(struct poll_item *items, size_t n, struct poll_set *set)
{
	struct poll_table *pt = set ? &set->table : NULL;
	int64_t ready = 0;

	for (size_t i = 0; i < n; i++) {
		struct poll_item *item = &items[i];

		if (item->file) {
			if (set)
				set->events = item->events;
			item->revents = file_poll(item->file, pt) & item->events;
		}
		if (item->revents) {
			ready++;
			pt = NULL;
		}
	}
	return ready;
}

/* 0 when a waiter was called, or -ERESTARTSYS, -ETIMEDOUT. */
static int sleep_until_triggered(struct poll_set *set, uint64_t deadline_ns)
{
	int error = 0;

	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (__atomic_exchange_n(&set->triggered, 0, __ATOMIC_SEQ_CST)) {
			error = 0;
			break;
		}
		if (error)
			break;
		error = wait_round(THREAD_INTERRUPTIBLE, deadline_ns);
	}
	thread_cancel_sleep();
	return error;
}

static int64_t poll_sleeping(struct poll_item *items, size_t n, uint64_t deadline_ns)
{
	struct poll_set set;
	int64_t ready;
	int error;

	set.table.add = poll_set_add;
	set.triggered = set.used = 0;
	set.no_memory = false;
	set.blocks = NULL;
	ready = ask(items, n, &set);
	while (ready == 0 && !set.no_memory) {
		error = sleep_until_triggered(&set, deadline_ns);
		ready = ask(items, n, NULL);
		if (ready == 0 && error) {
			ready = error == -ETIMEDOUT ? 0 : error;
			break;
		}
	}
	poll_set_fini(&set);
	return ready == 0 && set.no_memory ? -ENOMEM : ready;
}

int64_t poll_items(struct poll_item *items, size_t n, uint64_t deadline_ns)
{
	int64_t ready = ask(items, n, NULL);

	if (ready > 0 || deadline_ns == 0)
		return ready;
	return poll_sleeping(items, n, deadline_ns);
}
