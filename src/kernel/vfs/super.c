/* SPDX-License-Identifier: MIT */
/* File-system types, and the super blocks that they make. Types are registered at boot and stay; the table is only appended to. */
#include <cloudos/inotify.h>
#include <cloudos/mm.h>
#include <cloudos/random.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include "vfs_internal.h"

#define TYPES_MAX 24

static struct spinlock types_lock = SPINLOCK_INIT(RANK_LEAF);
static struct spinlock supers_lock = SPINLOCK_INIT(RANK_LEAF);
static struct list supers = LIST_INIT(supers);
static const struct fs_type *types[TYPES_MAX];
static uint32_t type_count; /* read freely: an entry is there before its count */

int fs_register(const struct fs_type *type)
{
	int error = 0;

	spin_lock(&types_lock);
	for (uint32_t i = 0; i < type_count; i++)
		if (str_equal(types[i]->name, type->name))
			error = -EEXIST;
	if (!error && type_count == TYPES_MAX)
		error = -ENOSPC;
	if (!error) {
		types[type_count] = type;
		__atomic_store_n(&type_count, type_count + 1, __ATOMIC_RELEASE);
	}
	spin_unlock(&types_lock);
	return error;
}

const struct fs_type *fs_type_at(unsigned i)
{
	return i < __atomic_load_n(&type_count, __ATOMIC_ACQUIRE) ? types[i] : NULL;
}

int fs_type_index(const char *name)
{
	const struct fs_type *type;

	for (unsigned i = 0; (type = fs_type_at(i)); i++)
		if (str_equal(type->name, name))
			return (int)i;
	return -EINVAL;
}

const struct fs_type *fs_find(const char *name)
{
	int i = fs_type_index(name);

	return i < 0 ? NULL : fs_type_at((unsigned)i);
}

void super_init(struct super_block *sb, const struct fs_type *type, const struct super_ops *ops, uint32_t flags)
{
	const struct cred *cred = thread_current()->cred; /* null: while the system starts */
	static uint32_t last_minor = ANONYMOUS_MINOR;

	*sb = (struct super_block){
		.type = type,
		.ops = ops,
		.flags = flags,
		.next_ino = 1,
		.generation = (uint32_t)random_u64(),
		.max_bytes = INT64_MAX,
		.xattr_bytes_max = XATTR_SUPER_MAX,
		.dev = dev_make(0, __atomic_add_fetch(&last_minor, 1, __ATOMIC_RELAXED)),
	};
	refcount_init(&sb->refs, 1);
	list_init(&sb->all);
	sb->user_ns = cred ? cred->user_ns : &user_namespace_first;
	namespace_get(user_namespace_base(sb->user_ns));
}

void super_discard(struct super_block *sb)
{
	namespace_put(user_namespace_base(sb->user_ns));
	kfree(sb);
}

void super_enlist(struct super_block *sb)
{
	spin_lock(&supers_lock);
	if (list_empty(&sb->all))
		list_add_tail(&supers, &sb->all);
	spin_unlock(&supers_lock);
}

/* With a reference, or null. */
static struct super_block *find_device(uint64_t dev)
{
	struct super_block *sb, *found = NULL;

	spin_lock(&supers_lock);
	list_for_each (sb, &supers, all)
		if (sb->dev == dev && refcount_get_unless_zero(&sb->refs)) {
			found = sb;
			break;
		}
	spin_unlock(&supers_lock);
	return found;
}

int vfs_statfs_device(uint64_t dev, struct fs_statistics *ret)
{
	struct super_block *sb;
	int error;

	if (dev == ANONYMOUS_DEV) {
		*ret = (struct fs_statistics){ .block_size = PAGE_SIZE };
		return 0;
	}
	sb = find_device(dev);
	if (!sb)
		return -EINVAL;
	error = sb->ops->statfs(sb, ret);
	super_put(sb);
	return error;
}

void super_put(struct super_block *sb)
{
	struct user_namespace *user_ns = sb->user_ns;
	struct dentry *root = sb->root;

	if (!refcount_put(&sb->refs))
		return;
	spin_lock(&supers_lock);
	list_del(&sb->all);
	spin_unlock(&supers_lock);
	notify_unmounted(sb);
	dentry_drop_tree(root);
	dentry_put(root);
	sb->ops->destroy(sb);
	namespace_put(user_namespace_base(user_ns));
}
