/* SPDX-License-Identifier: MIT */
/*
 * tmpfs: files in memory. Folders are the dentries (memfs.c); a regular file's bytes are the pages of a vm_object inside its inode,
 * shared by read, write and mmap.
 *
 * T1  A super block never holds more than `max_pages` pages of data, or `max_inodes` inodes: ENOSPC.
 * T2  The object holds the storage: an inode whose last reference goes drops its reference on the object, and the object's release
 *     frees both, so a mapping may outlive the file.
 * T3  `inodes` counts the super block too: who brings it to 0 frees struct tmpfs_super.
 */
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/swap.h>
#include <cloudos/user_namespace.h>
#include <cloudos/vm.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include "vfs_internal.h"

#define OPTION_TEXT_MAX 64
#define XATTR_INODE_SHARE 1024 /* bytes of attributes for each inode that there may be, as Linux counts them */

struct tmpfs_inode {
	struct inode inode;
	struct vm_object object;
	struct tmpfs_super *super;
};

struct tmpfs_super {
	uint64_t max_pages, max_inodes; /* constant */
	uint64_t pages, inodes;		/* atomic */
	uint32_t mode, uid, gid;	/* of the root */
};

static struct slab_cache *file_cache;
static const struct inode_ops tmpfs_dir_ops, tmpfs_file_ops, tmpfs_link_ops, tmpfs_special_ops;
static const struct file_ops no_file_ops;

static struct tmpfs_super *super_of(const struct inode *inode)
{
	return inode->sb->private;
}

/* Adds n to a counter unless it would pass `limit`. */
static bool take(uint64_t *count, uint64_t n, uint64_t limit)
{
	if (__atomic_add_fetch(count, n, __ATOMIC_RELAXED) <= limit)
		return true;
	__atomic_sub_fetch(count, n, __ATOMIC_RELAXED);
	return false;
}

/* One inode, or the super block, is gone. */
static void super_drop(struct tmpfs_super *s)
{
	if (__atomic_sub_fetch(&s->inodes, 1, __ATOMIC_ACQ_REL) == 0)
		kfree(s);
}

/* ---- data ---- */

static int object_charge(struct vm_object *o, uint64_t pages)
{
	struct tmpfs_super *s = container_of(o, struct tmpfs_inode, object)->super;

	return take(&s->pages, pages, s->max_pages) ? 0 : -ENOSPC;
}

static void object_uncharge(struct vm_object *o, uint64_t pages)
{
	struct tmpfs_super *s = container_of(o, struct tmpfs_inode, object)->super;

	__atomic_sub_fetch(&s->pages, pages, __ATOMIC_RELAXED);
}

static void object_release(struct vm_object *o)
{
	struct tmpfs_inode *t = container_of(o, struct tmpfs_inode, object);
	struct tmpfs_super *s = t->super;

	slab_free(file_cache, t);
	super_drop(s);
}

static const struct vm_object_ops object_ops = {
	.charge = object_charge,
	.uncharge = object_uncharge,
	.release = object_release,
};

/* ---- inodes ---- */

/* Group and set-group-id come from a folder that has the bit; a program with the bit is made by members of its group alone. */
static void inherit(struct inode *inode, const struct inode *dir)
{
	const struct cred *cred = thread_current()->cred;

	if (!(inode_mode(dir) & S_ISGID))
		return;
	inode->gid = READ_ONCE(dir->gid);
	if (S_ISDIR(inode_mode(inode)))
		inode->mode |= S_ISGID;
	else if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !cred_in_group(cred, inode->gid) &&
		 !inode_capable(inode, cred, CAP_FSETID))
		inode->mode &= ~(uint32_t)S_ISGID;
}

static struct inode *file_inode_create(struct super_block *sb, uint32_t mode)
{
	struct tmpfs_inode *t = slab_alloc(file_cache);

	if (!t)
		return NULL;
	inode_init(&t->inode, sb, mode);
	vm_object_init(&t->object, &object_ops, &t->inode, 0);
	t->super = sb->private;
	t->inode.data = &t->object;
	t->inode.ops = &tmpfs_file_ops;
	t->inode.file_ops = &cached_file_ops;
	t->inode.flags = INODE_SEALS;
	t->inode.seals = F_SEAL_SEAL; /* memfd_create() may take it off */
	return &t->inode;
}

/* Null: out of memory; or err_ptr(-ENOSPC). */
static struct inode *tmpfs_inode_create(struct inode *dir, uint32_t mode, const struct inode_ops *ops)
{
	struct tmpfs_super *s = super_of(dir);
	struct inode *inode;
	int error;

	if (!take(&s->inodes, 1, s->max_inodes))
		return err_ptr(-ENOSPC);
	inode = S_ISREG(mode) ? file_inode_create(dir->sb, mode) : memfs_inode_create(dir->sb, mode, ops, &no_file_ops);
	if (!inode) {
		super_drop(s);
		return NULL;
	}
	inherit(inode, dir);
	error = acl_inherit(inode, dir);
	if (error) {
		inode_put(inode);
		return err_ptr(error);
	}
	return inode;
}

static void tmpfs_inode_free(struct inode *inode)
{
	struct tmpfs_super *s = super_of(inode);

	if (inode->data) {
		vm_object_put(inode->data);
		return;
	}
	if (S_ISLNK(inode_mode(inode)))
		kfree(inode->private);
	memfs_inode_free(inode);
	super_drop(s);
}

/* ---- folders ---- */

static int make(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	if (!inode || is_err(inode))
		return inode ? ptr_err(inode) : -ENOMEM;
	dentry_attach(dentry, inode);
	memfs_dir_count(dir, 1, S_ISDIR(inode_mode(inode)) ? 1 : 0);
	return 0;
}

static int tmpfs_create(struct inode *dir, struct dentry *dentry, uint32_t mode)
{
	return make(dir, dentry, tmpfs_inode_create(dir, mode, NULL));
}

static int tmpfs_mkdir(struct inode *dir, struct dentry *dentry, uint32_t mode)
{
	return make(dir, dentry, tmpfs_inode_create(dir, mode, &tmpfs_dir_ops));
}

static int tmpfs_mknod(struct inode *dir, struct dentry *dentry, uint32_t mode, uint64_t rdev)
{
	struct inode *inode = tmpfs_inode_create(dir, mode, &tmpfs_special_ops);

	if (inode && !is_err(inode) && (S_ISCHR(mode) || S_ISBLK(mode)))
		inode->rdev = rdev;
	return make(dir, dentry, inode);
}

static int tmpfs_symlink(struct inode *dir, struct dentry *dentry, const char *target, size_t len)
{
	char *text = kmalloc(len + 1);
	struct inode *inode;

	if (!text)
		return -ENOMEM;
	inode = tmpfs_inode_create(dir, S_IFLNK | 0777, &tmpfs_link_ops);
	if (!inode || is_err(inode)) {
		kfree(text);
		return make(dir, dentry, inode);
	}
	memcpy(text, target, len + 1);
	inode->private = text;
	inode->size = len;
	return make(dir, dentry, inode);
}

static ssize_t tmpfs_readlink(struct inode *inode, char *buf, size_t size)
{
	size_t len = min(inode->size, (uint64_t)size);

	memcpy(buf, inode->private, len);
	return (ssize_t)len;
}

static int tmpfs_setattr(struct inode *inode, const struct file_attr *attr)
{
	int error = 0;

	if (attr->set & ATTR_SIZE)
		error = vm_object_resize(inode->data, attr->size);
	if (error)
		return error;
	inode_setattr(inode, attr);
	if (attr->set & ATTR_SIZE)
		WRITE_ONCE(inode->mtime_ns, inode->ctime_ns);
	return 0;
}

/* Fills every hole of a range, so that writing there cannot fail for want of space. */
static int allocate(struct vm_object *o, uint64_t from, uint64_t to)
{
	for (uint64_t i = from / PAGE_SIZE; i < (to + PAGE_SIZE - 1) / PAGE_SIZE; i++) {
		struct reclaim_tries tries = { 0 };
		struct page *page;
		int error;

		do {
			error = vm_object_page(o, i, true, &page);
		} while (error == -ENOMEM && reclaim_wait(&tries));
		if (error)
			return error;
		page_put(page);
		sched_point();
		if (thread_signal_pending())
			return -EINTR;
	}
	return 0;
}

static int tmpfs_fallocate(struct inode *inode, unsigned mode, uint64_t offset, uint64_t len)
{
	const struct tmpfs_super *s = super_of(inode);
	struct vm_object *o = inode->data;
	uint64_t old = o->size, end = offset + len;
	int error;

	if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return vm_object_punch(o, offset, end);
	if (mode & ~FALLOC_FL_KEEP_SIZE)
		return -EOPNOTSUPP;
	if (len / PAGE_SIZE > s->max_pages)
		return -ENOSPC;
	if (end > old)
		error = vm_object_resize(o, end);
	else
		error = 0;
	if (!error)
		error = allocate(o, offset, end);
	if (end > old && (error || (mode & FALLOC_FL_KEEP_SIZE)))
		vm_object_resize(o, old);
	if (!error)
		inode_touch(inode);
	return error;
}

static const struct inode_ops tmpfs_dir_ops = {
	.create = tmpfs_create,
	.mkdir = tmpfs_mkdir,
	.mknod = tmpfs_mknod,
	.symlink = tmpfs_symlink,
	.link = memfs_link,
	.unlink = memfs_unlink,
	.rmdir = memfs_rmdir,
	.rename = memfs_rename,
};
static const struct inode_ops tmpfs_file_ops = { .setattr = tmpfs_setattr, .fallocate = tmpfs_fallocate };
static const struct inode_ops tmpfs_link_ops = { .readlink = tmpfs_readlink };
static const struct inode_ops tmpfs_special_ops = { .readlink = NULL };
static const struct file_ops no_file_ops = { .read = NULL };

/* ---- super blocks ---- */

static int tmpfs_statfs(struct super_block *sb, struct fs_statistics *ret)
{
	const struct tmpfs_super *s = sb->private;
	uint64_t pages = READ_ONCE(s->pages), inodes = READ_ONCE(s->inodes);

	*ret = (struct fs_statistics){
		.magic = TMPFS_MAGIC,
		.block_size = PAGE_SIZE,
		.blocks = s->max_pages,
		.blocks_free = s->max_pages - min(pages, s->max_pages),
		.files = s->max_inodes,
		.files_free = s->max_inodes - min(inodes, s->max_inodes),
	};
	return 0;
}

static void tmpfs_show_options(struct super_block *sb, struct text_out *o)
{
	const struct tmpfs_super *s = sb->private;

	out_printf(o, ",size=%luk", (unsigned long)(s->max_pages * (PAGE_SIZE / 1024)));
	if (s->mode != 01777)
		out_printf(o, ",mode=%o", s->mode);
}

static void tmpfs_destroy(struct super_block *sb)
{
	super_drop(sb->private);
	kfree(sb);
}

static const struct super_ops tmpfs_super_ops = {
	.inode_free = tmpfs_inode_free,
	.statfs = tmpfs_statfs,
	.show_options = tmpfs_show_options,
	.destroy = tmpfs_destroy,
};

/* "64k", "1g", "50%" in bytes (a percentage: of RAM). */
static int parse_size(char *text, uint64_t ram, uint64_t *ret)
{
	static const char units[] = "kmg";
	size_t len = strlen(text);
	const char *unit = len ? strchr(units, text[len - 1] | 0x20) : NULL;
	bool percent = len && text[len - 1] == '%';
	uint64_t value, scale = 1;

	if (unit && *unit)
		scale = UINT64_C(1024) << 10 * (unit - units);
	if ((unit && *unit) || percent)
		text[len - 1] = '\0';
	if (str_to_u64(text, 10, &value))
		return -EINVAL;
	if (percent)
		return value > 100 ? -EINVAL : (*ret = ram / 100 * value, 0);
	if (value > INT64_MAX / scale)
		return -EINVAL;
	*ret = value * scale;
	return 0;
}

static int parse_number(const char *text, unsigned base, uint64_t most, uint32_t *ret)
{
	uint64_t value;

	if (str_to_u64(text, base, &value) || value > most)
		return -EINVAL;
	*ret = (uint32_t)value;
	return 0;
}

/* An id, as who mounts says it. */
static int parse_id(const char *text, uint32_t (*in)(uint32_t id), uint32_t *ret)
{
	uint32_t id;
	int error = parse_number(text, 10, UINT32_MAX - 1, &id);

	if (error || in(id) == ID_NONE)
		return -EINVAL;
	*ret = in(id);
	return 0;
}

static int parse_option(struct tmpfs_super *s, char *option, uint64_t ram)
{
	char *value = strchr(option, '=');
	uint64_t n;
	int error;

	if (!value)
		return *option ? -EINVAL : 0;
	*value++ = '\0';
	if (str_equal(option, "mode"))
		return parse_number(value, 8, MODE_PERMISSIONS, &s->mode);
	if (str_equal(option, "uid"))
		return parse_id(value, uid_in, &s->uid);
	if (str_equal(option, "gid"))
		return parse_id(value, gid_in, &s->gid);
	error = parse_size(value, ram, &n);
	if (error)
		return error;
	if (str_equal(option, "size"))
		s->max_pages = n ? (n + PAGE_SIZE - 1) / PAGE_SIZE : UINT64_MAX / PAGE_SIZE;
	else if (str_equal(option, "nr_blocks"))
		s->max_pages = n ? n : UINT64_MAX / PAGE_SIZE;
	else if (str_equal(option, "nr_inodes"))
		s->max_inodes = n ? n : UINT64_MAX;
	else
		return -EINVAL;
	return 0;
}

static int parse_options(struct tmpfs_super *s, const char *options)
{
	char option[OPTION_TEXT_MAX];
	struct mm_stats mm;

	mm_get_stats(&mm);
	s->max_pages = mm.ram_pages / 2;
	s->max_inodes = max(mm.ram_pages / 2, UINT64_C(1024));
	s->mode = 01777;
	while (*options) {
		const char *end = strchr(options, ',');
		size_t len = end ? (size_t)(end - options) : strlen(options);

		if (len >= sizeof(option))
			return -EINVAL;
		memcpy(option, options, len);
		option[len] = '\0';
		if (parse_option(s, option, mm.ram_pages * PAGE_SIZE))
			return -EINVAL;
		options += len + (end ? 1 : 0);
	}
	return 0;
}

static int tmpfs_check(const char *key, const char *value)
{
	static const char *const keys[] = { "size", "nr_blocks", "nr_inodes", "mode", "uid", "gid" };
	char option[OPTION_TEXT_MAX];
	struct tmpfs_super scratch;
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		known |= str_equal(key, keys[i]);
	if (!known)
		return -ENOENT;
	if (!value || strlen(key) + strlen(value) + 2 > sizeof(option))
		return -EINVAL;
	fmt_string(option, sizeof(option), "%s=%s", key, value);
	return parse_option(&scratch, option, PAGE_SIZE);
}

static int tmpfs_mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	struct tmpfs_super *s = kzalloc(sizeof(*s));
	const struct cred *cred = thread_current()->cred; /* null: while the system starts */
	struct super_block *sb = NULL;
	int error;

	(void)source;
	if (!s)
		return -ENOMEM;
	if (cred) {
		s->uid = cred->fsuid;
		s->gid = cred->fsgid;
	}
	error = parse_options(s, options);
	if (!error)
		error = memfs_super_create(type, &tmpfs_super_ops, SB_PINNED | SB_XATTR | SB_USER_XATTR | SB_ACLS | SB_HANDLES, &tmpfs_dir_ops, s->mode, &sb);
	if (error) {
		kfree(s);
		return error;
	}
	s->inodes = 2; /* the root, and the super block */
	sb->private = s;
	sb->xattr_bytes_max = s->max_inodes > UINT64_MAX / XATTR_INODE_SHARE ? UINT64_MAX : s->max_inodes * XATTR_INODE_SHARE;
	sb->root->inode->uid = s->uid;
	sb->root->inode->gid = s->gid;
	*ret = sb;
	return 0;
}

const struct fs_type tmpfs_type = {
	.name = "tmpfs",
	.magic = TMPFS_MAGIC,
	.mount = tmpfs_mount,
	.check = tmpfs_check,
	.in_user_namespaces = true,
};

int tmpfs_init(void)
{
	file_cache = slab_cache_create("tmpfs_file", sizeof(struct tmpfs_inode), 0);
	return file_cache ? fs_register(&tmpfs_type) : -ENOMEM;
}
