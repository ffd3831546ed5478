/* SPDX-License-Identifier: MIT */
/*
 * devtmpfs: one tree of device nodes, filled by the drivers. A node is a name with a device number; the number leads to the
 * operations, here and for nodes that mknod(2) makes in any other file system. User programs may add names
 * of their own (links, folders such as /dev/shm): the folder operations are tmpfs-like, without file data.
 *
 * Locking: devices_lock guards the table. A file that is open keeps its operations, which are static.
 */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <linux/magic.h>
#include "vfs_internal.h"

#define DEVICES_MAX 1024

/* One name that devfs_add() was given. Several names may share a number; then the oldest one's operations count. */
struct device {
	struct list link;
	uint32_t type; /* S_IFCHR or S_IFBLK */
	uint64_t rdev;
	const struct file_ops *ops;
	void *private;
	char name[];
};

static struct spinlock devices_lock = SPINLOCK_INIT(RANK_LEAF);
static struct list devices = LIST_INIT(devices);
static uint32_t device_count;
static struct super_block *devfs;
static const struct inode_ops devfs_dir_ops, devfs_node_ops, devfs_link_ops;

static struct device *find_locked(uint32_t type, uint64_t rdev)
{
	struct device *d;

	list_for_each (d, &devices, link)
		if (d->rdev == rdev && d->type == type)
			return d;
	return NULL;
}

static struct device *find_name_locked(const char *name)
{
	struct device *d;

	list_for_each (d, &devices, link)
		if (str_equal(d->name, name))
			return d;
	return NULL;
}

const struct file_ops *device_find(uint32_t type, uint64_t rdev, void **ret_private)
{
	const struct file_ops *ops = NULL;
	struct device *d;

	spin_lock(&devices_lock);
	d = find_locked(type, rdev);
	if (d) {
		*ret_private = d->private;
		ops = d->ops;
	}
	spin_unlock(&devices_lock);
	return ops;
}

static int device_register(const char *name, uint32_t type, uint64_t rdev, const struct file_ops *ops, void *private)
{
	size_t len = strlen(name) + 1;
	struct device *d = kmalloc(sizeof(*d) + len);
	int error = 0;

	if (!d)
		return -ENOMEM;
	d->type = type;
	d->rdev = rdev;
	d->ops = ops;
	d->private = private;
	memcpy(d->name, name, len);
	spin_lock(&devices_lock);
	if (find_name_locked(name))
		error = -EEXIST;
	else if (device_count == DEVICES_MAX)
		error = -ENOSPC;
	if (!error) {
		device_count++;
		list_add_tail(&devices, &d->link);
	}
	spin_unlock(&devices_lock);
	if (error)
		kfree(d);
	return error;
}

/* Forgets a name, whatever has become of its node: its operations can no longer be reached. */
static bool device_unregister(const char *name, uint64_t *ret_rdev)
{
	struct device *d;

	spin_lock(&devices_lock);
	d = find_name_locked(name);
	if (d) {
		list_del(&d->link);
		device_count--;
		*ret_rdev = d->rdev;
	}
	spin_unlock(&devices_lock);
	if (!d)
		return false;
	kfree(d);
	return true;
}

int device_add(const char *name, uint32_t type, unsigned major, unsigned minor, const struct file_ops *ops, void *private)
{
	return device_register(name, type, dev_make(major, minor), ops, private);
}

/* ---- nodes ---- */

static struct inode *node_create(uint32_t mode, uint64_t rdev)
{
	struct inode *inode = memfs_inode_create(devfs, mode, &devfs_node_ops, NULL);

	if (inode)
		inode->rdev = rdev;
	return inode;
}

int devfs_add_node(const char *name, uint32_t mode, uint64_t rdev, struct dentry **ret)
{
	struct inode *inode = node_create(mode, rdev);
	int error = inode ? memfs_add_get(devfs, name, inode, &devfs_dir_ops, ret) : -ENOMEM;

	if (error && inode)
		inode_put(inode);
	return error;
}

int devfs_add(const char *name, uint32_t type_and_mode, unsigned major, unsigned minor, const struct file_ops *ops, void *private)
{
	uint32_t type = type_and_mode & S_IFMT;
	uint64_t rdev = dev_make(major, minor);
	int error = device_register(name, type, rdev, ops, private);

	if (error)
		return error;
	error = devfs_add_node(name, type_and_mode, rdev, NULL);
	if (error)
		device_unregister(name, &rdev);
	return error;
}

static int find_node(const char *name, uint64_t *ret_rdev)
{
	struct dentry *d, *next;
	char part[NAME_LEN_MAX + 1];

	dentry_get(devfs->root);
	for (d = devfs->root; *name && d; d = next) {
		const char *end = strchr(name, '/');
		size_t len = end ? (size_t)(end - name) : strlen(name);

		if (len > NAME_LEN_MAX)
			break;
		memcpy(part, name, len);
		part[len] = '\0';
		next = memfs_child(d, part);
		dentry_put(d);
		name += len + (end ? 1 : 0);
	}
	if (!d)
		return -ENOENT;
	*ret_rdev = d->inode->rdev;
	dentry_put(d);
	return 0;
}

void devfs_remove_node(const char *name, uint64_t rdev)
{
	uint64_t there;

	/* a program may have removed the node, or put another in its place */
	if (find_node(name, &there) == 0 && there == rdev)
		memfs_remove(devfs, name);
}

void devfs_remove(const char *name)
{
	uint64_t rdev;

	if (device_unregister(name, &rdev))
		devfs_remove_node(name, rdev);
}

/* ---- what user programs add ---- */

static int attach_new(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	int error = inode ? acl_inherit(inode, dir) : -ENOMEM;

	if (error) {
		if (inode)
			inode_put(inode);
		return error;
	}
	dentry_attach(dentry, inode);
	memfs_dir_count(dir, 1, inode_is_dir(inode) ? 1 : 0);
	return 0;
}

static int devfs_mkdir(struct inode *dir, struct dentry *dentry, uint32_t mode)
{
	return attach_new(dir, dentry, memfs_inode_create(dir->sb, mode, &devfs_dir_ops, NULL));
}

static int devfs_mknod(struct inode *dir, struct dentry *dentry, uint32_t mode, uint64_t rdev)
{
	return attach_new(dir, dentry, node_create(mode, S_ISCHR(mode) || S_ISBLK(mode) ? rdev : 0));
}

static int devfs_symlink(struct inode *dir, struct dentry *dentry, const char *target, size_t len)
{
	char *text = kstrdup(target);
	struct inode *inode = text ? memfs_inode_create(dir->sb, S_IFLNK | 0777, &devfs_link_ops, NULL) : NULL;

	if (!inode) {
		kfree(text);
		return -ENOMEM;
	}
	inode->private = text;
	inode->size = len;
	return attach_new(dir, dentry, inode);
}

static ssize_t devfs_readlink(struct inode *inode, char *buf, size_t size)
{
	size_t len = min(inode->size, (uint64_t)size);

	memcpy(buf, inode->private, len);
	return (ssize_t)len;
}

static void devfs_inode_free(struct inode *inode)
{
	if (S_ISLNK(inode_mode(inode)))
		kfree(inode->private);
	memfs_inode_free(inode);
}

static const struct inode_ops devfs_dir_ops = {
	.mkdir = devfs_mkdir,
	.mknod = devfs_mknod,
	.symlink = devfs_symlink,
	.link = memfs_link,
	.unlink = memfs_unlink,
	.rmdir = memfs_rmdir,
	.rename = memfs_rename,
};
static const struct inode_ops devfs_node_ops = { .readlink = NULL };
static const struct inode_ops devfs_link_ops = { .readlink = devfs_readlink };

/* ---- the file system ---- */

static int devfs_statfs(struct super_block *sb, struct fs_statistics *ret)
{
	(void)sb;
	*ret = (struct fs_statistics){ .magic = TMPFS_MAGIC, .block_size = PAGE_SIZE };
	return 0;
}

static const struct super_ops devfs_super_ops = { .inode_free = devfs_inode_free, .statfs = devfs_statfs };

static int devfs_mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	(void)type, (void)source, (void)options;
	refcount_get(&devfs->refs);
	*ret = devfs;
	return 0;
}

const struct fs_type devfs_type = { .name = "devtmpfs", .magic = TMPFS_MAGIC, .mount = devfs_mount };

int devfs_init(void)
{
	int error = memfs_super_create(&devfs_type, &devfs_super_ops, SB_PINNED | SB_SINGLE | SB_XATTR | SB_USER_XATTR | SB_ACLS, &devfs_dir_ops, 0755, &devfs);

	return error ? error : fs_register(&devfs_type);
}
