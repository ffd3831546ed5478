/* SPDX-License-Identifier: MIT */
/*
 * File handles (name_to_handle_at(2)): a file's number in its file system, and that instance's generation. A number is never given to another
 * file there, so that the instance's generation does for all of them. A file that has no name any more can be opened as long as it is open somewhere; then its handle is stale.
 */
#include "vfs_internal.h"

int vfs_handle(const struct path *path, struct fs_handle *ret)
{
	const struct inode *inode = path->dentry->inode;

	if (!(inode->sb->flags & SB_HANDLES))
		return -EOPNOTSUPP;
	*ret = (struct fs_handle){ inode->sb->generation, (uint32_t)inode->ino, (uint32_t)(inode->ino >> 32) };
	return 0;
}

int vfs_open_handle(struct mount *m, const struct fs_handle *h, uint32_t flags, struct file **ret)
{
	struct path path = { m, NULL };

	if (!(m->sb->flags & SB_HANDLES) || h->generation != m->sb->generation)
		return -ESTALE;
	tree_read_enter();
	path.dentry = dentry_find_ino(m->sb, h->ino_low | (uint64_t)h->ino_high << 32);
	if (path.dentry)
		path_get(&path);
	tree_read_leave();
	return path.dentry ? open_path(path, flags, false, ret) : -ESTALE;
}
