/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes in memory, as xattr(7) has them: names and values that hang on an inode.
 *
 * A file system says by SB_XATTR that its inodes stay as long as they have names, so that what hangs on them does. They have trusted.* (for
 * CAP_SYS_ADMIN alone; others do not see it) and security.*; with SB_USER_XATTR also user.*, of files and folders alone; with SB_ACLS the access
 * control lists, system.posix_acl_* (acl.c), but no further system.*. security.capability has rules of its own (file_caps.c).
 *
 * Locking: inode->lock for the list. On failure nothing has changed.
 */
#include <cloudos/inotify.h>
#include <cloudos/list.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <linux/xattr.h>
#include "vfs_internal.h"

struct xattr {
	struct list link;
	size_t size;
	size_t name_len;
	char *name; /* behind the value */
	char value[];
};

/* By the inode's lock. */
struct xattrs {
	struct list all;
	size_t bytes; /* names and values */
};

static size_t xattr_bytes(const struct xattr *x)
{
	return x->size + x->name_len + 1;
}

int xattr_charge(struct super_block *sb, size_t come, size_t go)
{
	if (come > go && __atomic_add_fetch(&sb->xattr_bytes, come - go, __ATOMIC_RELAXED) > sb->xattr_bytes_max) {
		__atomic_sub_fetch(&sb->xattr_bytes, come - go, __ATOMIC_RELAXED);
		return -ENOSPC;
	}
	if (go > come)
		__atomic_sub_fetch(&sb->xattr_bytes, go - come, __ATOMIC_RELAXED);
	return 0;
}

void xattrs_free(struct inode *inode)
{
	struct xattrs *xs = inode->xattrs;
	struct xattr *x, *next;

	xattr_charge(inode->sb, 0, xs->bytes);
	list_for_each_safe(x, next, &xs->all, link)
		kfree(x);
	kfree(xs);
}

/* ---- who may ---- */

static bool begins(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_caps(const char *name)
{
	return strcmp(name, XATTR_NAME_CAPS) == 0;
}

/* Is the name one that this file system keeps? */
static int check_name(const struct inode *inode, const char *name)
{
	size_t prefix = begins(name, XATTR_TRUSTED_PREFIX) ? XATTR_TRUSTED_PREFIX_LEN :
			begins(name, XATTR_SECURITY_PREFIX) ? XATTR_SECURITY_PREFIX_LEN :
			begins(name, XATTR_USER_PREFIX) && (inode->sb->flags & SB_USER_XATTR) ? XATTR_USER_PREFIX_LEN : 0;

	if (!prefix || !(inode->sb->flags & SB_XATTR))
		return -EOPNOTSUPP;
	return name[prefix] ? 0 : -EINVAL;
}

static int check_access(struct inode *inode, const char *name, unsigned mask)
{
	bool admin = cred_capable(thread_current()->cred, CAP_SYS_ADMIN), write = mask & MAY_WRITE;
	uint32_t mode = inode_mode(inode);

	if (begins(name, XATTR_TRUSTED_PREFIX))
		return admin ? 0 : write ? -EPERM : -ENODATA;
	if (is_caps(name))
		return !write || inode_capable(inode, thread_current()->cred, CAP_SETFCAP) ? 0 : -EPERM;
	if (begins(name, XATTR_SECURITY_PREFIX))
		return admin || !write ? 0 : -EPERM;
	if (begins(name, XATTR_USER_PREFIX) && !S_ISREG(mode) && !S_ISDIR(mode))
		return write ? -EPERM : -ENODATA;
	if (begins(name, XATTR_USER_PREFIX) && write && (mode & S_ISVTX) && S_ISDIR(mode) && !inode_owner_or_capable(inode, thread_current()->cred))
		return -EPERM;
	return begins(name, XATTR_SYSTEM_PREFIX) ? 0 : inode_permission(inode, mask, thread_current()->cred);
}

static int check(struct inode *inode, const char *name, unsigned mask)
{
	int error = check_access(inode, name, mask);

	return error ? error : check_name(inode, name);
}

/* ---- the list; the inode is locked ---- */

static struct xattr *find(const struct inode *inode, const char *name)
{
	struct xattr *x;

	if (inode->xattrs)
		list_for_each(x, &inode->xattrs->all, link)
			if (strcmp(x->name, name) == 0)
				return x;
	return NULL;
}

static struct xattr *create(const char *name, const void *value, size_t size)
{
	size_t len = strlen(name);
	struct xattr *x = kmalloc(sizeof(*x) + size + len + 1);

	if (!x)
		return NULL;
	x->size = size;
	x->name_len = len;
	x->name = x->value + size;
	memcpy(x->value, value, size);
	memcpy(x->name, name, len + 1);
	return x;
}

static int list_ready(struct inode *inode)
{
	struct xattrs *xs;

	if (inode->xattrs)
		return 0;
	xs = kmalloc(sizeof(*xs));
	if (!xs)
		return -ENOMEM;
	list_init(&xs->all);
	xs->bytes = 0;
	inode->xattrs = xs;
	return 0;
}

/* Takes one, if it is not null, off the list; what it is charged for is the caller's. */
static void take_off(struct inode *inode, struct xattr *x)
{
	if (!x)
		return;
	inode->xattrs->bytes -= xattr_bytes(x);
	list_del(&x->link);
	kfree(x);
}

static void drop(struct inode *inode, struct xattr *x)
{
	if (!x)
		return;
	xattr_charge(inode->sb, 0, xattr_bytes(x));
	take_off(inode, x);
}

static int set_locked(struct inode *inode, struct xattr *new, unsigned flags)
{
	struct xattr *old = find(inode, new->name);
	int error;

	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE))
		return -ENODATA;
	error = list_ready(inode);
	if (error)
		return error;
	if (inode->xattrs->bytes - (old ? xattr_bytes(old) : 0) + xattr_bytes(new) > XATTR_INODE_MAX)
		return -ENOSPC;
	error = xattr_charge(inode->sb, xattr_bytes(new), old ? xattr_bytes(old) : 0);
	if (error)
		return error;
	take_off(inode, old);
	list_add_tail(&inode->xattrs->all, &new->link);
	inode->xattrs->bytes += xattr_bytes(new);
	return 0;
}

/* ---- calls ---- */

static void changed(const struct path *path)
{
	WRITE_ONCE(path->dentry->inode->ctime_ns, inode_now());
	notify_path(path, IN_ATTRIB);
}

static int set_acl(const struct path *path, enum acl_kind kind, const void *value, size_t size)
{
	int error = acl_set(path->dentry->inode, kind, value, size);

	if (!error)
		changed(path);
	return error;
}

int vfs_xattr_set(const struct path *path, const char *name, const void *value, size_t size, unsigned flags)
{
	struct inode *inode = path->dentry->inode;
	enum acl_kind kind = acl_kind_of(name);
	int error = mount_want_write(path->mount);
	struct vfs_ns_cap_data caps;
	struct xattr *x;

	if (!error && kind != ACL_KINDS)
		return set_acl(path, kind, value, size);
	if (!error)
		error = check(inode, name, MAY_WRITE);
	if (!error && is_caps(name)) {
		error = file_caps_given(inode, value, size, &caps, &size);
		value = &caps;
	}
	if (error)
		return error;
	x = create(name, value, size);
	if (!x)
		return -ENOMEM;
	mutex_lock(&inode->lock);
	error = set_locked(inode, x, flags);
	mutex_unlock(&inode->lock);
	if (error)
		kfree(x);
	else
		changed(path);
	return error;
}

int vfs_xattr_remove(const struct path *path, const char *name)
{
	struct inode *inode = path->dentry->inode;
	enum acl_kind kind = acl_kind_of(name);
	int error = mount_want_write(path->mount);
	struct xattr *x;

	if (!error && kind != ACL_KINDS)
		return set_acl(path, kind, NULL, 0);
	if (!error)
		error = check(inode, name, MAY_WRITE);
	if (error)
		return error;
	mutex_lock(&inode->lock);
	x = find(inode, name);
	drop(inode, x);
	mutex_unlock(&inode->lock);
	if (!x)
		return -ENODATA;
	changed(path);
	return 0;
}

bool file_caps_stored(struct inode *inode, struct vfs_ns_cap_data *ret, size_t *ret_size)
{
	const struct xattr *x;

	if (!READ_ONCE(inode->xattrs))
		return false;
	memset(ret, 0, sizeof(*ret));
	mutex_lock(&inode->lock);
	x = find(inode, XATTR_NAME_CAPS);
	if (x) {
		ASSERT(x->size <= sizeof(*ret));
		memcpy(ret, x->value, x->size);
		*ret_size = x->size;
	}
	mutex_unlock(&inode->lock);
	return x != NULL;
}

void inode_drop_caps_locked(struct inode *inode)
{
	assert_mutex_held(&inode->lock);
	if (inode->xattrs)
		drop(inode, find(inode, XATTR_NAME_CAPS));
}

static ssize_t get_caps(struct inode *inode, void *buf, size_t size)
{
	struct vfs_ns_cap_data caps;
	size_t n;
	int error;

	if (!file_caps_stored(inode, &caps, &n))
		return -ENODATA;
	error = file_caps_shown(inode, &caps, &n);
	if (error)
		return error;
	if (size && size < n)
		return -ERANGE;
	if (size)
		memcpy(buf, &caps, n);
	return (ssize_t)n;
}

ssize_t vfs_xattr_get(const struct path *path, const char *name, void *buf, size_t size)
{
	struct inode *inode = path->dentry->inode;
	enum acl_kind kind = acl_kind_of(name);
	int error = kind == ACL_KINDS ? check(inode, name, MAY_READ) : 0;
	const struct xattr *x;
	ssize_t n = -ENODATA;

	if (kind != ACL_KINDS)
		return acl_get(inode, kind, buf, size);
	if (error)
		return error;
	if (is_caps(name))
		return get_caps(inode, buf, size);
	mutex_lock(&inode->lock);
	x = find(inode, name);
	if (x)
		n = size && size < x->size ? -ERANGE : (ssize_t)x->size;
	if (n > 0 && size)
		memcpy(buf, x->value, x->size);
	mutex_unlock(&inode->lock);
	return n;
}

static bool visible(const struct xattr *x)
{
	return !begins(x->name, XATTR_TRUSTED_PREFIX) || cred_capable(thread_current()->cred, CAP_SYS_ADMIN);
}

/* Names put one behind the other; a size of 0 only counts. */
struct names {
	char *buf;
	size_t size, used;
};

static int names_add(struct names *l, const char *name, size_t len)
{
	if (l->size && l->size - l->used < len + 1)
		return -ERANGE;
	if (l->size)
		memcpy(l->buf + l->used, name, len + 1);
	l->used += len + 1;
	return 0;
}

static ssize_t list_locked(const struct inode *inode, struct names *l)
{
	static const char *const acls[ACL_KINDS] = { XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT };
	const struct xattr *x;
	int error = 0;

	for (size_t i = 0; i < ACL_KINDS && !error; i++)
		if (inode->acls[i])
			error = names_add(l, acls[i], strlen(acls[i]));
	if (inode->xattrs)
		list_for_each (x, &inode->xattrs->all, link)
			if (!error && visible(x))
				error = names_add(l, x->name, x->name_len);
	if (error)
		return error;
	return l->used > XATTR_LIST_MAX ? -E2BIG : (ssize_t)l->used;
}

ssize_t vfs_xattr_list(const struct path *path, char *buf, size_t size)
{
	struct inode *inode = path->dentry->inode;
	struct names l = { buf, size, 0 };
	ssize_t n;

	mutex_lock(&inode->lock);
	n = list_locked(inode, &l);
	mutex_unlock(&inode->lock);
	return n;
}
