/* SPDX-License-Identifier: MIT */
/*
 * Sleeping reader-writer locks. Waiters queue in order; whoever may go is given the lock by the one that releases it (hand-over), so
 * that neither readers nor writers starve: a new reader waits while a writer does, and the readers at the head go together.
 *
 * Locking: l->wait (RANK_WAIT) guards everything.
 */
#include <cloudos/wait.h>
#include "lock_debug.h"

struct rw_waiter {
	struct list link;
	struct thread *thread;
	bool writer, granted;
};

void rwlock_init(struct rwlock *l, enum lock_rank rank)
{
	spin_init(&l->wait, RANK_WAIT);
	l->state = 0;
	l->writers_waiting = 0;
	l->rank = (uint16_t)rank;
	WRITE_ONCE(l->writer, NULL);
	list_init(&l->waiters);
}

/* Gives the lock to the first waiter, or to all readers up to the first writer, as far as it is free. */
static void grant_locked(struct rwlock *l)
{
	while (!list_empty(&l->waiters)) {
		struct rw_waiter *w = list_first(&l->waiters, struct rw_waiter, link);
		struct thread *thread = w->thread;

		if (w->writer ? l->state != 0 : l->state < 0)
			return;
		list_del(&w->link);
		if (w->writer) {
			l->state = -1;
			WRITE_ONCE(l->writer, thread);
			l->writers_waiting--;
		} else {
			l->state++;
		}
		__atomic_store_n(&w->granted, true, __ATOMIC_RELEASE); /* w may be gone from here on */
		thread_wake(thread);
	}
}

/* l->wait is held, and released here. */
static void wait_for_grant(struct rwlock *l, bool writer, unsigned long irq)
{
	struct rw_waiter w = { .thread = thread_current(), .writer = writer };

	list_add_tail(&l->waiters, &w.link);
	l->writers_waiting += writer;
	spin_unlock_irq(&l->wait, irq);
	for (;;) {
		thread_prepare_sleep(THREAD_SLEEPING);
		if (__atomic_load_n(&w.granted, __ATOMIC_ACQUIRE))
			break;
		schedule();
	}
	thread_cancel_sleep();
	/* The granter may still be in thread_wake(); it holds l->wait until it is done with us. */
	irq = spin_lock_irq(&l->wait);
	spin_unlock_irq(&l->wait, irq);
}

void rwlock_read(struct rwlock *l)
{
	unsigned long irq;

	lock_may_sleep();
	lock_debug_sleep_take(l->rank);
	irq = spin_lock_irq(&l->wait);
	if (unlikely(l->state < 0 || l->writers_waiting)) {
		wait_for_grant(l, false, irq);
		return;
	}
	l->state++;
	spin_unlock_irq(&l->wait, irq);
}

bool rwlock_try_read(struct rwlock *l)
{
	unsigned long irq = spin_lock_irq(&l->wait);
	bool free = l->state >= 0 && !l->writers_waiting;

	if (free)
		l->state++;
	spin_unlock_irq(&l->wait, irq);
	if (free)
		lock_debug_sleep_tried(l->rank);
	return free;
}

void rwlock_read_unlock(struct rwlock *l)
{
	unsigned long irq;

	lock_debug_sleep_drop(l->rank);
	irq = spin_lock_irq(&l->wait);
	ASSERT(l->state > 0);
	if (--l->state == 0)
		grant_locked(l);
	spin_unlock_irq(&l->wait, irq);
}

void rwlock_write(struct rwlock *l)
{
	unsigned long irq;

	lock_may_sleep();
	lock_debug_sleep_take(l->rank);
	irq = spin_lock_irq(&l->wait);
	if (unlikely(l->state != 0)) {
		wait_for_grant(l, true, irq);
		return;
	}
	l->state = -1;
	WRITE_ONCE(l->writer, thread_current());
	spin_unlock_irq(&l->wait, irq);
}

void rwlock_write_unlock(struct rwlock *l)
{
	unsigned long irq;

	lock_debug_sleep_drop(l->rank);
	irq = spin_lock_irq(&l->wait);
	ASSERT(l->state == -1 && l->writer == thread_current());
	l->state = 0;
	WRITE_ONCE(l->writer, NULL);
	grant_locked(l);
	spin_unlock_irq(&l->wait, irq);
}

bool rwlock_write_held(const struct rwlock *l)
{
	return READ_ONCE(l->writer) == thread_current();
}
