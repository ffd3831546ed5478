/* SPDX-License-Identifier: MIT */
/*
 * Locks with priority inheritance in user memory (futex(2), FUTEX_LOCK_PI and its kin).
 *
 * The word has the owner's thread id. While nobody waits, programs lock and unlock by themselves. Who finds it taken comes here, sets
 * FUTEX_WAITERS, and the kernel keeps a state for the word:
 *
 *   P1  A state is there while somebody waits, or while it is stale. Its owner is whose id is in the word, unless it is stale.
 *   P2  Who unlocks writes the next owner's id into the word and makes it the owner: nobody comes between.
 *   P3  An owner that ends makes the next one the owner, but cannot write the word (it may have no way to it any more): the state is stale, and
 *       the new owner writes the word, with FUTEX_OWNER_DIED, before it comes back from its call.
 *
 * A bucket's mutex is held from the look at a word to what is done about it: over accesses to user memory, which may fault and sleep. States and
 * owners change only under it. Inside it are inherit.c's calls, which know who is to be lent what. Who was made the owner (`granted`) passes through the
 * mutex on its way out, so that whoever wakes it finds it there.
 */
#include "futex_internal.h"
#include <cloudos/uaccess.h>
#include <cloudos/wait.h>
#include <linux/futex.h>

#define PI_BUCKETS 64
#define STALE_TRIES_MAX 64 /* to write a word that others change at the same time; who waits changes it once */

/* All by the bucket's lock. */
struct pi_state {
	struct list link;
	struct vm_futex_key key;
	struct inherit_lock lock;
	uint32_t waiters;
	bool stale; /* P3 */
};

static struct pi_bucket buckets[PI_BUCKETS];

void futex_pi_init(void)
{
	for (size_t i = 0; i < PI_BUCKETS; i++) {
		mutex_init(&buckets[i].lock, RANK_FUTEX_WORD);
		list_init(&buckets[i].states);
	}
}

struct pi_bucket *pi_bucket_of(const struct vm_futex_key *key)
{
	return &buckets[futex_hash(key) % PI_BUCKETS];
}

/* ---- states; the bucket is locked ---- */

static struct pi_state *find(struct pi_bucket *b, const struct vm_futex_key *key)
{
	struct pi_state *s;

	list_for_each(s, &b->states, link)
		if (futex_same_key(&s->key, key))
			return s;
	return NULL;
}

/* P1 */
static void drop_if_unused(struct pi_state *s)
{
	if (s->waiters > 0 || s->stale)
		return;
	(void)inherit_own(&s->lock, NULL);
	list_del(&s->link);
	kfree(s);
}

/* A state for a word that `tid` has. -ESRCH: there is no such thread, or it has given its locks away already. */
static int make(struct pi_bucket *b, const struct vm_futex_key *key, int tid, struct pi_state **ret)
{
	struct task *owner = task_find(tid);
	struct pi_state *s;
	int err;

	if (!owner)
		return -ESRCH;
	s = kzalloc(sizeof(*s));
	err = s ? inherit_own(&s->lock, owner) : -ENOMEM;
	task_put(owner);
	if (err < 0) {
		kfree(s);
		return err;
	}
	s->key = *key;
	list_add_tail(&b->states, &s->link);
	*ret = s;
	return 0;
}

/* The next one, or null: nobody waits. As long as the bucket is locked it stays in line, if not first. */
static struct pi_party *next_of(const struct pi_state *s)
{
	struct inherit_waiter *w = inherit_first(&s->lock);

	return w ? container_of(w, struct pi_party, waiter) : NULL;
}

/* The next one becomes the owner, and hears of it. The word has its id, or the state is stale. */
static void pass_on(struct pi_state *s, struct pi_party *next)
{
	if (next) {
		inherit_pass(&s->lock, &next->waiter);
		s->waiters--;
		STORE_RELEASE(next->granted, true);
		thread_wake(&next->waiter.task->thread);
	} else {
		s->stale = false; /* nobody is left to write the word */
	}
	drop_if_unused(s);
}

/* ---- words ---- */

static int owner_in(uint32_t value)
{
	return (int)(value & FUTEX_TID_MASK);
}

/* *value becomes `new`, unless it changed: then *value is what it is now. 1: done; 0: changed; or an errno. */
static int change_word(uaddr_t addr, uint32_t *value, uint32_t new)
{
	uint32_t seen;
	int err = hal_user_cmpxchg32(addr, *value, new, &seen);

	if (err < 0)
		return err;
	if (seen == *value)
		return 1;
	*value = seen;
	return futex_next_try();
}

/* Takes a word that nobody has for the thread `tid`, or marks it as waited for; *ret_value is what it was then. PI_TAKEN, PI_MINE or an errno. */
static int take_or_mark(uaddr_t addr, const struct pi_state *s, int tid, bool try, uint32_t *ret_value)
{
	int done = 0;
	uint32_t value;
	int err = hal_user_load32(addr, &value);

	if (err < 0)
		return err;
	while (!done) {
		if (owner_in(value) == tid)
			return -EDEADLK;
		if (owner_in(value) == 0 && !s) {
			done = change_word(addr, &value, (uint32_t)tid | (value & FUTEX_OWNER_DIED));
			if (done == 1)
				return PI_MINE;
		} else if (try) {
			return -EAGAIN;
		} else {
			done = value & FUTEX_WAITERS ? 1 : change_word(addr, &value, value | FUTEX_WAITERS);
		}
	}
	*ret_value = value;
	return done < 0 ? done : PI_TAKEN;
}

/* Has the word another owner than before? PI_MOVED: yes, look again; -ESRCH: no, and that one will never unlock it. */
static int has_moved(uaddr_t addr, uint32_t before)
{
	uint32_t value;
	int err = hal_user_load32(addr, &value);

	return err < 0 ? err : owner_in(value) == owner_in(before) ? -ESRCH : PI_MOVED;
}

/* May the state be that of a word with this value? An owner that ends clears its id first, and gives its locks away then. */
static bool agrees(const struct pi_state *s, uint32_t value)
{
	if (s->stale || (owner_in(value) == 0 && (value & FUTEX_OWNER_DIED)))
		return true;
	return s->lock.owner && READ_ONCE(s->lock.owner->own_tid) == owner_in(value);
}

/* ---- locking ---- */

/* Stands in line for a word that somebody has. PI_TAKEN: it does. */
static int stand_in_line(struct pi_bucket *b, const struct vm_futex_key *key, struct pi_state *s, uint32_t value, struct pi_party *self)
{
	int err = 0;

	if (!s)
		err = make(b, key, owner_in(value), &s);
	else if (!agrees(s, value))
		err = -EINVAL;
	if (err < 0)
		return err;
	err = inherit_wait(&s->lock, &self->waiter);
	if (err == 0)
		s->waiters++;
	drop_if_unused(s);
	return err < 0 ? err : PI_TAKEN;
}

int pi_try_locked(struct pi_bucket *b, const struct vm_futex_key *key, uaddr_t addr, bool try, struct pi_party *party)
{
	struct pi_state *s = find(b, key);
	uint32_t value = 0;
	int result = take_or_mark(addr, s, party->waiter.task->own_tid, try, &value);

	if (result != PI_TAKEN)
		return result;
	result = stand_in_line(b, key, s, value, party);
	return result == -ESRCH ? has_moved(addr, value) : result;
}

/* PI_MINE, PI_TAKEN, or an errno. */
static int try_or_wait(struct pi_bucket *b, const struct vm_futex_key *key, uaddr_t addr, bool try, struct pi_party *self)
{
	int result, err = 0;

	do {
		mutex_lock(&b->lock);
		result = pi_try_locked(b, key, addr, try, self);
		mutex_unlock(&b->lock);
		if (result == PI_MOVED)
			err = futex_next_try();
	} while (result == PI_MOVED && err == 0);
	return err < 0 ? err : result;
}

static bool granted(const struct pi_party *p)
{
	return LOAD_ACQUIRE(p->granted);
}

int pi_sleep(const struct pi_party *self, uint64_t deadline_ns)
{
	int err = 0;

	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (granted(self) || err)
			break;
		err = wait_round(THREAD_INTERRUPTIBLE, deadline_ns);
	}
	thread_cancel_sleep();
	return err;
}

/* P3: the word of a lock whose owner ended. If it cannot be written, the next one has a try. -EAGAIN: others change it again and again. */
static int write_stale(struct pi_state *s, uaddr_t addr)
{
	uint32_t id = (uint32_t)task_self()->own_tid | FUTEX_OWNER_DIED, value;
	int err = hal_user_load32(addr, &value);

	for (unsigned tries = 1; err == 0; tries++) {
		uint32_t seen;

		err = hal_user_cmpxchg32(addr, value, id | (s->waiters > 0 ? FUTEX_WAITERS : 0), &seen);
		if (err == 0 && seen == value) {
			s->stale = false;
			drop_if_unused(s);
			return 0;
		}
		value = seen;
		sched_point();
		if (err == 0 && tries == STALE_TRIES_MAX)
			err = -EAGAIN;
	}
	pass_on(s, next_of(s));
	return err;
}

int pi_leave_line(struct pi_bucket *b, const struct vm_futex_key *key, uaddr_t addr, struct pi_party *self, int err)
{
	struct pi_state *s;

	if (granted(self)) {
		s = find(b, key);
		return s && s->stale && s->lock.owner == task_self() ? write_stale(s, addr) : 0;
	}
	s = container_of(self->waiter.lock, struct pi_state, lock);
	inherit_leave(&self->waiter);
	s->waiters--;
	drop_if_unused(s);
	return err;
}

int64_t futex_lock_pi(uaddr_t addr, bool private, bool try, uint64_t deadline_ns)
{
	struct pi_party self = { .waiter.task = task_self() };
	struct vm_futex_key key;
	struct pi_bucket *b;
	int result = futex_key_of(addr, private, &key);

	if (result < 0)
		return result;
	b = pi_bucket_of(&key);
	result = try_or_wait(b, &key, addr, try, &self);
	if (result != PI_TAKEN)
		return result == PI_MINE ? 0 : result;
	result = pi_sleep(&self, deadline_ns);
	mutex_lock(&b->lock);
	result = pi_leave_line(b, &key, addr, &self, result);
	mutex_unlock(&b->lock);
	return result == -ERESTARTSYS ? -ERESTARTNOINTR : result;
}

/* ---- unlocking ---- */

/* What an unlocked word is: the next owner's, or nobody's. */
static uint32_t word_for(const struct pi_state *s, const struct pi_party *next)
{
	return next ? (uint32_t)next->waiter.task->own_tid | (s->waiters > 1 ? FUTEX_WAITERS : 0) : 0;
}

static int unlock_locked(struct pi_bucket *b, const struct vm_futex_key *key, uaddr_t addr)
{
	struct pi_state *s = find(b, key);
	struct pi_party *next = s ? next_of(s) : NULL;
	uint32_t value;
	int done = hal_user_load32(addr, &value);

	while (done == 0) {
		if (owner_in(value) != task_self()->own_tid)
			return -EPERM;
		if (s && (s->stale || s->lock.owner != task_self()))
			return -EINVAL;
		done = change_word(addr, &value, word_for(s, next));
	}
	if (done < 0)
		return done;
	if (s)
		pass_on(s, next);
	return 0;
}

int64_t futex_unlock_pi(uaddr_t addr, bool private)
{
	struct vm_futex_key key;
	struct pi_bucket *b;
	uint32_t value;
	int result;

	if (get_user(value, addr) < 0)
		return -EFAULT;
	if (owner_in(value) != task_self()->own_tid)
		return -EPERM;
	result = futex_key_of(addr, private, &key);
	if (result < 0)
		return result;
	b = pi_bucket_of(&key);
	mutex_lock(&b->lock);
	result = unlock_locked(b, &key, addr);
	mutex_unlock(&b->lock);
	return result;
}

/* ---- the end of an owner ---- */

static void copy_key(const struct inherit_lock *l, void *key)
{
	*(struct vm_futex_key *)key = container_of(l, struct pi_state, lock)->key;
}

void futex_exit_pi(struct task *t, bool for_ever)
{
	struct vm_futex_key key;

	while (!inherit_end(t, for_ever, copy_key, &key)) {
		struct pi_bucket *b = pi_bucket_of(&key);
		struct pi_state *s;

		mutex_lock(&b->lock);
		s = find(b, &key);
		if (s && s->lock.owner == t) {
			s->stale = true;
			pass_on(s, next_of(s));
		}
		mutex_unlock(&b->lock);
	}
}
