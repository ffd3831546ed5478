/* SPDX-License-Identifier: MIT */
/* Extended attributes, which no file system has yet: the answers of one without. */
#include <linux/fcntl.h>
#include "call_name.h"
#include "syscalls_gen.h"

/* The file must be there; then `answer`. */
static int64_t xattr_name(uaddr_t name, unsigned lookup, int64_t answer)
{
	struct name_arg n;
	struct path path;
	int error = name_get(&n, name);

	if (error)
		return error;
	error = path_lookup(AT_FDCWD, n.text, lookup, &path);
	name_put(&n);
	if (error)
		return error;
	path_put(&path);
	return answer;
}

static int64_t xattr_fd(int fd, int64_t answer)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	bool usable = f && !(f->mode & FILE_PATH);

	if (f)
		fd_end(f, put);
	return usable ? answer : -EBADF;
}

int64_t sys_setxattr(uaddr_t name, uaddr_t attr, uaddr_t value, size_t size, unsigned flags)
{
	(void)attr, (void)value, (void)size, (void)flags;
	return xattr_name(name, LOOKUP_FOLLOW, -EOPNOTSUPP);
}

int64_t sys_lsetxattr(uaddr_t name, uaddr_t attr, uaddr_t value, size_t size, unsigned flags)
{
	(void)attr, (void)value, (void)size, (void)flags;
	return xattr_name(name, 0, -EOPNOTSUPP);
}

int64_t sys_fsetxattr(int fd, uaddr_t attr, uaddr_t value, size_t size, unsigned flags)
{
	(void)attr, (void)value, (void)size, (void)flags;
	return xattr_fd(fd, -EOPNOTSUPP);
}

int64_t sys_getxattr(uaddr_t name, uaddr_t attr, uaddr_t value, size_t size)
{
	(void)attr, (void)value, (void)size;
	return xattr_name(name, LOOKUP_FOLLOW, -EOPNOTSUPP);
}

int64_t sys_lgetxattr(uaddr_t name, uaddr_t attr, uaddr_t value, size_t size)
{
	(void)attr, (void)value, (void)size;
	return xattr_name(name, 0, -EOPNOTSUPP);
}

int64_t sys_fgetxattr(int fd, uaddr_t attr, uaddr_t value, size_t size)
{
	(void)attr, (void)value, (void)size;
	return xattr_fd(fd, -EOPNOTSUPP);
}

/* No attributes: an empty list. */
int64_t sys_listxattr(uaddr_t name, uaddr_t list, size_t size)
{
	(void)list, (void)size;
	return xattr_name(name, LOOKUP_FOLLOW, 0);
}

int64_t sys_llistxattr(uaddr_t name, uaddr_t list, size_t size)
{
	(void)list, (void)size;
	return xattr_name(name, 0, 0);
}

int64_t sys_flistxattr(int fd, uaddr_t list, size_t size)
{
	(void)list, (void)size;
	return xattr_fd(fd, 0);
}

int64_t sys_removexattr(uaddr_t name, uaddr_t attr)
{
	(void)attr;
	return xattr_name(name, LOOKUP_FOLLOW, -EOPNOTSUPP);
}

int64_t sys_lremovexattr(uaddr_t name, uaddr_t attr)
{
	(void)attr;
	return xattr_name(name, 0, -EOPNOTSUPP);
}

int64_t sys_fremovexattr(int fd, uaddr_t attr)
{
	(void)attr;
	return xattr_fd(fd, -EOPNOTSUPP);
}
