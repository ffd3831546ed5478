/* SPDX-License-Identifier: MIT */
/* Attributes of a file by its path: reading them, changing them with the rules of chmod(2), chown(2), utimensat(2), truncate(2). */
#include <cloudos/inotify.h>
#include <cloudos/vm.h>
#include "vfs_internal.h"

void vfs_getattr(const struct path *path, struct file_stat *ret)
{
	struct inode *inode = path->dentry->inode;

	if (inode->ops->getattr)
		inode->ops->getattr(inode, ret);
	else
		inode_getattr(inode, ret);
}

/* The common case takes no reference at all: the attributes are read while the walk's last step still holds. */
int vfs_stat(int dirfd, const char *name, unsigned flags, struct file_stat *ret)
{
	struct walk w;
	struct inode *inode;
	struct path path;
	int error = walk_begin(&w, dirfd, name, flags);

	if (!error)
		error = walk_run(&w);
	if (unlikely(error)) {
		if (error == -ENXIO && w.pathless) {
			file_getattr(w.pathless, ret);
			error = 0;
		}
		walk_end(&w);
		return error;
	}
	inode = w.at.dentry->inode;
	if (likely(!inode->ops->getattr)) {
		inode_getattr(inode, ret);
		walk_end(&w);
		return 0;
	}
	walk_take(&w, &path);
	vfs_getattr(&path, ret);
	path_put(&path);
	return 0;
}

static int check_access(const struct path *path, unsigned mask, const struct cred *cred)
{
	struct inode *inode = path->dentry->inode;
	int error;

	if (!mask)
		return 0;
	if ((mask & MAY_EXEC) && S_ISREG(inode_mode(inode)) && (path->mount->flags & MS_NOEXEC))
		return -EACCES;
	error = inode_permission(inode, mask, cred);
	if (!error && (mask & MAY_WRITE) && (S_ISREG(inode_mode(inode)) || S_ISDIR(inode_mode(inode)) || S_ISLNK(inode_mode(inode))))
		error = mount_want_write(path->mount);
	return error;
}

/* A pipe or socket behind /proc/PID/fd/N: mode 0600, its opener's. */
static int pathless_access(const struct file *f, unsigned mask, const struct cred *cred)
{
	if (!(mask & MAY_EXEC) && (cred->fsuid == f->cred->fsuid || cred_capable(cred, CAP_DAC_OVERRIDE)))
		return 0;
	return mask ? -EACCES : 0;
}

int vfs_access(int dirfd, const char *name, unsigned flags, unsigned mask, const struct cred *cred)
{
	struct walk w;
	int error = walk_begin(&w, dirfd, name, flags);

	w.cred = cred;
	if (!error)
		error = walk_run(&w);
	if (!error)
		error = check_access(&w.at, mask, cred);
	else if (error == -ENXIO && w.pathless)
		error = pathless_access(w.pathless, mask, cred);
	walk_end(&w);
	return error;
}

ssize_t vfs_readlink(int dirfd, const char *name, char *buf, size_t size)
{
	struct path path;
	struct inode *inode;
	ssize_t n = path_lookup(dirfd, name, LOOKUP_EMPTY, &path);

	if (n)
		return n;
	inode = path.dentry->inode;
	if (!S_ISLNK(inode_mode(inode)) || !inode->ops->readlink)
		n = *name ? -EINVAL : -ENOENT;
	else
		n = inode->ops->readlink(inode, buf, size);
	path_put(&path);
	return n;
}

static int setattr_locked(struct inode *inode, const struct file_attr *attr)
{
	int error = unlikely(inode->seals) && (attr->set & ATTR_SIZE) ? seals_allow_resize(inode, attr->size) : 0;

	if (!error && (attr->set & ATTR_MODE))
		error = acl_chmod_locked(inode, attr->mode);
	if (error)
		return error;
	if (inode->ops->setattr)
		error = inode->ops->setattr(inode, attr);
	else if (attr->set & ATTR_SIZE)
		error = -EPERM;
	else
		inode_setattr(inode, attr);
	if (!error && (attr->set & ATTR_DROP_CAPS))
		inode_drop_caps_locked(inode);
	return error;
}

/* What changing attributes is to those who watch the file. */
static uint32_t events_of(const struct file_attr *attr)
{
	uint32_t times = attr->set & (ATTR_ATIME | ATTR_MTIME), events = attr->set & (ATTR_MODE | ATTR_UID | ATTR_GID) ? IN_ATTRIB : 0;

	if (times == (ATTR_ATIME | ATTR_MTIME))
		events |= IN_ATTRIB;
	else if (times)
		events |= times == ATTR_ATIME ? IN_ACCESS : IN_MODIFY;
	return events | (attr->set & ATTR_SIZE ? IN_MODIFY : 0);
}

/* Whether `attr` may be set, and what goes with it: under the inode's lock, so that nobody changes the owner or the mode between. */
typedef int (*attr_check)(struct inode *inode, const struct cred *cred, struct file_attr *attr);

static int setattr_checked(const struct path *path, struct file_attr *attr, attr_check check)
{
	struct inode *inode = path->dentry->inode;
	int error = mount_want_write(path->mount);

	if (error)
		return error;
	mutex_lock(&inode->lock);
	error = check ? check(inode, thread_current()->cred, attr) : 0;
	if (!error)
		error = setattr_locked(inode, attr);
	mutex_unlock(&inode->lock);
	if (!error)
		notify_path(path, events_of(attr));
	return error;
}

int vfs_setattr(const struct path *path, const struct file_attr *attr)
{
	struct file_attr copy = *attr;

	return setattr_checked(path, &copy, NULL);
}

int file_may_grow(const struct inode *inode, uint64_t size)
{
	size_t one = 1;

	return file_size_limit && size > READ_ONCE(inode->data->size) ? file_size_limit(size - 1, &one) : 0;
}

int vfs_truncate(struct inode *inode, uint64_t size)
{
	struct file_attr attr = { .set = ATTR_SIZE, .size = size };
	int error;

	if (size > inode->sb->max_bytes)
		return -EFBIG;
	error = file_may_grow(inode, size);
	if (error)
		return error;
	mutex_lock(&inode->lock);
	inode_clear_setid_locked(inode);
	inode_drop_caps_locked(inode);
	error = setattr_locked(inode, &attr);
	mutex_unlock(&inode->lock);
	return error;
}

static int may_chmod(struct inode *inode, const struct cred *cred, struct file_attr *attr)
{
	if (!inode_owner_or_capable(inode, cred))
		return -EPERM;
	if (S_ISLNK(inode_mode(inode)))
		return -EOPNOTSUPP;
	if ((attr->mode & S_ISGID) && !cred_in_group(cred, inode->gid) && !inode_capable(inode, cred, CAP_FSETID))
		attr->mode &= ~(uint32_t)S_ISGID;
	return 0;
}

int vfs_chmod(const struct path *path, uint32_t mode)
{
	struct file_attr attr = { .set = ATTR_MODE, .mode = mode & MODE_PERMISSIONS };

	return setattr_checked(path, &attr, may_chmod);
}

/* The bits of its mode that a file loses when its owner is set. */
static uint32_t inode_sheds_mode(const struct inode *inode)
{
	uint32_t mode = inode_mode(inode);

	if (inode_is_dir(inode))
		return 0;
	return mode & (S_ISUID | ((mode & S_IXGRP) ? S_ISGID : 0u));
}

/* The set-id bits, and capabilities, go when the owner of a file changes (not of a folder, and not group bits that mean mandatory locks). */
static void chown_mode(const struct inode *inode, struct file_attr *attr)
{
	uint32_t clear = inode_sheds_mode(inode);

	if (inode_is_dir(inode))
		return;
	attr->set |= ATTR_DROP_CAPS;
	if (!clear)
		return;
	attr->set |= ATTR_MODE;
	attr->mode = inode_mode(inode) & ~clear;
}

static int may_chown(struct inode *inode, const struct cred *cred, struct file_attr *attr)
{
	bool any = inode_capable(inode, cred, CAP_CHOWN), owner = cred->fsuid == inode->uid;

	if ((attr->set & ATTR_UID) && !any && (!owner || attr->uid != inode->uid))
		return -EPERM;
	if ((attr->set & ATTR_GID) && !any && (!owner || (attr->gid != inode->gid && !cred_in_group(cred, attr->gid))))
		return -EPERM;
	if (attr->set || inode_owner_or_capable(inode, cred)) /* a stranger who changes nothing takes nothing away, either */
		chown_mode(inode, attr);
	else if (inode_sheds_mode(inode))
		return -EPERM;
	return 0;
}

int vfs_chown(const struct path *path, uint32_t uid, uint32_t gid)
{
	struct file_attr attr = { .uid = uid, .gid = gid };

	attr.set = (uid != UINT32_MAX ? ATTR_UID : 0) | (gid != UINT32_MAX ? ATTR_GID : 0);
	return setattr_checked(path, &attr, may_chown);
}

static int may_set_times(struct inode *inode, const struct cred *cred, struct file_attr *attr)
{
	(void)attr;
	return inode_owner_or_capable(inode, cred) ? 0 : -EPERM;
}

static int may_touch(struct inode *inode, const struct cred *cred, struct file_attr *attr)
{
	(void)attr;
	return inode_owner_or_capable(inode, cred) ? 0 : inode_permission(inode, MAY_WRITE, cred);
}

int vfs_utimes(const struct path *path, const struct file_attr *times, bool to_now)
{
	struct file_attr attr = *times;

	return setattr_checked(path, &attr, to_now ? may_touch : may_set_times);
}
