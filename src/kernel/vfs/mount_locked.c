/* SPDX-License-Identifier: MIT */
/*
 * What a user namespace may not undo: mounts that were copied into it keep their places ("locked") and restrictions, so that it does not see
 * what somebody with more rights has hidden. mount_remove_locked() in mount.c keeps them where they are, even out of the table.
 */
#include <cloudos/user_namespace.h>
#include "vfs_internal.h"

bool mount_is_below(const struct dentry *d, const struct dentry *top)
{
	while (d != top && d->parent != d)
		d = d->parent;
	return d == top;
}

bool mount_has_locked(const struct path *at)
{
	struct mount *m;

	list_for_each (m, &at->mount->children, siblings)
		if (m->locked && mount_is_below(m->point, at->dentry))
			return true;
	return false;
}

void mount_restrict_copy_locked(struct mount *copy)
{
	copy->locked_flags |= MOUNT_TIMES | (copy->flags & (MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC));
	copy->locked = true;
}

/*
 * What shows the system as a whole is shown in another user namespace only to whom it is shown already, with nothing hidden, and with the
 * same restrictions. A mount of the type that says so, or null. Tree lock held.
 */
static const struct mount *shown_whole_locked(const struct mount_namespace *ns, const struct fs_type *type, uint32_t flags)
{
	const struct mount *m;

	list_for_each (m, &all_mounts, all)
		if (m->ns == ns && m->sb->type == type && m->root == m->sb->root && !(m->locked_flags & MS_RDONLY & ~flags) &&
		    !mount_has_locked(&(struct path){ (struct mount *)(uintptr_t)m, m->root }))
			return m;
	return NULL;
}

int mount_restrict_new(struct mount *m, const struct fs_type *type, uint32_t flags)
{
	struct mount_namespace *ns = mount_namespace_of_thread();
	const struct mount *like;

	if (!type->whole_system || namespace_owner(&ns->base) == &user_namespace_first)
		return 0;
	tree_read_enter();
	like = shown_whole_locked(ns, type, flags);
	if (like)
		m->locked_flags = like->locked_flags & (MS_RDONLY | MOUNT_TIMES);
	tree_read_leave();
	return like ? 0 : -EPERM;
}
