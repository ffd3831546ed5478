/* SPDX-License-Identifier: MIT */
/*
 * Mount points: what is mounted on a dentry, in whatever mount and namespace, also what is only kept there (mount_locked.c). A mount keeps its
 * place from being removed or renamed for those of its own namespace; for others it does not: with the name goes what they had mounted there.
 *
 * Locking: the tree lock.
 */
#include "vfs_internal.h"

#define POINT_BUCKETS 1024

static struct hash_head by_dentry[POINT_BUCKETS];

static struct hash_head *bucket_of(const struct dentry *d)
{
	return &by_dentry[hash_u64((uintptr_t)d) % POINT_BUCKETS];
}

void mount_point_enter_locked(struct mount *m)
{
	m->point->flags |= DENTRY_MOUNTED;
	hash_insert(bucket_of(m->point), &m->on_point);
}

static struct mount *on_point(const struct dentry *d)
{
	struct mount *m;

	hash_for_each (m, bucket_of(d), on_point)
		if (m->point == d)
			return m;
	return NULL;
}

void mount_point_leave_locked(struct mount *m)
{
	hash_remove(&m->on_point);
	if (!on_point(m->point))
		m->point->flags &= ~DENTRY_MOUNTED;
}

bool mount_point_is_own(const struct dentry *d)
{
	const struct mount_namespace *ns = mount_namespace_of_thread();
	const struct mount *m;
	bool own = false;

	tree_read_enter();
	if (unlikely(d->flags & DENTRY_MOUNTED))
		hash_for_each (m, bucket_of(d), on_point)
			own |= m->point == d && m->ns == ns;
	tree_read_leave();
	return own;
}

/* Takes one mount away that is on a dentry, with all that is on it. False: there is none. */
static bool take_one(const struct dentry *d)
{
	struct list going = LIST_INIT(going);
	struct mount *m;

	tree_write_enter();
	m = on_point(d);
	if (m && m->ns) {
		m->locked = false; /* nothing is left that it could hide */
		mount_remove_tree_locked(m, &going);
	} else if (m) {
		list_del(&m->all); /* from those that are kept on its parent, which it holds no reference of */
		m->was = (struct path){ NULL, mount_detach_locked(m).dentry };
		list_add_tail(&going, &m->going);
	}
	tree_write_leave();
	mount_release(&going);
	return m != NULL;
}

void mount_point_deleted(struct dentry *d)
{
	uint32_t flags;

	tree_read_enter();
	flags = d->flags;
	tree_read_leave();
	if (likely(!(flags & DENTRY_DELETED) || !(flags & DENTRY_MOUNTED)))
		return;
	while (take_one(d))
		;
}
