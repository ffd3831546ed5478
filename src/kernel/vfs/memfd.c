/* SPDX-License-Identifier: MIT */
/*
 * memfd_create(2): files of a tmpfs of the kernel's own, which has no limits but memory and is mounted where no path leads. A file has a
 * dentry that was never in the cache, so that /proc can name it, and no link: it ends with its last descriptor and mapping.
 */
#include <cloudos/format.h>
#include <cloudos/string.h>
#include "vfs_internal.h"

#define MEMFD_MODE 0777u
#define PREFIX	   "memfd:"

static struct mount *mount; /* constant once set */

/* A file in the root of the tmpfs, without a name there; the dentry with a reference. */
static int create_unnamed(const char *name, struct dentry **ret)
{
	const struct name as = name_of(name);
	struct inode *dir = mount->root->inode;
	struct dentry *d = dentry_create(mount->root, &as);
	int error;

	if (!d)
		return -ENOMEM;
	mutex_lock(&dir->lock);
	error = dir->ops->create(dir, d, S_IFREG | MEMFD_MODE);
	if (!error)
		error = dir->ops->unlink(dir, d);
	mutex_unlock(&dir->lock);
	if (error) {
		dentry_put(d);
		return error;
	}
	d->flags |= DENTRY_DELETED;
	*ret = d;
	return 0;
}

int memfd_file_create(const char *name, bool sealable, struct file **ret)
{
	char shown[sizeof(PREFIX) + MEMFD_NAME_MAX];
	struct file *f = file_alloc();
	int error;

	if (!f)
		return -ENOMEM;
	fmt_string(shown, sizeof(shown), PREFIX "%s", name);
	error = create_unnamed(shown, &f->path.dentry);
	if (error) {
		file_free(f);
		return error;
	}
	f->path.mount = mount;
	refcount_get(&mount->refs);
	f->inode = f->path.dentry->inode;
	if (sealable)
		f->inode->seals = 0;
	f->ops = f->inode->file_ops;
	f->mode = FILE_READ | FILE_WRITE | FILE_SEEKABLE; /* no FILE_WRITER: it may be executed while it is open */
	f->flags = O_RDWR;
	*ret = f;
	return 0;
}

int memfd_init(void)
{
	struct super_block *sb;
	int error = tmpfs_type.mount(&tmpfs_type, "memfd", "size=0,nr_inodes=0", &sb);

	if (error)
		return error;
	mount = mount_create_hidden(sb, "memfd");
	if (!mount)
		super_put(sb);
	return mount ? 0 : -ENOMEM;
}
