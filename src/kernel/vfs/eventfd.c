/* SPDX-License-Identifier: MIT */
/*
 * eventfd(2): a counter that write adds to and read takes from, all of it or one at a time (EFD_SEMAPHORE).
 *
 * E1  0 <= count <= UINT64_MAX - 1. A write that would pass that waits, a read of 0 waits.
 */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/errno.h>
#include <cloudos/eventfd.h>
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>

#define COUNT_MAX (UINT64_MAX - 1)

/* Fields: L = by lock; C = constant. */
struct eventfd {
	struct spinlock lock;
	uint64_t count; /* L */
	bool semaphore; /* C */
	struct wait_queue changed;
};

/* Takes what a read gets; 0: nothing is there. */
static uint64_t take(struct eventfd *e)
{
	uint64_t taken;

	spin_lock(&e->lock);
	taken = e->semaphore && e->count > 0 ? 1 : e->count;
	WRITE_ONCE(e->count, e->count - taken);
	spin_unlock(&e->lock);
	return taken;
}

static bool add(struct eventfd *e, uint64_t n)
{
	bool fits;

	spin_lock(&e->lock);
	fits = n <= COUNT_MAX - e->count;
	if (fits)
		WRITE_ONCE(e->count, e->count + n);
	spin_unlock(&e->lock);
	return fits;
}

static ssize_t eventfd_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct eventfd *e = f->private;
	uint64_t taken;

	(void)pos;
	if (to->count < sizeof(taken))
		return -EINVAL;
	while ((taken = take(e)) == 0) {
		int error = file_nowait(f, to) ? -EAGAIN : wait_event_interruptible(&e->changed, READ_ONCE(e->count) > 0);

		if (error)
			return error;
	}
	wake_events(&e->changed, POLLOUT | POLLWRNORM, false);
	return io_copy_to(to, &taken, sizeof(taken)) == sizeof(taken) ? (ssize_t)sizeof(taken) : -EFAULT;
}

static ssize_t eventfd_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	struct eventfd *e = f->private;
	uint64_t n;

	(void)pos;
	if (from->count < sizeof(n))
		return -EINVAL;
	if (io_copy_from(from, &n, sizeof(n)) != sizeof(n))
		return -EFAULT;
	if (n > COUNT_MAX)
		return -EINVAL;
	while (!add(e, n)) {
		int error = file_nowait(f, from) ? -EAGAIN
						 : wait_event_interruptible(&e->changed, n <= COUNT_MAX - READ_ONCE(e->count));

		if (error)
			return error;
	}
	wake_events(&e->changed, POLLIN | POLLRDNORM, false);
	return sizeof(n);
}

static uint32_t eventfd_poll(struct file *f, struct poll_table *pt)
{
	struct eventfd *e = f->private;
	uint64_t count;

	poll_wait(pt, &e->changed);
	count = READ_ONCE(e->count);
	return (count > 0 ? POLLIN | POLLRDNORM : 0) | (count < COUNT_MAX ? POLLOUT | POLLWRNORM : 0);
}

static void eventfd_release(struct file *f)
{
	kfree(f->private);
}

static int eventfd_name(struct file *f, char *buf, size_t size)
{
	(void)f;
	return fmt_string(buf, size, "anon_inode:[eventfd]");
}

static const struct file_ops eventfd_ops = {
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.release = eventfd_release,
	.name = eventfd_name,
	.nowait = true,
	.rwf_nowait = NOWAIT_HEEDED,
};

bool file_is_eventfd(const struct file *f)
{
	return f->ops == &eventfd_ops;
}

void eventfd_signal(struct file *f)
{
	struct eventfd *e = f->private;

	(void)add(e, 1);
	wake_events(&e->changed, POLLIN | POLLRDNORM, false);
}

int eventfd_file_create(uint64_t count, bool semaphore, uint32_t flags, struct file **ret)
{
	struct eventfd *e = kzalloc(sizeof(*e));
	int error;

	if (!e)
		return -ENOMEM;
	e->count = count;
	e->semaphore = semaphore;
	spin_init(&e->lock, RANK_LEAF);
	wait_queue_init(&e->changed);
	error = file_create_anonymous(&eventfd_ops, e, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR | flags, 0, ret);
	if (error)
		kfree(e);
	return error;
}
