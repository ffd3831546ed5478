/* SPDX-License-Identifier: MIT */
/*
 * From a condition variable to its mutex with priority inheritance (futex(2), FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI).
 *
 * Who waits says which lock it is to come back with. It is in line for the word, as any waiter of it, until another thread makes it
 * want the lock: then it has it, or stands in line for it and lends its owner its urgency, all the while asleep. No other call takes it off the
 * word (F5 in futex.c).
 *
 *   R1  The mutex of the lock's bucket is held from the moment at which a waiter is taken off the word to the one at which it has the lock or is in
 *       line. Who wants to leave holds it too: so it is in one line or the other, and knows in which (`bucket` is null: the lock's).
 *   R2  A waiter that cannot be moved (its lock's word is no good, it would wait for itself) goes back to the front of the word's line.
 */
#include "futex_internal.h"
#include <cloudos/uaccess.h>
#include <linux/futex.h>

#define MOVED_TRIES_MAX 64 /* to see a lock whose word others change at the same time: EAGAIN then */

struct requeue_waiter {
	struct futex_waiter waiter;
	struct vm_futex_key lock; /* which it is to come back with */
	struct pi_party party;
};

/* ---- waiting ---- */

static bool is_moved(const struct requeue_waiter *w)
{
	return !LOAD_ACQUIRE(w->waiter.bucket);
}

/* Gives a wait up before it began. False: it has been moved after all, and is as if it had slept. */
static bool give_up(struct pi_bucket *b, struct requeue_waiter *self)
{
	bool moved;

	mutex_lock(&b->lock);
	moved = is_moved(self);
	if (!moved)
		(void)futex_dequeue(&self->waiter);
	mutex_unlock(&b->lock);
	return !moved;
}

/* The sleep is over, wherever it was. A wait for the lock is not begun again: the word has changed by then, which is EAGAIN. */
static int leave(struct pi_bucket *b, struct requeue_waiter *self, uaddr_t lock, int err)
{
	mutex_lock(&b->lock);
	if (is_moved(self)) {
		err = pi_leave_line(b, &self->lock, lock, &self->party, err);
		err = err == -ERESTARTSYS ? -EAGAIN : err;
	} else {
		(void)futex_dequeue(&self->waiter);
		err = err == -ERESTARTSYS ? -ERESTARTNOINTR : err;
	}
	mutex_unlock(&b->lock);
	return err;
}

/* The words' keys, which differ. */
static int keys_of(uaddr_t word, uaddr_t lock, bool private, struct vm_futex_key *ret_word, struct vm_futex_key *ret_lock)
{
	int err = word == lock ? -EINVAL : futex_key_of(word, private, ret_word);

	if (err == 0)
		err = futex_key_of(lock, private, ret_lock);
	if (err == 0 && futex_same_key(ret_word, ret_lock))
		err = -EINVAL;
	return err;
}

int64_t futex_wait_requeue_pi(const struct futex_wait *w, uaddr_t lock)
{
	struct requeue_waiter self = {
		.waiter = { .thread = thread_current(), .bits = w->bits, .for_lock = true },
		.party.waiter.task = task_self(),
	};
	int err = keys_of(w->addr, lock, w->private, &self.waiter.key, &self.lock);
	struct pi_bucket *b;
	uint32_t value;

	if (err < 0)
		return err;
	b = pi_bucket_of(&self.lock);
	futex_enqueue(&self.waiter);
	err = hal_user_load32(w->addr, &value);
	if (err == 0 && value != w->value)
		err = -EAGAIN;
	if (err < 0 && give_up(b, &self))
		return err;
	err = pi_sleep(&self.party, w->deadline_ns);
	return leave(b, &self, lock, err);
}

/* ---- moving ---- */

/* The first in line for the word, taken off it; null: nobody; -EINVAL: it is not for this lock. The lock's bucket is locked (R1). */
static int take_first(struct futex_bucket *b, const struct vm_futex_key *word, const struct vm_futex_key *lock, uint64_t last,
		      struct requeue_waiter **ret)
{
	struct futex_waiter *w;
	int err = 0;

	*ret = NULL;
	spin_lock(&b->lock);
	list_for_each(w, &b->waiters, link) {
		struct requeue_waiter *r = container_of(w, struct requeue_waiter, waiter);

		if (!futex_same_key(&w->key, word) || w->number > last)
			continue;
		if (!w->for_lock || !futex_same_key(&r->lock, lock)) {
			err = -EINVAL;
			break;
		}
		list_del(&w->link);
		STORE_RELEASE(w->bucket, NULL);
		*ret = r;
		break;
	}
	spin_unlock(&b->lock);
	return err;
}

/* R2 */
static void put_back(struct futex_bucket *b, struct requeue_waiter *r)
{
	spin_lock(&b->lock);
	list_add(&b->waiters, &r->waiter.link);
	STORE_RELEASE(r->waiter.bucket, b);
	spin_unlock(&b->lock);
}

/* Makes r want the lock: it has it, or is in line: 0; or an errno. */
static int want_lock(struct pi_bucket *b, uaddr_t addr, struct requeue_waiter *r)
{
	int result = PI_MOVED;

	for (unsigned tries = 0; result == PI_MOVED && tries < MOVED_TRIES_MAX; tries++)
		result = pi_try_locked(b, &r->lock, addr, false, &r->party);
	if (result == PI_MINE) {
		STORE_RELEASE(r->party.granted, true);
		thread_wake(r->waiter.thread);
		return 0;
	}
	return result == PI_TAKEN ? 0 : result == PI_MOVED ? -EAGAIN : result;
}

/* Up to `count` waiters; how many, or an errno. The lock's bucket is locked. */
static int move_locked(struct pi_bucket *b, const struct vm_futex_key *word, const struct vm_futex_key *lock, uaddr_t addr, uint64_t count,
		       uint64_t last)
{
	struct futex_bucket *from = futex_bucket_of(word);
	struct requeue_waiter *r;
	int n = 0, err = 0;

	while ((uint64_t)n < count) {
		err = take_first(from, word, lock, last, &r);
		if (err < 0 || !r)
			break;
		err = want_lock(b, addr, r);
		if (err < 0) {
			put_back(from, r);
			break;
		}
		n++;
	}
	if (err == -ERESTARTNOINTR && n > 0)
		return n; /* begun again, the call would not know of them */
	return err < 0 ? err : n;
}

int64_t futex_cmp_requeue_pi(uaddr_t from, uaddr_t lock, bool private, int wake, int move, uint32_t expected)
{
	struct vm_futex_key key, key_lock;
	struct pi_bucket *b;
	uint64_t last;
	uint32_t value;
	int result;

	if (wake != 1 || move < 0)
		return -EINVAL;
	result = keys_of(from, lock, private, &key, &key_lock);
	if (result < 0)
		return result;
	b = pi_bucket_of(&key_lock);
	last = futex_last_of(futex_bucket_of(&key));
	result = hal_user_load32(from, &value);
	if (result < 0 || value != expected)
		return result < 0 ? result : -EAGAIN;
	mutex_lock(&b->lock);
	result = move_locked(b, &key, &key_lock, lock, (uint64_t)wake + (uint64_t)move, last);
	mutex_unlock(&b->lock);
	return result;
}
