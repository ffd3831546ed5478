/* SPDX-License-Identifier: MIT */
/* What is asked of file systems as a whole: types, free space by device number, quotas (which none has). */
#include <linux/fcntl.h>
#include <linux/quota.h>
#include <linux/stat.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include "call_name.h"
#include "syscalls_gen.h"

/* ---- sysfs(2) ---- */

#define TYPE_OF_NAME 1
#define NAME_OF_TYPE 2
#define COUNT_TYPES  3

static int64_t type_of_name(uaddr_t name)
{
	struct name_arg n;
	int64_t result = name_get(&n, name);

	if (result)
		return result;
	result = fs_type_index(n.text);
	name_put(&n);
	return result;
}

static int64_t name_of_type(uint64_t index, uaddr_t out)
{
	const struct fs_type *type = index <= INT32_MAX ? fs_type_at((unsigned)index) : NULL;

	return type ? copy_to_user(out, type->name, strlen(type->name) + 1) : -EINVAL;
}

int64_t sys_sysfs(int option, uint64_t first, uint64_t second)
{
	int64_t count = 0;

	switch (option) {
	case TYPE_OF_NAME:
		return type_of_name(first);
	case NAME_OF_TYPE:
		return name_of_type(first, second);
	case COUNT_TYPES:
		while (fs_type_at((unsigned)count))
			count++;
		return count;
	default:
		return -EINVAL;
	}
}

/* ---- ustat(2) ---- */

/* Linux's struct ustat, which its headers for programs do not have any more. */
struct ustat {
	int32_t free;
	uint64_t files_free;
	char name[6], pack[6];
};

int64_t sys_ustat(unsigned dev, uaddr_t out)
{
	struct fs_statistics s;
	struct ustat u;
	int error = vfs_statfs_device(dev, &s);

	if (error)
		return error;
	memset(&u, 0, sizeof(u)); /* padding, too */
	u.free = (int32_t)s.blocks_free;
	u.files_free = s.files_free;
	return copy_to_user(out, &u, sizeof(u));
}

/* ---- quotas ---- */

/* A block device on which there may be a file system; there is none that has quotas. */
static int64_t quota_of_device(uaddr_t special)
{
	struct name_arg n;
	struct path path;
	int error = name_get(&n, special);

	if (error)
		return error;
	error = path_lookup(AT_FDCWD, n.text, LOOKUP_FOLLOW, &path);
	name_put(&n);
	if (error)
		return error;
	error = S_ISBLK(inode_mode(path.dentry->inode)) ? -ENODEV : -ENOTBLK;
	path_put(&path);
	return error;
}

int64_t sys_quotactl(unsigned command, uaddr_t special, int id, uaddr_t addr)
{
	(void)id, (void)addr;
	if ((command & SUBCMDMASK) >= MAXQUOTAS)
		return -EINVAL;
	if (!special)
		return command >> SUBCMDSHIFT == Q_SYNC ? 0 : -ENODEV;
	return quota_of_device(special);
}

int64_t sys_quotactl_fd(int fd, unsigned command, int id, uaddr_t addr)
{
	bool put;
	struct file *f = fd_begin(fd, &put);

	(void)id, (void)addr;
	if (!f)
		return -EBADF;
	fd_end(f, put);
	return (command & SUBCMDMASK) >= MAXQUOTAS ? -EINVAL : -ENOSYS;
}
