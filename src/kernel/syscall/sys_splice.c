/* SPDX-License-Identifier: MIT */
/* splice, tee, vmsplice: what their arguments may be. The flags are those of fcntl.h, which Linux's headers leave to C libraries. */
#include <linux/fcntl.h>
#include <linux/signal.h>
#include <cloudos/proc.h>
#include <cloudos/splice.h>
#include <cloudos/uaccess.h>
#include "call_splice.h"
#include "syscalls_gen.h"

#define SPLICE_F_MOVE	  1u /* a hint: bytes are copied anyhow */
#define SPLICE_F_NONBLOCK 2u
#define SPLICE_F_MORE	  4u /* a hint for sockets */
#define SPLICE_F_GIFT	  8u /* likewise: what the memory holds is copied before the call returns */
_Static_assert((SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT) == CALL_SPLICE_FLAGS, "all flags");

#define VECS_FAST 8

struct ends {
	struct file *in, *out;
	bool put_in, put_out;
	bool positions; /* offsets are no addresses */
};

#define NO_OFFSET(e) ((e)->positions ? UINT64_MAX : 0)

static int ends_begin(struct ends *e, int in, int out)
{
	e->positions = false;
	e->in = fd_begin(in, &e->put_in);
	if (!e->in)
		return -EBADF;
	e->out = fd_begin(out, &e->put_out);
	if (!e->out) {
		fd_end(e->in, e->put_in);
		return -EBADF;
	}
	return 0;
}

static int64_t result_of(ssize_t n)
{
	if (n == -EPIPE)
		signal_self(SIGPIPE);
	return n;
}

static int64_t ends_finish(const struct ends *e, ssize_t n)
{
	fd_end(e->out, e->put_out);
	fd_end(e->in, e->put_in);
	return result_of(n);
}

static bool nonblocking(const struct file *f)
{
	return READ_ONCE(f->flags) & O_NONBLOCK;
}

/* The position of the end that is no pipe: the file's own, or one of the caller's. */
static int position_get(const struct ends *e, struct file *f, uaddr_t at, int64_t *ret)
{
	*ret = f->pos;
	if (at == NO_OFFSET(e))
		return 0;
	if (!(f->mode & FILE_SEEKABLE))
		return -EINVAL;
	if (e->positions)
		*ret = (int64_t)at;
	else if (get_user(*ret, at))
		return -EFAULT;
	return *ret < 0 ? -EINVAL : 0;
}

static int position_put(const struct ends *e, struct file *f, uaddr_t at, int64_t pos)
{
	if (at != NO_OFFSET(e))
		return e->positions ? 0 : put_user(pos, at);
	if (f->mode & FILE_SEEKABLE)
		f->pos = pos;
	return 0;
}

static ssize_t to_file(const struct ends *e, uaddr_t at, size_t len, bool nonblock)
{
	int64_t pos;
	ssize_t n = position_get(e, e->out, at, &pos);

	if (!n && (e->out->flags & O_APPEND))
		n = -EINVAL;
	if (n)
		return n;
	n = splice_to_file(e->in, e->out, &pos, len, nonblock || nonblocking(e->in));
	return n > 0 && position_put(e, e->out, at, pos) ? -EFAULT : n;
}

static ssize_t from_file(const struct ends *e, uaddr_t at, size_t len, bool nonblock)
{
	int64_t pos;
	ssize_t n = position_get(e, e->in, at, &pos);

	if (n)
		return n;
	n = splice_from_file(e->in, &pos, e->out, len, nonblock || nonblocking(e->out));
	return n > 0 && position_put(e, e->in, at, pos) ? -EFAULT : n;
}

static ssize_t do_splice(const struct ends *e, uaddr_t in_at, uaddr_t out_at, size_t len, bool nonblock)
{
	bool in_pipe = splice_is_pipe(e->in), out_pipe = splice_is_pipe(e->out);

	if ((in_pipe && in_at != NO_OFFSET(e)) || (out_pipe && out_at != NO_OFFSET(e)))
		return -ESPIPE;
	if (!(e->in->mode & FILE_READ) || !(e->out->mode & FILE_WRITE))
		return -EBADF;
	if (in_pipe && out_pipe)
		return splice_between(e->in, e->out, len, nonblock || nonblocking(e->in) || nonblocking(e->out), false);
	if (in_pipe)
		return to_file(e, out_at, len, nonblock);
	return out_pipe ? from_file(e, in_at, len, nonblock) : -EINVAL;
}

int64_t call_splice(struct file *in, uaddr_t in_at, struct file *out, uaddr_t out_at, size_t len, unsigned flags, bool kernel_offsets)
{
	const struct ends e = { .in = in, .out = out, .positions = kernel_offsets };

	if (len == 0)
		return 0;
	return result_of(do_splice(&e, in_at, out_at, min(len, (size_t)INT32_MAX), flags & SPLICE_F_NONBLOCK));
}

int64_t sys_splice(int in, uaddr_t in_at, int out, uaddr_t out_at, size_t len, unsigned flags)
{
	struct ends e;
	int error;

	if (len == 0)
		return 0;
	if (flags & ~CALL_SPLICE_FLAGS)
		return -EINVAL;
	error = ends_begin(&e, in, out);
	return error ? error : ends_finish(&e, do_splice(&e, in_at, out_at, min(len, (size_t)INT32_MAX), flags & SPLICE_F_NONBLOCK));
}

static ssize_t do_tee(const struct ends *e, size_t len, bool nonblock)
{
	if (!(e->in->mode & FILE_READ) || !(e->out->mode & FILE_WRITE))
		return -EBADF;
	if (!splice_is_pipe(e->in) || !splice_is_pipe(e->out))
		return -EINVAL;
	return splice_between(e->in, e->out, len, nonblock || nonblocking(e->in) || nonblocking(e->out), true);
}

int64_t call_tee(struct file *in, struct file *out, size_t len, unsigned flags)
{
	const struct ends e = { .in = in, .out = out };

	if (len == 0)
		return 0;
	return result_of(do_tee(&e, min(len, (size_t)INT32_MAX), flags & SPLICE_F_NONBLOCK));
}

int64_t sys_tee(int in, int out, size_t len, unsigned flags)
{
	struct ends e;
	int error;

	if (flags & ~CALL_SPLICE_FLAGS)
		return -EINVAL;
	if (len == 0)
		return 0;
	error = ends_begin(&e, in, out);
	return error ? error : ends_finish(&e, do_tee(&e, min(len, (size_t)INT32_MAX), flags & SPLICE_F_NONBLOCK));
}

static ssize_t do_vmsplice(struct file *f, struct io_iter *it, bool nonblock)
{
	if (!splice_is_pipe(f))
		return -EBADF;
	nonblock |= nonblocking(f);
	if (it->count == 0)
		return 0;
	return f->mode & FILE_WRITE ? splice_from_memory(f, it, nonblock) : splice_to_memory(f, it, nonblock);
}

int64_t sys_vmsplice(int fd, uaddr_t vec, size_t n, unsigned flags)
{
	struct io_vec fast[VECS_FAST], *v;
	struct io_iter it;
	struct file *f;
	ssize_t result;
	bool put;

	if (flags & ~CALL_SPLICE_FLAGS)
		return -EINVAL;
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	result = splice_is_pipe(f) ? io_import(vec, n, fast, VECS_FAST, &v, &it) : -EBADF;
	if (!result) {
		result = do_vmsplice(f, &it, flags & SPLICE_F_NONBLOCK);
		io_import_free(v, fast);
	}
	fd_end(f, put);
	if (result == -EPIPE)
		signal_self(SIGPIPE);
	return result;
}
