/* SPDX-License-Identifier: MIT */
/*
 * The life of one command: its standard streams are the host's, through /dev/host/{stdin,stdout,stderr}, and its exit
 * status goes to the host through /dev/host/status. Where there is no /dev/host (on Linux) the console serves,
 * and a line tells the status.
 */

#include "init.h"

#include <linux/fcntl.h>

static void stream_open(const char *path, int flags, int to)
{
	int fd = sys_open(path, flags);

	if (fd < 0)
		return; /* what init has there, the console, stays */
	if (fd != to) {
		(void)sys_dup3(fd, to);
		(void)sys_close(fd);
	}
}

static void streams_open(void)
{
	stream_open("/dev/host/stdin", O_RDONLY, 0);
	stream_open("/dev/host/stdout", O_WRONLY, 1);
	stream_open("/dev/host/stderr", O_WRONLY, 2);
}

static void report(int status)
{
	char number[24];
	size_t len = text_decimal(number, (unsigned long)status);
	int fd = sys_open("/dev/host/status", O_WRONLY);

	if (fd < 0) {
		text_write(1, "cloudos-run: status ", number, "\n", NULL);
		return;
	}
	(void)sys_write(fd, number, len);
	(void)sys_close(fd);
}

void command_mode(const struct vector *command, const struct vector *environment)
{
	int child = sys_fork();

	if (child == 0) {
		(void)sys_setsid();
		streams_open();
		exec_command(command->items, environment);
	}
	if (child < 0)
		text_write(2, "init: cannot fork\n", NULL);
	report(child < 0 ? STATUS_NOT_EXECUTABLE : exec_wait(child));
}
