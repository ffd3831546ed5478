/* SPDX-License-Identifier: MIT */
/*
 * The tables of IPC objects: ids, keys, permissions (ipc_internal.h has the rules).
 *
 * Indices are given in turn, so that an id lives on as a wrong one for a while after its removal; the table is no larger than that asks
 * for. Permissions are Linux's: the mode's three digits for the owner or creator, their groups, and others; CAP_IPC_OWNER passes over them.
 */
#include <cloudos/string.h>
#include <linux/capability.h>
#include "ipc_internal.h"

#define INDEX_MASK (IPC_INDEX_MAX - 1)

int64_t ipc_now(void)
{
	return (int64_t)(hal_wall_ns() / NSEC_PER_SEC);
}

int ipc_pid(void)
{
	const struct process *p = process_current();

	return p ? process_pid(p) : 0;
}

bool ipc_take(uint64_t *count, uint64_t n, uint64_t limit)
{
	uint64_t before = __atomic_fetch_add(count, n, __ATOMIC_RELAXED);

	if (before + n >= before && before + n <= limit)
		return true;
	__atomic_sub_fetch(count, n, __ATOMIC_RELAXED);
	return false;
}

static uint64_t bytes; /* atomic: that messages, semaphores and undo lists take up */

void *ipc_alloc(size_t size)
{
	struct mm_stats mm;
	void *p;

	mm_get_stats(&mm);
	if (!ipc_take(&bytes, size, (mm.ram_pages << PAGE_SHIFT) / IPC_RAM_SHARE))
		return NULL;
	p = kzalloc(size);
	if (!p)
		__atomic_sub_fetch(&bytes, size, __ATOMIC_RELAXED);
	return p;
}

void ipc_free(void *p, size_t size)
{
	kfree(p);
	__atomic_sub_fetch(&bytes, size, __ATOMIC_RELAXED);
}

void ipc_ids_init(struct ipc_ids *ids, struct ipc_namespace *ns, uint32_t max, void (*free)(struct ipc_object *o))
{
	memset(ids, 0, sizeof(*ids));
	mutex_init(&ids->lock, RANK_IPC_IDS);
	spin_init(&ids->find_lock, RANK_LEAF);
	ids->ns = ns;
	ids->free = free;
	ids->max = max;
	ids->last = UINT32_MAX; /* the first index is 0 */
}

/* ---- references ---- */

void ipc_hold(struct ipc_object *o)
{
	refcount_get(&o->refs);
}

void ipc_put(struct ipc_object *o)
{
	if (refcount_put(&o->refs))
		o->ids->free(o);
}

/* ---- permissions ---- */

int ipc_permission(const struct ipc_object *o, uint32_t mode)
{
	const struct cred *c = thread_current()->cred;
	uint32_t wanted = (mode >> 6 | mode >> 3 | mode) & 7, granted = o->mode;

	assert_mutex_held(&o->lock);
	if (c->euid == o->cuid || c->euid == o->uid)
		granted >>= 6;
	else if (cred_in_group(c, o->cgid) || cred_in_group(c, o->gid))
		granted >>= 3;
	return (wanted & ~granted) && !ipc_capable(CAP_IPC_OWNER) ? -EACCES : 0;
}

static int may_change(const struct ipc_object *o)
{
	const struct cred *c = thread_current()->cred;

	return c->euid == o->cuid || c->euid == o->uid || ipc_capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

int ipc_set(struct ipc_object *o, const struct ipc_change *c)
{
	uint32_t uid = uid_in(c->uid), gid = gid_in(c->gid);

	assert_mutex_held(&o->lock);
	if (uid == ID_NONE || gid == ID_NONE)
		return -EINVAL;
	o->uid = uid;
	o->gid = gid;
	o->mode = (o->mode & ~IPC_MODE) | (c->mode & IPC_MODE);
	o->changed = ipc_now();
	return 0;
}

void ipc_fill(const struct ipc_object *o, struct ipc64_perm *ret)
{
	ret->key = READ_ONCE(o->key);
	ret->uid = uid_out(o->uid);
	ret->gid = gid_out(o->gid);
	ret->cuid = uid_out(o->cuid);
	ret->cgid = gid_out(o->cgid);
	ret->mode = (__kernel_mode_t)o->mode;
	ret->seq = (unsigned short)(o->id >> IPC_INDEX_BITS);
}

/* ---- finding ---- */

/* With a reference, or null. */
static struct ipc_object *find_index(struct ipc_ids *ids, uint32_t index)
{
	struct ipc_object *o;

	spin_lock(&ids->find_lock);
	o = index < ids->capacity ? ids->slots[index] : NULL;
	if (o)
		ipc_hold(o);
	spin_unlock(&ids->find_lock);
	return o;
}

static struct ipc_object *find(struct ipc_ids *ids, int id, enum ipc_find how)
{
	struct ipc_object *o = id < 0 ? NULL : find_index(ids, (uint32_t)id & INDEX_MASK);

	if (!o || how != IPC_BY_ID || o->id == id)
		return o;
	ipc_put(o);
	return NULL;
}

struct ipc_object *ipc_find(struct ipc_ids *ids, int id)
{
	return find(ids, id, IPC_BY_ID);
}

/* Takes over the reference. */
static int lock_found(struct ipc_object *o, struct ipc_object **ret)
{
	if (!o)
		return -EINVAL;
	mutex_lock(&o->lock);
	if (o->removed) {
		ipc_unlock(o);
		return -EIDRM;
	}
	*ret = o;
	return 0;
}

/* A locked object stays so only if there was no error. */
static int unless(int error, struct ipc_object *o, struct ipc_object **ret)
{
	if (error)
		ipc_unlock(o);
	else
		*ret = o;
	return error;
}

int ipc_lock(struct ipc_ids *ids, int id, struct ipc_object **ret)
{
	return lock_found(find(ids, id, IPC_BY_ID), ret);
}

int ipc_lock_for(struct ipc_ids *ids, int id, uint32_t mode, struct ipc_object **ret)
{
	struct ipc_object *o;
	int error = ipc_lock(ids, id, &o);

	return error ? error : unless(ipc_permission(o, mode), o, ret);
}

int ipc_lock_to_see(struct ipc_ids *ids, int id, enum ipc_find how, struct ipc_object **ret)
{
	struct ipc_object *o;
	int error = lock_found(find(ids, id, how), &o);

	if (error)
		return error;
	return unless(how == IPC_BY_INDEX_ANY ? 0 : ipc_permission(o, IPC_READ), o, ret);
}

int ipc_lock_to_change(struct ipc_ids *ids, int id, struct ipc_object **ret)
{
	struct ipc_object *o;
	int error = ipc_lock(ids, id, &o);

	return error ? error : unless(may_change(o), o, ret);
}

void ipc_unlock(struct ipc_object *o)
{
	mutex_unlock(&o->lock);
	ipc_put(o);
}

int ipc_lock_to_remove(struct ipc_ids *ids, int id, struct ipc_object **ret)
{
	int error;

	mutex_lock(&ids->lock);
	error = ipc_lock_to_change(ids, id, ret);
	if (error)
		mutex_unlock(&ids->lock);
	return error;
}

void ipc_unlock_removed(struct ipc_object *o)
{
	struct ipc_ids *ids = o->ids;

	mutex_unlock(&o->lock);
	mutex_unlock(&ids->lock);
	ipc_put(o);
}

/* ---- coming and going; the table is locked ---- */

static struct hash_head *key_head(struct ipc_ids *ids, int32_t key)
{
	return &ids->by_key[hash_u64((uint32_t)key) % IPC_KEY_HEADS];
}

static struct ipc_object *find_key_locked(struct ipc_ids *ids, int32_t key)
{
	struct ipc_object *o;

	hash_for_each(o, key_head(ids, key), by_key)
		if (o->key == key)
			return o;
	return NULL;
}

/* Room for the index. 0 or -ENOMEM. */
static int reserve_locked(struct ipc_ids *ids, uint32_t index)
{
	uint32_t capacity = max(ids->capacity, (uint32_t)IPC_CYCLE_MIN);
	struct ipc_object **slots, **old = ids->slots;

	if (index < ids->capacity)
		return 0;
	while (capacity <= index)
		capacity *= 2;
	slots = kcalloc(capacity, sizeof(slots[0]));
	if (!slots)
		return -ENOMEM;
	if (old)
		memcpy(slots, old, ids->capacity * sizeof(slots[0]));
	spin_lock(&ids->find_lock);
	ids->slots = slots;
	WRITE_ONCE(ids->capacity, capacity);
	spin_unlock(&ids->find_lock);
	kfree(old);
	return 0;
}

/* The next free index in turn, with room for it: 0, -ENOSPC or -ENOMEM. */
static int choose_locked(struct ipc_ids *ids, uint32_t *ret)
{
	uint32_t limit = min(READ_ONCE(ids->max), IPC_INDEX_MAX), cycle, index = ids->last;
	int error;

	if (ids->used >= limit)
		return -ENOSPC;
	cycle = min(max(ids->used + ids->used / 2, (uint32_t)IPC_CYCLE_MIN), limit);
	do
		index = index + 1 < cycle ? index + 1 : 0; /* at most ids->used are taken: one below `cycle` is free, or above lies more */
	while (index < ids->capacity && ids->slots[index]);
	error = reserve_locked(ids, index);
	*ret = index;
	return error;
}

/* An empty table takes no memory. */
static void shrink_locked(struct ipc_ids *ids)
{
	struct ipc_object **old = ids->slots;

	if (ids->used > 0)
		return;
	spin_lock(&ids->find_lock);
	ids->slots = NULL;
	WRITE_ONCE(ids->capacity, 0);
	spin_unlock(&ids->find_lock);
	kfree(old);
}

static void link_locked(struct ipc_ids *ids, struct ipc_object *o, uint32_t index, const struct ipc_get *g)
{
	const struct cred *c = thread_current()->cred;

	if (ids->last != UINT32_MAX && index <= ids->last)
		ids->sequence = ids->sequence < IPC_SEQUENCE_MAX ? ids->sequence + 1 : 0;
	ids->last = index;
	ids->used++;
	refcount_init(&o->refs, 1);
	mutex_init(&o->lock, RANK_IPC);
	o->ids = ids;
	o->id = (int32_t)(ids->sequence << IPC_INDEX_BITS | index);
	o->key = g->key;
	o->mode = g->flags & IPC_MODE;
	o->uid = o->cuid = c->euid;
	o->gid = o->cgid = c->egid;
	o->changed = ipc_now();
	if (g->key != IPC_PRIVATE)
		hash_insert(key_head(ids, g->key), &o->by_key);
	spin_lock(&ids->find_lock);
	ids->slots[index] = o;
	spin_unlock(&ids->find_lock);
}

static int64_t create_locked(struct ipc_ids *ids, const struct ipc_get *g)
{
	struct ipc_object *o;
	uint32_t index;
	int error = choose_locked(ids, &index);

	if (!error)
		error = g->make(g, &o);
	if (error) {
		shrink_locked(ids);
		return error;
	}
	link_locked(ids, o, index, g);
	return o->id;
}

static int64_t open_locked(const struct ipc_get *g, struct ipc_object *o)
{
	int error;

	if ((g->flags & IPC_CREAT) && (g->flags & IPC_EXCL))
		return -EEXIST;
	mutex_lock(&o->lock);
	error = g->check ? g->check(g, o) : 0;
	if (!error)
		error = ipc_permission(o, g->flags);
	mutex_unlock(&o->lock);
	return error ? error : o->id;
}

int64_t ipc_get(struct ipc_ids *ids, const struct ipc_get *g)
{
	struct ipc_object *o;
	int64_t result;

	mutex_lock(&ids->lock);
	o = g->key == IPC_PRIVATE ? NULL : find_key_locked(ids, g->key);
	if (o)
		result = open_locked(g, o);
	else if (g->key != IPC_PRIVATE && !(g->flags & IPC_CREAT))
		result = -ENOENT;
	else
		result = create_locked(ids, g);
	mutex_unlock(&ids->lock);
	return result;
}

void ipc_hide(struct ipc_object *o)
{
	assert_mutex_held(&o->ids->lock);
	hash_remove(&o->by_key);
	WRITE_ONCE(o->key, IPC_PRIVATE);
}

void ipc_unlink(struct ipc_object *o)
{
	struct ipc_ids *ids = o->ids;

	assert_mutex_held(&ids->lock);
	assert_mutex_held(&o->lock);
	ipc_hide(o);
	STORE_RELEASE(o->removed, true); /* who sees it frees what was taken off before (sem_undo.c) */
	spin_lock(&ids->find_lock);
	ids->slots[(uint32_t)o->id & INDEX_MASK] = NULL;
	spin_unlock(&ids->find_lock);
	ids->used--;
	shrink_locked(ids);
	ipc_put(o); /* the caller has another */
}

void ipc_ids_clear(struct ipc_ids *ids)
{
	mutex_lock(&ids->lock);
	for (uint32_t i = 0; i < ids->capacity; i++) { /* 0 with the last object */
		struct ipc_object *o = ids->slots[i];

		if (!o)
			continue;
		ipc_hold(o);
		mutex_lock(&o->lock);
		ipc_unlink(o);
		mutex_unlock(&o->lock);
		ipc_put(o);
	}
	mutex_unlock(&ids->lock);
}

/* ---- figures ---- */

int64_t ipc_highest(struct ipc_ids *ids)
{
	int64_t highest = 0;

	mutex_lock(&ids->lock);
	for (uint32_t i = 0; i < ids->capacity; i++)
		if (ids->slots[i])
			highest = i;
	mutex_unlock(&ids->lock);
	return highest;
}

uint32_t ipc_used(struct ipc_ids *ids)
{
	uint32_t used;

	mutex_lock(&ids->lock);
	used = ids->used;
	mutex_unlock(&ids->lock);
	return used;
}

void ipc_for_each(struct ipc_ids *ids, void (*fn)(struct ipc_object *o, void *arg), void *arg)
{
	for (uint32_t i = 0; i < IPC_INDEX_MAX && i < READ_ONCE(ids->capacity); i++) {
		struct ipc_object *o = find_index(ids, i);

		if (!o)
			continue;
		mutex_lock(&o->lock);
		if (!o->removed)
			fn(o, arg);
		ipc_unlock(o);
	}
}
