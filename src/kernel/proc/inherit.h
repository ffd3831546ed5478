/* SPDX-License-Identifier: MIT */
/* Priority inheritance (inherit.c). None of these sleeps; what a lock and its waiters lie in is kept there by the caller. */
#ifndef INHERIT_H
#define INHERIT_H

#include <cloudos/task.h>

#define INHERIT_CHAIN_MAX 1024 /* locks one behind the other, as on Linux: EDEADLK beyond */

struct inherit_place {
	struct rb_node node;
	unsigned urgency;
};

/* A lock that somebody waits for, or that is between two owners. All by inherit_lock. */
struct inherit_lock {
	struct task *owner; /* null: nobody */
	struct inherit_place place; /* in owner->inherit.owned */
	struct rb_tree waiters;
};

struct inherit_waiter {
	struct inherit_place place; /* in lock->waiters */
	struct inherit_lock *lock;
	struct task *task; /* set by the caller */
};

/* Another owner, or none. -ESRCH: that task has ended. */
int inherit_own(struct inherit_lock *l, struct task *owner);
/* w->task waits for l, which lends the owner its urgency: 0 or -EDEADLK. It does not sleep here. */
int inherit_wait(struct inherit_lock *l, struct inherit_waiter *w);
void inherit_leave(struct inherit_waiter *w);
/* The most urgent waiter, or null. */
struct inherit_waiter *inherit_first(const struct inherit_lock *l);
/* That one waits no more, and is the owner. */
void inherit_pass(struct inherit_lock *l, struct inherit_waiter *next);
/* False: t owns a lock, which look() is called with. Else it does not, and will not any more if it ends for ever. */
bool inherit_end(struct task *t, bool for_ever, void (*look)(const struct inherit_lock *l, void *arg), void *arg);

#endif
