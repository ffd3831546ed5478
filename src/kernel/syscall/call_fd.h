/* SPDX-License-Identifier: MIT */
/* Giving a descriptor to a file that a call has made. */
#ifndef CALL_FD_H
#define CALL_FD_H

#include <cloudos/vfs.h>

/* Takes over the reference, also when it fails: the descriptor, -EMFILE or -ENOMEM. */
static inline int64_t fd_give(struct file *f, bool close_on_exec)
{
	int fd = fd_reserve(0, close_on_exec);

	if (fd < 0)
		file_put(f);
	else
		fd_install(fd, f);
	return fd;
}

#endif
