/* SPDX-License-Identifier: MIT */
/*
 * Terminals: what the files of this folder share.
 *
 *   ldisc*.c     what happens to characters; pure
 *   tty.c	  life: opening, closing, input from the device, hang-up
 *   tty_file.c   read, write, poll
 *   tty_ioctl.c  termios and the other ioctls
 *   tty_job.c	  sessions, foreground groups, SIGTTIN and SIGTTOU
 *   pty.c	  pseudo terminals
 *
 * A tty is the program's side of a terminal; its driver is the other side (the console, or a pty's master). Terminals are made once
 * and never freed (a pty's is used again), so that a device node may point at one without a reference.
 */
#ifndef TTY_INTERNAL_H
#define TTY_INTERNAL_H

#include <cloudos/lock.h>
#include <cloudos/proc.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include "ldisc.h"

#define TTY_CHUNK 256u /* bytes moved while the lock is held */

/* All but input_room are called with tty.lock held; none may sleep. A null function: nothing to do. */
struct tty_driver {
	struct ldisc_port port;
	void (*input_room)(struct tty *t);   /* a reader took something: go on with tty_receive() */
	void (*flush_output)(struct tty *t); /* forget what was written and not shown */
	size_t (*output_waiting)(struct tty *t);
	void (*last_close)(struct tty *t);
};

/*
 * Fields: C = constant; L = lock; A = atomic. tty.lock (RANK_CONSOLE_INPUT) is also taken by interrupts. Nothing is sent or woken
 * in proc while it is held.
 */
struct tty {
	struct spinlock lock;
	struct ldisc ldisc;	 /* L */
	struct winsize size;	 /* L */
	int session, foreground; /* L: session and process group, 0: none */
	uint32_t opens;		 /* L: files */
	uint32_t generation;	 /* A: hang-ups so far; a file of an earlier generation is dead */
	bool exclusive;		 /* L: TIOCEXCL */
	bool held_back;		 /* L: VSTOP was sent for IXOFF */
	bool peer_gone;		 /* L: a pty whose master is closed */
	unsigned major, minor;	 /* C */
	const struct tty_driver *driver; /* C */
	struct wait_queue can_read, can_write;
};

static inline struct tty *tty_of_ldisc(struct ldisc *l)
{
	return container_of(l, struct tty, ldisc);
}

/* tty.c */
void tty_init(struct tty *t, const struct tty_driver *driver, unsigned major, unsigned minor);
/* Characters from the device: returns how many were taken; driver->input_room() says when to offer the rest. Any context. */
size_t tty_receive(struct tty *t, const char *buf, size_t len);
/* The terminal is gone: its files are dead, its session gets SIGHUP and loses it. */
void tty_hangup(struct tty *t);
/* Gives *f to the terminal as open(2) does: 0, -EBUSY, -EIO. `immune`: hang-ups do not reach this file (/dev/console). */
int tty_open_file(struct tty *t, struct file *f, bool immune);
/* The same for the terminal of the running process, while it is that: /dev/tty. -ENXIO. */
int tty_open_own(struct file *f);
bool tty_file_dead(const struct file *f, const struct tty *t);
extern const struct file_ops tty_device_ops; /* of a device node: private is the tty */

/* pty.c: what TIOCSPTLCK and TIOCGPTN do, for a kernel thread: the slave may be opened now; its number, or -ENOTTY. */
int pty_unlock(struct file *master);

/* tty_file.c */
extern const struct file_ops tty_file_ops;

/* tty_ioctl.c: `f` is null for a pty's master. */
int64_t tty_ioctl(struct file *f, unsigned cmd, uaddr_t arg);
int64_t tty_ioctl_common(struct tty *t, unsigned cmd, uaddr_t arg);
int tty_set_size(struct tty *t, const struct winsize *size);

/* tty_job.c */
/*
 * May the running process read (SIGTTIN), write or change (SIGTTOU) its terminal? 0; -ERESTARTSYS after sending the signal to its
 * group; -EIO when that would be in vain.
 */
int tty_job_check(struct tty *t, int signo);
void tty_become_controlling(struct tty *t); /* open(2) without O_NOCTTY by a session leader without a terminal */
int64_t tty_job_ioctl(struct tty *t, unsigned cmd, uaddr_t arg); /* -ENOTTY if it is none of these */
void tty_signal_foreground(struct tty *t, int signo);

#endif
