/* SPDX-License-Identifier: MIT */
/* File handles: a file named by what its file system knows it by. */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <cloudos/thread.h>
#include "call_fd.h"
#include "call_name.h"
#include "call_open.h"
#include "syscalls_gen.h"

#define HANDLE_BYTES_MAX  128 /* Linux's MAX_HANDLE_SZ: EINVAL beyond */
#define HANDLE_INODE	  1   /* what handles there are: number and generation of an inode */
#define HANDLE_NONE	  255 /* the buffer was too small */

/* struct file_handle of <fcntl.h>, which the kernel's own headers do not have; the handle follows. */
struct handle_head {
	uint32_t bytes;
	int32_t type;
};

/* Says how large a handle is, also to whom it does not fit. */
static int give_handle(const struct path *path, uaddr_t out, uaddr_t mount_id)
{
	struct handle_head head;
	struct fs_handle h;
	uint32_t room;
	int error = vfs_handle(path, &h);

	if (error)
		return error;
	if (get_user(head, out))
		return -EFAULT;
	room = head.bytes;
	if (room > HANDLE_BYTES_MAX)
		return -EINVAL;
	head = (struct handle_head){ sizeof(h), room < sizeof(h) ? HANDLE_NONE : HANDLE_INODE };
	if (put_user((int32_t)path->mount->id, mount_id) || put_user(head, out))
		return -EFAULT;
	if (room < sizeof(h))
		return -EOVERFLOW;
	return put_user(h, out + sizeof(head));
}

int64_t sys_name_to_handle_at(int dirfd, uaddr_t name, uaddr_t handle, uaddr_t mount_id, unsigned flags)
{
	struct name_arg n;
	struct path path;
	int error;

	if (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = name_get(&n, name);
	if (error)
		return error;
	error = path_lookup(dirfd, n.text, (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &path);
	name_put(&n);
	if (error)
		return error;
	error = give_handle(&path, handle, mount_id);
	path_put(&path);
	return error;
}

/* The mount that a descriptor leads to, or in which the working directory is, as a path with references. */
static int mount_of(int fd, struct path *ret)
{
	struct file *f;
	bool put;
	int error;

	if (fd == AT_FDCWD)
		return path_lookup(AT_FDCWD, ".", 0, ret);
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	error = f->mode & FILE_PATH ? -EBADF : f->path.dentry ? 0 : -ESTALE;
	if (!error) {
		*ret = f->path;
		path_get(ret);
	}
	fd_end(f, put); /* it may be gone now */
	return error;
}

int64_t sys_open_by_handle_at(int mount_fd, uaddr_t handle, unsigned flags)
{
	struct open_request r;
	struct handle_head head;
	struct fs_handle h;
	struct path at;
	struct file *f;
	int error;

	if (!cred_capable(thread_current()->cred, CAP_DAC_READ_SEARCH))
		return -EPERM;
	if (get_user(head, handle))
		return -EFAULT;
	if (head.bytes == 0 || head.bytes > HANDLE_BYTES_MAX)
		return -EINVAL;
	error = mount_of(mount_fd, &at);
	if (error)
		return error;
	if (head.bytes < sizeof(h))
		error = -ESTALE;
	else if (get_user(h, handle + sizeof(head)))
		error = -EFAULT;
	call_open_flags(flags, 0, &r);
	if (!error)
		error = vfs_open_handle(at.mount, &h, r.flags, &f);
	path_put(&at);
	return error ? error : fd_give(f, flags & O_CLOEXEC);
}
