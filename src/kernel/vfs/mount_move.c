/* SPDX-License-Identifier: MIT */
/* Moving a tree of mounts to another place (MS_MOVE of mount(2), move_mount(2)): the same mounts, passed on from where they come to stand. */
#include "vfs_internal.h"

static bool has_unbindable(const struct mount *top)
{
	for (const struct mount *m = top; m; m = mount_tree_next(m, top))
		if (m->unbindable)
			return true;
	return false;
}

/* From a place that is not shared: there it would have to be passed on that it goes. Of a detached tree, from nowhere. */
static int check_from_locked(const struct path *from)
{
	const struct mount *m = from->mount;

	if (from->dentry != m->root || !m->ns || m->locked)
		return -EINVAL;
	if (m->ns->detached)
		return m == m->ns->root ? 0 : -EINVAL;
	if (!m->parent || !mount_in_tree_locked(m) || m->parent->group)
		return -EINVAL;
	return 0;
}

static int check_locked(const struct path *on, const struct path *from, struct mount_want *want)
{
	const struct mount *m = from->mount, *up;
	int error = check_from_locked(from);

	if (!error)
		error = mount_check_place_locked(m->root, on);
	if (error)
		return error;
	if (on->mount->group && has_unbindable(m))
		return -EINVAL;
	for (up = on->mount; up; up = up->parent)
		if (up == m)
			return -ELOOP;
	*want = (struct mount_want){ 0, 0 };
	return mount_place_check_locked(on, mount_tree_count(m), m->ns == on->mount->ns, want);
}

/* What it stood on, with the references; null: nothing. */
static struct path leave_locked(struct mount *m)
{
	struct mount_namespace *ns = m->ns;

	if (!ns->detached)
		return mount_detach_locked(m);
	ns->root = NULL;
	for (struct mount *on = m; on; on = mount_tree_next(on, m))
		mount_withdraw_locked(on);
	return (struct path){ NULL, NULL };
}

int vfs_mount_move(const struct path *on, const struct path *from)
{
	struct mount_blanks blanks = MOUNT_BLANKS(blanks);
	struct mount_want want = { 0, 0 };
	struct path old = { NULL, NULL };
	bool done = false;
	int error;

	do {
		struct path top = *on;

		error = mount_blanks_add(&blanks, &want);
		if (error)
			break;
		tree_write_enter();
		mount_cross(&top);
		error = check_locked(&top, from, &want);
		done = !error && mount_blanks_enough(&blanks, &want);
		if (done) {
			old = leave_locked(from->mount);
			mount_place_locked(from->mount, &top, &blanks);
		}
		tree_write_leave();
	} while (!error && !done);
	mount_blanks_free(&blanks);
	mount_put_below(&old);
	return error;
}
