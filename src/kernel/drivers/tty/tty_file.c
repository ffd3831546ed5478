/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing a terminal. Bytes pass through a small buffer on the stack, since user memory cannot be touched under the
 * terminal's lock.
 *
 * How long a read without ICANON waits (termios(3)): VMIN bytes are asked for. VTIME, in tenths of a second, runs from the call if
 * VMIN is 0, else from each byte on. The call is over when it has VMIN bytes, or as many as it can hold, or the time is up.
 */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include "tty_internal.h"

#define TENTH_NS (NSEC_PER_SEC / 10)

/* ---- reading ---- */

/* IXOFF: the other side may send again. */
static void let_go_on(struct tty *t)
{
	const struct ldisc *l = &t->ldisc;
	char start = (char)l->termios.c_cc[VSTART];

	if (t->held_back && l->head - l->tail < LDISC_BYTES / 4) {
		t->held_back = false;
		if (t->driver->port.room(&t->ldisc) > 0)
			t->driver->port.write(&t->ldisc, &start, 1);
	}
}

static size_t take(struct tty *t, char *buf, size_t max, bool *ret_end)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	size_t n = ldisc_take(&t->ldisc, buf, max, ret_end);

	let_go_on(t);
	spin_unlock_irq(&t->lock, flags);
	if ((n > 0 || *ret_end) && t->driver->input_room)
		t->driver->input_room(t);
	return n;
}

/* Moves what is there now; bytes moved, or -EFAULT. *ret_end: the line is over. */
static ssize_t read_some(struct tty *t, struct io_iter *to, bool *ret_end)
{
	char chunk[TTY_CHUNK];
	ssize_t done = 0;

	*ret_end = false;
	while (to->count > 0 && !*ret_end) {
		size_t n = take(t, chunk, min(to->count, sizeof(chunk)), ret_end);

		if (n == 0)
			break;
		if (io_copy_to(to, chunk, n) != n)
			return done > 0 ? done : -EFAULT;
		done += (ssize_t)n;
	}
	return done;
}

static bool read_may_go_on(struct file *f, struct tty *t)
{
	return ldisc_readable(&t->ldisc) || READ_ONCE(t->peer_gone) || tty_file_dead(f, t);
}

static int wait_for_input(struct file *f, struct tty *t, uint64_t deadline_ns)
{
	int error;

	if (f->flags & O_NONBLOCK)
		return read_may_go_on(f, t) ? 0 : -EAGAIN;
	error = wait_event_deadline(&t->can_read, deadline_ns, read_may_go_on(f, t));
	return error;
}

static bool at_end(struct file *f, struct tty *t)
{
	return tty_file_dead(f, t) || (READ_ONCE(t->peer_gone) && !ldisc_readable(&t->ldisc));
}

static ssize_t read_line(struct file *f, struct tty *t, struct io_iter *to)
{
	for (;;) {
		int error = wait_for_input(f, t, HAL_TIMER_NEVER);
		bool end;
		ssize_t n;

		if (error)
			return error;
		if (at_end(f, t))
			return 0;
		n = read_some(t, to, &end);
		if (n != 0 || end)
			return n;
	}
}

static ssize_t read_raw(struct file *f, struct tty *t, struct io_iter *to)
{
	size_t wanted = min((size_t)t->ldisc.termios.c_cc[VMIN], to->count), done = 0;
	uint64_t pause_ns = t->ldisc.termios.c_cc[VTIME] * TENTH_NS, deadline_ns = HAL_TIMER_NEVER;

	if (wanted == 0)
		deadline_ns = hal_clock_ns() + pause_ns;
	for (;;) {
		bool end;
		ssize_t n = at_end(f, t) ? 0 : read_some(t, to, &end);
		int error;

		if (n < 0)
			return done > 0 ? (ssize_t)done : n;
		done += (size_t)n;
		if (to->count == 0 || done >= max(wanted, (size_t)1) || at_end(f, t))
			return (ssize_t)done;
		if (wanted == 0 && pause_ns == 0 && !(f->flags & O_NONBLOCK))
			return (ssize_t)done;
		if (n > 0 && pause_ns > 0)
			deadline_ns = hal_clock_ns() + pause_ns;
		error = wait_for_input(f, t, deadline_ns);
		if (error == -ETIMEDOUT || (error && done > 0))
			return (ssize_t)done;
		if (error)
			return error;
	}
}

static ssize_t tty_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct tty *t = f->private;
	int error;

	(void)pos;
	if (tty_file_dead(f, t))
		return 0;
	error = tty_job_check(t, SIGTTIN);
	if (error)
		return error;
	if (to->count == 0)
		return 0;
	return ldisc_canonical(&t->ldisc) ? read_line(f, t, to) : read_raw(f, t, to);
}

/* ---- writing ---- */

static bool write_may_go_on(struct file *f, struct tty *t)
{
	return (!READ_ONCE(t->ldisc.stopped) && t->driver->port.room(&t->ldisc) >= LDISC_EXPANSION) ||
	       READ_ONCE(t->peer_gone) || tty_file_dead(f, t);
}

/* Puts all of buf out, waiting as needed: 0 or the errno; *ret_done counts. */
static int write_chunk(struct file *f, struct tty *t, const char *buf, size_t len, size_t *ret_done)
{
	size_t done = 0;
	int error = 0;

	while (!error && done < len) {
		unsigned long flags = spin_lock_irq(&t->lock);
		bool gone = t->peer_gone || tty_file_dead(f, t);

		if (!gone && !t->ldisc.stopped)
			done += ldisc_write(&t->ldisc, buf + done, len - done);
		spin_unlock_irq(&t->lock, flags);
		if (gone)
			error = -EIO;
		else if (done < len)
			error = f->flags & O_NONBLOCK ? -EAGAIN : wait_event_interruptible(&t->can_write, write_may_go_on(f, t));
	}
	*ret_done = done;
	return error;
}

static ssize_t tty_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	struct tty *t = f->private;
	char chunk[TTY_CHUNK];
	ssize_t total = 0;
	int error = 0;

	(void)pos;
	if (t->ldisc.termios.c_lflag & TOSTOP)
		error = tty_job_check(t, SIGTTOU);
	while (!error && from->count > 0) {
		size_t n = io_copy_from(from, chunk, min(from->count, sizeof(chunk))), done;

		if (n == 0) {
			error = -EFAULT;
			break;
		}
		error = write_chunk(f, t, chunk, n, &done);
		total += (ssize_t)done;
	}
	return total > 0 ? total : error;
}

/* ---- the rest ---- */

static bool enough_to_read(const struct tty *t)
{
	const cc_t *cc = t->ldisc.termios.c_cc;
	size_t wanted = ldisc_canonical(&t->ldisc) || cc[VTIME] > 0 || cc[VMIN] == 0 ? 1 : cc[VMIN];

	return t->ldisc.line - t->ldisc.tail >= wanted;
}

static uint32_t tty_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = f->private;
	uint32_t ready = 0;

	poll_wait(pt, &t->can_read);
	poll_wait(pt, &t->can_write);
	if (tty_file_dead(f, t))
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;
	if (enough_to_read(t))
		ready |= POLLIN | POLLRDNORM;
	if (READ_ONCE(t->peer_gone))
		ready |= POLLHUP;
	if (write_may_go_on(f, t))
		ready |= POLLOUT | POLLWRNORM;
	return ready;
}

static void tty_release(struct file *f)
{
	struct tty *t = f->private;
	unsigned long flags = spin_lock_irq(&t->lock);

	ADD_ONCE(t->opens, -1);
	if (t->opens == 0) {
		t->exclusive = false;
		if (t->driver->last_close)
			t->driver->last_close(t);
	}
	spin_unlock_irq(&t->lock, flags);
}

const struct file_ops tty_file_ops = {
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
	.release = tty_release,
	.splice = SPLICE_READ | SPLICE_WRITE,
	.async = true,
};
