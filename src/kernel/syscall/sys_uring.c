/* SPDX-License-Identifier: MIT */
/* The calls of io_uring(7). */
#include <linux/io_uring.h>
#include <cloudos/uaccess.h>
#include <cloudos/uring.h>
#include <cloudos/vfs.h>
#include "call_fd.h"
#include "syscalls_gen.h"

#define ENTER_FLAGS                                                                                                 \
	(IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP | IORING_ENTER_SQ_WAIT | IORING_ENTER_EXT_ARG |             \
	 IORING_ENTER_REGISTERED_RING)

int64_t sys_io_uring_setup(unsigned entries, uaddr_t params)
{
	struct io_uring_params p;
	struct file *f;
	int64_t result;

	if (get_user(p, params))
		return -EFAULT;
	result = uring_create(entries, &p, &f);
	if (result)
		return result;
	if (put_user(p, params)) {
		file_put(f);
		return -EFAULT;
	}
	return fd_give(f, true);
}

int64_t sys_io_uring_enter(int fd, unsigned submit, unsigned min_complete, unsigned flags, uaddr_t arg, size_t size)
{
	struct file *f = NULL;
	int64_t result = 0;

	if (flags & ~ENTER_FLAGS)
		return -EINVAL;
	if (flags & IORING_ENTER_REGISTERED_RING)
		result = uring_registered((uint32_t)fd, &f);
	else
		f = fd_get(fd); /* a reference in any case: workers share the table */
	if (!f)
		return result ? result : -EBADF;
	result = uring_enter(f, submit, min_complete, flags, arg, size);
	file_put(f);
	return result;
}

int64_t sys_io_uring_register(int fd, unsigned opcode, uaddr_t arg, unsigned count)
{
	struct file *f = fd_get(fd);
	int64_t result;

	if (!f)
		return -EBADF;
	result = uring_register(f, opcode, arg, count);
	file_put(f);
	return result;
}
