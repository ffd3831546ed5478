/* SPDX-License-Identifier: MIT */
/*
 * Priority inheritance: who waits for whom, and what that lends whom. (Sha, Rajkumar, Lehoczky: Priority Inheritance Protocols, 1990.)
 *
 * A lock that somebody waits for has an owner and a tree of waiters; a task has a tree of the locks that it owns and the one that it waits
 * for. So a task leads to a lock, that to its owner, and so on: a chain.
 *
 *   I1  Waiters are ordered by urgency (thread_urgency()), first come first served within one; a task's locks by that of their first waiters.
 *   I2  A task is lent the urgency of the first waiter of the first of its locks. What changes anywhere is carried along the chain until nothing
 *       changes any more, or for INHERIT_CHAIN_MAX steps.
 *   I3  There is no circle: who would close one, or would wait at the end of a chain of more than INHERIT_CHAIN_MAX, gets EDEADLK.
 *   I4  A task that has ended owns nothing: it gave everything away, and nobody makes it an owner after that.
 *
 * Locking: inherit_lock (RANK_INHERIT) guards all of this; the scheduler's locks are taken inside. It is taken inside proc_lock too, which interrupts
 * take: hence with them off, for INHERIT_CHAIN_MAX steps at most. What a lock is for, and when it has an end, is
 * its user's matter (futex_pi.c), who holds something of his own around these calls, so that neither lock nor waiters go away.
 */
#include "inherit.h"
#include "proc_internal.h"

static struct spinlock inherit_lock = SPINLOCK_INIT(RANK_INHERIT);

/* ---- trees by urgency ---- */

static struct inherit_place *place_of(struct rb_node *n)
{
	return rb_entry(n, struct inherit_place, node);
}

static void insert(struct rb_tree *t, struct inherit_place *p, unsigned urgency)
{
	struct rb_node **at = &t->root, *parent = NULL;

	p->urgency = urgency;
	while (*at) {
		parent = *at;
		at = urgency < place_of(parent)->urgency ? &parent->left : &parent->right;
	}
	rb_link(t, &p->node, parent, at);
}

static unsigned first_urgency(const struct rb_tree *t)
{
	struct rb_node *first = rb_first(t);

	return first ? place_of(first)->urgency : URGENCY_NONE;
}

struct inherit_waiter *inherit_first(const struct inherit_lock *l)
{
	unsigned long flags = spin_lock_irq(&inherit_lock);
	struct rb_node *first = rb_first(&l->waiters);

	spin_unlock_irq(&inherit_lock, flags);
	return first ? container_of(place_of(first), struct inherit_waiter, place) : NULL;
}

/* ---- along the chain ---- */

/* The first waiter of l may be another. Its owner, if that made a difference to it. */
static struct task *relist_locked(struct inherit_lock *l)
{
	unsigned urgency = first_urgency(&l->waiters);

	if (!l->owner || urgency == l->place.urgency)
		return NULL;
	rb_remove(&l->owner->inherit.owned, &l->place.node);
	insert(&l->owner->inherit.owned, &l->place, urgency);
	return l->owner;
}

/* t's urgency may have changed: its place among those who wait for the same. The owner, if that made a difference to it. */
static struct task *replace_locked(struct task *t)
{
	struct inherit_waiter *w = t->inherit.waits;
	unsigned urgency = thread_urgency(&t->thread);

	if (!w || w->place.urgency == urgency)
		return NULL;
	rb_remove(&w->lock->waiters, &w->place.node);
	insert(&w->lock->waiters, &w->place, urgency);
	return relist_locked(w->lock);
}

/* I2, from t on; null: nothing to do. */
static void lend_locked(struct task *t)
{
	for (unsigned step = 0; t && step < INHERIT_CHAIN_MAX; step++) {
		unsigned urgency = first_urgency(&t->inherit.owned);

		if (t->inherit.lent == urgency)
			return;
		t->inherit.lent = (uint8_t)urgency;
		thread_lend(&t->thread, urgency);
		t = replace_locked(t);
	}
}

/* Would `t`, waiting for l, wait for itself? 0 or -EDEADLK. */
static int check_chain_locked(const struct task *t, const struct inherit_lock *l)
{
	for (unsigned step = 0; step < INHERIT_CHAIN_MAX; step++) {
		const struct task *owner = l->owner;

		if (owner == t)
			return -EDEADLK;
		if (!owner || !owner->inherit.waits)
			return 0;
		l = owner->inherit.waits->lock;
	}
	return -EDEADLK;
}

static void set_owner_locked(struct inherit_lock *l, struct task *owner)
{
	struct task *before = l->owner;

	if (before) {
		rb_remove(&before->inherit.owned, &l->place.node);
		l->owner = NULL;
		lend_locked(before);
	}
	if (owner) {
		l->owner = owner;
		insert(&owner->inherit.owned, &l->place, first_urgency(&l->waiters));
		lend_locked(owner);
	}
}

/* ---- what the owner of a lock does with it ---- */

void inherit_init_task(struct task *t)
{
	t->inherit.owned = (struct rb_tree){ 0 };
	t->inherit.waits = NULL;
	t->inherit.lent = URGENCY_NONE;
	t->inherit.ended = false;
}

int inherit_own(struct inherit_lock *l, struct task *owner)
{
	unsigned long flags = spin_lock_irq(&inherit_lock);
	int error = 0;

	if (owner && owner->inherit.ended)
		error = -ESRCH;
	else
		set_owner_locked(l, owner);
	spin_unlock_irq(&inherit_lock, flags);
	return error;
}

int inherit_wait(struct inherit_lock *l, struct inherit_waiter *w)
{
	unsigned long flags = spin_lock_irq(&inherit_lock);
	int error = check_chain_locked(w->task, l);

	if (!error) {
		w->lock = l;
		w->task->inherit.waits = w;
		insert(&l->waiters, &w->place, thread_urgency(&w->task->thread));
		lend_locked(relist_locked(l));
	}
	spin_unlock_irq(&inherit_lock, flags);
	return error;
}

static void leave_locked(struct inherit_waiter *w)
{
	rb_remove(&w->lock->waiters, &w->place.node);
	w->task->inherit.waits = NULL;
}

void inherit_leave(struct inherit_waiter *w)
{
	unsigned long flags = spin_lock_irq(&inherit_lock);

	leave_locked(w);
	lend_locked(relist_locked(w->lock));
	spin_unlock_irq(&inherit_lock, flags);
}

void inherit_pass(struct inherit_lock *l, struct inherit_waiter *next)
{
	unsigned long flags = spin_lock_irq(&inherit_lock);

	leave_locked(next);
	set_owner_locked(l, next->task);
	spin_unlock_irq(&inherit_lock, flags);
}

bool inherit_end(struct task *t, bool for_ever, void (*look)(const struct inherit_lock *l, void *arg), void *arg)
{
	unsigned long flags = spin_lock_irq(&inherit_lock);
	struct rb_node *first = rb_first(&t->inherit.owned);

	if (first)
		look(container_of(place_of(first), struct inherit_lock, place), arg);
	else
		t->inherit.ended = for_ever;
	spin_unlock_irq(&inherit_lock, flags);
	return !first;
}

/* I1 and the first sentence of I2. */
static bool is_settled_locked(const struct task *t)
{
	for (struct rb_node *n = rb_first(&t->inherit.owned); n; n = rb_next(n)) {
		const struct inherit_lock *l = container_of(place_of(n), struct inherit_lock, place);

		if (l->owner != t || l->place.urgency != first_urgency(&l->waiters))
			return false;
	}
	if (t->inherit.waits && t->inherit.waits->place.urgency != thread_urgency(&t->thread))
		return false;
	return t->inherit.lent == first_urgency(&t->inherit.owned) && thread_urgency(&t->thread) <= t->inherit.lent;
}

bool inherit_is_settled(const struct task *t)
{
	unsigned long flags = spin_lock_irq(&inherit_lock);
	bool settled = is_settled_locked(t);

	spin_unlock_irq(&inherit_lock, flags);
	return settled;
}

void task_urgency_changed(struct task *t)
{
	unsigned long flags = spin_lock_irq(&inherit_lock);

	lend_locked(replace_locked(t));
	spin_unlock_irq(&inherit_lock, flags);
}
