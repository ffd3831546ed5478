/* SPDX-License-Identifier: MIT */
/*
 * The mount table: which super block is seen where. A mount in the table holds one reference on itself; open files, working
 * directories and mounts on top of it hold the others, so "busy" is a count. Mounts are found by (mount, dentry) below them. The table
 * is one, and each mount in it is a namespace's (mount_namespace.c): there it can be reached from that namespace's root.
 *
 * Locking: the tree lock's writing side for every change, its reading side (or a reference) to follow parent and point.
 */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <linux/capability.h>
#include "vfs_internal.h"

#define MOUNT_BUCKETS 1024

static struct hash_head by_point[MOUNT_BUCKETS];
struct list all_mounts = LIST_INIT(all_mounts);
static uint32_t last_id;
uint32_t mounts_max = MOUNTS_MAX;

static struct hash_head *bucket_of(const struct mount *m, const struct dentry *d)
{
	return &by_point[hash_u64((uintptr_t)m ^ (uintptr_t)d << 4) % MOUNT_BUCKETS];
}

struct mount *mount_find(const struct mount *m, const struct dentry *d)
{
	struct mount *on;

	hash_for_each (on, bucket_of(m, d), by_point)
		if (on->parent == m && on->point == d)
			return on;
	return NULL;
}

void mount_cross(struct path *p)
{
	while (p->dentry->flags & DENTRY_MOUNTED) {
		struct mount *on = mount_find(p->mount, p->dentry);

		if (!on)
			return;
		p->mount = on;
		p->dentry = on->root;
	}
}

void path_cross(struct path *p)
{
	struct path top = *p;

	tree_read_enter();
	mount_cross(&top);
	path_get(&top);
	tree_read_leave();
	path_put(p);
	*p = top;
}

static struct mount_source *source_create(const char *text)
{
	size_t size = strlen(text) + 1;
	struct mount_source *source = kmalloc(sizeof(*source) + size);

	if (!source)
		return NULL;
	refcount_init(&source->refs, 1);
	memcpy(source->text, text, size);
	return source;
}

void mount_fill(struct mount *m, struct super_block *sb, struct dentry *root, struct mount_source *source, uint32_t flags)
{
	refcount_init(&m->refs, 1);
	m->flags = flags & (MOUNT_FLAGS | MOUNT_HIDDEN);
	m->sb = sb;
	m->root = root;
	dentry_get(root);
	m->source = source;
	list_init(&m->all);
	list_init(&m->kept);
	list_init(&m->children);
	list_init(&m->siblings);
	list_init(&m->peers);
	list_init(&m->going);
}

struct mount *mount_create(struct super_block *sb, struct dentry *root, const char *text, uint32_t flags)
{
	struct mount *m = kzalloc(sizeof(*m));
	struct mount_source *source = m ? source_create(text) : NULL;

	if (!source) {
		kfree(m);
		return NULL;
	}
	mount_fill(m, sb, root, source, flags);
	return m;
}

/*
 * True when that was the last reference. It is dropped under the tree's writing side: a walk that began at a shared working directory may
 * stand on the mount with no reference, and take one by plain increment.
 */
static bool drop_reference(struct mount *m)
{
	bool last;

	if (refcount_put_unless_last(&m->refs))
		return false;
	tree_write_enter();
	last = refcount_put(&m->refs);
	tree_write_leave();
	return last;
}

/* What was kept on it goes, too: to `dead`, if nobody else uses it. */
static void release_kept(struct mount *m, struct list *dead)
{
	struct mount *on, *next;

	tree_write_enter();
	list_for_each (on, &m->kept, all)
		on->kept_at = mount_detach_locked(on).dentry;
	tree_write_leave();
	list_for_each_safe (on, next, &m->kept, all) {
		list_del(&on->all);
		dentry_put(on->kept_at);
		if (drop_reference(on))
			list_add_tail(dead, &on->all);
	}
}

static void destroy(struct mount *m)
{
	dentry_put(m->root);
	super_put(m->sb);
	if (refcount_put(&m->source->refs))
		kfree(m->source);
	kfree(m);
}

void mount_put(struct mount *m)
{
	struct list dead = LIST_INIT(dead);

	if (!drop_reference(m))
		return;
	list_add_tail(&dead, &m->all);
	while (!list_empty(&dead)) {
		m = list_first(&dead, struct mount, all);
		list_del(&m->all);
		release_kept(m, &dead);
		destroy(m);
	}
}

/* ---- into and out of the table; tree writing side ---- */

void mount_attach_locked(struct mount *m, const struct path *on)
{
	tree_moves++;
	m->parent = on->mount;
	m->point = on->dentry;
	refcount_get(&on->mount->refs);
	dentry_get(on->dentry);
	mount_point_enter_locked(m);
	list_add_tail(&on->mount->children, &m->siblings);
	hash_insert(bucket_of(on->mount, on->dentry), &m->by_point);
}

/* The references that the mount had on what is below it become the caller's. */
struct path mount_detach_locked(struct mount *m)
{
	struct path on = { m->parent, m->point };

	tree_moves++;
	hash_remove(&m->by_point);
	list_del(&m->siblings);
	mount_point_leave_locked(m);
	m->parent = NULL;
	m->point = NULL;
	return on;
}

/* What it stood on is kept by others, too, so nothing dies here. */
void mount_reattach_locked(struct mount *m, const struct path *on)
{
	struct path old = mount_detach_locked(m);
	bool last;

	mount_attach_locked(m, on);
	dentry_put(old.dentry);
	last = refcount_put(&old.mount->refs);
	ASSERT(!last);
}

/*
 * Takes a mount out of the table, and what is on it goes in the same writing section: what is below it (null: nothing) became the caller's to
 * put. A locked one stays where it is, for those who are still there: they would see what it hides. What is kept so is on what left the table, too.
 */
struct path mount_remove_locked(struct mount *m)
{
	struct path below = { m->parent, NULL };

	mount_delist_locked(m);
	if (!m->parent)
		return below;
	if (!m->locked)
		return mount_detach_locked(m);
	list_del(&m->siblings);
	list_add_tail(&m->parent->kept, &m->all);
	refcount_get(&m->refs); /* the table's goes over to what it is on: the caller puts another */
	return below;
}

void mount_put_below(const struct path *below)
{
	if (below->dentry)
		dentry_put(below->dentry);
	if (below->mount)
		mount_put(below->mount);
}

int mount_check_room_locked(const struct mount_namespace *ns, uint32_t wanted)
{
	uint32_t there = ns->count + ns->coming, most = READ_ONCE(mounts_max);

	return there > most || wanted > most - there ? -ENOSPC : 0;
}

void mount_enlist_locked(struct mount *m, struct mount_namespace *ns)
{
	ns->count++;
	m->ns = ns;
	ADD_ONCE(last_id, 1);
	m->id = last_id;
	list_add_tail(&all_mounts, &m->all);
}

void mount_withdraw_locked(struct mount *m)
{
	list_del(&m->all);
	m->ns->count--;
	m->ns = NULL;
}

void mount_delist_locked(struct mount *m)
{
	mount_withdraw_locked(m);
	mount_peers_leave_locked(m);
}

/*
 * Is a mount part of the tree that the running thread sees? A path that was walked before may lead into one that was unmounted since; what
 * was put on that could not be reached, nor unmounted. One that came with a descriptor may lead into another namespace's.
 */
bool mount_in_tree_locked(const struct mount *m)
{
	return m->ns && m->ns == mount_namespace_of_thread();
}

int mount_check_place_locked(const struct dentry *root, const struct path *on)
{
	if (inode_is_dir(root->inode) != inode_is_dir(on->dentry->inode))
		return -ENOTDIR;
	if (on->dentry->flags & (DENTRY_DELETED | DENTRY_UNCACHED))
		return -ENOENT;
	return mount_in_tree_locked(on->mount) ? 0 : -EINVAL;
}

/* ---- what mount(2) does ---- */

bool fs_type_allowed(const struct fs_type *type)
{
	return type->in_user_namespaces || cred_capable(thread_current()->cred, CAP_SYS_ADMIN);
}

int vfs_mount(const struct path *on, const char *type_name, const char *source, const char *options, uint32_t flags)
{
	const struct fs_type *type = fs_find(type_name);
	struct super_block *sb;
	struct mount *m;
	int error;

	if (!type)
		return -ENODEV;
	if (!fs_type_allowed(type))
		return -EPERM;
	error = type->mount(type, source, options, &sb);
	if (error)
		return error;
	error = mount_make(sb, source, flags, &m);
	super_put(sb);
	return error ? error : mount_graft(m, on);
}

int mount_make(struct super_block *sb, const char *source, uint32_t flags, struct mount **ret)
{
	struct dentry *part = NULL;
	struct mount *m;
	int error = sb->type->mount_root ? sb->type->mount_root(sb, &part) : 0;

	if (error)
		return error;
	m = mount_create(sb, part ? part : sb->root, source, flags);
	if (part)
		dentry_put(part);
	if (!m)
		return -ENOMEM;
	refcount_get(&sb->refs);
	error = mount_restrict_new(m, sb->type, flags);
	if (error)
		mount_put(m);
	else
		*ret = m;
	return error;
}

struct mount *mount_create_hidden(struct super_block *sb, const char *source)
{
	struct mount *m = mount_create(sb, sb->root, source, 0);

	if (m)
		m->flags |= MOUNT_HIDDEN;
	return m;
}

int mount_set_root(struct mount_namespace *ns, struct super_block *sb, const char *source)
{
	struct mount *m = mount_create(sb, sb->root, source, 0);

	if (!m)
		return -ENOMEM;
	tree_write_enter();
	mount_enlist_locked(m, ns);
	ns->root = m;
	tree_write_leave();
	return 0;
}

struct mount *mount_next(uint32_t id, const struct mount_namespace *ns)
{
	struct mount *m, *found = NULL;

	tree_read_enter();
	list_for_each (m, &all_mounts, all)
		if (m->id > id && (!ns || m->ns == ns)) {
			refcount_get(&m->refs);
			found = m;
			break;
		}
	tree_read_leave();
	return found;
}

int vfs_statfs(const struct path *path, struct fs_statistics *ret)
{
	return path->mount->sb->ops->statfs(path->mount->sb, ret);
}

int vfs_statfs_device(uint64_t dev, struct fs_statistics *ret)
{
	struct mount *m, *found = NULL;
	int error;

	tree_read_enter();
	list_for_each (m, &all_mounts, all)
		if (m->sb->dev == dev) {
			refcount_get(&m->refs);
			found = m;
			break;
		}
	tree_read_leave();
	if (!found)
		return -EINVAL;
	error = found->sb->ops->statfs(found->sb, ret);
	mount_put(found);
	return error;
}

int vfs_sync_all(void)
{
	struct mount *m;
	int first = 0;

	for (uint32_t id = 0; (m = mount_next(id, NULL)); mount_put(m)) {
		int error = m->sb->ops->sync ? m->sb->ops->sync(m->sb) : 0;

		id = m->id;
		if (!first)
			first = error;
	}
	return first;
}
