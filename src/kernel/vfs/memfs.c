/* SPDX-License-Identifier: MIT */
/*
 * Trees in memory, for tmpfs, devtmpfs, /proc and /sys. The dentries are the folders (SB_PINNED): here is only what is kept beside
 * them, the inodes' books, and readdir over a dentry's children.
 *
 * Positions: 0 is ".", 1 is "..", an entry's is its cookie, which grows with each name added to the folder. A reader that goes on
 * after others were removed or added misses none that stayed. It sees no name younger than its own start, or a
 * program that renames what it reads would never come to an end.
 */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <linux/fs.h>
#include "vfs_internal.h"

#define ENTRY_SIZE 20 /* bytes of st_size for a name, as tmpfs of Linux counts */

static struct slab_cache *inode_cache;

void memfs_inode_init(struct inode *inode, struct super_block *sb, uint32_t mode, const struct inode_ops *ops, const struct file_ops *file_ops)
{
	inode_init(inode, sb, mode);
	inode->ops = ops;
	inode->file_ops = file_ops;
	if (S_ISDIR(mode)) {
		inode->nlink = 2;
		inode->size = 2 * ENTRY_SIZE;
		inode->file_ops = &pinned_dir_ops;
		if (sb->flags & SB_PINNED)
			inode->flags = INODE_COMPLETE;
	}
}

struct inode *memfs_inode_create(struct super_block *sb, uint32_t mode, const struct inode_ops *ops, const struct file_ops *file_ops)
{
	struct inode *inode = slab_alloc(inode_cache);

	if (inode)
		memfs_inode_init(inode, sb, mode, ops, file_ops);
	return inode;
}

void memfs_inode_free(struct inode *inode)
{
	slab_free(inode_cache, inode);
}

int memfs_init(void)
{
	inode_cache = slab_cache_create("inode", sizeof(struct inode), 0);
	return inode_cache ? 0 : -ENOMEM;
}

/* ---- the books ---- */

void memfs_dir_count(struct inode *dir, int names, int folders)
{
	WRITE_ONCE(dir->size, dir->size + (uint64_t)(int64_t)(names * ENTRY_SIZE));
	__atomic_fetch_add(&dir->nlink, (uint32_t)folders, __ATOMIC_RELAXED);
	inode_touch(dir);
}

static void drop_link(struct inode *inode, uint32_t links)
{
	__atomic_fetch_sub(&inode->nlink, links, __ATOMIC_RELAXED);
}

int memfs_link(struct inode *inode, struct inode *dir, struct dentry *dentry)
{
	inode_get(inode);
	__atomic_fetch_add(&inode->nlink, 1, __ATOMIC_RELAXED);
	memfs_dir_count(dir, 1, 0);
	WRITE_ONCE(inode->ctime_ns, dir->ctime_ns);
	dentry_attach(dentry, inode);
	return 0;
}

int memfs_unlink(struct inode *dir, struct dentry *dentry)
{
	drop_link(dentry->inode, 1);
	memfs_dir_count(dir, -1, 0);
	WRITE_ONCE(dentry->inode->ctime_ns, dir->ctime_ns);
	return 0;
}

int memfs_rmdir(struct inode *dir, struct dentry *dentry)
{
	if (!list_empty(&dentry->children))
		return -ENOTEMPTY;
	drop_link(dentry->inode, 2);
	memfs_dir_count(dir, -1, -1);
	return 0;
}

static int rename_exchange(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to)
{
	int folders = (int)inode_is_dir(to->inode) - (int)inode_is_dir(from->inode);

	memfs_dir_count(from_dir, 0, from_dir == to_dir ? 0 : folders);
	memfs_dir_count(to_dir, 0, from_dir == to_dir ? 0 : -folders);
	WRITE_ONCE(from->inode->ctime_ns, to_dir->ctime_ns);
	WRITE_ONCE(to->inode->ctime_ns, to_dir->ctime_ns);
	return 0;
}

int memfs_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to, unsigned flags)
{
	bool folder = inode_is_dir(from->inode);

	if (flags & RENAME_EXCHANGE)
		return rename_exchange(from_dir, from, to_dir, to);
	if (to->inode) {
		int error = folder ? memfs_rmdir(to_dir, to) : memfs_unlink(to_dir, to);

		if (error)
			return error;
	}
	memfs_dir_count(from_dir, -1, folder ? -1 : 0);
	memfs_dir_count(to_dir, 1, folder ? 1 : 0);
	WRITE_ONCE(from->inode->ctime_ns, to_dir->ctime_ns);
	return 0;
}

const struct inode_ops memfs_dir_ops_readonly = { .permission = NULL };

/* ---- reading a folder ---- */

static bool emit_dots(struct dentry *d, struct dir_emitter *e, uint64_t *pos)
{
	if (*pos == 0) {
		if (!e->emit(e, ".", 1, d->inode->ino, S_IFDIR >> 12, 1))
			return false;
		*pos = 1;
	}
	if (*pos == 1) {
		if (!e->emit(e, "..", 2, d->parent->inode->ino, S_IFDIR >> 12, 2))
			return false;
		*pos = 2;
	}
	return true;
}

/* The first child at or behind a position, with a reference; null at the end. */
static struct dentry *child_from(struct dentry *dir, uint64_t pos, uint64_t end)
{
	struct dentry *d, *found = NULL;

	tree_read_enter();
	list_for_each (d, &dir->children, siblings)
		if (d->cookie >= pos) {
			found = d->cookie < end ? d : NULL;
			break;
		}
	if (found)
		dentry_get(found);
	tree_read_leave();
	return found;
}

/* The child behind d, if d is still where it was; else by position. Takes over d's reference. */
static struct dentry *child_after(struct dentry *dir, struct dentry *d, uint64_t end)
{
	struct dentry *next = NULL;
	uint64_t pos;
	bool in_place;

	tree_read_enter();
	pos = d->cookie + 1;
	in_place = (d->flags & DENTRY_HASHED) && d->parent == dir;
	if (in_place && d->siblings.next != &dir->children) {
		next = list_entry(d->siblings.next, struct dentry, siblings);
		next = next->cookie < end ? next : NULL;
	}
	if (next)
		dentry_get(next);
	tree_read_leave();
	dentry_put(d);
	return in_place ? next : child_from(dir, pos, end);
}

static int pinned_readdir(struct file *f, struct dir_emitter *e, uint64_t *pos)
{
	struct dentry *dir = f->path.dentry, *d;
	uint64_t end;

	if (*pos < 2)
		f->private = (void *)(uintptr_t)READ_ONCE(dir->next_cookie);
	if (!emit_dots(dir, e, pos))
		return 0;
	end = (uintptr_t)f->private;
	for (d = child_from(dir, *pos, end); d; d = child_after(dir, d, end)) {
		if (!e->emit(e, d->name, d->name_len, d->inode->ino, inode_mode(d->inode) >> 12, d->cookie + 1)) {
			dentry_put(d);
			return 0;
		}
		*pos = d->cookie + 1;
	}
	return 0;
}

/* Positions of a folder are not bytes: there is no end to seek from (Linux's libfs says the same). */
static int64_t pinned_seek(struct file *f, int64_t offset, int whence)
{
	return whence == SEEK_SET || whence == SEEK_CUR ? generic_seek(f, offset, whence) : -EINVAL;
}

const struct file_ops pinned_dir_ops = { .readdir = pinned_readdir, .seek = pinned_seek };

/* ---- trees that the kernel makes ---- */

int memfs_super_create(const struct fs_type *type, const struct super_ops *ops, uint32_t flags, const struct inode_ops *dir_ops,
		       uint32_t mode, struct super_block **ret)
{
	struct super_block *sb = kmalloc(sizeof(*sb));
	struct inode *inode;

	if (!sb)
		return -ENOMEM;
	super_init(sb, type, ops, flags);
	inode = memfs_inode_create(sb, S_IFDIR | mode, dir_ops, NULL);
	sb->root = inode ? dentry_create_root(sb, inode) : NULL;
	if (!sb->root) {
		if (inode)
			memfs_inode_free(inode);
		super_discard(sb);
		return -ENOMEM;
	}
	*ret = sb;
	return 0;
}

struct dentry *memfs_child(struct dentry *dir, const char *name)
{
	struct name n = name_of(name);
	struct dentry *d;

	tree_read_enter();
	d = dentry_find(dir, &n);
	if (d)
		dentry_get(d);
	tree_read_leave();
	return d;
}

/* A new entry of `dir`, whose lock is held: takes over the inode on success. *ret (may be null): the entry, with a reference. */
static int add_locked(struct dentry *dir, const struct name *name, struct inode *inode, struct dentry **ret)
{
	struct dentry *d;

	tree_read_enter();
	d = dentry_find(dir, name);
	tree_read_leave();
	if (d)
		return -EEXIST;
	d = dentry_create(dir, name);
	if (!d)
		return -ENOMEM;
	dentry_attach(d, inode);
	dentry_publish(d);
	memfs_dir_count(dir->inode, 1, inode_is_dir(inode) ? 1 : 0);
	if (ret)
		*ret = d;
	else
		dentry_put(d);
	return 0;
}

int memfs_add_child(struct dentry *dir, const char *text, struct inode *inode)
{
	struct name name = name_of(text);

	return add_locked(dir, &name, inode, NULL);
}

void memfs_remove_child(struct dentry *dir, const char *name)
{
	struct dentry *d = memfs_child(dir, name);

	if (!d)
		return;
	memfs_unlink(dir->inode, d);
	dentry_delete(d);
	dentry_put(d);
}

static int add_entry(struct dentry *dir, const struct name *name, struct inode *inode, struct dentry **ret)
{
	int error;

	if (!name->len || name->len > NAME_LEN_MAX)
		return -EINVAL;
	mutex_lock(&dir->inode->lock);
	error = add_locked(dir, name, inode, ret);
	mutex_unlock(&dir->inode->lock);
	return error;
}

static struct name first_component(const char *path)
{
	struct name n = { path, 0, NAME_HASH_START };

	for (; path[n.len] && path[n.len] != '/'; n.len++)
		n.hash = name_hash_step(n.hash, (unsigned char)path[n.len]);
	return n;
}

/* The folder `name` of dir, made if it is not there, with a reference. */
static int enter_folder(struct dentry *dir, const struct name *name, const struct inode_ops *dir_ops, struct dentry **ret)
{
	struct inode *inode;
	struct dentry *d;
	int error = 0;

	tree_read_enter();
	d = dentry_find(dir, name);
	if (d)
		dentry_get(d);
	tree_read_leave();
	if (!d && dir_ops) {
		inode = memfs_inode_create(dir->inode->sb, S_IFDIR | 0555, dir_ops, NULL);
		if (!inode)
			return -ENOMEM;
		inode->uid = inode->gid = 0; /* whoever mounts the tree */
		error = add_entry(dir, name, inode, NULL);
		if (error)
			inode_put(inode);
		if (error && error != -EEXIST)
			return error;
		return enter_folder(dir, name, NULL, ret);
	}
	if (!d)
		return -ENOENT;
	*ret = d;
	return 0;
}

/* Goes down to the folder that holds the last component. */
static int enter_parent(struct super_block *sb, const char **path, const struct inode_ops *dir_ops, struct dentry **ret)
{
	struct dentry *dir = sb->root, *next;
	struct name n;
	int error;

	dentry_get(dir);
	for (n = first_component(*path); (*path)[n.len] == '/'; n = first_component(*path)) {
		error = enter_folder(dir, &n, dir_ops, &next);
		dentry_put(dir);
		if (error)
			return error;
		dir = next;
		*path += n.len + 1;
	}
	*ret = dir;
	return 0;
}

int memfs_add_get(struct super_block *sb, const char *path, struct inode *inode, const struct inode_ops *dir_ops, struct dentry **ret)
{
	struct dentry *dir;
	struct name n;
	int error = enter_parent(sb, &path, dir_ops, &dir);

	if (error)
		return error;
	n = name_of(path);
	error = add_entry(dir, &n, inode, ret);
	dentry_put(dir);
	return error;
}

int memfs_add(struct super_block *sb, const char *path, struct inode *inode, const struct inode_ops *dir_ops)
{
	return memfs_add_get(sb, path, inode, dir_ops, NULL);
}

int memfs_remove(struct super_block *sb, const char *path)
{
	struct dentry *dir, *d;
	int error = enter_parent(sb, &path, NULL, &dir);

	if (error)
		return error;
	mutex_lock(&dir->inode->lock);
	d = memfs_child(dir, path);
	if (d) {
		memfs_unlink(dir->inode, d);
		dentry_delete(d);
	}
	mutex_unlock(&dir->inode->lock);
	if (d) {
		mount_point_deleted(d);
		dentry_put(d);
	}
	dentry_put(dir);
	return d ? 0 : -ENOENT;
}
