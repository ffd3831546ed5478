/* SPDX-License-Identifier: MIT */
/* The interactive life: a shell of root's on the console, in a session of its own, so that job control works. */

#include "init.h"

#include <asm/ioctls.h>

void shell_mode(const struct vector *environment)
{
	static char *const argv[] = {"sh", "-l", NULL};
	int child = sys_fork();

	if (child == 0) {
		(void)sys_setsid();
		(void)sys_ioctl(0, TIOCSCTTY, 1);
		exec_command(argv, environment);
	}
	if (child > 0)
		(void)exec_wait(child);
	else
		text_write(2, "init: cannot start a shell\n", NULL);
}
