/* SPDX-License-Identifier: MIT */
/* inotify: watching files. */
#include <asm/fcntl.h>
#include <cloudos/inotify.h>
#include "call_fd.h"
#include "call_name.h"
#include "syscalls_gen.h"

#define KNOWN_BITS                                                                                                    \
	(IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK |      \
	 IN_MASK_ADD | IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT)

int64_t sys_inotify_init1(unsigned flags)
{
	struct file *f;
	int error;

	if (flags & ~(unsigned)(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	error = inotify_file_create(flags & IN_NONBLOCK, &f);
	return error ? error : fd_give(f, flags & IN_CLOEXEC);
}

int64_t sys_inotify_init(void)
{
	return sys_inotify_init1(0);
}

static int64_t watch(struct file *f, uaddr_t name, uint32_t mask)
{
	unsigned lookup = (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) | (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
	struct name_arg n;
	struct path path;
	int64_t result = name_get(&n, name);

	if (result)
		return result;
	result = path_lookup(AT_FDCWD, n.text, lookup, &path);
	name_put(&n);
	if (result)
		return result;
	result = inode_permission(path.dentry->inode, MAY_READ, thread_current()->cred);
	if (!result)
		result = inotify_watch(f, path.dentry->inode, mask);
	path_put(&path);
	return result;
}

int64_t sys_inotify_add_watch(int fd, uaddr_t name, unsigned mask)
{
	struct file *f;
	int64_t result;
	bool put;

	if (!(mask & KNOWN_BITS) || (mask & ~(unsigned)KNOWN_BITS))
		return -EINVAL;
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	if ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE))
		result = -EINVAL;
	else
		result = inotify_is(f) ? watch(f, name, mask) : -EINVAL;
	fd_end(f, put);
	return result;
}

int64_t sys_inotify_rm_watch(int fd, int wd)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	int64_t result;

	if (!f)
		return -EBADF;
	result = inotify_is(f) ? inotify_unwatch(f, wd) : -EINVAL;
	fd_end(f, put);
	return result;
}
