/* SPDX-License-Identifier: MIT */
/*
 * Mount namespaces (mount_namespaces(7)): each has a tree of mounts of its own, that starts at its root. A thread sees the one that its fs
 * context is in. A new one begins as a copy of another's whole tree: other mounts, of the same super blocks at the same places.
 *
 * A context that copies another, or a namespace, is in its namespace's list before anybody can see it, so that who changes the root
 * (pivot_root(2)) finds every context that stands there. Readers of a context that they do not share take no lock (walk.c), but read the
 * tree: so a context that is not the running thread's is only changed with the tree's writing side.
 *
 * A copy for another user namespace must not show what was hidden from it: its mounts keep their places and their restrictions ("locked"),
 * and only the tree as a whole can be left behind. Nor is what is mounted in it passed on: it has slaves where another has peers.
 *
 * Locking: a namespace's mounts by the tree lock. Its contexts by `lock` (RANK_MOUNT_USERS), in which a context's own lock nests. A
 * namespace is held by its contexts and by files of /proc/PID/ns; its mounts go with the last of them.
 */
#include <cloudos/mm.h>
#include <cloudos/user_namespace.h>
#include <linux/sched.h>
#include "vfs_internal.h"

static void destroy(struct namespace *base);

static const struct namespace_kind kind = { .name = "mnt", .clone_flag = CLONE_NEWNS, .destroy = destroy };

static struct mount_namespace initial = {
	.base = { .kind = &kind, .refs = { 1 }, .number = UINT32_C(0xeffffff0) },
	.lock = SPINLOCK_INIT(RANK_MOUNT_USERS),
	.contexts = LIST_INIT(initial.contexts),
};
struct mount_namespace *const mount_namespace_initial = &initial;

struct mount_namespace *mount_namespace_of_thread(void)
{
	return thread_current()->fs->mounts;
}

struct namespace *mount_namespace_as_namespace(struct mount_namespace *ns)
{
	return &ns->base;
}

struct mount_namespace *mount_namespace_of(struct namespace *base)
{
	return base->kind == &kind ? (struct mount_namespace *)(void *)base : NULL;
}

int mount_namespace_first(struct super_block *sb, const char *source)
{
	return mount_set_root(&initial, sb, source);
}

/* ---- contexts ---- */

void mount_namespace_enter(struct mount_namespace *ns, struct fs_context *c)
{
	namespace_get(&ns->base);
	c->mounts = ns;
	spin_lock(&ns->lock);
	list_add_tail(&ns->contexts, &c->of_namespace);
	spin_unlock(&ns->lock);
}

void mount_namespace_join(struct fs_context *from, struct fs_context *c)
{
	struct mount_namespace *ns = from->mounts;

	namespace_get(&ns->base);
	c->mounts = ns;
	spin_lock(&ns->lock);
	spin_lock(&from->lock);
	c->root = from->root;
	c->cwd = from->cwd;
	c->umask = from->umask;
	path_get(&c->root);
	path_get(&c->cwd);
	spin_unlock(&from->lock);
	list_add_tail(&ns->contexts, &c->of_namespace);
	spin_unlock(&ns->lock);
}

void mount_namespace_leave(struct fs_context *c)
{
	struct mount_namespace *ns = c->mounts;

	spin_lock(&ns->lock);
	list_del(&c->of_namespace);
	spin_unlock(&ns->lock);
	namespace_put(&ns->base);
}

bool vfs_in_chroot(void)
{
	struct fs_context *fs = thread_current()->fs;
	struct path root;
	bool inside;

	tree_read_enter();
	root = (struct path){ fs->mounts->root, fs->mounts->root->root };
	mount_cross(&root);
	spin_lock(&fs->lock);
	inside = fs->root.mount != root.mount || fs->root.dentry != root.dentry;
	spin_unlock(&fs->lock);
	tree_read_leave();
	return inside;
}

bool vfs_mounts_capable(unsigned capability)
{
	struct thread *t = thread_current();

	return cred_capable_over(t->cred, namespace_owner(&t->fs->mounts->base), capability);
}

/* ---- copying a tree ---- */

static void copy_mount_locked(struct mount *m, struct mount_namespace *to, struct mount_blanks *blanks)
{
	struct mount *copy = mount_copy_locked(m, m->root, blanks);

	copy->locked = m->locked;
	if (namespace_owner(&to->base) != namespace_owner(&m->ns->base)) {
		mount_restrict_copy_locked(copy);
		copy->locked = m->parent != NULL;
		mount_peers_follow_locked(copy, m);
	} else {
		mount_peers_join_locked(copy, m);
	}
	mount_enlist_locked(copy, to);
	m->copy = copy;
}

/* The path in the copied tree, with references; those on the old one go to *ret_old. */
static void translate_locked(struct path *p, struct path *ret_old)
{
	*ret_old = (struct path){ NULL, NULL };
	if (!p->mount->copy)
		return; /* it stands in what was unmounted, or in another tree */
	*ret_old = *p;
	p->mount = p->mount->copy;
	path_get(p);
}

/* `c`, whom nobody else knows yet, stands where it stood, in the copy. Tree writing side. */
static void copy_tree_locked(struct mount_namespace *from, struct mount_namespace *to, struct mount_blanks *blanks, struct fs_context *c,
			     struct path ret_old[2])
{
	struct mount *m;

	list_for_each (m, &all_mounts, all)
		if (m->ns == from)
			copy_mount_locked(m, to, blanks);
	to->root = from->root->copy;
	list_for_each (m, &all_mounts, all)
		if (m->ns == from && m->parent)
			mount_attach_locked(m->copy, &(struct path){ m->parent->copy, m->point });
	translate_locked(&c->root, &ret_old[0]);
	translate_locked(&c->cwd, &ret_old[1]);
	list_for_each (m, &all_mounts, all)
		m->copy = NULL;
}

static int copy_tree(struct mount_namespace *from, struct mount_namespace *to, struct fs_context *c)
{
	struct mount_blanks blanks = MOUNT_BLANKS(blanks);
	struct path old[2];

	for (;;) {
		int error = mount_blanks_add(&blanks, &(struct mount_want){ READ_ONCE(from->count), 0 });

		if (error) {
			mount_blanks_free(&blanks);
			return error;
		}
		tree_write_enter();
		if (from->count <= blanks.have.mounts)
			break;
		tree_write_leave(); /* more were mounted meanwhile */
	}
	copy_tree_locked(from, to, &blanks, c, old);
	tree_write_leave();
	mount_blanks_free(&blanks);
	for (int i = 0; i < 2; i++)
		if (old[i].mount)
			path_put(&old[i]);
	return 0;
}

static void destroy(struct namespace *base)
{
	struct mount_namespace *ns = mount_namespace_of(base);

	mount_dissolve(ns);
	kfree(ns);
}

int mount_namespace_create(struct user_namespace *owner, struct mount_namespace **ret)
{
	struct mount_namespace *ns = kzalloc(sizeof(*ns));
	int error;

	if (!ns)
		return -ENOMEM;
	error = namespace_init(&ns->base, &kind, user_namespace_base(owner));
	if (error) {
		kfree(ns);
		return error;
	}
	spin_init(&ns->lock, RANK_MOUNT_USERS);
	list_init(&ns->contexts);
	*ret = ns;
	return 0;
}

int vfs_unshare_mounts(struct fs_context *from, struct user_namespace *owner, struct fs_context **ret)
{
	struct mount_namespace *ns;
	struct fs_context *c;
	int error = mount_namespace_create(owner, &ns);

	if (error)
		return error;
	c = fs_context_copy(from);
	error = c ? copy_tree(c->mounts, ns, c) : -ENOMEM;
	if (!error) {
		mount_namespace_leave(c);
		mount_namespace_enter(ns, c);
		*ret = c;
	} else if (c) {
		fs_context_put(c);
	}
	namespace_put(&ns->base);
	return error;
}

int vfs_enter_mounts(struct mount_namespace *ns, struct fs_context **ret)
{
	struct path root;
	struct fs_context *c;

	tree_read_enter();
	root = (struct path){ ns->root, ns->root->root };
	mount_cross(&root);
	path_get(&root);
	tree_read_leave();
	c = fs_context_create(ns, &root, &root);
	path_put(&root);
	*ret = c;
	return c ? 0 : -ENOMEM;
}

/* ---- pivot_root(2) ---- */

static bool same_place(const struct path *a, const struct path *b)
{
	return a->mount == b->mount && a->dentry == b->dentry;
}

/* Is `at` the place `top`, or below it in its mount or in one on top of that? Tree lock held. */
static bool is_below_locked(struct path at, const struct path *top)
{
	for (;;) {
		if (same_place(&at, top))
			return true;
		if (at.dentry != at.mount->root) {
			if (at.dentry->parent == at.dentry)
				return false;
			at.dentry = at.dentry->parent;
		} else if (at.mount->parent) {
			at = (struct path){ at.mount->parent, at.mount->point };
		} else {
			return false;
		}
	}
}

static int check_pivot_locked(const struct path *root, const struct path *new, const struct path *old)
{
	struct mount_namespace *ns = mount_namespace_of_thread();

	if (new->mount->ns != ns || old->mount->ns != ns || root->mount->ns != ns)
		return -EINVAL;
	if (old->mount->group || (new->mount->parent && new->mount->parent->group) || (root->mount->parent && root->mount->parent->group))
		return -EINVAL; /* it would have to be passed on */
	if (new->mount == root->mount || old->mount == root->mount)
		return -EBUSY;
	if (new->mount->locked || new->dentry != new->mount->root || root->dentry != root->mount->root || !new->mount->parent)
		return -EINVAL;
	if (!is_below_locked(*old, new) || !is_below_locked(*new, root))
		return -EINVAL;
	if (new->dentry->flags & DENTRY_DELETED)
		return -ENOENT;
	return mount_check_place_locked(root->dentry, old);
}

/* Moves a context that stands at `from` to `to`; how many references on `from` became the caller's. */
static unsigned move_locked(struct fs_context *c, const struct path *from, const struct path *to)
{
	struct path *places[] = { &c->root, &c->cwd };
	unsigned moved = 0;

	spin_lock(&c->lock);
	for (int i = 0; i < 2; i++)
		if (same_place(places[i], from)) {
			*places[i] = *to;
			path_get(to);
			moved++;
		}
	spin_unlock(&c->lock);
	return moved;
}

static unsigned move_all_locked(struct mount_namespace *ns, const struct path *from, const struct path *to)
{
	struct fs_context *c;
	unsigned moved = 0;

	spin_lock(&ns->lock);
	list_for_each (c, &ns->contexts, of_namespace)
		moved += move_locked(c, from, to);
	spin_unlock(&ns->lock);
	return moved;
}

/* ret: where the two mounts stood, with the references that they had there; the second may be nowhere. */
static void pivot_locked(struct mount_namespace *ns, const struct path *root, const struct path *new, const struct path *old,
			 struct path ret[2])
{
	ret[0] = mount_detach_locked(new->mount);
	ret[1] = (struct path){ NULL, NULL };
	new->mount->locked = root->mount->locked;
	root->mount->locked = false;
	if (root->mount == ns->root) {
		ns->root = new->mount;
	} else {
		ret[1] = mount_detach_locked(root->mount);
		mount_attach_locked(new->mount, &ret[1]);
	}
	mount_attach_locked(root->mount, old);
}

int vfs_pivot_root(const struct path *new, const struct path *put_old)
{
	struct fs_context *fs = thread_current()->fs;
	struct path top = *put_old, *old = &top, root, stood[2] = { { NULL, NULL }, { NULL, NULL } };
	unsigned moved = 0;
	int error;

	tree_write_enter();
	mount_cross(old);
	spin_lock(&fs->lock);
	root = fs->root;
	path_get(&root);
	spin_unlock(&fs->lock);
	error = check_pivot_locked(&root, new, old);
	if (!error) {
		pivot_locked(fs->mounts, &root, new, old, stood);
		moved = move_all_locked(fs->mounts, &root, new);
	}
	tree_write_leave();
	for (unsigned i = 0; i < moved; i++)
		path_put(&root);
	for (int i = 0; i < 2; i++)
		if (stood[i].mount)
			path_put(&stood[i]);
	path_put(&root);
	return error;
}
