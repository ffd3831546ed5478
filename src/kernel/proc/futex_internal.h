/* SPDX-License-Identifier: MIT */
/* What the files of futexes share: the names of words, those who wait for them, and for locks with priority inheritance. */
#ifndef FUTEX_INTERNAL_H
#define FUTEX_INTERNAL_H

#include <cloudos/futex.h>
#include <cloudos/vm.h>
#include "inherit.h"
#include "proc_internal.h"

struct futex_bucket {
	struct spinlock lock;
	struct list waiters;
	uint64_t last; /* the number of the waiter that came last (F4 in futex.c) */
};

struct futex_waiter {
	struct list link;
	struct futex_bucket *bucket; /* changed under the lock of the bucket that it is leaving or entering */
	struct thread *thread;
	struct vm_futex_key key;
	uint64_t number; /* of the bucket in which it is, or was last */
	uint32_t bits;
	bool for_lock; /* F5 */
	bool woken;
};

/* A bucket of locks with priority inheritance (futex_pi.c). */
struct pi_bucket {
	struct mutex lock;
	struct list states;
};

/* One who waits for such a lock; for itself or, by FUTEX_CMP_REQUEUE_PI, made to by another thread. */
struct pi_party {
	struct inherit_waiter waiter;
	bool granted; /* it is the owner; written once, with a release */
};

/* 0, -EINVAL (not aligned), -EFAULT. May sleep. */
int futex_key_of(uaddr_t addr, bool private, struct vm_futex_key *ret);

/*
 * Another has changed the word in the middle of an operation, and a program may do so without end: lets others run, and says whether to try again:
 * 0 or -ERESTARTNOINTR. May sleep.
 */
int futex_next_try(void);

/* ---- waiters of a word (futex.c) ---- */

struct futex_bucket *futex_bucket_of(const struct vm_futex_key *key);

/* Puts w into the bucket of its key; `thread`, `key` and `bits` are set. What the word is, is read after that. */
void futex_enqueue(struct futex_waiter *w);

/* Takes w off, F2; true if it had been woken. */
bool futex_dequeue(struct futex_waiter *w);

bool futex_woken(const struct futex_waiter *w);

/* Who has come so far. */
uint64_t futex_last_of(struct futex_bucket *b);

/* ---- locks with priority inheritance (futex_pi.c) ---- */

/* What a lock looks like to somebody who wants it: another has it; it is his; it had another owner a moment ago. */
enum pi_look { PI_TAKEN, PI_MINE, PI_MOVED };

struct pi_bucket *pi_bucket_of(const struct vm_futex_key *key);

/*
 * party->waiter.task wants the lock. PI_MINE: its id is in the word; PI_TAKEN: it stands in line (not with `try`); PI_MOVED: look again;
 * or an errno. The bucket is locked. May sleep.
 */
int pi_try_locked(struct pi_bucket *b, const struct vm_futex_key *key, uaddr_t addr, bool try, struct pi_party *party);

/* Until it is granted: 0, -ERESTARTSYS, -ETIMEDOUT. */
int pi_sleep(const struct pi_party *self, uint64_t deadline_ns);

/* The end of a wait of the running thread, which ended with `err`: 0: it has the lock; else err. The bucket is locked. */
int pi_leave_line(struct pi_bucket *b, const struct vm_futex_key *key, uaddr_t addr, struct pi_party *self, int err);

static inline bool futex_same_key(const struct vm_futex_key *a, const struct vm_futex_key *b)
{
	return a->offset == b->offset && a->object == b->object;
}

static inline uint64_t futex_hash(const struct vm_futex_key *key)
{
	return hash_u64(key->object ^ (key->offset >> 2));
}

#endif
