/* SPDX-License-Identifier: MIT */
/*
 * Changing a mount, or a whole tree of them, at once: its flags and what it hears of (mount_setattr(2), mount(2)'s MS_REMOUNT with MS_BIND and
 * MS_SHARED, ...); and giving a mount another's peers (move_mount(2) with MOVE_MOUNT_SET_GROUP). All is checked before anything changes.
 */
#include <cloudos/fs_config.h>
#include <cloudos/user_namespace.h>
#include "vfs_internal.h"

/* May a mount come to have these flags? What was set by somebody with more rights stays. */
static bool may_have(const struct mount *m, uint32_t flags)
{
	return !((m->flags ^ flags) & m->locked_flags & (MOUNT_TIMES | ~flags));
}

static uint32_t changed_flags(const struct mount *m, const struct mount_change *c)
{
	return (READ_ONCE(m->flags) & ~c->clear) | c->set;
}

static struct mount *next(const struct mount *m, const struct mount *top, bool recursive)
{
	return recursive ? mount_tree_next(m, top) : NULL;
}

static void change_propagation(struct mount *m, uint32_t type, struct mount_blanks *blanks)
{
	if (type == MS_SHARED) {
		mount_peers_share_locked(m, blanks);
	} else if (type == MS_SLAVE) {
		mount_peers_enslave_locked(m);
	} else if (type) {
		mount_peers_leave_locked(m);
		m->unbindable = type == MS_UNBINDABLE;
	}
}

/* Of a detached tree: only who has made it has a way there. */
static int check_locked(const struct path *at, const struct mount_change *c, struct mount_want *want)
{
	const struct mount *m, *top = at->mount;

	if (at->dentry != top->root || !top->ns || !(top->ns->detached || mount_in_tree_locked(top)))
		return -EINVAL;
	*want = (struct mount_want){ 0, 0 };
	for (m = top; m; m = next(m, top, c->recursive)) {
		if (!may_have(m, changed_flags(m, c)))
			return -EPERM;
		want->groups += c->propagation == MS_SHARED && !m->group;
	}
	return 0;
}

int vfs_mount_setattr(const struct path *at, const struct mount_change *c)
{
	struct mount_blanks blanks = MOUNT_BLANKS(blanks);
	struct mount_want want = { 0, 0 };
	struct mount *m;
	bool done = false;
	int error;

	do {
		error = mount_blanks_add(&blanks, &want);
		if (error)
			break;
		tree_write_enter();
		error = check_locked(at, c, &want);
		done = !error && mount_blanks_enough(&blanks, &want);
		for (m = done ? at->mount : NULL; m; m = next(m, at->mount, c->recursive)) {
			WRITE_ONCE(m->flags, changed_flags(m, c));
			change_propagation(m, c->propagation, &blanks);
		}
		tree_write_leave();
	} while (!error && !done);
	mount_blanks_free(&blanks);
	return error;
}

int vfs_mount_change(const struct path *at, uint32_t type, bool recursive)
{
	return vfs_mount_setattr(at, &(struct mount_change){ .propagation = type, .recursive = recursive });
}

int vfs_remount(const struct path *at, uint32_t flags, bool bind)
{
	const struct super_block *sb = at->mount->sb;
	struct mount_change c = { .clear = MOUNT_FLAGS & ~MOUNT_TIMES, .set = flags & MOUNT_FLAGS };

	if (!bind && !cred_capable_over(thread_current()->cred, sb->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (flags & MOUNT_TIMES)
		c.clear |= MOUNT_TIMES;
	return vfs_mount_setattr(at, &c);
}

/* ---- MOVE_MOUNT_SET_GROUP ---- */

/* One's own to change: in a namespace over which one has the right. */
static int check_own(const struct mount *m)
{
	if (!m->ns)
		return -EINVAL;
	return cred_capable_over(thread_current()->cred, namespace_owner(&m->ns->base), CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static int check_join_locked(const struct path *from, const struct path *to)
{
	const struct mount *f = from->mount, *t = to->mount;
	int error = check_own(f);

	if (!error)
		error = check_own(t);
	if (error)
		return error;
	if (from->dentry != f->root || to->dentry != t->root || f->sb != t->sb || !mount_is_below(t->root, f->root))
		return -EINVAL;
	if (mount_has_locked(&(struct path){ from->mount, t->root }))
		return -EINVAL;
	return t->group || t->master || !(f->group || f->master) ? -EINVAL : 0;
}

int vfs_mount_join(const struct path *from, const struct path *to)
{
	int error;

	tree_write_enter();
	error = check_join_locked(from, to);
	if (!error) {
		to->mount->unbindable = false;
		mount_peers_join_locked(to->mount, from->mount);
	}
	tree_write_leave();
	return error;
}
