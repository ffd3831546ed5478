/* SPDX-License-Identifier: MIT */
/* The calls that mount in steps: trees by descriptors, and file systems by contexts. */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <cloudos/fs_config.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include "call_fd.h"
#include "call_name.h"
#include "call_struct.h"
#include "syscalls_gen.h"

#define OPEN_TREE_FLAGS (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW)
#define MOVE_FLAGS      (MOVE_MOUNT_F_SYMLINKS | MOVE_MOUNT_F_AUTOMOUNTS | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS | \
			 MOVE_MOUNT_T_AUTOMOUNTS | MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_SET_GROUP)
#define FSPICK_FLAGS    (FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT | FSPICK_EMPTY_PATH)
#define ATTRIBUTES      (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME | \
			 MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW)
#define PROPAGATION     (MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED)
#define BINARY_MAX      (1 << 20) /* bytes of a parameter that is no text */
#define TYPE_NAME_MAX   PAGE_SIZE

/* A path argument, looked up. */
static int find(int dirfd, uaddr_t name, bool follow, bool empty, struct path *ret)
{
	struct name_arg n;
	int error = name_get(&n, name);

	if (error)
		return error;
	error = path_lookup(dirfd, n.text, (follow ? LOOKUP_FOLLOW : 0) | (empty ? LOOKUP_EMPTY : 0), ret);
	name_put(&n);
	return error;
}

/* ---- trees ---- */

int64_t sys_open_tree(int dirfd, uaddr_t name, unsigned flags)
{
	bool clone = flags & OPEN_TREE_CLONE;
	struct path at;
	struct file *f;
	int error;

	if ((flags & ~(unsigned)OPEN_TREE_FLAGS) || ((flags & AT_RECURSIVE) && !clone))
		return -EINVAL;
	if (clone && !vfs_mounts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	error = find(dirfd, name, !(flags & AT_SYMLINK_NOFOLLOW), flags & AT_EMPTY_PATH, &at);
	if (error)
		return error;
	if (clone) {
		error = vfs_open_tree(&at, flags & AT_RECURSIVE, &f);
		path_put(&at);
	} else {
		error = vfs_open_known(at, O_PATH, &f);
	}
	return error ? error : fd_give(f, flags & OPEN_TREE_CLOEXEC);
}

int64_t sys_move_mount(int from_dirfd, uaddr_t from_name, int to_dirfd, uaddr_t to_name, unsigned flags)
{
	struct path from, to;
	int error;

	if (!vfs_mounts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (flags & ~(unsigned)MOVE_FLAGS)
		return -EINVAL;
	error = find(from_dirfd, from_name, flags & MOVE_MOUNT_F_SYMLINKS, flags & MOVE_MOUNT_F_EMPTY_PATH, &from);
	if (error)
		return error;
	error = find(to_dirfd, to_name, flags & MOVE_MOUNT_T_SYMLINKS, flags & MOVE_MOUNT_T_EMPTY_PATH, &to);
	if (!error) {
		error = flags & MOVE_MOUNT_SET_GROUP ? vfs_mount_join(&from, &to) : vfs_mount_move(&to, &from);
		path_put(&to);
	}
	path_put(&from);
	return error;
}

/* ---- attributes ---- */

/* MS_* of MOUNT_ATTR_* but the times; those have the same numbers, or nearly. */
static uint32_t plain_flags(uint64_t attributes)
{
	static const struct {
		uint32_t attribute, flag;
	} pairs[] = { { MOUNT_ATTR_RDONLY, MS_RDONLY }, { MOUNT_ATTR_NOSUID, MS_NOSUID },	  { MOUNT_ATTR_NODEV, MS_NODEV },
		      { MOUNT_ATTR_NOEXEC, MS_NOEXEC }, { MOUNT_ATTR_NODIRATIME, MS_NODIRATIME }, { MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW } };
	uint32_t flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (attributes & pairs[i].attribute)
			flags |= pairs[i].flag;
	return flags;
}

/* The times are one of three: 0 or -EINVAL. */
static int time_flags(uint64_t attributes, uint32_t *ret)
{
	switch (attributes & MOUNT_ATTR__ATIME) {
	case MOUNT_ATTR_RELATIME:
		*ret = MS_RELATIME;
		return 0;
	case MOUNT_ATTR_NOATIME:
		*ret = MS_NOATIME;
		return 0;
	case MOUNT_ATTR_STRICTATIME:
		*ret = MS_STRICTATIME;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Who sets one of the times takes the others away by the same call. */
static int change_of(const struct mount_attr *a, struct mount_change *c)
{
	uint32_t times = 0;

	if ((a->propagation & ~(uint64_t)PROPAGATION) || (a->propagation & (a->propagation - 1)))
		return -EINVAL;
	if ((a->attr_set | a->attr_clr) & ~(uint64_t)ATTRIBUTES)
		return -EINVAL;
	*c = (struct mount_change){
		.clear = plain_flags(a->attr_clr), .set = plain_flags(a->attr_set), .propagation = (uint32_t)a->propagation,
	};
	if (!(a->attr_clr & MOUNT_ATTR__ATIME))
		return a->attr_set & MOUNT_ATTR__ATIME ? -EINVAL : 0;
	if ((a->attr_clr & MOUNT_ATTR__ATIME) != MOUNT_ATTR__ATIME || time_flags(a->attr_set, &times))
		return -EINVAL;
	c->clear |= MS_NOATIME | MS_RELATIME | MS_STRICTATIME;
	c->set |= times;
	return 0;
}

int64_t sys_mount_setattr(int dirfd, uaddr_t name, unsigned flags, uaddr_t attributes, size_t size)
{
	struct mount_attr a;
	struct mount_change change;
	struct path at;
	int error;

	if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < MOUNT_ATTR_SIZE_VER0)
		return -EINVAL;
	if (!vfs_mounts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	error = call_copy_struct(&a, sizeof(a), attributes, size);
	if (error || !(a.attr_set | a.attr_clr | a.propagation))
		return error;
	error = change_of(&a, &change);
	if (error)
		return error;
	change.recursive = flags & AT_RECURSIVE;
	error = find(dirfd, name, !(flags & AT_SYMLINK_NOFOLLOW), flags & AT_EMPTY_PATH, &at);
	if (error)
		return error;
	error = vfs_mount_setattr(&at, &change);
	path_put(&at);
	return error;
}

/* ---- contexts ---- */

int64_t sys_fsopen(uaddr_t type, unsigned flags)
{
	struct name_arg n;
	struct file *f;
	int error;

	if (!vfs_mounts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (flags & ~(unsigned)FSOPEN_CLOEXEC)
		return -EINVAL;
	error = name_get(&n, type);
	if (error)
		return error == -ENAMETOOLONG ? -EINVAL : error;
	error = fs_config_open(n.text, &f);
	name_put(&n);
	return error ? error : fd_give(f, flags & FSOPEN_CLOEXEC);
}

int64_t sys_fspick(int dirfd, uaddr_t name, unsigned flags)
{
	struct path at;
	struct file *f;
	int error;

	if (!vfs_mounts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (flags & ~(unsigned)FSPICK_FLAGS)
		return -EINVAL;
	error = find(dirfd, name, !(flags & FSPICK_SYMLINK_NOFOLLOW), flags & FSPICK_EMPTY_PATH, &at);
	if (error)
		return error;
	error = fs_config_pick(&at, &f);
	path_put(&at);
	return error ? error : fd_give(f, flags & FSPICK_CLOEXEC);
}

int64_t sys_fsmount(int fd, unsigned flags, unsigned attributes)
{
	struct file *f, *tree;
	uint32_t times;
	bool put;
	int error;

	if (!vfs_mounts_capable(CAP_SYS_ADMIN))
		return -EPERM;
	if ((flags & ~(unsigned)FSMOUNT_CLOEXEC) || (attributes & ~(unsigned)ATTRIBUTES) || time_flags(attributes, &times))
		return -EINVAL;
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	error = fs_config_is(f) ? fs_config_mount(f, plain_flags(attributes) | times, &tree) : -EINVAL;
	fd_end(f, put);
	return error ? error : fd_give(tree, flags & FSMOUNT_CLOEXEC);
}

/* ---- parameters ---- */

/* A text of at most FS_CONFIG_TEXT_MAX bytes. */
static int copy_text(char text[FS_CONFIG_TEXT_MAX], uaddr_t from)
{
	int64_t n = copy_string_from_user(text, from, FS_CONFIG_TEXT_MAX);

	return n == -ENAMETOOLONG ? -EINVAL : n < 0 ? (int)n : 0;
}

/* Which arguments a command has. */
static int check_arguments(unsigned command, uaddr_t key, uaddr_t value, int aux)
{
	bool good;

	switch (command) {
	case FSCONFIG_SET_FLAG:
		good = key && !value && !aux;
		break;
	case FSCONFIG_SET_STRING:
		good = key && value && !aux;
		break;
	case FSCONFIG_SET_BINARY:
		good = key && value && aux > 0 && aux <= BINARY_MAX;
		break;
	case FSCONFIG_SET_PATH:
	case FSCONFIG_SET_PATH_EMPTY:
		good = key && value && (aux == AT_FDCWD || aux >= 0);
		break;
	case FSCONFIG_SET_FD:
		good = key && !value && aux >= 0;
		break;
	case FSCONFIG_CMD_CREATE:
	case FSCONFIG_CMD_RECONFIGURE:
		good = !key && !value && !aux;
		break;
	default:
		return -EOPNOTSUPP;
	}
	return good ? 0 : -EINVAL;
}

/* What no file system takes as a parameter is looked at all the same. */
static int check_other(unsigned command, uaddr_t value, int aux)
{
	struct name_arg n;
	struct file *f;
	uint8_t byte;
	bool put;
	int error;

	if (command == FSCONFIG_SET_BINARY)
		return get_user(byte, value);
	if (command == FSCONFIG_SET_FD) {
		f = fd_begin(aux, &put);
		if (f)
			fd_end(f, put);
		return f ? 0 : -EBADF;
	}
	error = name_get(&n, value);
	if (!error) {
		error = *n.text || command == FSCONFIG_SET_PATH_EMPTY ? 0 : -ENOENT;
		name_put(&n);
	}
	return error;
}

static int set(struct file *f, unsigned command, uaddr_t key_at, uaddr_t value_at, int aux)
{
	enum fs_config_value kind = command == FSCONFIG_SET_FLAG ? FS_CONFIG_FLAG : command == FSCONFIG_SET_STRING ? FS_CONFIG_STRING : FS_CONFIG_OTHER;
	char key[FS_CONFIG_TEXT_MAX], value[FS_CONFIG_TEXT_MAX];
	int error = copy_text(key, key_at);

	if (!error && kind == FS_CONFIG_STRING)
		error = copy_text(value, value_at);
	else if (!error && kind == FS_CONFIG_OTHER)
		error = check_other(command, value_at, aux);
	return error ? error : fs_config_set(f, key, kind, value);
}

int64_t sys_fsconfig(int fd, unsigned command, uaddr_t key, uaddr_t value, int aux)
{
	struct file *f;
	bool put;
	int error;

	if (fd < 0)
		return -EINVAL;
	error = check_arguments(command, key, value, aux);
	if (error)
		return error;
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	if (!fs_config_is(f))
		error = -EINVAL;
	else if (command == FSCONFIG_CMD_CREATE)
		error = fs_config_create(f);
	else if (command == FSCONFIG_CMD_RECONFIGURE)
		error = fs_config_reconfigure(f);
	else
		error = set(f, command, key, value, aux);
	fd_end(f, put);
	return error;
}
