/* SPDX-License-Identifier: MIT */
/*
 * Opening and removing one name of a folder that the kernel holds itself: of a file system whose names a system call takes without a path
 * (mq_open(2)). The rules are those of open(2) and unlink(2) in that folder, except that nothing is walked or followed.
 *
 * Locking: the folder's inode lock, as everywhere where names come and go (names.c).
 */
#include <cloudos/inotify.h>
#include <cloudos/string.h>
#include "vfs_internal.h"

/* The name must be one, and the folder may be searched. */
static int check_name(const struct path *dir, const char *text)
{
	if (!*text)
		return -ENOENT;
	if (strchr(text, '/') || str_equal(text, ".") || str_equal(text, ".."))
		return -EACCES;
	if (strlen(text) > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	return inode_permission(dir->dentry->inode, MAY_EXEC, thread_current()->cred);
}

static int make_locked(const struct path *dir, const struct name *name, struct dentry *d, uint32_t mode, const struct child_make *make)
{
	struct inode *inode = dir->dentry->inode;
	int error = dir_may_create(dir);

	if (!error)
		error = make->make(inode, d, S_IFREG | mode_apply_umask(inode, mode & MODE_PERMISSIONS), make->arg);
	if (error)
		return error;
	dentry_publish(d);
	notify_name(inode, name->text, name->len, d->inode, IN_CREATE, 0);
	return 0;
}

static int check_existing(uint32_t flags)
{
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	return (flags & O_ACCMODE) == O_ACCMODE ? -EINVAL : 0;
}

int vfs_open_child(const struct path *dir, const char *text, uint32_t flags, uint32_t mode, const struct child_make *make, struct file **ret)
{
	struct inode *inode = dir->dentry->inode;
	struct name name = name_of(text);
	struct dentry *d = NULL;
	int error = check_name(dir, text);
	bool there;

	if (error)
		return error;
	mutex_lock(&inode->lock);
	error = dentry_lookup_locked(dir->dentry, &name, &d);
	there = !error && d->inode;
	if (there)
		error = check_existing(flags);
	else if (!error)
		error = flags & O_CREAT ? make_locked(dir, &name, d, mode, make) : -ENOENT;
	mutex_unlock(&inode->lock);
	if (error) {
		if (d)
			dentry_put(d);
		return error;
	}
	refcount_get(&dir->mount->refs);
	return open_path((struct path){ dir->mount, d }, flags & (O_ACCMODE | O_NONBLOCK), !there, ret);
}

static int unlink_locked(const struct path *dir, const struct name *name, struct dentry *d)
{
	struct inode *inode = dir->dentry->inode;
	int error = d->inode ? dir_may_remove(dir, d, false) : -ENOENT;

	if (!error)
		error = inode->ops->unlink(inode, d);
	if (error)
		return error;
	notify_inode(d->inode, IN_ATTRIB);
	name_deleted(inode, name, d);
	return 0;
}

int vfs_unlink_child(const struct path *dir, const char *text)
{
	struct inode *inode = dir->dentry->inode;
	struct name name = name_of(text);
	struct dentry *d = NULL;
	int error = check_name(dir, text);

	if (error)
		return error;
	mutex_lock(&inode->lock);
	error = dentry_lookup_locked(dir->dentry, &name, &d);
	if (!error)
		error = unlink_locked(dir, &name, d);
	mutex_unlock(&inode->lock);
	if (d) {
		mount_point_deleted(d);
		dentry_put(d);
	}
	return error;
}
