/* SPDX-License-Identifier: MIT */
/* ioctl_tty(2): termios, window size, flow and flushing. */
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/tty.h>
#include <cloudos/errno.h>
#include <cloudos/fs.h>
#include <cloudos/string.h>
#include <cloudos/uaccess.h>
#include "tty_internal.h"

/* struct termios is the head of struct ktermios; struct termios2 is the same with the speeds. */
_Static_assert(offsetof(struct ktermios, c_ispeed) == sizeof(struct termios), "termios heads ktermios");
_Static_assert(sizeof(struct ktermios) == sizeof(struct termios2), "ktermios is termios2");

/* ---- termios ---- */

static const uint32_t speeds[] = { 0,	 50,	75,    110,   134,   150,   200,    300,
				   600,	 1200,	1800,  2400,  4800,  9600,  19200,  38400 };
static const uint32_t fast_speeds[] = { 57600,	 115200,  230400,  460800,  500000,  576000,  921600, 1000000,
					1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000 };

/* Bits per second of a CBAUD code; 0 for B0 and what is none. */
static uint32_t speed_of(tcflag_t code)
{
	if (code & CBAUDEX) {
		uint32_t i = code & ~(tcflag_t)CBAUDEX;

		return i >= 1 && i <= ARRAY_SIZE(fast_speeds) ? fast_speeds[i - 1] : 0;
	}
	return code < ARRAY_SIZE(speeds) ? speeds[code] : 0;
}

static void set_speeds(struct ktermios *k)
{
	tcflag_t code = k->c_cflag & CBAUD;

	if (code != BOTHER)
		k->c_ispeed = k->c_ospeed = speed_of(code);
}

static void copy_termios(struct tty *t, struct ktermios *ret)
{
	unsigned long flags = spin_lock_irq(&t->lock);

	*ret = t->ldisc.termios;
	spin_unlock_irq(&t->lock, flags);
}

static int64_t get_termios(struct tty *t, uaddr_t arg, size_t size)
{
	struct ktermios k;

	copy_termios(t, &k);
	return copy_to_user(arg, &k, size);
}

static void change_termios(struct tty *t, const struct ktermios *k, bool flush)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	bool restarted;

	if (flush)
		ldisc_flush_input(&t->ldisc);
	ldisc_set_termios(&t->ldisc, k);
	restarted = t->ldisc.stopped && !(k->c_iflag & IXON);
	if (restarted)
		WRITE_ONCE(t->ldisc.stopped, false);
	spin_unlock_irq(&t->lock, flags);
	wake_all(&t->can_read);
	if (restarted)
		wake_all(&t->can_write);
}

static int64_t set_termios(struct tty *t, uaddr_t arg, size_t size, bool flush)
{
	struct ktermios k;

	copy_termios(t, &k);
	if (copy_from_user(&k, arg, size))
		return -EFAULT;
	if (size == sizeof(struct termios))
		set_speeds(&k);
	change_termios(t, &k, flush);
	return 0;
}

/* System V's form: the lower halves of the flags, and the first NCC characters. */
static int64_t get_termio(struct tty *t, uaddr_t arg)
{
	struct termio old = { 0 };
	struct ktermios k;

	copy_termios(t, &k);
	old.c_iflag = (uint16_t)k.c_iflag;
	old.c_oflag = (uint16_t)k.c_oflag;
	old.c_cflag = (uint16_t)k.c_cflag;
	old.c_lflag = (uint16_t)k.c_lflag;
	old.c_line = k.c_line;
	memcpy(old.c_cc, k.c_cc, NCC);
	return copy_to_user(arg, &old, sizeof(old));
}

static int64_t set_termio(struct tty *t, uaddr_t arg, bool flush)
{
	const tcflag_t kept = ~(tcflag_t)UINT16_MAX;
	struct termio old;
	struct ktermios k;

	if (copy_from_user(&old, arg, sizeof(old)))
		return -EFAULT;
	copy_termios(t, &k);
	k.c_iflag = (k.c_iflag & kept) | old.c_iflag;
	k.c_oflag = (k.c_oflag & kept) | old.c_oflag;
	k.c_cflag = (k.c_cflag & kept) | old.c_cflag;
	k.c_lflag = (k.c_lflag & kept) | old.c_lflag;
	k.c_line = old.c_line;
	memcpy(k.c_cc, old.c_cc, NCC);
	set_speeds(&k);
	change_termios(t, &k, flush);
	return 0;
}

static int64_t termios_ioctl(struct tty *t, unsigned cmd, uaddr_t arg)
{
	switch (cmd) {
	case TCGETS:
		return get_termios(t, arg, sizeof(struct termios));
	case TCGETS2:
		return get_termios(t, arg, sizeof(struct termios2));
	case TCSETS:
	case TCSETSW: /* output is never pending longer than the write */
		return set_termios(t, arg, sizeof(struct termios), false);
	case TCSETSF:
		return set_termios(t, arg, sizeof(struct termios), true);
	case TCSETS2:
	case TCSETSW2:
		return set_termios(t, arg, sizeof(struct termios2), false);
	case TCSETSF2:
		return set_termios(t, arg, sizeof(struct termios2), true);
	case TCGETA:
		return get_termio(t, arg);
	case TCSETA:
	case TCSETAW:
		return set_termio(t, arg, false);
	case TCSETAF:
		return set_termio(t, arg, true);
	default:
		return -ENOTTY;
	}
}

/* ---- flushing and flow ---- */

static int64_t flush(struct tty *t, uaddr_t which)
{
	unsigned long flags;

	if (which != TCIFLUSH && which != TCOFLUSH && which != TCIOFLUSH)
		return -EINVAL;
	flags = spin_lock_irq(&t->lock);
	if (which != TCOFLUSH)
		ldisc_flush_input(&t->ldisc);
	if (which != TCIFLUSH && t->driver->flush_output)
		t->driver->flush_output(t);
	spin_unlock_irq(&t->lock, flags);
	if (which != TCOFLUSH && t->driver->input_room)
		t->driver->input_room(t);
	wake_events(&t->can_write, POLLOUT | POLLWRNORM, false);
	return 0;
}

static void send_flow(struct tty *t, unsigned index)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	char c = (char)t->ldisc.termios.c_cc[index];

	if (c != 0 && t->driver->port.room(&t->ldisc) > 0)
		t->driver->port.write(&t->ldisc, &c, 1);
	spin_unlock_irq(&t->lock, flags);
}

static int64_t flow(struct tty *t, uaddr_t action)
{
	switch (action) {
	case TCOOFF:
		WRITE_ONCE(t->ldisc.stopped, true);
		return 0;
	case TCOON:
		WRITE_ONCE(t->ldisc.stopped, false);
		wake_all(&t->can_write);
		return 0;
	case TCIOFF:
		send_flow(t, VSTOP);
		return 0;
	case TCION:
		send_flow(t, VSTART);
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- the rest ---- */

int tty_set_size(struct tty *t, const struct winsize *size)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	bool changed = memcmp(&t->size, size, sizeof(*size)) != 0;

	t->size = *size;
	spin_unlock_irq(&t->lock, flags);
	if (changed)
		tty_signal_foreground(t, SIGWINCH);
	return 0;
}

static int64_t set_size(struct tty *t, uaddr_t arg)
{
	struct winsize size;

	return get_user(size, arg) ? -EFAULT : tty_set_size(t, &size);
}

static int64_t get_size(struct tty *t, uaddr_t arg)
{
	struct winsize size = t->size;

	return put_user(size, arg);
}

static int64_t simulate_input(struct tty *t, uaddr_t arg)
{
	char c;

	if (!cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
		return -EPERM;
	if (get_user(c, arg))
		return -EFAULT;
	tty_receive(t, &c, 1);
	return 0;
}

static int64_t set_discipline(uaddr_t arg)
{
	int32_t number;

	if (get_user(number, arg))
		return -EFAULT;
	return number == N_TTY ? 0 : -EINVAL;
}

static int64_t output_waiting(struct tty *t, uaddr_t arg)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	size_t n = t->driver->output_waiting ? t->driver->output_waiting(t) : 0;

	spin_unlock_irq(&t->lock, flags);
	return put_user((int32_t)n, arg);
}

static int64_t input_waiting(struct tty *t, uaddr_t arg)
{
	unsigned long flags = spin_lock_irq(&t->lock);
	size_t n = ldisc_waiting(&t->ldisc);

	spin_unlock_irq(&t->lock, flags);
	return put_user((int32_t)n, arg);
}

static int64_t hang_up(struct tty *t)
{
	if (!cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
		return -EPERM;
	tty_hangup(t);
	return 0;
}

/* What a pty's master may ask of its terminal too. */
int64_t tty_ioctl_common(struct tty *t, unsigned cmd, uaddr_t arg)
{
	switch (cmd) {
	case TIOCGWINSZ:
		return get_size(t, arg);
	case TIOCSWINSZ:
		return set_size(t, arg);
	case TIOCEXCL:
	case TIOCNXCL:
		WRITE_ONCE(t->exclusive, cmd == TIOCEXCL);
		return 0;
	case TIOCGEXCL:
		return put_user((int32_t)t->exclusive, arg);
	case TIOCGETD:
		return put_user((int32_t)N_TTY, arg);
	case TIOCSETD:
		return set_discipline(arg);
	case TIOCGDEV:
		return put_user((uint32_t)dev_make(t->major, t->minor), arg);
	default:
		return termios_ioctl(t, cmd, arg);
	}
}

/* Do these change the terminal, so that a background process must not? */
static bool is_change(unsigned cmd)
{
	switch (cmd) {
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
	case TCSETA:
	case TCSETAW:
	case TCSETAF:
	case TCSBRK:
	case TCSBRKP:
	case TCXONC:
	case TCFLSH:
	case TIOCSETD:
		return true;
	default:
		return false;
	}
}

static int64_t line_ioctl(struct tty *t, unsigned cmd, uaddr_t arg)
{
	switch (cmd) {
	case FIONREAD:
		return input_waiting(t, arg);
	case TIOCOUTQ:
		return output_waiting(t, arg);
	case TCFLSH:
		return flush(t, arg);
	case TCXONC:
		return flow(t, arg);
	case TCSBRK: /* all output is out when a write returns; no line here can carry a break */
	case TCSBRKP:
		return 0;
	case TIOCSTI:
		return simulate_input(t, arg);
	case TIOCVHANGUP:
		return hang_up(t);
	default:
		return tty_ioctl_common(t, cmd, arg);
	}
}

int64_t tty_ioctl(struct file *f, unsigned cmd, uaddr_t arg)
{
	struct tty *t = f->private;
	int64_t result;

	if (tty_file_dead(f, t))
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	if (is_change(cmd)) {
		result = tty_job_check(t, SIGTTOU);
		if (result)
			return result;
	}
	result = tty_job_ioctl(t, cmd, arg);
	return result == -ENOTTY ? line_ioctl(t, cmd, arg) : result;
}
