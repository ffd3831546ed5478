/* SPDX-License-Identifier: MIT */
/* Looking at files: the stat family, access, statfs. */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/user_namespace.h>
#include "call_name.h"
#include "call_stat.h"
#include "syscalls_gen.h"

#define STAT_FLAGS   ((unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
#define STATX_FLAGS  (STAT_FLAGS | AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC)
#define STATFS_NAMELEN 255

static inline int64_t seconds(int64_t ns, unsigned long *ret_rest)
{
	int64_t s = ns / (int64_t)NSEC_PER_SEC, rest = ns % (int64_t)NSEC_PER_SEC;

	if (unlikely(rest < 0)) {
		rest += (int64_t)NSEC_PER_SEC;
		s--;
	}
	*ret_rest = (unsigned long)rest;
	return s;
}

#define SET_TIME(field, ns)                              \
	do {                                             \
		unsigned long set_rest;                  \
		st.field = (unsigned long)seconds(ns, &set_rest); \
		st.field##_nsec = set_rest;              \
	} while (0)

static int64_t put_stat(const struct file_stat *from, uaddr_t buf)
{
	struct stat st = { .st_dev = from->dev };

	st.st_ino = from->ino;
	st.st_mode = from->mode;
	st.st_nlink = from->nlink;
	st.st_uid = uid_out(from->uid);
	st.st_gid = gid_out(from->gid);
	st.st_rdev = from->rdev;
	st.st_size = (long)from->size;
	st.st_blksize = from->block_size;
	st.st_blocks = (long)from->blocks;
	SET_TIME(st_atime, from->atime_ns);
	SET_TIME(st_mtime, from->mtime_ns);
	SET_TIME(st_ctime, from->ctime_ns);
	return copy_to_user(buf, &st, sizeof(st));
}

/* An empty name with AT_EMPTY_PATH: the descriptor itself, which may have no path. */
static int stat_fd(int fd, struct file_stat *ret)
{
	bool put;
	struct file *f = fd_begin(fd, &put);

	if (!f)
		return -EBADF;
	file_getattr(f, ret);
	fd_end(f, put);
	return 0;
}

static inline int stat_text(int dirfd, const char *name, unsigned at_flags, struct file_stat *ret)
{
	unsigned flags = (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);

	if (unlikely(!name[0] && (at_flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD))
		return stat_fd(dirfd, ret);
	return vfs_stat(dirfd, name, flags, ret);
}

static int stat_name(int dirfd, uaddr_t name, unsigned at_flags, struct file_stat *ret)
{
	struct name_arg n;
	int error = name_get(&n, name);

	if (unlikely(error))
		return error;
	error = stat_text(dirfd, n.text, at_flags, ret);
	name_put(&n);
	return error;
}

int64_t sys_newfstatat(int dirfd, uaddr_t name, uaddr_t buf, unsigned flags)
{
	struct file_stat st;
	int error;

	if (flags & ~STAT_FLAGS)
		return -EINVAL;
	error = stat_name(dirfd, name, flags, &st);
	return unlikely(error) ? error : put_stat(&st, buf);
}

int64_t sys_stat(uaddr_t name, uaddr_t buf)
{
	return sys_newfstatat(AT_FDCWD, name, buf, 0);
}

int64_t sys_lstat(uaddr_t name, uaddr_t buf)
{
	return sys_newfstatat(AT_FDCWD, name, buf, AT_SYMLINK_NOFOLLOW);
}

int64_t sys_fstat(int fd, uaddr_t buf)
{
	struct file_stat st;
	int error = stat_fd(fd, &st);

	return error ? error : put_stat(&st, buf);
}

static struct statx_timestamp statx_time(int64_t ns)
{
	unsigned long rest;
	int64_t s = seconds(ns, &rest);

	return (struct statx_timestamp){ .tv_sec = s, .tv_nsec = (uint32_t)rest };
}

static int put_statx(const struct file_stat *from, uaddr_t buf)
{
	struct statx x;

	x = (struct statx){
		.stx_mask = STATX_BASIC_STATS | STATX_BTIME,
		.stx_blksize = from->block_size,
		.stx_nlink = from->nlink,
		.stx_uid = uid_out(from->uid),
		.stx_gid = gid_out(from->gid),
		.stx_mode = (uint16_t)from->mode,
		.stx_ino = from->ino,
		.stx_size = from->size,
		.stx_blocks = from->blocks,
		.stx_atime = statx_time(from->atime_ns),
		.stx_btime = statx_time(from->btime_ns),
		.stx_ctime = statx_time(from->ctime_ns),
		.stx_mtime = statx_time(from->mtime_ns),
		.stx_rdev_major = dev_major(from->rdev),
		.stx_rdev_minor = dev_minor(from->rdev),
		.stx_dev_major = dev_major(from->dev),
		.stx_dev_minor = dev_minor(from->dev),
	};
	return copy_to_user(buf, &x, sizeof(x));
}

int call_statx_check(unsigned flags, unsigned mask)
{
	if ((flags & ~STATX_FLAGS) || (mask & STATX__RESERVED) || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	return 0;
}

int call_statx(int dirfd, const char *name, unsigned flags, uaddr_t buf)
{
	struct file_stat st;
	int error = stat_text(dirfd, name, flags, &st);

	return error ? error : put_statx(&st, buf);
}

int64_t sys_statx(int dirfd, uaddr_t name, unsigned flags, unsigned mask, uaddr_t buf)
{
	struct file_stat st;
	int error = call_statx_check(flags, mask);

	if (!error)
		error = stat_name(dirfd, name, flags, &st);
	return error ? error : put_statx(&st, buf);
}

/* ---- access ---- */

/* The real user and group take the place of the effective ones, and root's capabilities go with the real user. */
static const struct cred *real_cred(const struct cred *cred, struct cred *storage)
{
	if (cred->uid == cred->fsuid && cred->gid == cred->fsgid)
		return cred;
	*storage = *cred;
	storage->fsuid = cred->uid;
	storage->fsgid = cred->gid;
	storage->cap_effective = cred->uid == cred_root(cred) ? cred->cap_permitted : 0;
	return storage;
}

static int64_t do_access(int dirfd, uaddr_t name, unsigned mode, unsigned at_flags)
{
	unsigned flags = (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	const struct cred *cred = thread_current()->cred;
	struct cred storage;
	struct name_arg n;
	int error;

	if (mode & ~7u)
		return -EINVAL;
	error = name_get(&n, name);
	if (error)
		return error;
	if (!(at_flags & AT_EACCESS))
		cred = real_cred(cred, &storage);
	error = vfs_access(dirfd, n.text, flags, mode, cred);
	name_put(&n);
	return error;
}

int64_t sys_access(uaddr_t name, unsigned mode)
{
	return do_access(AT_FDCWD, name, mode, 0);
}

int64_t sys_faccessat(int dirfd, uaddr_t name, unsigned mode)
{
	return do_access(dirfd, name, mode, 0);
}

int64_t sys_faccessat2(int dirfd, uaddr_t name, unsigned mode, unsigned flags)
{
	if (flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return do_access(dirfd, name, mode, flags);
}

/* ---- statfs ---- */

static int64_t put_statfs(const struct path *path, uaddr_t buf)
{
	struct fs_statistics s;
	struct statfs st;
	int error = vfs_statfs(path, &s);

	if (error)
		return error;
	memset(&st, 0, sizeof(st));
	st.f_type = (long)s.magic;
	st.f_bsize = st.f_frsize = (long)s.block_size;
	st.f_blocks = (long)s.blocks;
	st.f_bfree = st.f_bavail = (long)s.blocks_free;
	st.f_files = (long)s.files;
	st.f_ffree = (long)s.files_free;
	st.f_fsid.val[0] = (int)path->mount->sb->dev;
	st.f_namelen = STATFS_NAMELEN;
	st.f_flags = (path->mount->flags & 15) | 0x20; /* ST_VALID */
	return copy_to_user(buf, &st, sizeof(st));
}

int64_t sys_statfs(uaddr_t name, uaddr_t buf)
{
	struct name_arg n;
	struct path path;
	int64_t result = name_get(&n, name);

	if (result)
		return result;
	result = path_lookup(AT_FDCWD, n.text, LOOKUP_FOLLOW, &path);
	name_put(&n);
	if (result)
		return result;
	result = put_statfs(&path, buf);
	path_put(&path);
	return result;
}

int64_t sys_fstatfs(int fd, uaddr_t buf)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	int64_t result;

	if (!f)
		return -EBADF;
	result = f->path.dentry ? put_statfs(&f->path, buf) : -ENOSYS;
	fd_end(f, put);
	return result;
}
