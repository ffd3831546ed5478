/* SPDX-License-Identifier: MIT */
/*
 * From a path's text to (mount, dentry): path_resolution(7).
 *
 * A walk goes from component to component under the tree's reading side, on plain pointers: no lock, no reference, no write to
 * what it passes. Two things make it leave: a name that the cache does not know (the file system is asked), and
 * a symbolic link (its text is read). It then pins where it is, sleeps as it must, and goes on reading.
 *
 *   walk_begin ─► [reading] parse, permission, find in the cache ──► next ... ─► [reading] at the end: walk_take() or look
 *                    │ not cached / a link                ▲                     and walk_end()
 *                    └──► pin, ask or read the link ──────┘
 *
 * W1  While reading, at, root and the dentry at hand are borrowed; while not, `held`, `child` and root's reference keep them.
 * W2  What is above the root is never reached: ".." at the root, or at the top of a detached mount, stays there.
 *     Nor is what is above the root of a bind mount (ENOENT), from a folder that was moved out of it.
 * W3  At most LINKS_FOLLOWED_MAX links are followed (ELOOP). Each has its text in a frame, freed when the text is used up.
 */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <linux/openat2.h>
#include "vfs_internal.h"

/* The text of a symbolic link that is being walked, and where to go on after it. */
struct link_frame {
	struct link_frame *outer;
	const char *rest; /* of the text that held the link; may be empty */
	char text[];
};

/* ---- reading and not reading ---- */

static void walk_read(struct walk *w)
{
	tree_read_enter();
	w->reading = true;
}

/* Lets go of what was kept alive for the last pause. */
static void drop_held(struct walk *w)
{
	if (w->held.dentry)
		path_put(&w->held);
	if (w->child)
		dentry_put(w->child);
	w->held.dentry = NULL;
	w->child = NULL;
}

/* Takes references on where the walk is, and on `child` if not null, then stops reading. */
static void walk_pin(struct walk *w, struct dentry *child)
{
	path_get(&w->at);
	if (child)
		dentry_get(child);
	if (!w->root_held)
		path_get(&w->root);
	w->root_held = true;
	tree_read_leave();
	w->reading = false;
	drop_held(w);
	w->held = w->at;
	w->child = child;
}

void walk_pause(struct walk *w)
{
	if (w->reading)
		walk_pin(w, NULL);
}

/* ---- the start ---- */

static void context_paths(struct fs_context *fs, struct path *ret_root, struct path *ret_cwd)
{
	bool shared = refcount_read(&fs->refs) > 1;

	if (shared)
		spin_lock(&fs->lock);
	*ret_root = fs->root;
	*ret_cwd = fs->cwd;
	if (shared)
		spin_unlock(&fs->lock);
}

/* The folder of a descriptor. The file is kept until the walk ends if another thread could close it. */
static int start_at_fd(struct walk *w, int dirfd)
{
	bool put;
	struct file *f = fd_begin(dirfd, &put);

	if (!f)
		return -EBADF;
	if (put)
		w->start = f;
	if (!f->path.dentry)
		return -ENOTDIR;
	w->at = f->path;
	return 0;
}

/* RESOLVE_BENEATH and RESOLVE_IN_ROOT make the starting folder the root. */
static int confine(struct walk *w, const char *name)
{
	if ((w->resolve & RESOLVE_BENEATH) && *name == '/')
		return -EXDEV;
	w->root = w->at;
	return 0;
}

int walk_begin(struct walk *w, int dirfd, const char *name, unsigned flags)
{
	struct fs_context *fs = thread_current()->fs;
	int error = 0;

	w->held.dentry = NULL;
	w->child = NULL;
	w->start = w->pathless = NULL;
	w->frames = NULL;
	w->links = 0;
	w->trailing_slash = w->root_held = w->reading = false;
	w->kind = WALK_NONE;
	w->flags = flags;
	w->resolve = 0;
	w->rest = name;
	w->cred = thread_current()->cred;
	if (unlikely(!fs || !w->cred || (!*name && !(flags & LOOKUP_EMPTY))))
		return -ENOENT;
	walk_read(w);
	context_paths(fs, &w->root, &w->at);
	if (*name == '/')
		w->at = w->root;
	else if (dirfd != AT_FDCWD)
		error = start_at_fd(w, dirfd);
	return error;
}

int walk_confine(struct walk *w, unsigned resolve)
{
	w->resolve = resolve;
	w->moves = tree_moves;
	return resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) ? confine(w, w->rest) : 0;
}

static void pop_frame(struct walk *w)
{
	struct link_frame *f = w->frames;

	w->frames = f->outer;
	w->rest = f->rest;
	kfree(f);
}

void walk_end(struct walk *w)
{
	if (w->reading)
		tree_read_leave();
	w->reading = false;
	drop_held(w);
	if (w->root_held)
		path_put(&w->root);
	if (w->start)
		file_put(w->start);
	if (unlikely(w->pathless))
		file_put(w->pathless);
	while (unlikely(w->frames))
		pop_frame(w);
}

void walk_take(struct walk *w, struct path *ret)
{
	*ret = w->at;
	path_get(ret);
	walk_end(w);
}

/* ---- components ---- */

static enum walk_kind kind_of(const struct name *n)
{
	if (n->text[0] != '.' || n->len > 2)
		return WALK_NAME;
	if (n->len == 1)
		return WALK_DOT;
	return n->text[1] == '.' ? WALK_DOTDOT : WALK_NAME;
}

static bool has_component(const char *s)
{
	while (*s == '/')
		s++;
	return *s;
}

/* Nothing but slashes is left, here and in the texts around? */
static bool nothing_left(const struct walk *w, const char *s)
{
	const struct link_frame *f;

	if (*s)
		return false;
	for (f = w->frames; f; f = f->outer)
		if (has_component(f->rest))
			return false;
	return true;
}

/* The next component into w->last; false at the end of the path. */
static bool next_component(struct walk *w)
{
	const char *s = w->rest;
	uint32_t hash = NAME_HASH_START;
	struct name *n = &w->last;

	for (;;) {
		while (*s == '/')
			s++;
		if (*s || !w->frames)
			break;
		pop_frame(w);
		s = w->rest;
	}
	if (!*s)
		return false;
	n->text = s;
	for (; *s && *s != '/'; s++)
		hash = name_hash_step(hash, (unsigned char)*s);
	n->len = (uint32_t)(s - n->text);
	n->hash = hash;
	w->kind = kind_of(n);
	if (*s == '/') {
		while (*s == '/')
			s++;
		w->trailing_slash = true;
	} else {
		w->trailing_slash = false;
	}
	w->rest = s;
	w->is_last = nothing_left(w, s);
	return true;
}

/* ---- one step ---- */

/* Comes to a dentry of the same mount, and to what is mounted on that. */
static int stand_on(struct walk *w, struct dentry *d)
{
	const struct mount *m = w->at.mount;

	w->at.dentry = d;
	if (likely(!(d->flags & DENTRY_MOUNTED)))
		return 0;
	mount_cross(&w->at);
	return (w->resolve & RESOLVE_NO_XDEV) && w->at.mount != m ? -EXDEV : 0;
}

/* A folder may have been moved out of what a bind mount shows, with who stands in it: from there no way leads up. */
static bool mount_shows(const struct mount *m, const struct dentry *d)
{
	return likely(m->root == m->sb->root) || mount_is_below(d, m->root);
}

static int walk_up(struct walk *w)
{
	/* What was below the root when it was passed may be elsewhere now, and lead up past it. */
	if (unlikely(w->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) && w->moves != tree_moves)
		return -EAGAIN;
	for (;;) {
		if (w->at.dentry == w->root.dentry && w->at.mount == w->root.mount)
			return w->resolve & RESOLVE_BENEATH ? -EXDEV : 0;
		if (w->at.dentry != w->at.mount->root)
			break;
		if (!w->at.mount->parent)
			return 0;
		if (w->resolve & RESOLVE_NO_XDEV)
			return -EXDEV;
		w->at = (struct path){ w->at.mount->parent, w->at.mount->point };
	}
	if (!mount_shows(w->at.mount, w->at.dentry->parent))
		return -ENOENT;
	return stand_on(w, w->at.dentry->parent);
}

/* Asks the file system. On 0 the walk reads again, and *ret is kept alive by w->child. */
static int ask(struct walk *w, struct dentry **ret)
{
	struct dentry *dir = w->at.dentry;
	struct inode *inode = dir->inode;
	int error;

	if (READ_ONCE(inode->flags) & INODE_COMPLETE)
		return -ENOENT;
	walk_pin(w, NULL);
	mutex_lock(&inode->lock);
	error = dentry_lookup_locked(dir, &w->last, &w->child);
	mutex_unlock(&inode->lock);
	if (error)
		return error;
	*ret = w->child;
	walk_read(w);
	return 0;
}

/* Goes to a place outside the text: what /proc/self/exe and the like lead to. Not reading. */
static int follow_place(struct walk *w, struct inode *link)
{
	struct path place;
	int error;

	if (w->resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return w->resolve & RESOLVE_NO_MAGICLINKS ? -ELOOP : -EXDEV;
	error = link->ops->follow(link, &place, &w->pathless);
	if (error)
		return error;
	if ((w->resolve & RESOLVE_NO_XDEV) && place.mount != w->at.mount) {
		path_put(&place);
		return -EXDEV;
	}
	drop_held(w);
	w->at = w->held = place;
	return 0;
}

/* Puts a link's text before the rest. Not reading. */
static int follow_text(struct walk *w, struct inode *link)
{
	size_t size = link->size ? link->size + 1 : PATH_LEN_MAX;
	struct link_frame *f = kmalloc(sizeof(*f) + size);
	ssize_t len;

	if (!f)
		return -ENOMEM;
	len = link->ops->readlink(link, f->text, size);
	if (len <= 0 || (size_t)len >= size) {
		kfree(f);
		return len < 0 ? (int)len : len == 0 ? -ENOENT : -ENAMETOOLONG;
	}
	f->text[len] = '\0';
	f->rest = w->rest;
	f->outer = w->frames;
	w->frames = f;
	w->rest = f->text;
	if (f->text[0] != '/')
		return 0;
	if (w->resolve & RESOLVE_BENEATH)
		return -EXDEV;
	if ((w->resolve & RESOLVE_NO_XDEV) && w->at.mount != w->root.mount)
		return -EXDEV;
	w->at = w->root;
	return 0;
}

static int follow_link(struct walk *w, struct dentry *d)
{
	struct inode *link = d->inode;
	int error;

	if (++w->links > LINKS_FOLLOWED_MAX || (w->resolve & RESOLVE_NO_SYMLINKS) || (READ_ONCE(w->at.mount->flags) & MS_NOSYMFOLLOW))
		return -ELOOP;
	if (w->is_last && w->trailing_slash)
		w->flags |= LOOKUP_DIRECTORY;
	walk_pin(w, d);
	if (link->ops->follow)
		error = follow_place(w, link);
	else if (link->ops->readlink)
		error = follow_text(w, link);
	else
		error = -EINVAL;
	if (!error)
		walk_read(w);
	return error;
}

/* Goes into the folder entry `d` of where the walk is. */
static int enter(struct walk *w, struct dentry *d)
{
	const struct inode *inode = d->inode;

	if (unlikely(!inode))
		return -ENOENT;
	if (unlikely(S_ISLNK(inode_mode(inode))) && (!w->is_last || w->trailing_slash || (w->flags & LOOKUP_FOLLOW)))
		return follow_link(w, d);
	return stand_on(w, d);
}

int walk_step(struct walk *w)
{
	struct dentry *d;
	int error;

	if (unlikely(w->kind != WALK_NAME))
		return w->kind == WALK_DOTDOT ? walk_up(w) : 0;
	if (unlikely(w->last.len > NAME_LEN_MAX))
		return -ENAMETOOLONG;
	d = dentry_find(w->at.dentry, &w->last);
	if (unlikely(!d)) {
		error = ask(w, &d);
		if (error)
			return error;
	}
	return enter(w, d);
}

/* May the walk look for a name here? */
static int searchable(struct walk *w)
{
	struct inode *dir = w->at.dentry->inode;

	if (unlikely(!inode_is_dir(dir)))
		return -ENOTDIR;
	if (likely((inode_mode(dir) & 0111) == 0111 && !dir->ops->permission))
		return 0;
	return inode_permission(dir, MAY_EXEC, w->cred);
}

/* Who comes to a mount keeps it from expiring. */
static void note_use(const struct walk *w)
{
	if (unlikely(READ_ONCE(w->at.mount->expiring)) && !(w->flags & LOOKUP_PASSING))
		WRITE_ONCE(w->at.mount->expiring, false);
}

static int check_end(const struct walk *w)
{
	note_use(w);
	if ((w->trailing_slash || (w->flags & LOOKUP_DIRECTORY)) && !inode_is_dir(w->at.dentry->inode))
		return -ENOTDIR;
	return 0;
}

int walk_run(struct walk *w)
{
	while (next_component(w)) {
		int error = searchable(w);

		if (error)
			return error;
		if (w->is_last && (w->flags & WALK_PARENT)) {
			note_use(w);
			return 0;
		}
		error = walk_step(w);
		if (error)
			return error;
	}
	if (w->flags & WALK_PARENT) {
		w->kind = WALK_NONE; /* the path was "/" */
		return 0;
	}
	return check_end(w);
}

int path_lookup(int dirfd, const char *name, unsigned flags, struct path *ret)
{
	struct walk w;
	int error = walk_begin(&w, dirfd, name, flags);

	if (!error)
		error = walk_run(&w);
	if (error) {
		walk_end(&w);
		return error;
	}
	walk_take(&w, ret);
	return 0;
}

/* ---- names that the cache does not hold ---- */

int dentry_lookup_locked(struct dentry *dir, const struct name *name, struct dentry **ret)
{
	struct inode *inode = dir->inode;
	struct dentry *d;
	int error = 0;

	assert_mutex_held(&inode->lock);
	if (name->len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	tree_read_enter();
	d = dentry_find(dir, name);
	if (d)
		dentry_get(d);
	tree_read_leave();
	if (d) {
		*ret = d;
		return 0;
	}
	if (inode->flags & INODE_DEAD)
		return -ENOENT;
	d = dentry_create(dir, name);
	if (!d)
		return -ENOMEM;
	if (inode->sb->flags & SB_UNCACHED)
		d->flags |= DENTRY_UNCACHED;
	if (!(inode->flags & INODE_COMPLETE) && inode->ops->lookup)
		error = inode->ops->lookup(inode, d);
	if (error) {
		dentry_put(d);
		return error;
	}
	if (!(inode->sb->flags & SB_PINNED))
		dentry_publish(d);
	*ret = d;
	return 0;
}
