/* SPDX-License-Identifier: MIT */
/* From file to file without the user's memory between: sendfile, copy_file_range. */
#include <linux/fcntl.h>
#include <linux/signal.h>
#include <linux/stat.h>
#include <cloudos/fs.h>
#include <cloudos/mm.h>
#include <cloudos/proc.h>
#include <cloudos/splice.h>
#include <cloudos/uaccess.h>
#include "syscalls_gen.h"

#define COPY_PIECE 16384

/* One end: a file, and a position of its own (at 0 bytes: the file's). */
struct end {
	struct file *f;
	bool put, own; /* own: the position is the caller's */
	int64_t pos;
};

static int end_begin(struct end *e, int fd, uint32_t mode, uaddr_t pos)
{
	int error = 0;

	e->f = fd_begin(fd, &e->put);
	if (!e->f)
		return -EBADF;
	e->own = pos != 0;
	e->pos = e->f->pos;
	if (!(e->f->mode & mode))
		error = -EBADF;
	else if (e->own && !(e->f->mode & FILE_SEEKABLE))
		error = -ESPIPE;
	else if (e->own && get_user(e->pos, pos))
		error = -EFAULT;
	else if (e->pos < 0)
		error = -EINVAL;
	if (error)
		fd_end(e->f, e->put);
	return error;
}

static int end_finish(struct end *e, uaddr_t pos)
{
	int error = 0;

	if (e->own)
		error = put_user(e->pos, pos);
	else if (e->f->mode & FILE_SEEKABLE)
		e->f->pos = e->pos;
	fd_end(e->f, e->put);
	return error;
}

/* Writes all of a piece; how much went out, or an errno. */
static ssize_t push(struct end *out, const char *buf, size_t len)
{
	struct io_iter from;
	size_t done = 0;

	while (done < len) {
		ssize_t n;

		io_iter_kernel(&from, buf + done, len - done);
		n = file_write(out->f, &from, &out->pos);
		if (n <= 0)
			return done ? (ssize_t)done : n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static ssize_t copy_pieces(struct end *in, struct end *out, char *buf, size_t count)
{
	size_t done = 0;
	ssize_t n = 0;

	while (done < count) {
		size_t want = min(count - done, (size_t)COPY_PIECE);
		int64_t before = in->pos;
		struct io_iter to;
		ssize_t sent;

		io_iter_kernel(&to, buf, want);
		n = file_read(in->f, &to, &in->pos);
		if (n <= 0)
			break;
		sent = push(out, buf, (size_t)n);
		if (sent < n && (in->f->mode & FILE_SEEKABLE))
			in->pos = before + max(sent, (ssize_t)0);
		if (sent > 0)
			done += (size_t)sent;
		if (sent < n) {
			n = sent;
			break;
		}
		sched_point();
		if (thread_signal_pending())
			break;
	}
	return done ? (ssize_t)done : n;
}

static ssize_t copy_range(struct end *in, struct end *out, size_t count)
{
	char *buf = kmalloc(COPY_PIECE);
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	n = copy_pieces(in, out, buf, min(count, (size_t)INT32_MAX & ~(size_t)4095));
	kfree(buf);
	return n;
}

/* As Linux, which splices: from files with positions, to what can be spliced to. */
static int check_sendfile(const struct file *in, const struct file *out)
{
	if (!(in->mode & FILE_SEEKABLE) || !(in->ops->splice & SPLICE_READ) || (out->flags & O_APPEND))
		return -EINVAL;
	return splice_is_pipe(out) || (out->ops->splice & SPLICE_WRITE) ? 0 : -EINVAL;
}

int64_t sys_sendfile(int out_fd, int in_fd, uaddr_t offset, size_t count)
{
	struct end in, out;
	ssize_t n = end_begin(&in, in_fd, FILE_READ, offset);
	int error;

	if (n)
		return n;
	n = end_begin(&out, out_fd, FILE_WRITE, 0);
	if (n) {
		fd_end(in.f, in.put);
		return n;
	}
	n = check_sendfile(in.f, out.f);
	if (!n)
		n = copy_range(&in, &out, count);
	end_finish(&out, 0);
	error = end_finish(&in, offset);
	if (n == -EPIPE)
		signal_self(SIGPIPE);
	return error ? error : n;
}

static int check_ranges(const struct end *in, const struct end *out, size_t count)
{
	const struct inode *a = in->f->inode, *b = out->f->inode;

	if (!a || !b || S_ISDIR(a->mode) || S_ISDIR(b->mode))
		return a && b ? -EISDIR : -EINVAL;
	if (!a->data || !b->data)
		return -EINVAL;
	if (out->f->flags & O_APPEND)
		return -EBADF;
	if (count > INT64_MAX || in->pos > INT64_MAX - (int64_t)count || out->pos > INT64_MAX - (int64_t)count)
		return -EOVERFLOW;
	count = min(count, (size_t)max((int64_t)READ_ONCE(a->size) - in->pos, INT64_C(0))); /* there is no more */
	if (a == b && in->pos < out->pos + (int64_t)count && out->pos < in->pos + (int64_t)count)
		return -EINVAL;
	return 0;
}

int64_t sys_copy_file_range(int in_fd, uaddr_t in_offset, int out_fd, uaddr_t out_offset, size_t count, unsigned flags)
{
	struct end in, out;
	ssize_t n;
	int error;

	if (flags)
		return -EINVAL;
	n = end_begin(&in, in_fd, FILE_READ, in_offset);
	if (n)
		return n;
	n = end_begin(&out, out_fd, FILE_WRITE, out_offset);
	if (n) {
		fd_end(in.f, in.put);
		return n;
	}
	n = check_ranges(&in, &out, count);
	if (!n)
		n = copy_range(&in, &out, count);
	error = end_finish(&out, out_offset);
	if (!error)
		error = end_finish(&in, in_offset);
	else
		end_finish(&in, in_offset);
	return error ? error : n;
}
