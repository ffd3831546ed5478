/* SPDX-License-Identifier: MIT */
/*
 * Trees of mounts that only a descriptor holds (open_tree(2) with OPEN_TREE_CLONE, fsmount(2)): each is a namespace that nobody is in. The
 * descriptor's file leads to its root. move_mount(2) puts the tree somewhere, after which the namespace is empty; or it goes with the file.
 */
#include <cloudos/fs_config.h>
#include <cloudos/user_namespace.h>
#include "vfs_internal.h"

static void detached_release(struct file *f)
{
	namespace_put(f->private);
}

static const struct file_ops detached_ops = { .release = detached_release };

/* Takes over the namespace, also when it fails. */
static int file_of(struct mount_namespace *ns, struct file **ret)
{
	struct file *f = file_alloc();

	if (!f) {
		namespace_put(&ns->base);
		return -ENOMEM;
	}
	f->ops = &detached_ops;
	f->private = &ns->base;
	f->mode = FILE_PATH;
	f->flags = O_PATH;
	f->path = (struct path){ ns->root, ns->root->root };
	path_get(&f->path);
	f->inode = f->path.dentry->inode;
	*ret = f;
	return 0;
}

static int create(struct mount_namespace **ret)
{
	int error = mount_namespace_create(namespace_owner(&mount_namespace_of_thread()->base), ret);

	if (!error)
		(*ret)->detached = true;
	return error;
}

int mount_detached_file(struct mount *m, struct file **ret)
{
	struct mount_namespace *ns;
	int error = create(&ns);

	if (error) {
		mount_put(m);
		return error;
	}
	tree_write_enter();
	mount_enlist_locked(m, ns);
	ns->root = m;
	tree_write_leave();
	return file_of(ns, ret);
}

static int check_locked(const struct path *at, bool recursive, const struct mount_namespace *ns, struct mount_want *want)
{
	int error = mount_in_tree_locked(at->mount) ? mount_copy_check_locked(at, recursive, want) : -EINVAL;

	return error ? error : mount_check_room_locked(ns, want->mounts);
}

static int copy_tree(const struct path *at, bool recursive, struct mount_namespace *ns)
{
	struct mount_blanks blanks = MOUNT_BLANKS(blanks);
	struct mount_want want = { 1, 0 };
	struct mount *m;
	bool done = false;
	int error;

	do {
		error = mount_blanks_add(&blanks, &want);
		if (error)
			break;
		tree_write_enter();
		error = check_locked(at, recursive, ns, &want);
		done = !error && mount_blanks_enough(&blanks, &want);
		if (done)
			ns->root = mount_copy_tree_locked(at, recursive, &blanks);
		for (m = ns->root; m; m = mount_tree_next(m, ns->root))
			mount_enlist_locked(m, ns);
		tree_write_leave();
	} while (!error && !done);
	mount_blanks_free(&blanks);
	return error;
}

int vfs_open_tree(const struct path *at, bool recursive, struct file **ret)
{
	struct mount_namespace *ns;
	int error = create(&ns);

	if (error)
		return error;
	error = copy_tree(at, recursive, ns);
	if (error) {
		namespace_put(&ns->base);
		return error;
	}
	return file_of(ns, ret);
}
