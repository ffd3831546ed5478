/* SPDX-License-Identifier: MIT */
/* Paths as values: references, and their text. The context of a process (root, working directory, umask). */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "vfs_internal.h"

void path_get(const struct path *p)
{
	refcount_get(&p->mount->refs);
	dentry_get(p->dentry);
}

void path_put(const struct path *p)
{
	dentry_put(p->dentry);
	mount_put(p->mount);
}

/* Text that grows towards the front of a buffer. */
struct back_text {
	char *buf;
	size_t at; /* first byte used */
	bool full;
};

static void prepend(struct back_text *t, const char *s, size_t len)
{
	if (t->full || len > t->at) {
		t->full = true;
		return;
	}
	t->at -= len;
	memcpy(t->buf + t->at, s, len);
}

/* Tree reading side. True if the walk up met `root`. */
static bool prepend_names(struct back_text *t, struct path p, const struct path *root)
{
	while (p.dentry != root->dentry || p.mount != root->mount) {
		if (p.dentry == p.mount->root) {
			if (!p.mount->parent)
				return false;
			p = (struct path){ p.mount->parent, p.mount->point };
			continue;
		}
		if (p.dentry->parent == p.dentry)
			return false;
		prepend(t, p.dentry->name, p.dentry->name_len);
		prepend(t, "/", 1);
		p.dentry = p.dentry->parent;
	}
	return true;
}

int path_string_in(struct fs_context *fs, const struct path *p, bool mark, char *buf, size_t size)
{
	struct back_text t = { buf, size, false };
	struct path root;
	size_t before;

	prepend(&t, "", 1);
	if (p->dentry->flags & DENTRY_DELETED)
		prepend(&t, " (deleted)", 10);
	before = t.at;
	tree_read_enter();
	spin_lock(&fs->lock);
	root = fs->root;
	spin_unlock(&fs->lock);
	if (!prepend_names(&t, *p, &root)) {
		if (t.at == before)
			prepend(&t, "/", 1);
		if (mark)
			prepend(&t, "(unreachable)", 13);
	} else if (t.at == before) {
		prepend(&t, "/", 1);
	}
	tree_read_leave();
	if (t.full)
		return -ENAMETOOLONG;
	memmove(buf, buf + t.at, size - t.at);
	return (int)(size - t.at - 1);
}

int path_string_in_super(const struct dentry *d, char *buf, size_t size)
{
	struct back_text t = { buf, size, false };

	prepend(&t, "", 1);
	tree_read_enter();
	if (d->flags & DENTRY_DELETED)
		prepend(&t, "//deleted", 9);
	if (d->parent == d)
		prepend(&t, "/", 1);
	for (; d->parent != d; d = d->parent) {
		prepend(&t, d->name, d->name_len);
		prepend(&t, "/", 1);
	}
	tree_read_leave();
	if (t.full)
		return -ENAMETOOLONG;
	memmove(buf, buf + t.at, size - t.at);
	return (int)(size - t.at - 1);
}

int path_string(const struct path *p, char *buf, size_t size)
{
	struct fs_context *fs = thread_current()->fs;

	return fs ? path_string_in(fs, p, false, buf, size) : -ENOENT;
}

/* ---- struct fs_context ---- */

struct fs_context *fs_context_create(struct mount_namespace *ns, const struct path *root, const struct path *cwd)
{
	struct fs_context *c = kmalloc(sizeof(*c));

	if (!c)
		return NULL;
	refcount_init(&c->refs, 1);
	c->users = 1;
	spin_init(&c->lock, RANK_FD);
	c->root = *root;
	c->cwd = *cwd;
	path_get(root);
	path_get(cwd);
	c->umask = 022;
	mount_namespace_enter(ns, c);
	return c;
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
	struct fs_context *c = kmalloc(sizeof(*c));

	if (!c)
		return NULL;
	refcount_init(&c->refs, 1);
	c->users = 1;
	spin_init(&c->lock, RANK_FD);
	mount_namespace_join(from, c);
	return c;
}

void fs_context_get(struct fs_context *c)
{
	refcount_get(&c->refs);
}

void fs_context_put(struct fs_context *c)
{
	if (!refcount_put(&c->refs))
		return;
	mount_namespace_leave(c); /* first: nobody moves it any more */
	path_put(&c->root);
	path_put(&c->cwd);
	kfree(c);
}

void fs_context_join(struct fs_context *c)
{
	fs_context_get(c);
	__atomic_fetch_add(&c->users, 1, __ATOMIC_RELAXED);
}

void fs_context_leave(struct fs_context *c)
{
	__atomic_fetch_sub(&c->users, 1, __ATOMIC_RELAXED);
	fs_context_put(c);
}

uint32_t mode_apply_umask(const struct inode *dir, uint32_t mode)
{
	return READ_ONCE(dir->acls[ACL_DEFAULT]) ? mode : mode & ~thread_current()->fs->umask;
}
