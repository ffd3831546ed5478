/* SPDX-License-Identifier: MIT */
/*
 * init: the first process. It mounts what programs expect, opens the console, then lives one of two lives: with
 * /run/cloudos/command in the root file system it runs that command for the host; else it gives a shell. When
 * that ends, so does the machine. It is an ordinary static Linux program that needs no C library, and boots
 * Linux just as well.
 *
 * /run/cloudos/command holds the argument vector, /run/cloudos/env the environment, strings separated by NUL.
 */

#include "init.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/reboot.h>

_Noreturn void init_main(void);

static const struct {
	const char *target, *type;
	unsigned long flags;
} mounts[] = {
	{"/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV},
	{"/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV},
	{"/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC},
	{"/dev", "devtmpfs", MS_NOSUID},
	{"/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV}, /* POSIX shared memory and semaphores */
	{"/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC},
};

static const struct {
	const char *target, *path;
} links[] = {
	{"/proc/self/fd", "/dev/fd"},
	{"fd/0", "/dev/stdin"},
	{"fd/1", "/dev/stdout"},
	{"fd/2", "/dev/stderr"},
};

static void mount_all(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		(void)sys_mkdir(mounts[i].target, 0755);
		int err = sys_mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags);
		if (err && err != -EBUSY)
			text_write(2, "init: cannot mount ", mounts[i].target, "\n", NULL);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		int err = sys_symlink(links[i].target, links[i].path);
		if (err && err != -EEXIST)
			text_write(2, "init: cannot make ", links[i].path, "\n", NULL);
	}
}

static void console_open(void)
{
	int fd = sys_open("/dev/console", O_RDWR);

	for (int to = 0; fd >= 0 && to < 3; to++) {
		if (to != fd)
			(void)sys_dup3(fd, to);
	}
	if (fd > 2)
		(void)sys_close(fd);
}

static void environment_read(struct vector *ret)
{
	static const char *const defaults[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"TERM=vt100",
		"USER=root",
		"LOGNAME=root",
		"SHELL=/bin/sh",
	};

	if (vector_read("/run/cloudos/env", ret) == 0)
		return;
	ret->count = sizeof(defaults) / sizeof(defaults[0]);
	for (size_t i = 0; i < ret->count; i++)
		ret->items[i] = (char *)(uintptr_t)defaults[i];
	ret->items[ret->count] = NULL;
}

_Noreturn void init_main(void)
{
	static struct vector command, environment;

	console_open(); /* once for messages, again when /dev is what the kernel offers */
	mount_all();
	console_open();
	(void)sys_chdir("/");
	environment_read(&environment);
	if (vector_read("/run/cloudos/command", &command) == 0 && command.count > 0)
		command_mode(&command, &environment);
	else
		shell_mode(&environment);
	sys_sync();
	(void)sys_reboot(LINUX_REBOOT_CMD_POWER_OFF);
	(void)sys_reboot(LINUX_REBOOT_CMD_HALT);
	sys_exit(1);
}
