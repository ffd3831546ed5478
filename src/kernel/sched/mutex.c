/* SPDX-License-Identifier: MIT */
/*
 * Sleeping locks. A mutex is one word: the owner, and whether others wait. Taking a free one and releasing one that nobody waits for are
 * one atomic operation each. A released mutex goes to nobody: the first waiter is woken and tries again, so that a running
 * thread is not made to wait for a sleeping one; a waiter keeps its place in the queue while it tries. Real-time threads stand before all others, by
 * priority: else one that was woken and does not get to run, because they run, would keep them from what is free.
 *
 * Locking: m->wait (RANK_WAIT) guards the list of waiters and the WAITERS bit.
 */
#include <cloudos/format.h>
#include <cloudos/wait.h>
#include "lock_debug.h"

#define WAITERS ((uintptr_t)1)

void mutex_init(struct mutex *m, enum lock_rank rank)
{
	m->owner = 0;
	m->rank = (uint16_t)rank;
	spin_init(&m->wait, RANK_WAIT);
	list_init(&m->waiters);
}

static bool try_take(struct mutex *m)
{
	uintptr_t old;

	hal_point(HAL_POINT_LOCK, m);
	old = __atomic_load_n(&m->owner, __ATOMIC_RELAXED) & WAITERS;
	return __atomic_compare_exchange_n(&m->owner, &old, (uintptr_t)thread_current() | old, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* Marks the mutex as waited for, or takes it if it has come free. m->wait is held. */
static bool mark_or_take_locked(struct mutex *m)
{
	for (;;) {
		uintptr_t old = __atomic_load_n(&m->owner, __ATOMIC_RELAXED);
		uintptr_t want = (old & ~WAITERS) ? old | WAITERS : (uintptr_t)thread_current() | WAITERS;

		if (__atomic_compare_exchange_n(&m->owner, &old, want, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return !(old & ~WAITERS);
	}
}

/* For the order of waiters: all that share CPUs by weight are alike. */
static unsigned place_of(const struct waiter *w)
{
	return min(thread_urgency(w->thread), (unsigned)URGENCY_NICE_MIN);
}

static void join_locked(struct mutex *m, struct waiter *w)
{
	struct list *before = &m->waiters;

	while (before->prev != &m->waiters && place_of(list_entry(before->prev, struct waiter, link)) > place_of(w))
		before = before->prev;
	list_add_tail(before, &w->link);
}

static void leave_locked(struct mutex *m, struct waiter *w)
{
	list_del(&w->link);
	if (list_empty(&m->waiters))
		__atomic_fetch_and(&m->owner, ~WAITERS, __ATOMIC_RELEASE);
}

static void wake_first(struct mutex *m)
{
	unsigned long irq = spin_lock_irq(&m->wait);

	if (!list_empty(&m->waiters))
		thread_wake(list_first(&m->waiters, struct waiter, link)->thread);
	spin_unlock_irq(&m->wait, irq);
}

static int lock_slow(struct mutex *m, enum thread_state state)
{
	struct waiter w;
	unsigned long irq;
	int err = 0;
	bool taken;

	waiter_init(&w, WAIT_ANY, true);
	thread_current()->waits_for = m;
	irq = spin_lock_irq(&m->wait);
	join_locked(m, &w);
	for (;;) {
		thread_prepare_sleep(state);
		taken = mark_or_take_locked(m);
		if (taken || err)
			break;
		spin_unlock_irq(&m->wait, irq);
		err = wait_round(state, HAL_TIMER_NEVER);
		irq = spin_lock_irq(&m->wait);
	}
	thread_cancel_sleep();
	leave_locked(m, &w);
	spin_unlock_irq(&m->wait, irq);
	thread_current()->waits_for = NULL;
	if (taken)
		return 0;
	wake_first(m); /* a wake that was meant for this one must not be lost */
	return err;
}

void mutex_lock(struct mutex *m)
{
	lock_may_sleep();
	lock_debug_sleep_take(m->rank);
	if (unlikely(!try_take(m)))
		lock_slow(m, THREAD_SLEEPING);
}

void mutex_lock_beside(struct mutex *m)
{
	lock_may_sleep();
	lock_debug_sleep_tried(m->rank);
	if (unlikely(!try_take(m)))
		lock_slow(m, THREAD_SLEEPING);
}

int mutex_lock_interruptible(struct mutex *m)
{
	int err = 0;

	lock_may_sleep();
	lock_debug_sleep_take(m->rank);
	if (unlikely(!try_take(m)))
		err = lock_slow(m, THREAD_INTERRUPTIBLE);
	if (err)
		lock_debug_sleep_drop(m->rank);
	return err;
}

bool mutex_try_lock(struct mutex *m)
{
	if (!try_take(m))
		return false;
	lock_debug_sleep_tried(m->rank);
	return true;
}

void mutex_unlock(struct mutex *m)
{
	uintptr_t self = (uintptr_t)thread_current();

	lock_debug_sleep_drop(m->rank);
	ASSERT((READ_ONCE(m->owner) & ~WAITERS) == self);
	hal_point(HAL_POINT_UNLOCK, m);
	if (likely(__atomic_compare_exchange_n(&m->owner, &self, (uintptr_t)0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)))
		return;
	__atomic_fetch_and(&m->owner, WAITERS, __ATOMIC_SEQ_CST);
	hal_point(HAL_POINT_UNLOCK, m);
	wake_first(m);
}

void mutex_describe(const struct mutex *m, char *buf, size_t size)
{
	const struct thread *owner = (const struct thread *)(__atomic_load_n(&m->owner, __ATOMIC_RELAXED) & ~WAITERS);

	if (owner)
		fmt_string(buf, size, ", waits for the mutex %p of rank %u held by %s[%d]", (const void *)m, m->rank, owner->name,
			   owner->tid);
	else
		fmt_string(buf, size, ", waits for the mutex %p of rank %u, which is free", (const void *)m, m->rank);
}

bool mutex_held(const struct mutex *m)
{
	return (__atomic_load_n(&m->owner, __ATOMIC_RELAXED) & ~WAITERS) == (uintptr_t)thread_current();
}
