/* SPDX-License-Identifier: MIT */
/*
 * open(2) and what stands behind it. An open is two steps: the flags and the name give a path (made on the way, O_CREAT), then the
 * path and the flags give a file. Only the second knows about types, permissions on the file itself, and truncation.
 */
#include <cloudos/inotify.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <cloudos/vm.h>
#include <linux/openat2.h>
#include "vfs_internal.h"

/* Flags that stay with an open file, as F_GETFL shows them; the access mode is added. */
#define STATUS_FLAGS (O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_DIRECT | O_NOATIME | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | FASYNC)
#define PATH_FLAGS   (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define CREATE_TRIES 8 /* times that a name may appear and vanish between looking and making */

static uint32_t access_mode(uint32_t flags)
{
	static const uint32_t modes[] = { FILE_READ, FILE_WRITE, FILE_READ | FILE_WRITE, 0 };

	return modes[flags & O_ACCMODE];
}

/* What the open asks of the file's permission bits. */
static unsigned access_mask(uint32_t flags)
{
	static const unsigned masks[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE };

	return masks[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

/* ---- from a path to a file ---- */

/* Did somebody make the nodes who may not have any? */
static bool foreign_devices(const struct super_block *sb)
{
	return sb->user_ns != &user_namespace_first && !(sb->flags & SB_DEVICES);
}

/* Rules by the type of what is opened. */
static int check_type(const struct path *path, uint32_t flags, unsigned mask)
{
	uint32_t mode = inode_mode(path->dentry->inode);

	switch (mode & S_IFMT) {
	case S_IFREG:
		return mask & MAY_WRITE ? mount_want_write(path->mount) : 0;
	case S_IFDIR:
		return (mask & MAY_WRITE) || (flags & O_CREAT) ? -EISDIR : 0;
	case S_IFLNK:
		return -ELOOP;
	case S_IFCHR:
	case S_IFBLK:
		return (path->mount->flags & MS_NODEV) || foreign_devices(path->mount->sb) ? -EACCES : 0;
	case S_IFSOCK:
		return -ENXIO;
	default:
		return 0;
	}
}

static int check_open(const struct path *path, uint32_t flags, bool created)
{
	struct inode *inode = path->dentry->inode;
	const struct cred *cred = thread_current()->cred;
	unsigned mask = access_mask(flags);
	int error;

	if (created) /* who made it may use it, whatever the mode says */
		return 0;
	error = check_type(path, flags, mask);
	if (error)
		return error;
	if ((flags & O_DIRECTORY) && !inode_is_dir(inode))
		return -ENOTDIR;
	error = inode_permission(inode, mask, cred);
	if (error)
		return error;
	if ((flags & O_NOATIME) && !inode_owner_or_capable(inode, cred))
		return -EPERM;
	return 0;
}

/* The operations of device nodes are looked up by number, so that a node made by mknod(2) anywhere works. */
static int choose_ops(struct file *f)
{
	struct inode *inode = f->inode;

	if (S_ISCHR(inode_mode(inode)) || S_ISBLK(inode_mode(inode))) {
		f->ops = device_find(inode_mode(inode) & S_IFMT, inode->rdev, &f->private);
		return f->ops ? 0 : -ENXIO;
	}
	f->ops = S_ISFIFO(inode_mode(inode)) ? &fifo_file_ops : inode->file_ops;
	return 0;
}

static int truncate_at_open(struct file *f)
{
	int error;

	if (!f->inode->data)
		return 0; /* devices and the like have nothing to cut */
	error = vfs_truncate(f->inode, 0);
	if (!error)
		notify_file(f, IN_MODIFY);
	return error;
}

static int start_file(struct file *f, uint32_t flags)
{
	int error = choose_ops(f);

	if (error)
		return error;
	f->mode = access_mode(flags) | (f->ops->seek ? FILE_SEEKABLE : 0);
	f->flags = (flags & STATUS_FLAGS) | (flags & O_ACCMODE);
	if (f->inode->data && (f->mode & FILE_WRITE)) {
		error = inode_writer_get(f->inode);
		if (error)
			return error;
		f->mode |= FILE_WRITER;
	} else if (f->inode->data && (f->mode & FILE_READ)) {
		__atomic_fetch_add(&f->inode->read_count, 1, __ATOMIC_SEQ_CST);
		f->mode |= FILE_READER;
	}
	if (f->inode->data) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST); /* counted, then looked: lease.c */
		error = lease_break(f->inode, f->mode & FILE_WRITE, flags & O_NONBLOCK);
		if (error)
			return error;
	}
	if (flags & O_TRUNC)
		error = truncate_at_open(f);
	if (!error && f->ops->open) {
		f->flags |= flags & O_NOCTTY; /* for the operation alone: terminals ask */
		error = f->ops->open(f);
		f->flags &= ~(uint32_t)O_NOCTTY;
	}
	return error;
}

int open_path(struct path path, uint32_t flags, bool created, struct file **ret)
{
	static const struct file_ops no_ops;
	struct file *f = NULL;
	int error = flags & O_PATH ? 0 : check_open(&path, flags, created);

	if (!error) {
		f = file_alloc();
		error = f ? 0 : -ENOMEM;
	}
	if (error) {
		path_put(&path);
		return error;
	}
	f->path = path;
	f->inode = path.dentry->inode;
	if (flags & O_PATH) {
		f->ops = &no_ops;
		f->mode = FILE_PATH;
		f->flags = flags & PATH_FLAGS & ~(uint32_t)O_CLOEXEC;
	} else {
		error = start_file(f, flags);
	}
	if (error) {
		file_free(f);
		return error;
	}
	if (!(flags & O_PATH))
		notify_file(f, IN_OPEN);
	*ret = f;
	return 0;
}

/* ---- from a name to a path ---- */

/*
 * Makes the file where the walk has stopped, short of its last component. The name may lie in the walk's own storage, so the walk
 * ends after it.
 */
static int create_at(struct walk *w, uint32_t mode, struct path *ret)
{
	struct inode *dir = w->at.dentry->inode;
	struct dentry *d;
	int error;

	walk_pause(w);
	mutex_lock(&dir->lock);
	error = create_locked(&w->at, &w->last, S_IFREG | mode_apply_umask(dir, mode & MODE_PERMISSIONS), &d);
	mutex_unlock(&dir->lock);
	if (error)
		return error;
	*ret = (struct path){ w->at.mount, d };
	refcount_get(&w->at.mount->refs);
	return 0;
}

/* Walks to a file that may have to be made: 0 with the walk at it, 1 when *ret was made, or an errno. */
static int walk_or_create(struct walk *w, uint32_t flags, uint32_t mode, struct path *ret)
{
	for (;;) {
		uint8_t links = w->links;
		int error = walk_run(w);

		if (error)
			return error;
		if (w->kind != WALK_NAME)
			return flags & O_EXCL ? -EEXIST : w->kind == WALK_NONE ? 0 : walk_step(w);
		if (w->trailing_slash)
			return -EISDIR;
		error = walk_step(w);
		if (error == -ENOENT) {
			error = create_at(w, mode, ret);
			return error ? error : 1;
		}
		if (error)
			return error;
		if (flags & O_EXCL)
			return -EEXIST;
		if (w->links == links)
			return 0;
		links = w->links;
	}
}

/* /proc/PID/fd/N of a pipe or socket: the open file itself once more, if it is open for as much. */
static int open_pathless(const struct walk *w, uint32_t flags, struct file **ret)
{
	if (!w->pathless)
		return -ENXIO;
	if (access_mode(flags) & ~w->pathless->mode)
		return -EACCES;
	file_get(w->pathless);
	*ret = w->pathless;
	return 0;
}

static int open_create(int dirfd, const char *name, const struct open_request *r, struct file **ret)
{
	unsigned lookup = WALK_PARENT | (r->flags & (O_NOFOLLOW | O_EXCL) ? 0 : LOOKUP_FOLLOW);
	int error;

	for (int i = 0; i < CREATE_TRIES; i++) {
		struct path path;
		struct walk w;

		error = walk_begin(&w, dirfd, name, lookup);
		if (!error && unlikely(r->resolve))
			error = walk_confine(&w, r->resolve);
		if (!error)
			error = walk_or_create(&w, r->flags, r->mode, &path);
		if (error == -ENXIO) {
			error = open_pathless(&w, r->flags, ret);
			walk_end(&w);
			return error;
		}
		if (error) /* made, or an errno */
			walk_end(&w);
		else
			walk_take(&w, &path);
		if (error >= 0)
			return open_path(path, r->flags, error, ret);
		if (error != -EEXIST || (r->flags & O_EXCL))
			return error;
	}
	return error;
}

static int open_existing(int dirfd, const char *name, const struct open_request *r, struct file **ret)
{
	unsigned lookup = (r->flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (r->flags & O_DIRECTORY ? LOOKUP_DIRECTORY : 0) |
			  r->lookup;
	struct path path;
	struct walk w;
	int error = walk_begin(&w, dirfd, name, lookup);

	if (!error && unlikely(r->resolve))
		error = walk_confine(&w, r->resolve);
	if (!error)
		error = walk_run(&w);
	if (unlikely(error)) {
		if (error == -ENXIO)
			error = open_pathless(&w, r->flags, ret);
		walk_end(&w);
		return error;
	}
	walk_take(&w, &path);
	return open_path(path, r->flags, false, ret);
}

static int find_folder(int dirfd, const char *name, unsigned resolve, struct path *ret)
{
	struct walk w;
	int error = walk_begin(&w, dirfd, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY);

	if (!error && unlikely(resolve))
		error = walk_confine(&w, resolve);
	if (!error)
		error = walk_run(&w);
	if (error)
		walk_end(&w);
	else
		walk_take(&w, ret);
	return error;
}

/* O_TMPFILE: a file without a name, in the folder's file system. */
static int open_nameless(int dirfd, const char *name, const struct open_request *r, struct file **ret)
{
	static const struct name nameless = { "#tmpfile", 8, 0 };
	struct path dir, path;
	struct inode *inode;
	int error;

	if (!(access_mode(r->flags) & FILE_WRITE))
		return -EINVAL;
	error = find_folder(dirfd, name, r->resolve, &dir);
	if (error)
		return error;
	inode = dir.dentry->inode;
	path = (struct path){ dir.mount, dentry_create(dir.dentry, &nameless) };
	mutex_lock(&inode->lock);
	error = path.dentry ? dir_may_create(&dir) : -ENOMEM;
	if (!error)
		error = inode->ops->create ? inode->ops->create(inode, path.dentry, S_IFREG | mode_apply_umask(inode, r->mode & MODE_PERMISSIONS)) :
					     -EOPNOTSUPP;
	if (!error)
		error = inode->ops->unlink(inode, path.dentry);
	mutex_unlock(&inode->lock);
	if (!error) {
		path.dentry->flags |= DENTRY_DELETED;
		refcount_get(&dir.mount->refs);
	} else if (path.dentry) {
		dentry_put(path.dentry);
	}
	path_put(&dir);
	return error ? error : open_path(path, r->flags & ~(uint32_t)O_TMPFILE, true, ret);
}

/* In a root of one's own "/" is that root: where the walk starts. */
static const char *name_in_root(const char *name)
{
	if (*name != '/')
		return name;
	while (*name == '/')
		name++;
	return *name ? name : ".";
}

int vfs_open_request(int dirfd, const char *name, const struct open_request *r, struct file **ret)
{
	if (unlikely(r->resolve & RESOLVE_IN_ROOT))
		name = name_in_root(name);
	if (unlikely(r->flags & __O_TMPFILE))
		return (r->flags & O_TMPFILE) == O_TMPFILE && !(r->flags & O_CREAT) ? open_nameless(dirfd, name, r, ret) : -EINVAL;
	if (!(r->flags & O_CREAT) || (r->flags & O_PATH))
		return open_existing(dirfd, name, r, ret);
	if (r->flags & O_DIRECTORY)
		return -EINVAL;
	return open_create(dirfd, name, r, ret);
}

int vfs_open(int dirfd, const char *name, uint32_t flags, uint32_t mode, struct file **ret)
{
	struct open_request r = { .flags = flags, .mode = mode };

	return vfs_open_request(dirfd, name, &r, ret);
}

int vfs_open_known(struct path path, uint32_t flags, struct file **ret)
{
	return open_path(path, flags, true, ret);
}

/* ---- for execve ---- */

static int check_exec(struct file *f)
{
	struct inode *inode = f->inode;

	if (!S_ISREG(inode_mode(inode)) || (f->path.mount->flags & MS_NOEXEC) || !inode->file_ops->read)
		return -EACCES;
	return inode_permission(inode, MAY_EXEC, thread_current()->cred);
}

int vfs_open_exec(int dirfd, const char *name, unsigned at_flags, struct file **ret)
{
	struct open_request r = {
		.flags = O_PATH | (at_flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0),
		.lookup = at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0,
	};
	struct file *f;
	int error = vfs_open_request(dirfd, name, &r, &f);

	if (error)
		return error;
	error = S_ISLNK(inode_mode(f->inode)) ? -ELOOP : check_exec(f);
	if (!error)
		error = inode_exec_get(f->inode);
	if (error) {
		file_put(f);
		return error;
	}
	f->ops = f->inode->file_ops;
	f->mode = FILE_READ | FILE_SEEKABLE | FILE_EXEC;
	f->flags = O_RDONLY;
	*ret = f;
	return 0;
}

/* Not from where somebody made it who has no rights here, nor through a descriptor from another namespace of mounts. */
bool mount_may_set_id(const struct mount *m)
{
	const struct thread *t = thread_current();

	return !(m->flags & MS_NOSUID) && READ_ONCE(m->ns) == t->fs->mounts && user_namespace_in(t->cred->user_ns, m->sb->user_ns);
}

void vfs_file_owner(struct file *f, uint32_t *ret_mode, uint32_t *ret_uid, uint32_t *ret_gid)
{
	mutex_lock(&f->inode->lock); /* a chown takes the set-id bits away: never the old bits with the new owner */
	*ret_mode = f->inode->mode;
	*ret_uid = f->inode->uid;
	*ret_gid = f->inode->gid;
	mutex_unlock(&f->inode->lock);
	if (f->path.mount && !mount_may_set_id(f->path.mount))
		*ret_mode &= ~(uint32_t)(S_ISUID | S_ISGID);
}
