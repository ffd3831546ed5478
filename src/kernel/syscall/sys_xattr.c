/* SPDX-License-Identifier: MIT */
/* Extended attributes: each call in three forms, by name, by name without following a link, and by descriptor. */
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include "call_name.h"
#include "syscalls_gen.h"

/* What is asked, of any file. */
struct request {
	int64_t (*run)(const struct path *path, const struct request *r);
	uaddr_t name, buf;
	size_t size;
	unsigned flags;
};

static int64_t by_name(uaddr_t name, unsigned lookup, const struct request *r)
{
	struct name_arg n;
	struct path path;
	int64_t result = name_get(&n, name);

	if (result)
		return result;
	result = path_lookup(AT_FDCWD, n.text, lookup, &path);
	name_put(&n);
	if (result)
		return result;
	result = r->run(&path, r);
	path_put(&path);
	return result;
}

static int64_t by_fd(int fd, const struct request *r)
{
	bool put;
	struct file *f = fd_begin(fd, &put);
	int64_t result = -EBADF;

	if (!f)
		return result;
	if (!(f->mode & FILE_PATH))
		result = f->path.dentry ? r->run(&f->path, r) : -EOPNOTSUPP;
	fd_end(f, put);
	return result;
}

static int get_name(uaddr_t from, char name[XATTR_NAME_MAX + 1])
{
	int64_t n = copy_string_from_user(name, from, XATTR_NAME_MAX + 1);

	return n == -ENAMETOOLONG || n == 0 ? -ERANGE : n < 0 ? (int)n : 0;
}

/* ---- what is asked ---- */

static int64_t set(const struct path *path, const struct request *r)
{
	char name[XATTR_NAME_MAX + 1];
	void *value;
	int error;

	if (r->flags & ~(unsigned)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	error = get_name(r->name, name);
	if (error)
		return error;
	if (r->size > XATTR_SIZE_MAX)
		return -E2BIG;
	value = kmalloc(max(r->size, (size_t)1));
	if (!value)
		return -ENOMEM;
	error = copy_from_user(value, r->buf, r->size);
	if (!error)
		error = vfs_xattr_set(path, name, value, r->size, r->flags);
	kfree(value);
	return error;
}

/* Fills a buffer of the kernel's by `fill`, and copies what it gave to the program's; a size of 0 only asks how large that is. */
static int64_t give(const struct request *r, size_t most, const struct path *path, const char *name)
{
	size_t size = min(r->size, most);
	char *buf = size ? kmalloc(size) : NULL;
	ssize_t n;

	if (size && !buf)
		return -ENOMEM;
	n = name ? vfs_xattr_get(path, name, buf, size) : vfs_xattr_list(path, buf, size);
	if (n > 0 && size && copy_to_user(r->buf, buf, (size_t)n))
		n = -EFAULT;
	if (n == -ERANGE && size == most)
		n = -E2BIG;
	kfree(buf);
	return n;
}

static int64_t get(const struct path *path, const struct request *r)
{
	char name[XATTR_NAME_MAX + 1];
	int error = get_name(r->name, name);

	return error ? error : give(r, XATTR_SIZE_MAX, path, name);
}

static int64_t list(const struct path *path, const struct request *r)
{
	return give(r, XATTR_LIST_MAX, path, NULL);
}

static int64_t remove(const struct path *path, const struct request *r)
{
	char name[XATTR_NAME_MAX + 1];
	int error = get_name(r->name, name);

	return error ? error : vfs_xattr_remove(path, name);
}

/* ---- the calls ---- */

int64_t sys_setxattr(uaddr_t name, uaddr_t attr, uaddr_t value, size_t size, unsigned flags)
{
	return by_name(name, LOOKUP_FOLLOW, &(struct request){ set, attr, value, size, flags });
}

int64_t sys_lsetxattr(uaddr_t name, uaddr_t attr, uaddr_t value, size_t size, unsigned flags)
{
	return by_name(name, 0, &(struct request){ set, attr, value, size, flags });
}

int64_t sys_fsetxattr(int fd, uaddr_t attr, uaddr_t value, size_t size, unsigned flags)
{
	return by_fd(fd, &(struct request){ set, attr, value, size, flags });
}

int64_t sys_getxattr(uaddr_t name, uaddr_t attr, uaddr_t value, size_t size)
{
	return by_name(name, LOOKUP_FOLLOW, &(struct request){ get, attr, value, size, 0 });
}

int64_t sys_lgetxattr(uaddr_t name, uaddr_t attr, uaddr_t value, size_t size)
{
	return by_name(name, 0, &(struct request){ get, attr, value, size, 0 });
}

int64_t sys_fgetxattr(int fd, uaddr_t attr, uaddr_t value, size_t size)
{
	return by_fd(fd, &(struct request){ get, attr, value, size, 0 });
}

int64_t sys_listxattr(uaddr_t name, uaddr_t buf, size_t size)
{
	return by_name(name, LOOKUP_FOLLOW, &(struct request){ list, 0, buf, size, 0 });
}

int64_t sys_llistxattr(uaddr_t name, uaddr_t buf, size_t size)
{
	return by_name(name, 0, &(struct request){ list, 0, buf, size, 0 });
}

int64_t sys_flistxattr(int fd, uaddr_t buf, size_t size)
{
	return by_fd(fd, &(struct request){ list, 0, buf, size, 0 });
}

int64_t sys_removexattr(uaddr_t name, uaddr_t attr)
{
	return by_name(name, LOOKUP_FOLLOW, &(struct request){ remove, attr, 0, 0, 0 });
}

int64_t sys_lremovexattr(uaddr_t name, uaddr_t attr)
{
	return by_name(name, 0, &(struct request){ remove, attr, 0, 0, 0 });
}

int64_t sys_fremovexattr(int fd, uaddr_t attr)
{
	return by_fd(fd, &(struct request){ remove, attr, 0, 0, 0 });
}
