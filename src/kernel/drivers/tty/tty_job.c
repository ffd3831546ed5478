/* SPDX-License-Identifier: MIT */
/*
 * Job control: a terminal belongs to a session, and one process group of that session is in the foreground (POSIX.1-2017, 11.1).
 *
 * proc knows for each session which terminal it has; the terminal knows session and foreground group by number. tty_lock_job makes the
 * two change together.
 */
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <cloudos/errno.h>
#include <cloudos/signal.h>
#include <cloudos/uaccess.h>
#include "tty_internal.h"

static struct mutex tty_lock_job = MUTEX_INIT(tty_lock_job, RANK_TTY);

static bool is_controlling(const struct tty *t)
{
	const struct process *p = process_current();

	return p && t->session > 0 && process_sid(p) == t->session;
}

int tty_job_check(struct tty *t, int signo)
{
	int group;

	if (!is_controlling(t))
		return 0;
	group = process_pgid(process_current());
	if (t->foreground == 0 || group == t->foreground)
		return 0;
	if (signal_is_ignored(signo))
		return signo == SIGTTIN ? -EIO : 0;
	if (process_group_orphaned(group))
		return -EIO;
	signal_group(group, signo);
	return -ERESTARTSYS;
}

void tty_signal_foreground(struct tty *t, int signo)
{
	int foreground = READ_ONCE(t->foreground);

	if (foreground > 0)
		signal_group(foreground, signo);
}

/* ---- getting and losing a terminal ---- */

static int take_over(struct tty *t, bool steal)
{
	const struct process *p = process_current();
	int error, session = process_sid(p), group = process_pgid(p);
	unsigned long flags;

	if (t->session > 0 && t->session != session) {
		if (!steal || !cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
			return -EPERM;
		session_clear_tty(t);
	}
	error = session_set_tty(t, steal);
	if (error)
		return error;
	flags = spin_lock_irq(&t->lock);
	t->session = session;
	WRITE_ONCE(t->foreground, group);
	spin_unlock_irq(&t->lock, flags);
	return 0;
}

void tty_become_controlling(struct tty *t)
{
	const struct process *p = process_current();
	struct tty *old;

	if (!p || !process_is_session_leader(p))
		return;
	old = session_get_tty();
	if (old)
		return;
	mutex_lock(&tty_lock_job);
	if (t->session == 0)
		(void)take_over(t, false); /* without one, then */
	mutex_unlock(&tty_lock_job);
}

static int64_t set_controlling(struct tty *t, uaddr_t steal)
{
	const struct process *p = process_current();
	struct tty *old;
	int64_t error;

	if (!p || !process_is_session_leader(p))
		return -EPERM;
	old = session_get_tty();
	if (old)
		return old == t && is_controlling(t) ? 0 : -EPERM;
	mutex_lock(&tty_lock_job);
	error = take_over(t, steal == 1);
	mutex_unlock(&tty_lock_job);
	return error;
}

/* Terminals belong to sessions as a whole here: only the leader can give one up. */
static int64_t give_up(struct tty *t)
{
	unsigned long flags;

	if (!is_controlling(t))
		return -ENOTTY;
	if (!process_is_session_leader(process_current()))
		return -EPERM;
	mutex_lock(&tty_lock_job);
	tty_signal_foreground(t, SIGHUP);
	tty_signal_foreground(t, SIGCONT);
	session_clear_tty(t);
	flags = spin_lock_irq(&t->lock);
	t->session = 0;
	WRITE_ONCE(t->foreground, 0);
	spin_unlock_irq(&t->lock, flags);
	mutex_unlock(&tty_lock_job);
	return 0;
}

/* ---- the foreground group ---- */

static int64_t set_foreground(struct tty *t, uaddr_t arg)
{
	int error = tty_job_check(t, SIGTTOU);
	int32_t group;

	if (error)
		return error == -EIO ? -ENOTTY : error;
	if (!is_controlling(t))
		return -ENOTTY;
	if (get_user(group, arg))
		return -EFAULT;
	if (group <= 0)
		return -EINVAL;
	group = pid_global(group);
	if (!process_group_exists(group))
		return -ESRCH;
	if (!process_group_in_session(group, t->session))
		return -EPERM;
	WRITE_ONCE(t->foreground, group);
	return 0;
}

int64_t tty_job_ioctl(struct tty *t, unsigned cmd, uaddr_t arg)
{
	switch (cmd) {
	case TIOCSCTTY:
		return set_controlling(t, arg);
	case TIOCNOTTY:
		return give_up(t);
	case TIOCSPGRP:
		return set_foreground(t, arg);
	case TIOCGPGRP:
		return is_controlling(t) ? put_user((int32_t)pid_seen(t->foreground), arg) : -ENOTTY;
	case TIOCGSID:
		return is_controlling(t) ? put_user((int32_t)pid_seen(t->session), arg) : -ENOTTY;
	default:
		return -ENOTTY;
	}
}
