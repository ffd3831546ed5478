/* SPDX-License-Identifier: MIT */
/*
 * umount(2): taking a mount away, with MNT_DETACH all that is on it too, and what was passed on with it (mount_peers.c).
 *
 * Where the mount that it stands on is shared, what stands on the same place of each receiver goes as well, if it may: nothing stands on it
 * but what goes too, or what covers it as a whole, which comes to stand in its place; and it is not locked where it is, unless
 * what it stands on goes. What goes is found by marks (mount.fate), made and taken back in one writing section.
 *
 *   FATE_GOES   the tree that was asked for
 *   FATE_MAYBE  stands on the same place elsewhere; those that may not go lose it again, until none does
 *
 * MNT_EXPIRE takes two calls: the first marks the mount, the second takes it away if no walk has ended in it between (walk.c).
 */
#include "vfs_internal.h"

enum fate { FATE_STAYS, FATE_MAYBE, FATE_GOES };

/* ---- who goes; tree lock, writing ---- */

static void mark_tree(struct mount *top, struct list *going)
{
	for (struct mount *m = top; m; m = mount_tree_next(m, top)) {
		m->fate = FATE_GOES;
		list_add_tail(going, &m->going);
	}
}

/* What stands elsewhere where m stands. */
static void mark_others(const struct mount *m, struct list *maybe)
{
	const struct peer_group *top = m->parent->group;
	struct mount *r, *on;

	for (r = top ? mount_receiver_first(top) : NULL; r; r = mount_receiver_next(r, top)) {
		on = r == m->parent ? NULL : mount_find(r, m->point);
		ASSERT(!on || on->ns);
		if (on && on->fate == FATE_STAYS) {
			on->fate = FATE_MAYBE;
			list_add(maybe, &on->going); /* what stands on others comes before those */
		}
	}
}

static bool may_go(const struct mount *m)
{
	const struct mount *on;

	if (m->locked && m->parent->fate == FATE_STAYS)
		return false;
	list_for_each (on, &m->children, siblings)
		if (on->fate == FATE_STAYS && on->point != m->root)
			return false;
	return true;
}

static void keep(struct mount *m, struct list *kept)
{
	m->fate = FATE_STAYS;
	list_del(&m->going);
	list_add_tail(kept, &m->going);
}

/* Each that stays is looked at once more, for what stays because of it. */
static void take_back_marks(struct list *maybe)
{
	struct list kept = LIST_INIT(kept);
	struct mount *m, *next, *on;

	list_for_each_safe (m, next, maybe, going)
		if (!may_go(m))
			keep(m, &kept);
	while (!list_empty(&kept)) {
		m = list_first(&kept, struct mount, going);
		list_del(&m->going);
		if (m->parent->fate == FATE_MAYBE && !may_go(m->parent))
			keep(m->parent, &kept);
		list_for_each (on, &m->children, siblings)
			if (on->fate == FATE_MAYBE && !may_go(on))
				keep(on, &kept);
	}
}

/* ---- going ---- */

static struct mount *staying_at(const struct path *at)
{
	struct mount *on;

	list_for_each (on, &at->mount->children, siblings)
		if (on->point == at->dentry && on->fate == FATE_STAYS)
			return on;
	return NULL;
}

/* What covers one that goes comes to stand where that stood, or on what stays there already. */
static void move_down(struct mount *m)
{
	struct path at = { m->parent, m->point };
	struct mount *on;

	while (at.mount->fate != FATE_STAYS)
		at = (struct path){ at.mount->parent, at.mount->point };
	while ((on = staying_at(&at)))
		at = (struct path){ on, on->root };
	mount_reattach_locked(m, &at);
}

static bool is_covered(const struct mount *m)
{
	const struct mount *on;

	list_for_each (on, &m->children, siblings)
		if (on->fate == FATE_STAYS)
			return true;
	return false;
}

/* Several may come to stand in one place: the older ones below. */
static void uncover(const struct list *maybe)
{
	bool covered = false;
	struct mount *m;

	list_for_each (m, maybe, going)
		covered |= is_covered(m);
	if (!covered)
		return;
	list_for_each (m, &all_mounts, all)
		if (m->fate == FATE_STAYS && m->parent && m->parent->fate != FATE_STAYS)
			move_down(m);
}

/* Out of the table: to *going, with what was below each in `was`. */
static void unmount_locked(struct mount *top, struct list *going)
{
	struct list maybe = LIST_INIT(maybe);
	struct mount *m;

	mark_tree(top, going);
	list_for_each (m, going, going)
		mark_others(m, &maybe);
	take_back_marks(&maybe);
	uncover(&maybe);
	list_splice_tail(going, &maybe);
	list_for_each (m, going, going)
		m->was = mount_remove_locked(m);
	list_for_each (m, going, going)
		m->fate = FATE_STAYS;
}

void mount_remove_tree_locked(struct mount *top, struct list *going)
{
	struct mount *m;

	mark_tree(top, going);
	list_for_each (m, going, going) {
		m->was = mount_remove_locked(m);
		m->fate = FATE_STAYS;
	}
}

void mount_release(struct list *going)
{
	while (!list_empty(going)) {
		struct mount *m = list_first(going, struct mount, going);
		struct path was = m->was;

		list_del(&m->going);
		mount_put_below(&was);
		mount_put(m);
	}
}

/* ---- is it in use? ---- */

/* What stands on the same place elsewhere: in use, unless something stands on it that keeps it there anyway. */
static bool other_is_busy(const struct mount *m)
{
	const struct mount *on = NULL;
	uint32_t own = 1;

	if (!list_empty(&m->children)) {
		on = list_first(&m->children, struct mount, siblings);
		if (on->point != m->root || m->children.next != m->children.prev)
			return false;
		own++; /* what covers it holds it */
	}
	return refcount_read(&m->refs) > own;
}

/* The table's and the caller's references aside, has anybody one? */
static bool is_busy(const struct mount *m)
{
	const struct peer_group *top = m->parent->group;
	const struct mount *r, *on;

	if (!list_empty(&m->children) || refcount_read(&m->refs) > 2)
		return true;
	for (r = top ? mount_receiver_first(top) : NULL; r; r = mount_receiver_next(r, top)) {
		on = r == m->parent ? NULL : mount_find(r, m->point);
		if (on && other_is_busy(on))
			return true;
	}
	return false;
}

/* ---- umount(2) ---- */

static int check_locked(const struct path *at)
{
	const struct mount *m = at->mount;

	if (at->dentry != m->root || !mount_in_tree_locked(m) || m->locked)
		return -EINVAL;
	return m == m->ns->root ? -EBUSY : 0;
}

int vfs_unmount(const struct path *at, bool detach)
{
	struct list going = LIST_INIT(going);
	struct mount *m = at->mount;
	int error;

	tree_read_enter();
	error = check_locked(at);
	tree_read_leave();
	if (error)
		return error;
	if (m->sb->ops->sync)
		m->sb->ops->sync(m->sb);
	tree_write_enter();
	error = check_locked(at); /* somebody else may have been faster, or have exchanged the root */
	if (!error && !detach && is_busy(m))
		error = -EBUSY;
	if (!error)
		unmount_locked(m, &going);
	tree_write_leave();
	mount_release(&going);
	return error;
}

int vfs_unmount_expired(const struct path *at)
{
	struct fs_context *fs = thread_current()->fs;
	struct mount *m = at->mount;
	int error;

	tree_write_enter();
	spin_lock(&fs->lock);
	error = m == fs->root.mount ? -EINVAL : 0;
	spin_unlock(&fs->lock);
	if (!error)
		error = check_locked(at);
	if (!error && refcount_read(&m->refs) > 2)
		error = -EBUSY;
	if (!error && !READ_ONCE(m->expiring)) {
		WRITE_ONCE(m->expiring, true);
		error = -EAGAIN;
	}
	tree_write_leave();
	return error ? error : vfs_unmount(at, false);
}

void mount_dissolve(struct mount_namespace *ns)
{
	struct list going = LIST_INIT(going);

	tree_write_enter();
	if (ns->root) {
		mount_remove_tree_locked(ns->root, &going);
		ns->root = NULL;
	}
	tree_write_leave();
	mount_release(&going);
}
