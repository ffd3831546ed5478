/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs: a ring of bytes (cloudos/ring.h) between files that write and files that read.
 *
 * A pipe lives as long as a file or an opening of a FIFO has it: pipe.users counts those. A FIFO's inode finds its pipe through a
 * slot of its own, set by the first opening and cleared by the last release.
 *
 * P1  A write of at most PIPE_BUF bytes goes in whole, between no others (POSIX). A longer one goes in as there is space.
 * P2  A writer sleeps only while less than PIPE_BUF bytes are free, a reader only while the ring is empty. Whoever makes one of
 *     these untrue wakes one sleeper; one that was woken and leaves something over for another wakes the next.
 * P3  Wakers change the ring first and wake without the lock; sleepers look again under the lock.
 * P4  While bytes are on their way into a file that is no pipe (splice.c), nobody else takes any out, and while they come from one
 *     nobody else puts any in: `reading`, `writing`.
 *
 * Locking: pipe.lock (RANK_PIPE), held over the copy, which may fault pages in. fifo_lock guards the slots of inodes and `users`.
 */
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <linux/limits.h>
#include <linux/stat.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/mm.h>
#include <cloudos/pipe.h>
#include <cloudos/ring.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include "pipe_internal.h"

static struct mutex fifo_lock = MUTEX_INIT(fifo_lock, RANK_PIPE);

/* ---- life ---- */

static struct pipe *pipe_alloc(void)
{
	static uint32_t numbers;
	struct pipe *p = kmalloc(sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct pipe){ .users = 1, .number = __atomic_add_fetch(&numbers, 1, __ATOMIC_RELAXED) };
	mutex_init(&p->lock, RANK_PIPE);
	wait_queue_init(&p->can_read);
	wait_queue_init(&p->can_write);
	ring_init(&p->ring, p->slots, PIPE_BYTES_DEFAULT);
	return p;
}

static void pipe_free(struct pipe *p)
{
	ring_fini(&p->ring);
	if (p->ring.slots != p->slots)
		kfree(p->ring.slots);
	kfree(p);
}

static void pipe_put(struct pipe *p)
{
	bool last;

	mutex_lock(&fifo_lock);
	last = --p->users == 0;
	if (last && p->slot)
		*p->slot = NULL;
	mutex_unlock(&fifo_lock);
	if (last)
		pipe_free(p);
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->private;

	mutex_lock(&p->lock);
	if (f->mode & FILE_READ)
		ADD_ONCE(p->readers, -1);
	if (f->mode & FILE_WRITE)
		ADD_ONCE(p->writers, -1);
	mutex_unlock(&p->lock);
	wake_all(&p->can_read);
	wake_all(&p->can_write);
	pipe_put(p);
}

/* ---- reading and writing ---- */

static ssize_t pipe_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct pipe *p = f->private;
	bool was_full, slept = false, more;
	ssize_t n;

	(void)pos;
	if (unlikely(to->count == 0))
		return 0;
	mutex_lock(&p->lock);
	while (unlikely(ring_used(&p->ring) == 0 || p->reading)) {
		bool ended = p->writers == 0 && !p->reading;
		int error;

		mutex_unlock(&p->lock);
		if (ended)
			return 0;
		if (file_nowait(f, to))
			return -EAGAIN;
		error = wait_event_interruptible(&p->can_read, pipe_may_read(p));
		if (error)
			return error;
		slept = true;
		mutex_lock(&p->lock);
	}
	was_full = ring_space(&p->ring) < PIPE_BUF;
	n = ring_get(&p->ring, to, to->count);
	more = slept && ring_used(&p->ring) > 0;
	mutex_unlock(&p->lock);
	if (unlikely(was_full) && pipe_may_write(p))
		wake_events(&p->can_write, POLLOUT | POLLWRNORM, true);
	if (more)
		wake_events(&p->can_read, POLLIN | POLLRDNORM, true);
	return n;
}

/* Puts in what goes in now: bytes, 0 when it has to wait for space, or an errno. */
static inline ssize_t put_some(struct pipe *p, struct io_iter *from, bool whole)
{
	uint32_t space = ring_space(&p->ring);

	if (unlikely(p->readers == 0))
		return -EPIPE;
	if (unlikely(p->writing) || (whole ? space < from->count : space == 0))
		return 0;
	if (whole && !ring_fits_page(&p->ring, from->count) && ring_reserve(&p->ring, (uint32_t)from->count))
		return -ENOMEM;
	return ring_put(&p->ring, from, from->count);
}

static ssize_t pipe_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	struct pipe *p = f->private;
	bool whole = from->count <= PIPE_BUF, slept = false, more;
	size_t done = 0;
	ssize_t n;

	(void)pos;
	if (unlikely(from->count == 0))
		return 0;
	for (;;) {
		mutex_lock(&p->lock);
		n = put_some(p, from, whole);
		more = slept && ring_space(&p->ring) >= PIPE_BUF;
		mutex_unlock(&p->lock);
		if (n > 0) {
			done += (size_t)n;
			wake_events(&p->can_read, POLLIN | POLLRDNORM, true);
		}
		if (n < 0 || from->count == 0)
			break;
		if (n > 0)
			continue;
		if (file_nowait(f, from)) {
			n = -EAGAIN;
			break;
		}
		n = wait_event_interruptible(&p->can_write, pipe_may_write(p));
		if (n)
			break;
		slept = true;
	}
	if (more)
		wake_events(&p->can_write, POLLOUT | POLLWRNORM, true);
	return done > 0 ? (ssize_t)done : n;
}

/* A file of a FIFO keeps in `pos` how many writers there ever were when it was opened: no hang-up before the first new one. */
static bool hung_up(const struct file *f, const struct pipe *p)
{
	return READ_ONCE(p->writers) == 0 && f->pos != (int64_t)READ_ONCE(p->writer_opens);
}

static uint32_t pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = f->private;
	uint32_t ready = 0;

	if (f->mode & FILE_READ) {
		poll_wait(pt, &p->can_read);
		if (ring_used(&p->ring) > 0 && !READ_ONCE(p->reading))
			ready |= POLLIN | POLLRDNORM;
		if (hung_up(f, p))
			ready |= POLLHUP;
	}
	if (f->mode & FILE_WRITE) {
		poll_wait(pt, &p->can_write);
		if (ring_space(&p->ring) >= PIPE_BUF && !READ_ONCE(p->writing))
			ready |= POLLOUT | POLLWRNORM;
		if (READ_ONCE(p->readers) == 0)
			ready |= POLLERR;
	}
	return ready;
}

static int64_t pipe_ioctl(struct file *f, unsigned cmd, uaddr_t arg)
{
	struct pipe *p = f->private;

	if (cmd != FIONREAD)
		return -ENOTTY;
	return put_user((int32_t)ring_used(&p->ring), arg);
}

/* O_DIRECT would ask for packets. */
static int pipe_set_flags(struct file *f, uint32_t flags)
{
	(void)f;
	return flags & O_DIRECT ? -EINVAL : 0;
}

static int pipe_name(struct file *f, char *buf, size_t size)
{
	const struct pipe *p = f->private;

	return fmt_string(buf, size, "pipe:[%u]", p->number);
}

static const struct file_ops pipe_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
	.set_flags = pipe_set_flags,
	.name = pipe_name,
	.nowait = true,
	.rwf_nowait = NOWAIT_HEEDED,
	.async = true,
};

/* ---- making and opening ---- */

int pipe_create(uint32_t flags, struct file **ret_read, struct file **ret_write)
{
	struct pipe *p = pipe_alloc();
	struct file *reader;
	int error;

	if (!p)
		return -ENOMEM;
	error = file_create_anonymous(&pipe_ops, p, FILE_READ | FILE_STREAM, O_RDONLY | flags, S_IFIFO, &reader);
	if (error) {
		pipe_free(p);
		return error;
	}
	p->readers = p->reader_opens = 1;
	error = file_create_anonymous(&pipe_ops, p, FILE_WRITE | FILE_STREAM, O_WRONLY | flags, S_IFIFO, ret_write);
	if (error) {
		file_put(reader);
		return error;
	}
	p->writers = p->writer_opens = 1;
	p->users = 2;
	*ret_read = reader;
	return 0;
}

/* The pipe of a FIFO's inode, one user more; null: no memory. */
static struct pipe *fifo_get(struct pipe **slot)
{
	struct pipe *p;

	mutex_lock(&fifo_lock);
	p = *slot;
	if (p) {
		p->users++;
	} else {
		p = pipe_alloc();
		if (p)
			p->slot = slot;
		*slot = p;
	}
	mutex_unlock(&fifo_lock);
	return p;
}

/* Counts the file in, and says what others have opened so far. */
static void fifo_join(struct pipe *p, struct file *f, uint32_t *ret_reader_opens, uint32_t *ret_writer_opens)
{
	mutex_lock(&p->lock);
	f->pos = p->writer_opens;
	*ret_reader_opens = p->reader_opens;
	*ret_writer_opens = p->writer_opens;
	if (f->mode & FILE_READ) {
		ADD_ONCE(p->readers, 1);
		ADD_ONCE(p->reader_opens, 1);
	}
	if (f->mode & FILE_WRITE) {
		ADD_ONCE(p->writers, 1);
		ADD_ONCE(p->writer_opens, 1);
	}
	mutex_unlock(&p->lock);
	wake_all(&p->can_read);
	wake_all(&p->can_write);
}

/* fifo(7): an end that is alone waits until the other side was opened, however shortly. Reader and writer in one never wait. */
static int fifo_wait(struct pipe *p, struct file *f, uint32_t reader_opens, uint32_t writer_opens)
{
	if ((f->mode & FILE_READ) && (f->mode & FILE_WRITE))
		return 0;
	if (f->mode & FILE_READ) {
		if (f->flags & O_NONBLOCK)
			return 0;
		f->pos = -1;
		return wait_event_interruptible(&p->can_read, READ_ONCE(p->writers) > 0 ||
						READ_ONCE(p->writer_opens) != writer_opens);
	}
	if (READ_ONCE(p->readers) > 0)
		return 0;
	if (f->flags & O_NONBLOCK)
		return -ENXIO;
	return wait_event_interruptible(&p->can_write, READ_ONCE(p->readers) > 0 ||
					READ_ONCE(p->reader_opens) != reader_opens);
}

/* open(2) of a FIFO's inode, which keeps its pipe in `attached`. */
static int fifo_open(struct file *f)
{
	struct pipe **slot = (struct pipe **)&f->inode->attached;
	uint32_t reader_opens, writer_opens;
	struct pipe *p;
	int error;

	if (!(f->mode & (FILE_READ | FILE_WRITE)))
		return -EINVAL;
	p = fifo_get(slot);
	if (!p)
		return -ENOMEM;
	f->private = p;
	fifo_join(p, f, &reader_opens, &writer_opens);
	error = fifo_wait(p, f, reader_opens, writer_opens);
	if (error) {
		pipe_release(f);
		return error;
	}
	f->mode = (f->mode & ~(uint32_t)FILE_SEEKABLE) | FILE_STREAM;
	f->ops = &pipe_ops;
	return 0;
}

const struct file_ops fifo_file_ops = { .open = fifo_open };

/* ---- capacity ---- */

struct pipe *pipe_of(const struct file *f)
{
	return f->ops == &pipe_ops ? f->private : NULL;
}

int64_t pipe_get_capacity(struct file *f)
{
	struct pipe *p = pipe_of(f);

	return p ? (int64_t)ring_capacity(&p->ring) : -EBADF;
}

static uint32_t capacity_for(uint64_t bytes)
{
	uint32_t capacity = (uint32_t)PAGE_SIZE;

	while (capacity < bytes)
		capacity *= 2;
	return capacity;
}

static int replace_ring(struct pipe *p, uint32_t bytes)
{
	void **slots = kmalloc((bytes >> PAGE_SHIFT) * sizeof(*slots));
	struct ring larger;
	int error;

	if (!slots)
		return -ENOMEM;
	ring_init(&larger, slots, bytes);
	error = ring_copy(&larger, &p->ring);
	if (error) {
		ring_fini(&larger);
		kfree(slots);
		return error;
	}
	ring_fini(&p->ring);
	if (p->ring.slots != p->slots)
		kfree(p->ring.slots);
	p->ring = larger;
	return 0;
}

int64_t pipe_set_capacity(struct file *f, uint64_t bytes)
{
	struct pipe *p = pipe_of(f);
	uint32_t capacity;
	int error = 0;

	if (!p)
		return -EBADF;
	if (bytes > INT32_MAX)
		return -EINVAL;
	if (bytes > PIPE_BYTES_MAX)
		return -EPERM;
	capacity = capacity_for(bytes);
	mutex_lock(&p->lock);
	if (ring_used(&p->ring) > capacity || p->reading || p->writing)
		error = -EBUSY;
	else if (capacity != ring_capacity(&p->ring))
		error = replace_ring(p, capacity);
	mutex_unlock(&p->lock);
	wake_all(&p->can_write);
	return error ? error : (int64_t)capacity;
}
