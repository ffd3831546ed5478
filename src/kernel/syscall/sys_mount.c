/* SPDX-License-Identifier: MIT */
/* mount and umount. */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include "call_name.h"
#include "syscalls_gen.h"

#define TYPE_MAX 32
#define MS_MGC      0xc0ed0000u /* magic that old programs put into the upper half */
#define MS_CHANGE   ((unsigned)(MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
#define MS_TIMES    (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)
#define UMOUNT_FORCE	 1u
#define UMOUNT_DETACH	 2u
#define UMOUNT_EXPIRE	 4u
#define UMOUNT_NOFOLLOW 8u

/* ---- mount ---- */

/* What does not fit, or is not there, is empty. */
static int copy_text(char *dst, uaddr_t src, size_t size)
{
	int64_t n;

	dst[0] = '\0';
	if (!src)
		return 0;
	n = copy_string_from_user(dst, src, size);
	return n == -ENAMETOOLONG ? -EINVAL : n < 0 ? (int)n : 0;
}

static int mount_from_path(const struct path *on, const char *source, unsigned flags)
{
	struct path from;
	int error = path_lookup(AT_FDCWD, source, LOOKUP_FOLLOW, &from);

	if (error)
		return error;
	if (flags & MS_MOVE)
		error = vfs_mount_move(on, &from);
	else
		error = vfs_mount_bind(on, &from, flags & MS_REC);
	path_put(&from);
	return error;
}

/* One of the four, alone. */
static int set_propagation(const struct path *on, unsigned flags)
{
	unsigned type = flags & ~(unsigned)(MS_REC | MS_SILENT);

	if ((type & ~MS_CHANGE) || (type & (type - 1)))
		return -EINVAL;
	return vfs_mount_change(on, type, flags & MS_REC);
}

/* Times of access are MS_RELATIME's unless something else is asked for. */
static unsigned with_times(unsigned flags)
{
	if (flags & MS_STRICTATIME)
		return flags & ~(unsigned)(MS_RELATIME | MS_NOATIME);
	return flags & MS_NOATIME ? flags : flags | MS_RELATIME;
}

static int mount_new(const struct path *on, const char *source, uaddr_t type, unsigned flags, uaddr_t data)
{
	char type_name[TYPE_MAX], *options;
	int error = type ? copy_text(type_name, type, sizeof(type_name)) : -EINVAL;

	if (error)
		return error == -EINVAL && type ? -ENODEV : error;
	options = kmalloc(PAGE_SIZE);
	if (!options)
		return -ENOMEM;
	error = copy_text(options, data, PAGE_SIZE);
	if (!error)
		error = vfs_mount(on, type_name, source, options, with_times(flags));
	kfree(options);
	return error;
}

static int mount_on(const struct path *on, const char *source, uaddr_t type, unsigned flags, uaddr_t data)
{
	if ((flags & (MS_REMOUNT | MS_BIND)) == (MS_REMOUNT | MS_BIND) || (flags & MS_REMOUNT))
		return vfs_remount(on, flags & MS_TIMES ? with_times(flags) : flags, flags & MS_BIND);
	if (flags & MS_BIND)
		return mount_from_path(on, source, flags & ~(unsigned)MS_MOVE);
	if (flags & MS_CHANGE)
		return set_propagation(on, flags);
	if (flags & MS_MOVE)
		return mount_from_path(on, source, flags);
	return mount_new(on, source, type, flags, data);
}

int64_t sys_mount(uaddr_t source, uaddr_t target, uaddr_t type, uint64_t flags, uaddr_t data)
{
	unsigned ms = (unsigned)flags;
	struct name_arg from, to;
	struct path on;
	int error;

	if (!vfs_mounts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	if ((ms & 0xffff0000u) == MS_MGC)
		ms &= 0xffff;
	from.text = from.small;
	from.small[0] = '\0';
	error = source ? name_get(&from, source) : 0;
	if (error)
		return error;
	error = name_get(&to, target);
	if (!error) {
		error = path_lookup(AT_FDCWD, to.text, LOOKUP_FOLLOW, &on);
		name_put(&to);
	}
	if (!error) {
		error = mount_on(&on, from.text[0] ? from.text : "none", type, ms, data);
		path_put(&on);
	}
	name_put(&from);
	return error;
}

int64_t sys_umount2(uaddr_t name, unsigned flags)
{
	struct name_arg n;
	struct path at;
	int error;

	if (flags & ~(UMOUNT_FORCE | UMOUNT_DETACH | UMOUNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	if (!vfs_mounts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	error = name_get(&n, name);
	if (error)
		return error;
	error = path_lookup(AT_FDCWD, n.text, LOOKUP_PASSING | (flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW), &at);
	name_put(&n);
	if (error)
		return error;
	path_cross(&at); /* from "." it does not lead there */
	if (flags & UMOUNT_EXPIRE)
		error = flags & (UMOUNT_FORCE | UMOUNT_DETACH) ? -EINVAL : vfs_unmount_expired(&at);
	else
		error = vfs_unmount(&at, flags & UMOUNT_DETACH);
	path_put(&at);
	return error;
}

/* ---- pivot_root ---- */

static int folder_at(uaddr_t name, struct path *ret)
{
	struct name_arg n;
	int error = name_get(&n, name);

	if (error)
		return error;
	error = path_lookup(AT_FDCWD, n.text, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, ret);
	name_put(&n);
	return error;
}

int64_t sys_pivot_root(uaddr_t new_root, uaddr_t put_old)
{
	struct path new, old;
	int error;

	if (!vfs_mounts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	error = folder_at(new_root, &new);
	if (error)
		return error;
	error = folder_at(put_old, &old);
	if (!error) {
		error = vfs_pivot_root(&new, &old);
		path_put(&old);
	}
	path_put(&new);
	return error;
}
