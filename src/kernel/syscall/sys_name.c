/* SPDX-License-Identifier: MIT */
/* Making, removing, linking and renaming files. */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <cloudos/thread.h>
#include "call_name.h"
#include "syscalls_gen.h"

int64_t sys_mkdirat(int dirfd, uaddr_t name, uint32_t mode)
{
	struct name_arg n;
	int error = name_get(&n, name);

	if (error)
		return error;
	error = vfs_mkdir(dirfd, n.text, mode);
	name_put(&n);
	return error;
}

int64_t sys_mkdir(uaddr_t name, uint32_t mode)
{
	return sys_mkdirat(AT_FDCWD, name, mode);
}

int64_t sys_mknodat(int dirfd, uaddr_t name, uint32_t mode, unsigned dev)
{
	struct name_arg n;
	int error = name_get(&n, name);

	if (error)
		return error;
	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	error = vfs_mknod(dirfd, n.text, mode & (S_IFMT | 07777), dev);
	name_put(&n);
	return error;
}

int64_t sys_mknod(uaddr_t name, uint32_t mode, unsigned dev)
{
	return sys_mknodat(AT_FDCWD, name, mode, dev);
}

int64_t sys_unlinkat(int dirfd, uaddr_t name, unsigned flags)
{
	struct name_arg n;
	int error;

	if (flags & ~(unsigned)AT_REMOVEDIR)
		return -EINVAL;
	error = name_get(&n, name);
	if (unlikely(error))
		return error;
	error = flags & AT_REMOVEDIR ? vfs_rmdir(dirfd, n.text) : vfs_unlink(dirfd, n.text);
	name_put(&n);
	return error;
}

int64_t sys_unlink(uaddr_t name)
{
	return sys_unlinkat(AT_FDCWD, name, 0);
}

int64_t sys_rmdir(uaddr_t name)
{
	return sys_unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}

/* ---- two names ---- */

static int two_names(struct name_arg *a, uaddr_t first, struct name_arg *b, uaddr_t second)
{
	int error = name_get(a, first);

	if (error)
		return error;
	error = name_get(b, second);
	if (error)
		name_put(a);
	return error;
}

int64_t sys_linkat(int old_dirfd, uaddr_t old, int dirfd, uaddr_t name, unsigned flags)
{
	struct name_arg from, to;
	int error;

	if (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && !cred_capable(thread_current()->cred, CAP_DAC_READ_SEARCH))
		return -ENOENT;
	error = two_names(&from, old, &to, name);
	if (error)
		return error;
	error = vfs_link(old_dirfd, from.text, dirfd, to.text, flags);
	name_put(&from);
	name_put(&to);
	return error;
}

int64_t sys_link(uaddr_t old, uaddr_t name)
{
	return sys_linkat(AT_FDCWD, old, AT_FDCWD, name, 0);
}

int64_t sys_symlinkat(uaddr_t target, int dirfd, uaddr_t name)
{
	struct name_arg from, to;
	int error = two_names(&from, target, &to, name);

	if (error)
		return error;
	error = vfs_symlink(from.text, dirfd, to.text);
	name_put(&from);
	name_put(&to);
	return error;
}

int64_t sys_symlink(uaddr_t target, uaddr_t name)
{
	return sys_symlinkat(target, AT_FDCWD, name);
}

int64_t sys_renameat2(int old_dirfd, uaddr_t old, int dirfd, uaddr_t name, unsigned flags)
{
	struct name_arg from, to;
	int error = two_names(&from, old, &to, name);

	if (error)
		return error;
	error = vfs_rename(old_dirfd, from.text, dirfd, to.text, flags);
	name_put(&from);
	name_put(&to);
	return error;
}

int64_t sys_renameat(int old_dirfd, uaddr_t old, int dirfd, uaddr_t name)
{
	return sys_renameat2(old_dirfd, old, dirfd, name, 0);
}

int64_t sys_rename(uaddr_t old, uaddr_t name)
{
	return sys_renameat2(AT_FDCWD, old, AT_FDCWD, name, 0);
}

/* ---- links read ---- */

static int64_t read_link(int dirfd, const char *name, uaddr_t buf, size_t size)
{
	char *text = kmalloc(PATH_LEN_MAX);
	ssize_t n;

	if (!text)
		return -ENOMEM;
	n = vfs_readlink(dirfd, name, text, min(size, (size_t)PATH_LEN_MAX));
	if (n > 0 && copy_to_user(buf, text, (size_t)n))
		n = -EFAULT;
	kfree(text);
	return n;
}

int64_t sys_readlinkat(int dirfd, uaddr_t name, uaddr_t buf, int size)
{
	struct name_arg n;
	int64_t result;

	if (size <= 0)
		return -EINVAL;
	result = name_get(&n, name);
	if (result)
		return result;
	result = read_link(dirfd, n.text, buf, (size_t)size);
	name_put(&n);
	return result;
}

int64_t sys_readlink(uaddr_t name, uaddr_t buf, int size)
{
	return sys_readlinkat(AT_FDCWD, name, buf, size);
}
