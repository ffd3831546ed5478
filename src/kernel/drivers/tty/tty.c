/* SPDX-License-Identifier: MIT */
/*
 * The life of terminals: opening and closing their files, input from the device, and hang-up.
 *
 * A file keeps in `pos` the generation of its terminal that it was opened in. Hang-up begins a new one: older files then read
 * end-of-file and get EIO for everything else, while the terminal may be opened anew. Files of /dev/console have
 * IMMUNE there and survive.
 */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <cloudos/errno.h>
#include "tty_internal.h"

#define IMMUNE (-1)

void tty_init(struct tty *t, const struct tty_driver *driver, unsigned major, unsigned minor)
{
	*t = (struct tty){ .driver = driver, .major = major, .minor = minor };
	spin_init(&t->lock, RANK_CONSOLE_INPUT);
	ldisc_init(&t->ldisc, &driver->port);
	wait_queue_init(&t->can_read);
	wait_queue_init(&t->can_write);
}

/* ---- input ---- */

/* IXOFF: asks the other side to stop before the buffer is full. */
static void hold_back(struct tty *t)
{
	const struct ldisc *l = &t->ldisc;
	char stop = (char)l->termios.c_cc[VSTOP];

	if (t->held_back || !(l->termios.c_iflag & IXOFF) || l->head - l->tail < LDISC_BYTES * 3 / 4)
		return;
	t->held_back = true;
	if (t->driver->port.room(&t->ldisc) > 0)
		t->driver->port.write(&t->ldisc, &stop, 1);
}

static void act_on(struct tty *t, const struct ldisc_effects *fx, int foreground)
{
	if (fx->signal && foreground > 0)
		signal_group(foreground, fx->signal);
	if (fx->restarted || fx->flush_output)
		wake_events(&t->can_write, POLLOUT | POLLWRNORM, false);
}

size_t tty_receive(struct tty *t, const char *buf, size_t len)
{
	size_t taken = 0;

	while (taken < len) {
		struct ldisc_effects fx;
		unsigned long flags = spin_lock_irq(&t->lock);
		size_t n = ldisc_receive(&t->ldisc, buf + taken, len - taken, &fx);
		bool readable = ldisc_readable(&t->ldisc);
		int foreground = t->foreground;

		if (fx.flush_output && t->driver->flush_output)
			t->driver->flush_output(t);
		hold_back(t);
		spin_unlock_irq(&t->lock, flags);
		act_on(t, &fx, foreground);
		if (readable)
			wake_events(&t->can_read, POLLIN | POLLRDNORM, false);
		if (n == 0)
			break;
		taken += n;
	}
	return taken;
}

/* ---- hang-up ---- */

static void signal_session(int session, int foreground)
{
	struct process *leader = session > 0 ? process_find(session) : NULL;

	if (leader) {
		signal_process(leader, SIGHUP);
		signal_process(leader, SIGCONT);
		process_put(leader);
	}
	if (foreground > 0) {
		signal_group(foreground, SIGHUP);
		signal_group(foreground, SIGCONT);
	}
}

void tty_hangup(struct tty *t)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	int session = t->session, foreground = t->foreground;

	__atomic_store_n(&t->generation, t->generation + 1, __ATOMIC_RELEASE);
	t->session = 0;
	WRITE_ONCE(t->foreground, 0);
	WRITE_ONCE(t->exclusive, false);
	WRITE_ONCE(t->ldisc.stopped, false);
	ldisc_flush_input(&t->ldisc);
	spin_unlock_irq(&t->lock, flags);
	if (session > 0)
		session_clear_tty(t);
	signal_session(session, foreground);
	wake_all(&t->can_read);
	wake_all(&t->can_write);
}

bool tty_file_dead(const struct file *f, const struct tty *t)
{
	return f->pos != IMMUNE && f->pos != (int64_t)__atomic_load_n(&t->generation, __ATOMIC_ACQUIRE);
}

/* ---- opening ---- */

static void attach(struct tty *t, struct file *f, int64_t generation)
{
	f->private = t;
	f->pos = generation;
	f->mode = (f->mode & ~(uint32_t)FILE_SEEKABLE) | FILE_STREAM;
	f->ops = &tty_file_ops;
}

/* One more has it open; sid: only while it is that session's. *ret: which of its lives that is. */
static int join(struct tty *t, bool may_break_in, int sid, int64_t *ret)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	int error = 0;

	if (t->exclusive && t->opens > 0 && !may_break_in)
		error = -EBUSY;
	else if (t->peer_gone)
		error = -EIO;
	else if (sid && t->session != sid)
		error = -ENXIO; /* it was hung up since it was looked up */
	else
		ADD_ONCE(t->opens, 1);
	*ret = (int64_t)t->generation;
	spin_unlock_irq(&t->lock, flags);
	return error;
}

int tty_open_own(struct file *f)
{
	struct process *p = process_current();
	struct tty *t = p ? session_get_tty() : NULL;
	int64_t generation;
	int error;

	if (!t)
		return -ENXIO;
	error = join(t, cred_capable(thread_current()->cred, CAP_SYS_ADMIN), process_sid(p), &generation);
	if (!error)
		attach(t, f, generation);
	session_tty_ops->put(t);
	return error;
}

int tty_open_file(struct tty *t, struct file *f, bool immune)
{
	const struct cred *cred = thread_current()->cred;
	int64_t generation;
	int error = join(t, cred && cred_capable(cred, CAP_SYS_ADMIN), 0, &generation);

	if (!error)
		attach(t, f, immune ? IMMUNE : generation);
	return error;
}

static int tty_open(struct file *f)
{
	struct tty *t = f->private;
	int error = tty_open_file(t, f, false);

	if (!error && !(f->flags & O_NOCTTY))
		tty_become_controlling(t);
	return error;
}

const struct file_ops tty_device_ops = { .open = tty_open };
