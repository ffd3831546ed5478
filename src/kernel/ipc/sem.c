/* SPDX-License-Identifier: MIT */
/*
 * Semaphore sets: semget(2), semop(2), semctl(2).
 *
 * A call's operations are done one after the other; the first that cannot be done takes those before it back, and the call waits, on a list
 * of the set. Whoever changes a value then does waiting calls for their owners, and wakes them with the result:
 *
 *   I1 No waiting call could be done as the values are (between two holders of the set's lock).
 *   I2 Calls that change nothing go first; of those that do, the oldest that can be done; after each of them all are looked at again.
 *   I3 0 <= value <= SEMVMX, and an undo's adjustments lie in -SEMAEM - 1 .. SEMAEM.
 */
#include <cloudos/format.h>
#include <cloudos/string.h>
#include "sem_internal.h"

#define BLOCKS 1 /* what perform() gives beside 0 and errnos */

struct sem_call {
	struct ipc_waiter waiter;
	const struct sembuf *ops;
	unsigned n;
	bool alters;
	int pid;
	struct sem_undo *undo;	       /* null: no operation asks for it */
	const struct sembuf *blocking; /* while it waits: the first that could not be done */
	int result;		       /* once it is woken */
};

static struct ipc_ids *ids(void)
{
	return &ipc_current()->sem;
}

/* ---- operations; the set is locked ---- */

static int perform_one(struct sem_set *s, struct sem_call *c, const struct sembuf *op)
{
	struct semaphore *sem = &s->sems[op->sem_num];
	int value = sem->value + op->sem_op;

	if ((op->sem_op == 0 && sem->value != 0) || value < 0)
		return BLOCKS;
	if (value > SEMVMX)
		return -ERANGE;
	if (op->sem_flg & SEM_UNDO) {
		int adjust = c->undo->adjust[op->sem_num] - op->sem_op;

		if (adjust < -SEMAEM - 1 || adjust > SEMAEM)
			return -ERANGE;
		c->undo->adjust[op->sem_num] = (int16_t)adjust;
	}
	sem->value = value;
	return 0;
}

static void take_back(struct sem_set *s, struct sem_call *c, unsigned n)
{
	while (n-- > 0) {
		const struct sembuf *op = &c->ops[n];

		s->sems[op->sem_num].value -= op->sem_op;
		if (op->sem_flg & SEM_UNDO)
			c->undo->adjust[op->sem_num] = (int16_t)(c->undo->adjust[op->sem_num] + op->sem_op);
	}
}

/* All, or none: 0, BLOCKS, or -ERANGE, -EAGAIN. */
static int perform(struct sem_set *s, struct sem_call *c)
{
	int result = 0;
	unsigned i;

	for (i = 0; i < c->n; i++) {
		result = perform_one(s, c, &c->ops[i]);
		if (result)
			break;
	}
	if (result) {
		take_back(s, c, i);
		c->blocking = &c->ops[i];
		return result == BLOCKS && (c->blocking->sem_flg & IPC_NOWAIT) ? -EAGAIN : result;
	}
	for (i = 0; i < c->n; i++)
		s->sems[c->ops[i].sem_num].pid = c->pid;
	return 0;
}

static void finish(struct sem_call *c, int result)
{
	c->result = result;
	ipc_wake(&c->waiter);
}

/* Does what can be done of a list, up to the first call that changes something: true, then. */
static bool perform_waiting(struct sem_set *s, struct list *list)
{
	struct sem_call *c, *next;

	list_for_each_safe(c, next, list, waiter.link) {
		int result = perform(s, c);
		bool altered = result == 0 && c->alters;

		if (result == 0)
			s->operated_at = ipc_now();
		if (result != BLOCKS)
			finish(c, result);
		if (altered)
			return true;
	}
	return false;
}

void sem_changed(struct sem_set *s)
{
	assert_mutex_held(&s->ipc.lock);
	do
		(void)perform_waiting(s, &s->constant);
	while (perform_waiting(s, &s->altering));
}

static int wait(struct sem_set *s, struct sem_call *c, uint64_t deadline_ns)
{
	int error = ipc_wait(&s->ipc.lock, c->alters ? &s->altering : &s->constant, &c->waiter, deadline_ns);

	if (!error)
		return c->result;
	return error == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

static int operate_locked(struct sem_set *s, struct sem_call *c, uint64_t deadline_ns)
{
	int result;

	if (s->ipc.removed)
		return -EIDRM;
	result = ipc_permission(&s->ipc, c->alters ? IPC_WRITE : IPC_READ);
	if (!result)
		result = perform(s, c);
	if (result == BLOCKS)
		return wait(s, c, deadline_ns);
	if (result == 0) {
		s->operated_at = ipc_now();
		if (c->alters)
			sem_changed(s);
	}
	return result;
}

static int operate(struct sem_set *s, struct sem_call *c, uint64_t deadline_ns)
{
	bool undoes = false;
	int result = 0;

	for (unsigned i = 0; i < c->n; i++) {
		if (c->ops[i].sem_num >= s->count)
			return -EFBIG;
		c->alters |= c->ops[i].sem_op != 0;
		undoes |= (c->ops[i].sem_flg & SEM_UNDO) != 0;
	}
	if (undoes)
		result = sem_undo_get(s, &c->undo);
	if (result)
		return result;
	mutex_lock(&s->ipc.lock);
	result = operate_locked(s, c, deadline_ns);
	mutex_unlock(&s->ipc.lock);
	return result;
}

int sem_operate(int id, const struct sembuf *ops, unsigned n, uint64_t deadline_ns)
{
	struct sem_call c = { .ops = ops, .n = n, .pid = ipc_pid() };
	struct ipc_object *o = ipc_find(ids(), id);
	int result;

	if (!o)
		return -EINVAL;
	result = operate(sem_set_of(o), &c, deadline_ns);
	ipc_put(o);
	return result;
}

/* ---- life ---- */

static size_t set_bytes(uint32_t count)
{
	return sizeof(struct sem_set) + count * sizeof(struct semaphore);
}

void sem_free_object(struct ipc_object *o)
{
	struct sem_set *s = sem_set_of(o);
	struct ipc_namespace *ns = o->ids->ns;

	__atomic_sub_fetch(&ns->sem_used, s->count, __ATOMIC_RELAXED);
	ipc_free(s, set_bytes(s->count));
}

static int make(const struct ipc_get *g, struct ipc_object **ret)
{
	struct ipc_namespace *ns = ipc_current();
	struct sem_set *s;

	if (g->size == 0)
		return -EINVAL;
	if (!ipc_take(&ns->sem_used, g->size, READ_ONCE(ns->sem_all)))
		return -ENOSPC;
	s = ipc_alloc(set_bytes((uint32_t)g->size));
	if (!s) {
		__atomic_sub_fetch(&ns->sem_used, g->size, __ATOMIC_RELAXED);
		return -ENOMEM;
	}
	s->count = (uint32_t)g->size;
	list_init(&s->constant);
	list_init(&s->altering);
	list_init(&s->undos);
	*ret = &s->ipc;
	return 0;
}

static int check(const struct ipc_get *g, const struct ipc_object *o)
{
	return g->size > container_of(o, const struct sem_set, ipc)->count ? -EINVAL : 0;
}

int64_t sem_get(int32_t key, int count, uint32_t flags)
{
	const struct ipc_get g = { .key = key, .flags = flags, .size = (uint64_t)count, .make = make, .check = check };

	if (count < 0 || (uint64_t)count > READ_ONCE(ipc_current()->sem_per_set))
		return -EINVAL;
	return ipc_get(ids(), &g);
}

static void finish_all(struct list *list, int result)
{
	struct sem_call *c, *next;

	list_for_each_safe(c, next, list, waiter.link)
		finish(c, result);
}

int sem_remove(int id)
{
	struct ipc_object *o;
	int error = ipc_lock_to_remove(ids(), id, &o);

	if (error)
		return error;
	sem_undo_forget_set(sem_set_of(o));
	finish_all(&sem_set_of(o)->constant, -EIDRM);
	finish_all(&sem_set_of(o)->altering, -EIDRM);
	ipc_unlink(o);
	ipc_unlock_removed(o);
	return 0;
}

/* ---- semctl ---- */

int64_t sem_stat(int id, enum ipc_find how, struct semid64_ds *ret)
{
	struct ipc_object *o;
	int64_t result = ipc_lock_to_see(ids(), id, how, &o);

	if (result)
		return result;
	*ret = (struct semid64_ds){ .sem_otime = sem_set_of(o)->operated_at, .sem_ctime = o->changed, .sem_nsems = sem_set_of(o)->count };
	ipc_fill(o, &ret->sem_perm);
	result = how == IPC_BY_ID ? 0 : o->id;
	ipc_unlock(o);
	return result;
}

int sem_set(int id, const struct ipc_change *c)
{
	struct ipc_object *o;
	int error = ipc_lock_to_change(ids(), id, &o);

	if (error)
		return error;
	error = ipc_set(o, c);
	ipc_unlock(o);
	return error;
}

static int waiting_for(const struct list *list, unsigned number, bool zero)
{
	const struct sem_call *c;
	int n = 0;

	list_for_each(c, list, waiter.link)
		n += c->blocking->sem_num == number && (zero ? c->blocking->sem_op == 0 : c->blocking->sem_op < 0);
	return n;
}

static int64_t query_locked(const struct sem_set *s, unsigned number, int command)
{
	if (number >= s->count)
		return -EINVAL;
	switch (command) {
	case GETVAL:
		return s->sems[number].value;
	case GETPID:
		return pid_seen(s->sems[number].pid);
	case GETNCNT:
	case GETZCNT:
		return waiting_for(&s->altering, number, command == GETZCNT) +
		       waiting_for(&s->constant, number, command == GETZCNT);
	default:
		return -EINVAL;
	}
}

int64_t sem_query(int id, unsigned number, int command)
{
	struct ipc_object *o;
	int64_t result = ipc_lock_for(ids(), id, IPC_READ, &o);

	if (result)
		return result;
	result = query_locked(sem_set_of(o), number, command);
	ipc_unlock(o);
	return result;
}

/* Values from outside were checked. */
static void set_locked(struct sem_set *s, unsigned number, int value)
{
	s->sems[number].value = value;
	s->sems[number].pid = ipc_pid();
}

static void values_set(struct sem_set *s, unsigned first, unsigned n)
{
	sem_undo_clear(s, first, n);
	s->ipc.changed = ipc_now();
	sem_changed(s);
}

int sem_set_value(int id, unsigned number, int value)
{
	struct ipc_object *o;
	int error;

	if (value < 0 || value > SEMVMX)
		return -ERANGE;
	error = ipc_lock(ids(), id, &o);
	if (error)
		return error;
	error = number >= sem_set_of(o)->count ? -EINVAL : ipc_permission(o, IPC_WRITE);
	if (!error) {
		set_locked(sem_set_of(o), number, value);
		values_set(sem_set_of(o), number, 1);
	}
	ipc_unlock(o);
	return error;
}

int64_t sem_count(int id, bool to_write)
{
	struct ipc_object *o;
	int64_t result = ipc_lock_for(ids(), id, to_write ? IPC_WRITE : IPC_READ, &o);

	if (result)
		return result;
	result = sem_set_of(o)->count;
	ipc_unlock(o);
	return result;
}

/* The set whose sem_count() was asked: another one may have its id by now. */
static int lock_counted(int id, uint32_t mode, unsigned count, struct ipc_object **ret)
{
	int error = ipc_lock_for(ids(), id, mode, ret);

	if (error || sem_set_of(*ret)->count == count)
		return error == -EINVAL ? -EIDRM : error;
	ipc_unlock(*ret);
	return -EIDRM;
}

int sem_get_all(int id, uint16_t *ret, unsigned count)
{
	struct ipc_object *o;
	int error = lock_counted(id, IPC_READ, count, &o);

	if (error)
		return error;
	for (unsigned i = 0; i < count; i++)
		ret[i] = (uint16_t)sem_set_of(o)->sems[i].value;
	ipc_unlock(o);
	return 0;
}

int sem_set_all(int id, const uint16_t *values, unsigned count)
{
	struct ipc_object *o;
	int error;

	for (unsigned i = 0; i < count; i++)
		if (values[i] > SEMVMX)
			return -ERANGE;
	error = lock_counted(id, IPC_WRITE, count, &o);
	if (error)
		return error;
	for (unsigned i = 0; i < count; i++)
		set_locked(sem_set_of(o), i, values[i]);
	values_set(sem_set_of(o), 0, count);
	ipc_unlock(o);
	return 0;
}

int64_t sem_limits(struct seminfo *ret, bool figures)
{
	struct ipc_namespace *ns = ipc_current();

	*ret = (struct seminfo){
		.semmni = (int)READ_ONCE(ns->sem.max),
		.semmns = (int)READ_ONCE(ns->sem_all),
		.semmsl = (int)READ_ONCE(ns->sem_per_set),
		.semopm = (int)READ_ONCE(ns->sem_per_call),
		.semvmx = SEMVMX,
		.semmnu = SEMMNU,
		.semmap = SEMMAP,
		.semume = SEMUME,
		.semusz = figures ? (int)ipc_used(&ns->sem) : SEMUSZ,
		.semaem = figures ? (int)READ_ONCE(ns->sem_used) : SEMAEM,
	};
	return ipc_highest(&ns->sem);
}

void sem_show(struct ipc_object *o, void *out)
{
	const struct sem_set *s = sem_set_of(o);

	out_printf(out, "%10d %10d  %4o %10u %5u %5u %5u %5u %10ld %10ld\n", READ_ONCE(o->key), o->id, o->mode, s->count,
		   uid_out(o->uid), gid_out(o->gid), uid_out(o->cuid), gid_out(o->cgid), (long)s->operated_at, (long)o->changed);
}
