/* SPDX-License-Identifier: MIT */
/*
 * Mounts made in steps (fsopen(2), fsconfig(2), fsmount(2), fspick(2)), and trees of mounts that only a descriptor holds (open_tree(2)).
 * Paths are borrowed; files come with a reference. All may sleep; none asks for permission but where it says so.
 */
#ifndef CLOUDOS_FS_CONFIG_H
#define CLOUDOS_FS_CONFIG_H

#include <cloudos/vfs.h>

#define FS_CONFIG_TEXT_MAX 256 /* bytes of a parameter's name, and of its value, with the NUL: EINVAL beyond */

/* For a new instance of a type; for the one that is mounted at a root. 0, -ENODEV, -EINVAL, -ENOMEM. */
int fs_config_open(const char *type, struct file **ret);
int fs_config_pick(const struct path *at, struct file **ret);
bool fs_config_is(const struct file *f);

enum fs_config_value { FS_CONFIG_FLAG, FS_CONFIG_STRING, FS_CONFIG_OTHER /* bytes, a path, a descriptor: nothing takes such */ };

/* 0, -EBUSY: not now; -EINVAL, and a message to be read says why. */
int fs_config_set(struct file *f, const char *key, enum fs_config_value kind, const char *value);
/* 0, -EBUSY, -EPERM, and what the file system says. */
int fs_config_create(struct file *f);
int fs_config_reconfigure(struct file *f);
/* A mount of the instance, detached: -EINVAL: there is none; -EBUSY: it was mounted; -EPERM. `flags`: MS_*. */
int fs_config_mount(struct file *f, uint32_t flags, struct file **ret);

/* A copy of what is mounted at a path, or just below it there, detached. */
int vfs_open_tree(const struct path *at, bool recursive, struct file **ret);
/* The root of `to` becomes a peer of what `from` has as peers, or hears of what that hears of. -EINVAL, -EPERM. */
int vfs_mount_join(const struct path *from, const struct path *to);

/* mount_setattr(2), with MS_*: flags to be taken away and to be set, and one of MS_SHARED, ... or 0. */
struct mount_change {
	uint32_t clear, set, propagation;
	bool recursive;
};
int vfs_mount_setattr(const struct path *at, const struct mount_change *change);

#endif
