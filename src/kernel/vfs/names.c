/* SPDX-License-Identifier: MIT */
/*
 * Making, removing and moving names. Each call walks to the parent folder, takes its inode lock, looks the name up under it, checks
 * permission and type, lets the file system do it, and last brings the dentry cache in line, which cannot fail.
 *
 * Locking: the folder's inode lock; rename across folders takes rename_lock first, so that the tree above both folders stands
 * still, then the folder nearer to the root (else the lower address) first; a folder that is to go is locked last.
 */
#include <cloudos/inotify.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include "vfs_internal.h"

#define WHITEOUT_DEVICE 0 /* 0:0: a name that hides another (overlayfs); anybody may make it */

static struct mutex rename_lock = MUTEX_INIT(rename_lock, RANK_RENAME);

/* ---- permission ---- */

/* Can the file system say who has made a file? */
static bool creator_has_name(const struct super_block *sb, const struct cred *c)
{
	return id_from_kernel(sb->user_ns, ID_UID, c->fsuid) != ID_NONE && id_from_kernel(sb->user_ns, ID_GID, c->fsgid) != ID_NONE;
}

int dir_may_create(const struct path *dir)
{
	struct inode *inode = dir->dentry->inode;
	int error = mount_want_write(dir->mount);

	if (error)
		return error;
	if (inode->flags & INODE_DEAD)
		return -ENOENT;
	if (!creator_has_name(inode->sb, thread_current()->cred))
		return -EOVERFLOW;
	return inode_permission(inode, MAY_WRITE | MAY_EXEC, thread_current()->cred);
}

int dir_may_remove(const struct path *dir, const struct dentry *victim, bool want_dir)
{
	const struct cred *cred = thread_current()->cred;
	const struct inode *inode = dir->dentry->inode;
	int error = dir_may_create(dir);

	if (error)
		return error;
	if ((inode_mode(inode) & S_ISVTX) && cred->fsuid != READ_ONCE(victim->inode->uid) && cred->fsuid != READ_ONCE(inode->uid) &&
	    !inode_capable(victim->inode, cred, CAP_FOWNER))
		return -EPERM;
	if (want_dir != inode_is_dir(victim->inode))
		return want_dir ? -ENOTDIR : -EISDIR;
	return mount_point_is_own(victim) ? -EBUSY : 0;
}

/* ---- one name ---- */

/* A name in its folder, whose inode lock is held. */
struct target {
	struct walk walk; /* `at` is the folder */
	struct dentry *dentry;
	bool locked;
};

/* Walks to the folder; does not lock it. On failure there is nothing to undo. */
static int target_find(struct target *t, int dirfd, const char *name)
{
	int error = walk_begin(&t->walk, dirfd, name, WALK_PARENT);

	t->dentry = NULL;
	t->locked = false;
	if (!error)
		error = walk_run(&t->walk);
	if (error) {
		walk_end(&t->walk);
		return error;
	}
	walk_pause(&t->walk);
	return 0;
}

/* Locks the folder and looks the name up. target_end() must come, also after a failure. */
static int target_lock(struct target *t)
{
	struct dentry *dir = t->walk.at.dentry;

	mutex_lock(&dir->inode->lock);
	t->locked = true;
	return dentry_lookup_locked(dir, &t->walk.last, &t->dentry);
}

static void target_end(struct target *t)
{
	if (t->locked)
		mutex_unlock(&t->walk.at.dentry->inode->lock);
	if (t->dentry) {
		mount_point_deleted(t->dentry);
		dentry_put(t->dentry);
	}
	walk_end(&t->walk);
}

/* ---- making ---- */

/* A name that is not there yet. `folder`: a trailing slash is welcome. On failure there is nothing to undo. */
static int target_new(struct target *t, int dirfd, const char *name, bool folder)
{
	int error = target_find(t, dirfd, name);

	if (error)
		return error;
	if (t->walk.kind != WALK_NAME)
		error = -EEXIST;
	if (!error)
		error = target_lock(t);
	if (!error && t->dentry->inode)
		error = -EEXIST;
	if (!error && t->walk.trailing_slash && !folder)
		error = -ENOENT;
	if (!error)
		error = dir_may_create(&t->walk.at);
	if (error)
		target_end(t);
	return error;
}

/* After the file system's answer: the new name becomes visible. */
static int target_made(struct target *t, int error)
{
	if (!error && !(t->dentry->flags & DENTRY_HASHED))
		dentry_publish(t->dentry);
	if (!error)
		notify_name(t->walk.at.dentry->inode, t->walk.last.text, t->walk.last.len, t->dentry->inode, IN_CREATE, 0);
	target_end(t);
	return error;
}

int create_locked(const struct path *dir, const struct name *name, uint32_t mode, struct dentry **ret)
{
	struct inode *inode = dir->dentry->inode;
	struct dentry *d;
	int error = dentry_lookup_locked(dir->dentry, name, &d);

	if (error)
		return error;
	if (d->inode)
		error = -EEXIST;
	if (!error)
		error = dir_may_create(dir);
	if (!error)
		error = inode->ops->create ? inode->ops->create(inode, d, mode) : -EACCES;
	if (error) {
		dentry_put(d);
		return error;
	}
	if (!(d->flags & DENTRY_HASHED))
		dentry_publish(d);
	notify_name(inode, name->text, name->len, d->inode, IN_CREATE, 0);
	*ret = d;
	return 0;
}

int vfs_mknod(int dirfd, const char *name, uint32_t mode, uint64_t rdev)
{
	struct target t;
	struct inode *dir;
	int error;

	if (S_ISDIR(mode))
		return -EPERM;
	if (!S_ISREG(mode) && !S_ISCHR(mode) && !S_ISBLK(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return -EINVAL;
	error = target_new(&t, dirfd, name, false);
	if (error)
		return error;
	dir = t.walk.at.dentry->inode;
	mode = mode_apply_umask(dir, mode);
	if ((S_ISBLK(mode) || (S_ISCHR(mode) && rdev != WHITEOUT_DEVICE)) && !cred_capable(thread_current()->cred, CAP_MKNOD))
		error = -EPERM;
	else if (S_ISREG(mode))
		error = dir->ops->create ? dir->ops->create(dir, t.dentry, mode) : -EPERM;
	else
		error = dir->ops->mknod ? dir->ops->mknod(dir, t.dentry, mode, rdev) : -EPERM;
	return target_made(&t, error);
}

int vfs_mkdir(int dirfd, const char *name, uint32_t mode)
{
	struct target t;
	struct inode *dir;
	int error = target_new(&t, dirfd, name, true);

	if (error)
		return error;
	dir = t.walk.at.dentry->inode;
	mode = S_IFDIR | mode_apply_umask(dir, mode & 01777);
	if (READ_ONCE(dir->nlink) >= LINK_COUNT_MAX)
		error = -EMLINK;
	else
		error = dir->ops->mkdir ? dir->ops->mkdir(dir, t.dentry, mode) : -EPERM;
	return target_made(&t, error);
}

int vfs_symlink(const char *target, int dirfd, const char *name)
{
	struct target t;
	struct inode *dir;
	size_t len = strlen(target);
	int error;

	if (!len)
		return -ENOENT;
	error = target_new(&t, dirfd, name, false);
	if (error)
		return error;
	dir = t.walk.at.dentry->inode;
	error = dir->ops->symlink ? dir->ops->symlink(dir, t.dentry, target, len) : -EPERM;
	return target_made(&t, error);
}

static int link_target(struct target *t, const struct path *old)
{
	struct inode *inode = old->dentry->inode, *dir = t->walk.at.dentry->inode;
	int error;

	if (inode->sb != dir->sb || old->mount != t->walk.at.mount)
		return -EXDEV;
	if (inode_is_dir(inode) || !dir->ops->link)
		return -EPERM;
	if (READ_ONCE(inode->nlink) == 0)
		return -ENOENT;
	if (READ_ONCE(inode->nlink) >= LINK_COUNT_MAX)
		return -EMLINK;
	error = dir->ops->link(inode, dir, t->dentry);
	if (!error)
		notify_inode(inode, IN_ATTRIB);
	return error;
}

static int link_path(const struct path *old, int new_dirfd, const char *name)
{
	struct target t;
	int error = target_new(&t, new_dirfd, name, false);

	return error ? error : target_made(&t, link_target(&t, old));
}

int vfs_link(int old_dirfd, const char *old_name, int new_dirfd, const char *name, unsigned at_flags)
{
	unsigned flags = (at_flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	struct path old;
	int error = path_lookup(old_dirfd, old_name, flags, &old);

	if (error)
		return error;
	error = link_path(&old, new_dirfd, name);
	path_put(&old);
	return error;
}

/* ---- removing ---- */

/* The name is gone from the file system. Who uses the file by it keeps it: only then is it said later that it is gone, too. */
void name_deleted(struct inode *dir, const struct name *name, struct dentry *d)
{
	dentry_delete(d);
	if (READ_ONCE(d->refs) == 1)
		notify_removed(d->inode);
	notify_name(dir, name->text, name->len, d->inode, IN_DELETE, 0);
}

static void target_deleted(struct target *t)
{
	name_deleted(t->walk.at.dentry->inode, &t->walk.last, t->dentry);
}

static int unlink_target(struct target *t)
{
	struct inode *dir = t->walk.at.dentry->inode;
	struct dentry *d = t->dentry;
	int error;

	if (!d->inode)
		return -ENOENT;
	if (t->walk.trailing_slash)
		return inode_is_dir(d->inode) ? -EISDIR : -ENOTDIR;
	error = dir_may_remove(&t->walk.at, d, false);
	if (error)
		return error;
	error = dir->ops->unlink ? dir->ops->unlink(dir, d) : -EPERM;
	if (error)
		return error;
	notify_inode(d->inode, IN_ATTRIB); /* it has a name less */
	target_deleted(t);
	return 0;
}

int vfs_unlink(int dirfd, const char *name)
{
	struct target t;
	int error = target_find(&t, dirfd, name);

	if (error)
		return error;
	error = t.walk.kind == WALK_NAME ? target_lock(&t) : -EISDIR;
	if (!error)
		error = unlink_target(&t);
	target_end(&t);
	return error;
}

static int rmdir_target(struct target *t)
{
	struct inode *dir = t->walk.at.dentry->inode;
	struct dentry *d = t->dentry;
	int error;

	if (!d->inode)
		return -ENOENT;
	error = dir_may_remove(&t->walk.at, d, true);
	if (error)
		return error;
	if (!dir->ops->rmdir)
		return -EPERM;
	mutex_lock_beside(&d->inode->lock);
	error = dir->ops->rmdir(dir, d);
	if (!error)
		WRITE_ONCE(d->inode->flags, d->inode->flags | INODE_DEAD);
	mutex_unlock(&d->inode->lock);
	if (!error)
		target_deleted(t);
	return error;
}

int vfs_rmdir(int dirfd, const char *name)
{
	static const int not_a_name[] = { [WALK_NONE] = -EBUSY, [WALK_DOT] = -EINVAL, [WALK_DOTDOT] = -ENOTEMPTY };
	struct target t;
	int error = target_find(&t, dirfd, name);

	if (error)
		return error;
	error = t.walk.kind == WALK_NAME ? target_lock(&t) : not_a_name[t.walk.kind];
	if (!error)
		error = rmdir_target(&t);
	target_end(&t);
	return error;
}

/* ---- renaming ---- */

/* The child of `top` on the way down to `d`; null if d is not below top. rename_lock held. */
static struct dentry *child_towards(struct dentry *top, struct dentry *d)
{
	while (d->parent != d) {
		if (d->parent == top)
			return d;
		d = d->parent;
	}
	return NULL;
}

struct rename {
	struct target from, to;
	struct dentry *from_trap, *to_trap; /* folder of `from` that holds to's, and the other way round */
	struct dentry *whiteout; /* what comes where `from` was, or null */
	unsigned flags;
};

/* Locks both folders and looks both names up. */
static int rename_lock_both(struct rename *r)
{
	struct dentry *a = r->from.walk.at.dentry, *b = r->to.walk.at.dentry;
	int error;

	if (a == b) {
		mutex_lock(&a->inode->lock);
	} else {
		mutex_lock(&rename_lock);
		r->from_trap = child_towards(a, b);
		r->to_trap = child_towards(b, a);
		if (r->to_trap || (!r->from_trap && b < a)) {
			struct dentry *swap = a;

			a = b;
			b = swap;
		}
		mutex_lock(&a->inode->lock);
		mutex_lock_beside(&b->inode->lock);
	}
	error = dentry_lookup_locked(r->from.walk.at.dentry, &r->from.walk.last, &r->from.dentry);
	if (!error)
		error = dentry_lookup_locked(r->to.walk.at.dentry, &r->to.walk.last, &r->to.dentry);
	return error;
}

static void rename_unlock_both(struct rename *r)
{
	struct dentry *a = r->from.walk.at.dentry, *b = r->to.walk.at.dentry;

	mutex_unlock(&a->inode->lock);
	if (a != b) {
		mutex_unlock(&b->inode->lock);
		mutex_unlock(&rename_lock);
	}
}

static int rename_check_names(const struct rename *r)
{
	const struct dentry *from = r->from.dentry, *to = r->to.dentry;
	bool exchange = r->flags & RENAME_EXCHANGE;

	if (!from->inode)
		return -ENOENT;
	if (to->inode && (r->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!to->inode && exchange)
		return -ENOENT;
	if (!inode_is_dir(from->inode) && (r->from.walk.trailing_slash || (!exchange && r->to.walk.trailing_slash)))
		return -ENOTDIR;
	if (exchange && !inode_is_dir(to->inode) && r->to.walk.trailing_slash)
		return -ENOTDIR;
	if (from == r->from_trap)
		return -EINVAL;
	if (to == r->to_trap)
		return exchange ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int rename_check_permission(const struct rename *r)
{
	const struct path *from_dir = &r->from.walk.at, *to_dir = &r->to.walk.at;
	bool from_is_dir = inode_is_dir(r->from.dentry->inode);
	int error = dir_may_remove(from_dir, r->from.dentry, from_is_dir);

	if (error)
		return error;
	if (!r->to.dentry->inode)
		error = dir_may_create(to_dir);
	else
		error = dir_may_remove(to_dir, r->to.dentry,
				       r->flags & RENAME_EXCHANGE ? inode_is_dir(r->to.dentry->inode) : from_is_dir);
	/* a folder that moves gets another "..": that is a write to it */
	if (!error && from_is_dir && from_dir->dentry != to_dir->dentry)
		error = inode_permission(r->from.dentry->inode, MAY_WRITE, thread_current()->cred);
	return error;
}

/* One that moved, `from` where `to` was, to those who watch. */
static void tell_moved(struct target *from, struct target *to, struct inode *moved, struct inode *victim)
{
	uint32_t cookie = notify_cookie();

	notify_name(from->walk.at.dentry->inode, from->walk.last.text, from->walk.last.len, moved, IN_MOVED_FROM, cookie);
	notify_name(to->walk.at.dentry->inode, to->walk.last.text, to->walk.last.len, moved, IN_MOVED_TO, cookie);
	if (victim)
		notify_inode(victim, IN_ATTRIB);
	notify_inode(moved, IN_MOVE_SELF);
}

static void move_dentries(struct rename *r)
{
	struct dentry *drop[3];

	tree_write_enter();
	dentry_move(r->from.dentry, r->to.dentry, r->flags & RENAME_EXCHANGE, drop);
	tree_write_leave();
	for (size_t i = 0; i < ARRAY_SIZE(drop); i++)
		if (drop[i])
			dentry_put(drop[i]);
}

/* RENAME_WHITEOUT: what takes the old name is made before anything moves, so that nothing is left to fail after that. */
static int whiteout_make(struct rename *r)
{
	struct dentry *dir = r->from.walk.at.dentry, *d;
	int error;

	if (!(r->flags & RENAME_WHITEOUT))
		return 0;
	if (!dir->inode->ops->mknod)
		return -EINVAL;
	d = dentry_create(dir, &r->from.walk.last);
	error = d ? dir->inode->ops->mknod(dir->inode, d, S_IFCHR, WHITEOUT_DEVICE) : -ENOMEM;
	if (!error)
		r->whiteout = d;
	else if (d)
		dentry_put(d);
	return error;
}

static void whiteout_finish(struct rename *r, bool moved)
{
	if (!r->whiteout)
		return;
	if (moved)
		dentry_publish(r->whiteout);
	else
		(void)r->from.walk.at.dentry->inode->ops->unlink(r->from.walk.at.dentry->inode, r->whiteout);
	dentry_put(r->whiteout);
}

static int rename_locked(struct rename *r)
{
	struct inode *from_dir = r->from.walk.at.dentry->inode, *to_dir = r->to.walk.at.dentry->inode;
	struct inode *victim = r->flags & RENAME_EXCHANGE ? NULL : r->to.dentry->inode;
	struct inode *moved = r->from.dentry->inode, *other = r->flags & RENAME_EXCHANGE ? r->to.dentry->inode : NULL;
	int error = rename_check_names(r);

	if (error)
		return error;
	if (r->from.dentry->inode == r->to.dentry->inode)
		return 0;
	error = rename_check_permission(r);
	if (error)
		return error;
	if (!from_dir->ops->rename)
		return -EPERM;
	error = whiteout_make(r);
	if (error)
		return error;
	if (victim && inode_is_dir(victim))
		mutex_lock_beside(&victim->lock);
	error = from_dir->ops->rename(from_dir, r->from.dentry, to_dir, r->to.dentry, r->flags & ~(unsigned)RENAME_WHITEOUT);
	if (!error && victim && inode_is_dir(victim))
		victim->flags |= INODE_DEAD;
	if (victim && inode_is_dir(victim))
		mutex_unlock(&victim->lock);
	if (!error)
		move_dentries(r);
	whiteout_finish(r, !error);
	if (error)
		return error;
	tell_moved(&r->from, &r->to, moved, victim);
	if (other)
		tell_moved(&r->to, &r->from, other, NULL);
	return 0;
}

static int rename_found(struct rename *r)
{
	int error;

	if (r->from.walk.at.mount != r->to.walk.at.mount)
		return -EXDEV;
	if (r->from.walk.kind != WALK_NAME)
		return -EBUSY;
	if (r->to.walk.kind != WALK_NAME)
		return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	error = rename_lock_both(r);
	if (!error)
		error = rename_locked(r);
	rename_unlock_both(r);
	return error;
}

int vfs_rename(int old_dirfd, const char *old, int new_dirfd, const char *name, unsigned flags)
{
	struct rename r = { .flags = flags };
	int error;

	if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) || ((flags & RENAME_EXCHANGE) && flags != RENAME_EXCHANGE))
		return -EINVAL;
	error = target_find(&r.from, old_dirfd, old);
	if (error)
		return error;
	error = target_find(&r.to, new_dirfd, name);
	if (!error) {
		error = rename_found(&r);
		target_end(&r.to);
	}
	target_end(&r.from);
	return error;
}
