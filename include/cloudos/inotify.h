/* SPDX-License-Identifier: MIT */
/* inotify(7): telling programs what happens to files. For the system calls, and for whoever changes files. */
#ifndef CLOUDOS_INOTIFY_H
#define CLOUDOS_INOTIFY_H

#include <cloudos/fs.h>
#include <linux/inotify.h>
#include <linux/stat.h>

/* ---- for the system calls ---- */

/* Limits: instances and watches of a user, events of an instance; atomic. */
extern uint32_t inotify_instances_max, inotify_watches_max, inotify_queue_max;

int inotify_file_create(uint32_t flags, struct file **ret); /* O_NONBLOCK; -EMFILE, -ENOMEM */
bool inotify_is(const struct file *f); /* the calls below are for such files alone */
/* The watch's number, or -EEXIST, -ENOSPC, -ENOMEM. `mask` was checked to have known bits only. */
int64_t inotify_watch(struct file *f, struct inode *inode, uint32_t mask);
int inotify_unwatch(struct file *f, int wd); /* -EINVAL */

/* ---- for whoever changes files: cheap while nothing is watched; no spin lock held ---- */

extern uint32_t inotify_watch_count; /* atomic */

void inotify_tell_dentry(struct dentry *d, uint32_t mask);
void inotify_tell_inode(struct inode *inode, uint32_t mask);
void inotify_tell_name(struct inode *dir, const char *name, size_t len, uint32_t mask, uint32_t cookie);
void inotify_tell_removed(struct inode *inode);
void inotify_tell_unmounted(struct super_block *sb);

/* Something happened to an open file: the folder that it was opened in is told too. */
static inline void notify_file(struct file *f, uint32_t mask)
{
	if (unlikely(READ_ONCE(inotify_watch_count)) && f->path.dentry)
		inotify_tell_dentry(f->path.dentry, mask);
}

static inline void notify_path(const struct path *path, uint32_t mask)
{
	if (unlikely(READ_ONCE(inotify_watch_count)))
		inotify_tell_dentry(path->dentry, mask);
}

/* Something happened to an inode, whatever its name. */
static inline void notify_inode(struct inode *inode, uint32_t mask)
{
	if (unlikely(READ_ONCE(inode->watched)))
		inotify_tell_inode(inode, mask);
}

/* A name in a folder, whose inode lock is held, came, went or moved. IN_ISDIR is added for `what`. */
static inline void notify_name(struct inode *dir, const char *name, size_t len, const struct inode *what, uint32_t mask, uint32_t cookie)
{
	if (unlikely(READ_ONCE(dir->watched)))
		inotify_tell_name(dir, name, len, mask | ((inode_mode(what) & S_IFMT) == S_IFDIR ? IN_ISDIR : 0), cookie);
}

/* What ties IN_MOVED_FROM and IN_MOVED_TO together. */
uint32_t notify_cookie(void);

/* The last name and the last user of a name are gone: IN_DELETE_SELF. May sleep. */
static inline void notify_removed(struct inode *inode)
{
	if (unlikely(READ_ONCE(inode->watched)) && READ_ONCE(inode->nlink) == 0)
		inotify_tell_removed(inode);
}

/* Nothing mounts the file system any more. May sleep. */
static inline void notify_unmounted(struct super_block *sb)
{
	if (unlikely(READ_ONCE(inotify_watch_count)))
		inotify_tell_unmounted(sb);
}

#endif
