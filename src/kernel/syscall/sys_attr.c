/* SPDX-License-Identifier: MIT */
/* Changing files: sizes, modes, owners, times; writing them out. */
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <linux/time_types.h>
#include <cloudos/inotify.h>
#include <cloudos/thread.h>
#include <cloudos/user_namespace.h>
#include "call_name.h"
#include "call_rw.h"
#include "syscalls_gen.h"

#define UTIME_NOW  ((1l << 30) - 1l)
#define UTIME_OMIT ((1l << 30) - 2l)

/* struct __kernel_old_timeval, as utimes(2) has it. */
struct micro_time {
	int64_t sec, usec;
};

/* Something done to a place; `arg` is the call's. */
typedef int (*path_fn)(const struct path *path, const void *arg);

static int64_t at_name(int dirfd, uaddr_t name, unsigned lookup, path_fn fn, const void *arg)
{
	struct name_arg n;
	struct path path;
	int error = name_get(&n, name);

	if (error)
		return error;
	error = path_lookup(dirfd, n.text, lookup, &path);
	name_put(&n);
	if (error)
		return error;
	error = fn(&path, arg);
	path_put(&path);
	return error;
}

/* The same for a descriptor; one without a path (a pipe) has nothing to change: `without`. */
static int64_t at_fd(int fd, bool path_fd_too, path_fn fn, const void *arg, int without)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	int error;

	if (!f)
		return -EBADF;
	if ((f->mode & FILE_PATH) && !path_fd_too)
		error = -EBADF;
	else
		error = f->path.dentry ? fn(&f->path, arg) : without;
	fd_end(f, put);
	return error;
}

/* ---- sizes ---- */

/* It counts as a writer meanwhile, so that no lease comes in between (lease.c, L1). */
static int truncate_as_writer(struct inode *inode, uint64_t size)
{
	int error = inode_writer_get(inode);

	if (error)
		return error;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	error = lease_break(inode, true, false);
	if (!error)
		error = vfs_truncate(inode, size);
	inode_writer_put(inode);
	return error;
}

static int do_truncate(const struct path *path, const void *arg)
{
	struct inode *inode = path->dentry->inode;
	int error;

	if (S_ISDIR(inode_mode(inode)))
		return -EISDIR;
	if (!S_ISREG(inode_mode(inode)) || !inode->data)
		return -EINVAL;
	error = inode_permission(inode, MAY_WRITE, thread_current()->cred);
	if (!error && ((READ_ONCE(path->mount->flags) & MS_RDONLY) || READ_ONCE(inode->sb->readonly)))
		error = -EROFS;
	if (!error)
		error = truncate_as_writer(inode, *(const uint64_t *)arg);
	if (!error)
		notify_path(path, IN_MODIFY);
	return error;
}

int64_t sys_truncate(uaddr_t name, int64_t size)
{
	uint64_t to = (uint64_t)size;

	return size < 0 ? -EINVAL : at_name(AT_FDCWD, name, LOOKUP_FOLLOW, do_truncate, &to);
}

int64_t sys_ftruncate(int fd, int64_t size)
{
	bool put;
	struct file *f;
	int error;

	if (size < 0)
		return -EINVAL;
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	if (f->mode & FILE_PATH)
		error = -EBADF;
	else if (!(f->mode & FILE_WRITE) || !f->inode || !f->inode->data)
		error = -EINVAL;
	else
		error = vfs_truncate(f->inode, (uint64_t)size);
	if (!error)
		notify_file(f, IN_MODIFY);
	fd_end(f, put);
	return error;
}

static int do_fallocate(struct file *f, unsigned mode, int64_t offset, int64_t len)
{
	struct inode *inode = f->inode;
	int error = -EOPNOTSUPP;
	int64_t end;

	if (!(f->mode & FILE_WRITE))
		return -EBADF;
	if (!inode || !S_ISREG(inode_mode(inode)))
		return inode && S_ISDIR(inode_mode(inode)) ? -EISDIR : inode && S_ISFIFO(inode_mode(inode)) ? -ESPIPE : -ENODEV;
	if (__builtin_add_overflow(offset, len, &end) || (uint64_t)end > inode->sb->max_bytes)
		return -EFBIG;
	mutex_lock(&inode->lock);
	if (inode->ops->fallocate) {
		error = seals_allow_fallocate(inode, mode, (uint64_t)end);
		if (!error && !(mode & FALLOC_FL_KEEP_SIZE))
			error = file_may_grow(inode, (uint64_t)end);
		if (!error)
			error = inode->ops->fallocate(inode, mode, (uint64_t)offset, (uint64_t)len);
	}
	mutex_unlock(&inode->lock);
	return error;
}

#define FALLOCATE_KNOWN                                                                                          \
	(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE |          \
	 FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE)

/* Which modes go together, before the file system says which of them it has. */
static int check_fallocate_mode(unsigned mode)
{
	if ((mode & ~(unsigned)FALLOCATE_KNOWN) || ((mode & FALLOC_FL_PUNCH_HOLE) && (mode & FALLOC_FL_ZERO_RANGE)))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_COLLAPSE_RANGE) && mode != FALLOC_FL_COLLAPSE_RANGE)
		return -EINVAL;
	if ((mode & FALLOC_FL_INSERT_RANGE) && mode != FALLOC_FL_INSERT_RANGE)
		return -EINVAL;
	return (mode & FALLOC_FL_UNSHARE_RANGE) && (mode & ~(unsigned)(FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE)) ? -EINVAL : 0;
}

int call_fallocate(struct file *f, unsigned mode, int64_t offset, int64_t len)
{
	int error = offset < 0 || len <= 0 ? -EINVAL : check_fallocate_mode(mode);

	if (!error)
		error = do_fallocate(f, mode, offset, len);
	if (!error)
		notify_file(f, IN_MODIFY);
	return error;
}

int64_t sys_fallocate(int fd, unsigned mode, int64_t offset, int64_t len)
{
	bool put;
	struct file *f;
	int error;

	if (offset < 0 || len <= 0)
		return -EINVAL;
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	error = call_fallocate(f, mode, offset, len);
	fd_end(f, put);
	return error;
}

/* ---- modes and owners ---- */

static int do_chmod(const struct path *path, const void *arg)
{
	return vfs_chmod(path, *(const uint32_t *)arg);
}

int64_t sys_fchmodat(int dirfd, uaddr_t name, uint32_t mode)
{
	return at_name(dirfd, name, LOOKUP_FOLLOW, do_chmod, &mode);
}

int64_t sys_chmod(uaddr_t name, uint32_t mode)
{
	return sys_fchmodat(AT_FDCWD, name, mode);
}

int64_t sys_fchmod(int fd, uint32_t mode)
{
	return at_fd(fd, false, do_chmod, &mode, 0);
}

struct owner {
	uint32_t uid, gid;
};

/* UINT32_MAX leaves it as it is. */
static int do_chown(const struct path *path, const void *arg)
{
	const struct owner *o = arg;
	uint32_t uid = uid_in(o->uid), gid = gid_in(o->gid);

	if ((o->uid != UINT32_MAX && uid == ID_NONE) || (o->gid != UINT32_MAX && gid == ID_NONE))
		return -EINVAL;
	return vfs_chown(path, uid, gid);
}

int64_t sys_fchownat(int dirfd, uaddr_t name, uint32_t uid, uint32_t gid, unsigned flags)
{
	struct owner o = { uid, gid };

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return at_name(dirfd, name,
		       (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), do_chown, &o);
}

int64_t sys_chown(uaddr_t name, uint32_t uid, uint32_t gid)
{
	return sys_fchownat(AT_FDCWD, name, uid, gid, 0);
}

int64_t sys_lchown(uaddr_t name, uint32_t uid, uint32_t gid)
{
	return sys_fchownat(AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

int64_t sys_fchown(int fd, uint32_t uid, uint32_t gid)
{
	struct owner o = { uid, gid };

	return at_fd(fd, false, do_chown, &o, 0);
}

/* ---- times ---- */

struct times {
	struct file_attr attr;
	bool to_now;
};

static int do_utimes(const struct path *path, const void *arg)
{
	const struct times *t = arg;

	return vfs_utimes(path, &t->attr, t->to_now);
}

static void times_now(struct times *t)
{
	int64_t now = inode_now();

	t->attr = (struct file_attr){ .set = ATTR_ATIME | ATTR_MTIME, .atime_ns = now, .mtime_ns = now };
	t->to_now = true;
}

/* One of the two timespecs; 0, or -EINVAL. */
static int decode_time(const struct __kernel_timespec *ts, struct times *t, uint32_t which, int64_t *ret_ns)
{
	if (ts->tv_nsec == UTIME_OMIT)
		return 0;
	t->attr.set |= which;
	if (ts->tv_nsec == UTIME_NOW) {
		*ret_ns = inode_now();
		return 0;
	}
	if (ts->tv_nsec < 0 || ts->tv_nsec >= (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	t->to_now = false;
	if (__builtin_mul_overflow(ts->tv_sec, (int64_t)NSEC_PER_SEC, ret_ns) || __builtin_add_overflow(*ret_ns, ts->tv_nsec, ret_ns))
		*ret_ns = ts->tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return 0;
}

static int decode_times(uaddr_t at, struct times *t)
{
	struct __kernel_timespec ts[2];
	int error;

	if (!at) {
		times_now(t);
		return 0;
	}
	if (copy_from_user(ts, at, sizeof(ts)))
		return -EFAULT;
	*t = (struct times){ .to_now = ts[0].tv_nsec == UTIME_NOW && ts[1].tv_nsec == UTIME_NOW };
	error = decode_time(&ts[0], t, ATTR_ATIME, &t->attr.atime_ns);
	return error ? error : decode_time(&ts[1], t, ATTR_MTIME, &t->attr.mtime_ns);
}

int64_t sys_utimensat(int dirfd, uaddr_t name, uaddr_t at, unsigned flags)
{
	struct times t;
	int error;

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = decode_times(at, &t);
	if (error || !t.attr.set)
		return error;
	if (!name && dirfd != AT_FDCWD)
		return flags ? -EINVAL : at_fd(dirfd, false, do_utimes, &t, 0);
	return at_name(dirfd, name,
		       (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), do_utimes, &t);
}

int64_t sys_futimesat(int dirfd, uaddr_t name, uaddr_t at)
{
	struct micro_time tv[2];
	struct times t;

	if (!at) {
		times_now(&t);
	} else {
		if (copy_from_user(tv, at, sizeof(tv)))
			return -EFAULT;
		t = (struct times){ .attr = { .set = ATTR_ATIME | ATTR_MTIME } };
		for (int i = 0; i < 2; i++) {
			struct __kernel_timespec ts = { .tv_sec = tv[i].sec };

			if (tv[i].usec < 0 || tv[i].usec >= 1000000)
				return -EINVAL;
			ts.tv_nsec = tv[i].usec * 1000;
			decode_time(&ts, &t, 0, i ? &t.attr.mtime_ns : &t.attr.atime_ns);
		}
	}
	return at_name(dirfd, name, LOOKUP_FOLLOW, do_utimes, &t);
}

int64_t sys_utimes(uaddr_t name, uaddr_t times)
{
	return sys_futimesat(AT_FDCWD, name, times);
}

int64_t sys_utime(uaddr_t name, uaddr_t times)
{
	int64_t s[2];
	struct times t;

	if (!times) {
		times_now(&t);
	} else {
		if (copy_from_user(s, times, sizeof(s)))
			return -EFAULT;
		t = (struct times){ .attr = { .set = ATTR_ATIME | ATTR_MTIME } };
		for (int i = 0; i < 2; i++) {
			struct __kernel_timespec ts = { .tv_sec = s[i] };

			decode_time(&ts, &t, 0, i ? &t.attr.mtime_ns : &t.attr.atime_ns);
		}
	}
	return at_name(AT_FDCWD, name, LOOKUP_FOLLOW, do_utimes, &t);
}

/* ---- writing out ---- */

int call_sync(struct file *f, bool data_only)
{
	if (f->mode & FILE_PATH)
		return -EBADF;
	if (f->ops->fsync)
		return f->ops->fsync(f, data_only);
	/* in memory there is nothing to write out; streams cannot be */
	return f->inode && (S_ISDIR(inode_mode(f->inode)) || f->inode->data) ? 0 : -EINVAL;
}

static int64_t do_sync(int fd, bool data_only)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	int error;

	if (!f)
		return -EBADF;
	error = call_sync(f, data_only);
	fd_end(f, put);
	return error;
}

int64_t sys_fsync(int fd)
{
	return do_sync(fd, false);
}

int64_t sys_fdatasync(int fd)
{
	return do_sync(fd, true);
}

int64_t sys_sync(void)
{
	vfs_sync_all();
	return 0;
}

int64_t sys_syncfs(int fd)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	int error;

	if (!f)
		return -EBADF;
	if (f->mode & FILE_PATH)
		error = -EBADF;
	else
		error = f->inode && f->inode->sb->ops->sync ? f->inode->sb->ops->sync(f->inode->sb) : 0;
	fd_end(f, put);
	return error;
}

int64_t sys_sync_file_range(int fd, int64_t offset, int64_t len, unsigned flags)
{
	if ((flags & ~7u) || offset < 0 || len < 0 || offset > INT64_MAX - len)
		return -EINVAL;
	return do_sync(fd, true) == -EBADF ? -EBADF : 0;
}

/* ---- advice, which costs nothing to ignore ---- */

static int advise_file(const struct file *f, bool need_cache)
{
	if (!f->inode || S_ISFIFO(inode_mode(f->inode)))
		return need_cache ? -EINVAL : -ESPIPE;
	if (need_cache && (!(f->mode & FILE_READ) || !f->inode->data))
		return f->mode & FILE_READ ? -EINVAL : -EBADF;
	return 0;
}

static int64_t advise(int fd, bool need_cache)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	int error;

	if (!f)
		return -EBADF;
	error = advise_file(f, need_cache);
	fd_end(f, put);
	return error;
}

static bool advice_ok(int64_t len, int advice)
{
	return len >= 0 && advice >= 0 && advice <= 5;
}

int call_fadvise(struct file *f, int64_t len, int advice)
{
	return advice_ok(len, advice) ? advise_file(f, false) : -EINVAL;
}

int64_t sys_fadvise64(int fd, int64_t offset, int64_t len, int advice)
{
	(void)offset;
	return advice_ok(len, advice) ? advise(fd, false) : -EINVAL;
}

int64_t sys_readahead(int fd, int64_t offset, size_t count)
{
	(void)offset, (void)count;
	return advise(fd, true);
}
