/* SPDX-License-Identifier: MIT */
/*
 * Numbers of threads, processes, process groups and sessions. One number may serve as all four, and is not given out again while
 * any of them lives: struct pid_entry counts its uses. Numbers go round, so that one just freed is not reused at once.
 *
 * Locking: everything here is under proc_lock. Entries are allocated and freed outside of it.
 */
#include "proc_internal.h"
#include <cloudos/bitmap.h>

#define PID_HEADS   512 /* chains are at most PID_LIMIT / PID_HEADS = 64 long */
#define PID_WRAP_TO 300 /* low numbers are not used a second time */

struct spinlock proc_lock = SPINLOCK_INIT(RANK_PROC);

static struct hash_head pid_heads[PID_HEADS];
static uint64_t pids_taken[BITMAP_WORDS(PID_LIMIT)];
static size_t pid_next = 1;

/* Consecutive numbers lie in consecutive chains. */
static struct hash_head *pid_head(int number)
{
	return &pid_heads[(unsigned)number % PID_HEADS];
}

struct pid_entry *pid_lookup_locked(int number)
{
	struct pid_entry *e;

	hash_for_each(e, pid_head(number), link)
		if (e->number == number)
			return e;
	return NULL;
}

bool pid_assign_locked(struct pid_entry *e)
{
	size_t n = bitmap_find_clear(pids_taken, PID_LIMIT, pid_next);

	if (n == PID_LIMIT)
		n = bitmap_find_clear(pids_taken, PID_LIMIT, PID_WRAP_TO);
	if (n == PID_LIMIT)
		return false;
	bitmap_set(pids_taken, n);
	pid_next = n + 1 < PID_LIMIT ? n + 1 : PID_WRAP_TO;
	e->number = (int)n;
	e->uses = 1;
	e->task = NULL;
	e->process = NULL;
	list_init(&e->members);
	hash_insert(pid_head(e->number), &e->link);
	return true;
}

struct pid_entry *pid_drop_locked(struct pid_entry *e)
{
	ASSERT(e->uses > 0);
	if (--e->uses > 0)
		return NULL;
	ASSERT(list_empty(&e->members) && !e->task && !e->process);
	hash_remove(&e->link);
	bitmap_clear(pids_taken, (size_t)e->number);
	return e;
}

int pid_next_locked(int after)
{
	size_t n = after < 0 ? 0 : (size_t)after + 1;

	for (; n < PID_LIMIT; n++) {
		struct pid_entry *e;

		n = bitmap_find_set(pids_taken, PID_LIMIT, n);
		if (n == PID_LIMIT)
			break;
		e = pid_lookup_locked((int)n);
		if (e->process)
			return e->number;
	}
	return -1;
}

int pid_last(void)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int last = (int)pid_next - 1;

	spin_unlock_irq(&proc_lock, flags);
	return last;
}

void pid_set_last(int last)
{
	unsigned long flags = spin_lock_irq(&proc_lock);

	pid_next = last + 1 < PID_LIMIT ? (size_t)last + 1 : PID_WRAP_TO;
	spin_unlock_irq(&proc_lock, flags);
}

static struct slab_cache *pid_cache;

struct pid_entry *pid_entry_alloc(void)
{
	return slab_alloc(pid_cache);
}

void pid_entry_free(struct pid_entry *e)
{
	slab_free(pid_cache, e);
}

int pid_init(void)
{
	pid_cache = slab_cache_create("pid", sizeof(struct pid_entry), 0);
	return pid_cache ? 0 : -ENOMEM;
}
