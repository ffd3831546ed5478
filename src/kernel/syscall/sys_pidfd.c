/* SPDX-License-Identifier: MIT */
/* Descriptors of processes: making one, and taking a descriptor out of another process. Signals: sys_signal.c; waiting: sys_process.c. */
#include <asm/fcntl.h>
#include <cloudos/errno.h>
#include <cloudos/pidfd.h>
#include <cloudos/vfs.h>
#include <linux/pidfd.h>
#include "call_fd.h"
#include "syscalls_gen.h"

_Static_assert(PIDFD_NONBLOCK == O_NONBLOCK, "the flag of the file");

int64_t sys_pidfd_open(int pid, unsigned flags)
{
	struct file *f;
	int err;

	if ((flags & ~(unsigned)PIDFD_NONBLOCK) || pid <= 0)
		return -EINVAL;
	err = pidfd_file_create(pid, flags, &f);
	return err ? err : fd_give(f, true);
}

int64_t sys_pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	struct process_handle *h;
	struct file *f, *theirs;
	int err = -EBADF;
	bool put;

	if (flags)
		return -EINVAL;
	f = fd_begin(pidfd, &put);
	if (!f)
		return -EBADF;
	h = pidfd_handle(f);
	if (h)
		err = pidfd_get_file(h, fd, &theirs);
	fd_end(f, put);
	return err ? err : fd_give(theirs, true);
}
