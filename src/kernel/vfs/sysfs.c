/* SPDX-License-Identifier: MIT */
/* sysfs: the skeleton that programs look for, and files that other parts add with sysfs_add(). */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include "vfs_internal.h"

static struct super_block *sysfs;

static int sysfs_statfs(struct super_block *sb, struct fs_statistics *ret)
{
	(void)sb;
	*ret = (struct fs_statistics){ .magic = SYSFS_MAGIC, .block_size = PAGE_SIZE };
	return 0;
}

static const struct super_ops sysfs_super_ops = { .inode_free = memfs_inode_free, .statfs = sysfs_statfs };

static int sysfs_mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	(void)type, (void)source, (void)options;
	refcount_get(&sysfs->refs);
	*ret = sysfs;
	return 0;
}

const struct fs_type sysfs_type = { .name = "sysfs", .magic = SYSFS_MAGIC, .mount = sysfs_mount };

int sysfs_add(const char *name, uint32_t mode, int (*show)(struct text_out *o, void *arg), int (*store)(const char *text, size_t len, void *arg), void *arg)
{
	struct text_source source = { show, store, arg };

	return text_add(sysfs, name, mode, &source);
}

static ssize_t link_readlink(struct inode *inode, char *buf, size_t size)
{
	size_t len = min(inode->size, (uint64_t)size);

	memcpy(buf, inode->private, len);
	return (ssize_t)len;
}

static const struct inode_ops link_ops = { .readlink = link_readlink };

int sysfs_add_link(const char *name, const char *target)
{
	char *text = kstrdup(target);
	struct inode *inode = text ? memfs_inode_create(sysfs, S_IFLNK | 0777, &link_ops, NULL) : NULL;
	int error = -ENOMEM;

	if (inode) {
		inode->private = text;
		inode->size = strlen(text);
		error = memfs_add(sysfs, name, inode, &memfs_dir_ops_readonly);
		if (error)
			inode_put(inode);
	}
	if (error)
		kfree(text);
	return error;
}

static int add_folder(const char *name)
{
	struct inode *inode = memfs_inode_create(sysfs, S_IFDIR | 0555, &memfs_dir_ops_readonly, NULL);
	int error = inode ? memfs_add(sysfs, name, inode, &memfs_dir_ops_readonly) : -ENOMEM;

	if (error && inode)
		inode_put(inode);
	return error == -EEXIST ? 0 : error;
}

int sysfs_init(void)
{
	static const char *const folders[] = { "block", "bus", "class", "dev", "devices", "firmware", "fs", "fs/cgroup", "kernel", "module" };
	int error = memfs_super_create(&sysfs_type, &sysfs_super_ops, SB_PINNED | SB_SINGLE | SB_XATTR, &memfs_dir_ops_readonly, 0555, &sysfs);

	for (size_t i = 0; i < ARRAY_SIZE(folders) && !error; i++)
		error = add_folder(folders[i]);
	if (!error)
		error = sysfs_cpu_init();
	return error ? error : fs_register(&sysfs_type);
}
