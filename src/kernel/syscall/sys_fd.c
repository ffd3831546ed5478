/* SPDX-License-Identifier: MIT */
/* Descriptors: closing, duplicating, flags, and what ioctl(2) means for every file. */
#include <asm/ioctls.h>
#include <asm/resource.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <cloudos/clone.h>
#include <cloudos/file_signal.h>
#include <cloudos/fs.h>
#include <cloudos/pipe.h>
#include <cloudos/proc.h>
#include <cloudos/signal.h>
#include <cloudos/uaccess.h>
#include <cloudos/vm.h>
#include "syscalls_gen.h"

#define SETTABLE_FLAGS ((uint32_t)(O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)) /* and FASYNC, where it works */

int64_t sys_close(int fd)
{
	return fd_close(fd);
}

int64_t sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	int error;

	if ((flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) { /* the thread gets a table of its own first */
		error = task_unshare(CLONE_FILES);
		if (error)
			return error;
	}
	fd_close_range(first, last, flags & CLOSE_RANGE_CLOEXEC);
	return 0;
}

/* ---- duplicating ---- */

static int64_t duplicate(int fd, int from, bool close_on_exec)
{
	struct file *f = fd_get(fd);
	int copy;

	if (!f)
		return -EBADF;
	copy = fd_reserve(from, close_on_exec);
	if (copy < 0)
		file_put(f);
	else
		fd_install(copy, f);
	return copy;
}

int64_t sys_dup(int fd)
{
	return duplicate(fd, 0, false);
}

static int64_t duplicate_to(int fd, int to, bool close_on_exec)
{
	struct file *f = fd_get(fd);
	int error;

	if (!f)
		return -EBADF;
	error = to < 0 ? -EBADF : fd_replace(to, f, close_on_exec);
	if (error)
		file_put(f);
	return error ? error : to;
}

int64_t sys_dup3(int fd, int to, unsigned flags)
{
	if ((flags & ~(unsigned)O_CLOEXEC) || fd == to)
		return -EINVAL;
	return duplicate_to(fd, to, flags & O_CLOEXEC);
}

int64_t sys_dup2(int fd, int to)
{
	struct file *f;

	if (fd != to)
		return duplicate_to(fd, to, false);
	f = fd_get(fd);
	if (!f)
		return -EBADF;
	file_put(f);
	return fd;
}

/* ---- status flags ---- */

/* fd: the descriptor by which it was asked for. */
static int set_flags(int fd, struct file *f, uint32_t want)
{
	uint32_t settable = SETTABLE_FLAGS | (f->ops->async ? FASYNC : 0);
	uint32_t flags = (f->flags & ~settable) | (want & settable);
	int error = f->ops->set_flags ? f->ops->set_flags(f, flags) : 0;

	if (!error && ((flags ^ f->flags) & FASYNC))
		error = file_set_async(f, fd, flags & FASYNC);
	if (!error)
		WRITE_ONCE(f->flags, flags);
	return error;
}

static int set_flag(int fd, struct file *f, uint32_t flag, uaddr_t arg)
{
	int32_t on;

	if (get_user(on, arg))
		return -EFAULT;
	if (flag == FASYNC && !f->ops->async && !on != !(f->flags & FASYNC))
		return -ENOTTY;
	return set_flags(fd, f, on ? f->flags | flag : f->flags & ~flag);
}

/* ---- record locks ---- */

/* struct flock's whence, start and len as [start, end]. */
static int decode_range(struct file *f, const struct flock *l, struct lock_request *r)
{
	int64_t base = 0, start, end;
	struct file_stat st;

	if (l->l_whence == SEEK_CUR) {
		base = f->pos;
	} else if (l->l_whence == SEEK_END) {
		file_getattr(f, &st);
		base = (int64_t)st.size;
	} else if (l->l_whence != SEEK_SET) {
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, l->l_start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	if (l->l_len > 0) {
		if (__builtin_add_overflow(start, l->l_len - 1, &end))
			return -EOVERFLOW;
	} else if (l->l_len < 0) {
		end = start - 1;
		if (__builtin_add_overflow(start, l->l_len, &start) || start < 0)
			return -EINVAL;
	} else {
		end = INT64_MAX;
	}
	r->start = (uint64_t)start;
	r->end = (uint64_t)end;
	return 0;
}

static int decode_lock(struct file *f, uaddr_t arg, bool by_file, bool get, struct flock *l, struct lock_request *r)
{
	if (copy_from_user(l, arg, sizeof(*l)))
		return -EFAULT;
	if (l->l_type != F_RDLCK && l->l_type != F_WRLCK && (get || l->l_type != F_UNLCK))
		return -EINVAL;
	if (by_file && l->l_pid)
		return -EINVAL;
	if (!f->inode)
		return -EBADF;
	r->type = l->l_type;
	r->owner = by_file ? (const void *)f : thread_current()->files;
	r->pid = by_file ? -1 : process_pid(process_current());
	return decode_range(f, l, r);
}

static int set_lock(struct file *f, uaddr_t arg, bool by_file, bool wait)
{
	struct lock_request r;
	struct flock l;
	int error = decode_lock(f, arg, by_file, false, &l, &r);

	if (error)
		return error;
	if ((r.type == F_RDLCK && !(f->mode & FILE_READ)) || (r.type == F_WRLCK && !(f->mode & FILE_WRITE)))
		return -EBADF;
	return lock_range_set(f->inode, &r, wait);
}

static int get_lock(struct file *f, uaddr_t arg, bool by_file)
{
	struct lock_request r;
	struct flock l;
	int error = decode_lock(f, arg, by_file, true, &l, &r);

	if (error)
		return error;
	lock_range_get(f->inode, &r);
	l.l_type = (int16_t)r.type;
	if (r.type != F_UNLCK) {
		l.l_whence = SEEK_SET;
		l.l_start = (int64_t)r.start;
		l.l_len = r.end == INT64_MAX ? 0 : (int64_t)(r.end - r.start + 1);
		l.l_pid = pid_seen(r.pid);
	}
	return copy_to_user(arg, &l, sizeof(l));
}

int64_t sys_flock(int fd, unsigned op)
{
	static const int types[] = { [LOCK_SH] = F_RDLCK, [LOCK_EX] = F_WRLCK, [LOCK_UN] = F_UNLCK };
	unsigned kind = op & ~(unsigned)LOCK_NB;
	struct file *f;
	bool put;
	int error;

	if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
		return -EINVAL;
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	if (!f->inode || (f->mode & FILE_PATH))
		error = -EBADF;
	else
		error = lock_whole(f, types[kind], !(op & LOCK_NB));
	fd_end(f, put);
	return error;
}

/* ---- fcntl ---- */

/* What an O_PATH descriptor answers, too. */
static int64_t fcntl_any(int fd, struct file *f, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (arg >= process_limit(RLIMIT_NOFILE))
			return -EINVAL;
		return duplicate(fd, (int)arg, cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_get_cloexec(fd);
	case F_SETFD:
		return fd_set_cloexec(fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return f->flags | (f->path.dentry && !(f->mode & FILE_PATH) ? O_LARGEFILE : 0);
	default:
		return -EBADF;
	}
}

/* ---- whom a file's signals go to ---- */

/* A group is negative. */
static int set_owner(struct file *f, int32_t who)
{
	if (who == INT32_MIN)
		return -EINVAL;
	return file_set_owner(f, who < 0 ? F_OWNER_PGRP : F_OWNER_PID, who < 0 ? -who : who);
}

static int32_t get_owner(struct file *f)
{
	int32_t number;
	int type;

	file_get_owner(f, &type, &number);
	return type == F_OWNER_PGRP ? -number : number;
}

static int set_owner_ex(struct file *f, uaddr_t arg)
{
	struct f_owner_ex o;

	if (get_user(o, arg))
		return -EFAULT;
	return file_set_owner(f, o.type, o.pid);
}

static int get_owner_ex(struct file *f, uaddr_t arg)
{
	struct f_owner_ex o = { 0 };

	file_get_owner(f, &o.type, &o.pid);
	return put_user(o, arg);
}

static int64_t fcntl_file(int fd, struct file *f, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case F_SETFL:
		return set_flags(fd, f, (uint32_t)arg);
	case F_GETLK:
	case F_OFD_GETLK:
		return get_lock(f, arg, cmd == F_OFD_GETLK);
	case F_SETLK:
	case F_SETLKW:
		return set_lock(f, arg, false, cmd == F_SETLKW);
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return set_lock(f, arg, true, cmd == F_OFD_SETLKW);
	case F_SETOWN:
		return set_owner(f, (int32_t)arg);
	case F_GETOWN:
		return get_owner(f);
	case F_SETOWN_EX:
		return set_owner_ex(f, arg);
	case F_GETOWN_EX:
		return get_owner_ex(f, arg);
	case F_SETSIG:
		return arg && !(arg <= SIGNAL_COUNT && signal_valid((int)arg)) ? -EINVAL : file_set_signal(f, (int)arg);
	case F_GETSIG:
		return file_get_signal(f);
	case F_GETPIPE_SZ:
		return pipe_get_capacity(f);
	case F_SETPIPE_SZ:
		return pipe_set_capacity(f, (uint32_t)arg);
	case F_SETLEASE:
		return arg > INT32_MAX ? -EINVAL : lease_set(f, fd, (int)arg);
	case F_GETLEASE:
		return lease_get(f);
	case F_GET_SEALS:
		return file_seals(f);
	case F_ADD_SEALS:
		return file_seal(f, (uint32_t)arg);
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
	case F_GETFD:
	case F_SETFD:
	case F_GETFL:
		return fcntl_any(fd, f, cmd, arg);
	default:
		return -EINVAL;
	}
}

int64_t sys_fcntl(int fd, unsigned cmd, uint64_t arg)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	int64_t result;

	if (!f)
		return -EBADF;
	result = f->mode & FILE_PATH ? fcntl_any(fd, f, cmd, arg) : fcntl_file(fd, f, cmd, arg);
	fd_end(f, put);
	return result;
}

/* ---- ioctl ---- */

/* FIONREAD of a regular file. */
static int put_readable(struct file *f, uaddr_t arg)
{
	int64_t left = (int64_t)READ_ONCE(f->inode->data->size) - f->pos;

	return put_user((int32_t)min(max(left, (int64_t)0), (int64_t)INT32_MAX), arg);
}

static int64_t ioctl_file(int fd, struct file *f, unsigned cmd, uaddr_t arg)
{
	switch (cmd) {
	case FIOCLEX:
		return fd_set_cloexec(fd, true);
	case FIONCLEX:
		return fd_set_cloexec(fd, false);
	case FIONBIO:
		return set_flag(fd, f, O_NONBLOCK, arg);
	case FIOASYNC:
		return set_flag(fd, f, FASYNC, arg);
	case FIGETBSZ:
		return f->inode ? put_user((int32_t)PAGE_SIZE, arg) : -ENOTTY;
	default:
		if (cmd == FIONREAD && f->inode && f->inode->data)
			return put_readable(f, arg);
		return f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
	}
}

int64_t sys_ioctl(int fd, unsigned cmd, uaddr_t arg)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	int64_t result;

	if (!f)
		return -EBADF;
	result = f->mode & FILE_PATH ? -EBADF : ioctl_file(fd, f, cmd, arg);
	fd_end(f, put);
	return result;
}
