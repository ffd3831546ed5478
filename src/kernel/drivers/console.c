/* SPDX-License-Identifier: MIT */
/*
 * The console: the terminal that stands on the machine's serial port (or text screen, or the simulator's standard streams), and the
 * nodes /dev/console, /dev/tty and /dev/ttyS0.
 *
 * With cloudos.channel=1 what arrives belongs to the host channel (hostchan.c); the terminal then only writes.
 */
#include <linux/stat.h>
#include <cloudos/cmdline.h>
#include <cloudos/errno.h>
#include <cloudos/hostchan.h>
#include <cloudos/log.h>
#include <cloudos/service.h>
#include "tty/tty_internal.h"

static struct tty console;
static bool held; /* atomic: the machine keeps input back until there is room */

/* ---- the terminal's driver ---- */

static size_t console_room(struct ldisc *l)
{
	(void)l;
	return SIZE_MAX / 2;
}

static void console_write(struct ldisc *l, const char *buf, size_t len)
{
	(void)l;
	console_output(buf, len, true);
}

static void console_input_room(struct tty *t)
{
	(void)t;
	if (unlikely(__atomic_load_n(&held, __ATOMIC_SEQ_CST))) {
		__atomic_store_n(&held, false, __ATOMIC_SEQ_CST);
		hal_console_input_resume();
	}
}

static const struct tty_driver console_driver = {
	.port = { .room = console_room, .write = console_write },
	.input_room = console_input_room,
};

static size_t console_input(const char *buf, size_t len)
{
	size_t taken = tty_receive(&console, buf, len);

	if (taken == len)
		return taken;
	__atomic_store_n(&held, true, __ATOMIC_SEQ_CST);
	return taken + tty_receive(&console, buf + taken, len - taken); /* a reader may have come before it saw that */
}

/* ---- nodes ---- */

static int console_open(struct file *f)
{
	return tty_open_file(&console, f, true);
}

static const struct file_ops console_ops = { .open = console_open };

/* /dev/tty: the terminal of the process that opens it. */
static const struct file_ops own_tty_ops = { .open = tty_open_own };

static int add_nodes(void)
{
	int error = devfs_add("console", S_IFCHR | 0600, 5, 1, &console_ops, NULL);

	if (!error)
		error = devfs_add("tty", S_IFCHR | 0666, 5, 0, &own_tty_ops, NULL);
	if (!error)
		error = devfs_add("ttyS0", S_IFCHR | 0620, console.major, console.minor, &tty_device_ops, &console);
	if (!error)
		error = devfs_add("ttyAMA0", S_IFCHR | 0620, 204, 64, &tty_device_ops, &console);
	return error;
}

/* ---- what proc needs of terminals ---- */

/* Terminals are never freed. */
static void reference(struct tty *t)
{
	(void)t;
}

static int number(struct tty *t)
{
	return (int)((t->minor & 0xff) | t->major << 8 | (t->minor & ~0xffu) << 12);
}

static const struct session_tty_ops session_ops = {
	.get = reference,
	.put = reference,
	.hang_up = tty_hangup,
	.leader_exit = tty_hangup,
	.number = number,
};

static int console_start(void)
{
	bool channel = cmdline_flag("cloudos.channel", false);
	int error;

	tty_init(&console, &console_driver, 4, 64);
	session_tty_ops = &session_ops;
	error = add_nodes();
	if (!error && channel)
		error = hostchan_start();
	if (error)
		return error;
	hal_upcalls.console_input = channel ? hostchan_input : console_input;
	return hal_console_input_start();
}
SERVICE_DEFINE(console, .requires = SERVICE_REQUIRES("devfs"), .start = console_start);
