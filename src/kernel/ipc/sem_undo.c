/* SPDX-License-Identifier: MIT */
/*
 * SEM_UNDO: what a process did to semaphores with that flag is taken back when it ends.
 *
 * A task has a list, with its first such operation or when it is cloned with CLONE_SYSVSEM, and those that share it are one owner: the last
 * of them to end takes everything back. The list has an entry a set. An entry holds a reference on its set, so that one that was
 * removed may be told from another at the same address; such entries are dropped when the list is next looked through.
 *
 * Locking: sem_undo_list.lock (RANK_IPC_UNDO) for the list, then the set's own lock for its side and the adjustments. An entry goes only
 * with its list, or when its set is removed: a call that found one may use it under the set's lock.
 */
#include <cloudos/task.h>
#include "sem_internal.h"

/* Fields: L = by lock. */
struct sem_undo_list {
	struct refcount refs; /* tasks */
	struct mutex lock;
	struct list undos; /* L: sem_undo.in_list */
};

static size_t undo_bytes(const struct sem_set *s)
{
	return sizeof(struct sem_undo) + s->count * sizeof(int16_t);
}

static void undo_free(struct sem_undo *u)
{
	struct sem_set *s = u->set;

	ipc_free(u, undo_bytes(s));
	ipc_put(&s->ipc);
}

/* ---- entries ---- */

/* The entry for the set, or null. Entries of removed sets are dropped on the way. */
static struct sem_undo *find_locked(struct sem_undo_list *l, const struct sem_set *s)
{
	struct sem_undo *u, *next;

	list_for_each_safe(u, next, &l->undos, in_list) {
		if (u->set == s)
			return u;
		if (!LOAD_ACQUIRE(u->set->ipc.removed))
			continue;
		list_del(&u->in_list);
		undo_free(u);
	}
	return NULL;
}

static int add_locked(struct sem_undo_list *l, struct sem_set *s, struct sem_undo **ret)
{
	struct sem_undo *u = ipc_alloc(undo_bytes(s));
	bool removed;

	if (!u)
		return -ENOMEM;
	ipc_hold(&s->ipc);
	u->set = s;
	mutex_lock(&s->ipc.lock);
	removed = s->ipc.removed;
	if (!removed)
		list_add(&s->undos, &u->in_set);
	mutex_unlock(&s->ipc.lock);
	if (removed) {
		undo_free(u);
		return -EIDRM;
	}
	list_add_tail(&l->undos, &u->in_list);
	*ret = u;
	return 0;
}

static struct sem_undo_list *own_list(struct task *t)
{
	struct sem_undo_list *l = t->sem_undo;

	if (l)
		return l;
	l = kzalloc(sizeof(*l));
	if (!l)
		return NULL;
	refcount_init(&l->refs, 1);
	mutex_init(&l->lock, RANK_IPC_UNDO);
	list_init(&l->undos);
	WRITE_ONCE(t->sem_undo, l);
	return l;
}

int sem_undo_get(struct sem_set *s, struct sem_undo **ret)
{
	struct sem_undo_list *l = own_list(task_self());
	struct sem_undo *u;
	int error = 0;

	if (!l)
		return -ENOMEM;
	mutex_lock(&l->lock);
	u = find_locked(l, s);
	if (u)
		*ret = u;
	else
		error = add_locked(l, s, ret);
	mutex_unlock(&l->lock);
	return error;
}

/* ---- for the set; it is locked ---- */

void sem_undo_forget_set(struct sem_set *s)
{
	struct sem_undo *u, *next;

	assert_mutex_held(&s->ipc.lock);
	list_for_each_safe(u, next, &s->undos, in_set)
		list_del(&u->in_set);
}

void sem_undo_clear(struct sem_set *s, unsigned first, unsigned n)
{
	struct sem_undo *u;

	assert_mutex_held(&s->ipc.lock);
	list_for_each(u, &s->undos, in_set)
		for (unsigned i = first; i < first + n; i++)
			u->adjust[i] = 0;
}

/* ---- the end ---- */

/* A semaphore that others have moved on may not take all of it: it stops at the bounds. */
static void take_back_locked(struct sem_undo *u)
{
	struct sem_set *s = u->set;

	list_del(&u->in_set);
	for (unsigned i = 0; i < s->count; i++) {
		struct semaphore *sem = &s->sems[i];

		if (u->adjust[i] == 0)
			continue;
		sem->value = min(max(sem->value + u->adjust[i], 0), SEMVMX);
		sem->pid = ipc_pid();
	}
	s->operated_at = ipc_now();
	sem_changed(s);
}

/* The task has no list any more. */
static void leave(struct task *t)
{
	struct sem_undo_list *l = t->sem_undo;
	struct sem_undo *u, *next;

	WRITE_ONCE(t->sem_undo, NULL);
	if (!l || !refcount_put(&l->refs))
		return;
	list_for_each_safe(u, next, &l->undos, in_list) {
		mutex_lock(&u->set->ipc.lock);
		if (!u->set->ipc.removed)
			take_back_locked(u);
		mutex_unlock(&u->set->ipc.lock);
		undo_free(u);
	}
	kfree(l);
}

static int share(struct task *child, struct task *from)
{
	struct sem_undo_list *l = own_list(from);

	if (!l)
		return -ENOMEM;
	refcount_get(&l->refs);
	child->sem_undo = l;
	return 0;
}

static const struct task_sem_undo_ops ops = { .share = share, .leave = leave };

int sem_undo_init(void)
{
	task_sem_undo_ops = &ops;
	return 0;
}
