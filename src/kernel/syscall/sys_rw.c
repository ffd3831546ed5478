/* SPDX-License-Identifier: MIT */
/* Reading, writing, positions. A call moves at most RW_MAX bytes, as on Linux. */
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/signal.h>
#include <linux/uio.h>
#include <cloudos/proc.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include "call_rw.h"
#include "syscalls_gen.h"

#define VECS_FAST 8 /* iovecs kept on the stack */

_Static_assert(sizeof(struct iovec) == sizeof(struct io_vec), "iovec");

/* One transfer: read or write, at the file's own position or at one given. */
struct transfer {
	struct file *f;
	bool put, write;
	bool own_pos;	/* the file's position is used, and moves */
	bool locked;
	unsigned flags; /* RWF_* */
	int64_t pos;
};

/* A position is shared when somebody else can use the file meanwhile. */
static inline void lock_pos(struct transfer *t)
{
	t->locked = (t->f->mode & FILE_SEEKABLE) && (t->put || refcount_read(&t->f->refs) > 1);
	if (unlikely(t->locked))
		mutex_lock(&t->f->pos_lock);
}

static inline int64_t finish(ssize_t n, const struct transfer *t)
{
	if (unlikely(n == -EPIPE) && t->write)
		signal_self(SIGPIPE);
	return n;
}

static inline void count_transfer(bool write, ssize_t n)
{
	struct task *self = task_self();

	ADD_ONCE(self->io_calls[write], 1);
	if (n > 0)
		ADD_ONCE(self->io_bytes[write], (uint64_t)n);
}

static inline ssize_t move(struct transfer *t, struct io_iter *it)
{
	ssize_t n;

	if (t->own_pos) {
		lock_pos(t);
		t->pos = t->f->pos;
	}
	if (unlikely(t->pos > INT64_MAX - (int64_t)it->count))
		n = -EINVAL;
	else
		n = t->write ? file_write(t->f, it, &t->pos) : file_read(t->f, it, &t->pos);
	if (t->own_pos) {
		if (t->f->mode & FILE_SEEKABLE)
			WRITE_ONCE(t->f->pos, t->pos);
		if (unlikely(t->locked))
			mutex_unlock(&t->f->pos_lock);
	}
	count_transfer(t->write, n);
	return n;
}

static inline int64_t transfer_buffer(int fd, uaddr_t buf, size_t count, bool write)
{
	struct transfer t = { .write = write, .own_pos = true };
	struct io_iter it;
	ssize_t n = -EFAULT;

	t.f = fd_begin(fd, &t.put);
	if (unlikely(!t.f))
		return -EBADF;
	if (unlikely(!(t.f->mode & (write ? FILE_WRITE : FILE_READ)))) {
		n = -EBADF;
	} else if (likely(user_range_ok(buf, count))) {
		io_iter_user(&it, buf, min(count, RW_MAX));
		n = move(&t, &it);
	}
	fd_end(t.f, t.put);
	return finish(n, &t);
}

int64_t sys_read(int fd, uaddr_t buf, size_t count)
{
	return transfer_buffer(fd, buf, count, false);
}

int64_t sys_write(int fd, uaddr_t buf, size_t count)
{
	return transfer_buffer(fd, buf, count, true);
}

/* ---- at a position ---- */

static int begin_at(struct transfer *t, int fd, int64_t pos)
{
	int error;

	t->pos = pos;
	if (pos < 0)
		return -EINVAL;
	t->f = fd_begin(fd, &t->put);
	if (!t->f)
		return -EBADF;
	if (likely(t->f->mode & FILE_SEEKABLE))
		return 0;
	error = t->f->mode & FILE_PATH ? -EBADF : -ESPIPE;
	fd_end(t->f, t->put);
	return error;
}

static int64_t transfer_at(int fd, uaddr_t buf, size_t count, int64_t pos, bool write)
{
	struct transfer t = { .write = write };
	struct io_iter it;
	ssize_t n = begin_at(&t, fd, pos);

	if (unlikely(n))
		return n;
	if (!(t.f->mode & (write ? FILE_WRITE : FILE_READ))) {
		n = -EBADF;
	} else if (!user_range_ok(buf, count)) {
		n = -EFAULT;
	} else {
		io_iter_user(&it, buf, min(count, RW_MAX));
		n = move(&t, &it);
	}
	fd_end(t.f, t.put);
	return finish(n, &t);
}

int64_t sys_pread64(int fd, uaddr_t buf, size_t count, int64_t pos)
{
	return transfer_at(fd, buf, count, pos, false);
}

int64_t sys_pwrite64(int fd, uaddr_t buf, size_t count, int64_t pos)
{
	return transfer_at(fd, buf, count, pos, true);
}

/* ---- several buffers ---- */

#define RWF_DONE (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND | RWF_NOWAIT)

/* What preadv2 and pwritev2 ask for. RWF_NOWAIT is for files that can promise it, and refused later by others. */
int call_rw_flags(unsigned flags)
{
	return flags & ~(unsigned)RWF_DONE ? -EOPNOTSUPP : 0;
}

static int sync_written(struct file *f, unsigned flags)
{
	if (!(flags & (RWF_DSYNC | RWF_SYNC)) || !f->ops->fsync)
		return 0;
	return f->ops->fsync(f, !(flags & RWF_SYNC));
}

static ssize_t move_and_sync(struct transfer *t, struct io_iter *it)
{
	ssize_t n;

	if (unlikely(t->flags & RWF_NOWAIT) && (t->write ? (void *)t->f->ops->write : (void *)t->f->ops->read)) {
		n = file_check_rwf_nowait(t->f, t->write, it->count);
		if (n)
			return n;
	}
	it->append = t->flags & RWF_APPEND;
	it->nowait |= (t->flags & RWF_NOWAIT) != 0;
	n = move(t, it);
	if (n > 0 && t->write && unlikely(t->flags)) {
		int error = sync_written(t->f, t->flags);

		return error ? error : n;
	}
	return n;
}

int64_t call_rw(struct file *f, struct io_iter *it, int64_t pos, bool write, unsigned flags)
{
	struct transfer t = { .f = f, .put = true, .write = write, .own_pos = pos < 0, .flags = flags, .pos = pos };

	if (!(f->mode & (write ? FILE_WRITE : FILE_READ)))
		return -EBADF;
	return finish(move_and_sync(&t, it), &t);
}

static ssize_t move_vectors(struct transfer *t, uaddr_t vec, uint64_t n)
{
	struct io_vec fast[VECS_FAST], *v;
	struct io_iter it;
	ssize_t result;

	if (!(t->f->mode & (t->write ? FILE_WRITE : FILE_READ)))
		return -EBADF;
	result = io_import(vec, n, fast, VECS_FAST, &v, &it);
	if (result)
		return result;
	result = move_and_sync(t, &it);
	io_import_free(v, fast);
	return result;
}

static int64_t transfer_vectors(int fd, uaddr_t vec, uint64_t n, bool write, unsigned flags)
{
	struct transfer t = { .write = write, .own_pos = true, .flags = flags };
	ssize_t result;

	t.f = fd_begin(fd, &t.put);
	if (!t.f)
		return -EBADF;
	result = move_vectors(&t, vec, n);
	fd_end(t.f, t.put);
	return finish(result, &t);
}

static int64_t transfer_vectors_at(int fd, uaddr_t vec, uint64_t n, int64_t pos, bool write, unsigned flags)
{
	struct transfer t = { .write = write, .flags = flags };
	ssize_t result = begin_at(&t, fd, pos);

	if (result)
		return result;
	result = move_vectors(&t, vec, n);
	fd_end(t.f, t.put);
	return finish(result, &t);
}

int64_t sys_readv(int fd, uaddr_t vec, size_t n)
{
	return transfer_vectors(fd, vec, n, false, 0);
}

int64_t sys_writev(int fd, uaddr_t vec, size_t n)
{
	return transfer_vectors(fd, vec, n, true, 0);
}

int64_t sys_preadv(int fd, uaddr_t vec, size_t n, int64_t pos)
{
	return transfer_vectors_at(fd, vec, n, pos, false, 0);
}

int64_t sys_pwritev(int fd, uaddr_t vec, size_t n, int64_t pos)
{
	return transfer_vectors_at(fd, vec, n, pos, true, 0);
}

/* The position is one register on 64-bit machines; the next one is Linux's unused high half. */
int64_t sys_preadv2(int fd, uaddr_t vec, size_t n, int64_t pos, uint64_t high, unsigned flags)
{
	int error = call_rw_flags(flags);

	(void)high;
	if (error)
		return error;
	return pos == -1 ? transfer_vectors(fd, vec, n, false, flags) : transfer_vectors_at(fd, vec, n, pos, false, flags);
}

int64_t sys_pwritev2(int fd, uaddr_t vec, size_t n, int64_t pos, uint64_t high, unsigned flags)
{
	int error = call_rw_flags(flags);

	(void)high;
	if (error)
		return error;
	return pos == -1 ? transfer_vectors(fd, vec, n, true, flags) : transfer_vectors_at(fd, vec, n, pos, true, flags);
}

/* ---- positions ---- */

int64_t sys_lseek(int fd, int64_t offset, unsigned whence)
{
	struct transfer t = { .own_pos = true };
	int64_t pos;

	t.f = fd_begin(fd, &t.put);
	if (!t.f || (t.f->mode & FILE_PATH)) {
		if (t.f)
			fd_end(t.f, t.put);
		return -EBADF;
	}
	lock_pos(&t);
	if (!(t.f->mode & FILE_SEEKABLE))
		pos = -ESPIPE;
	else
		pos = whence > SEEK_MAX ? -EINVAL : t.f->ops->seek(t.f, offset, (int)whence);
	if (t.locked)
		mutex_unlock(&t.f->pos_lock);
	fd_end(t.f, t.put);
	return pos;
}
