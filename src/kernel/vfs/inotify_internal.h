/* SPDX-License-Identifier: MIT */
/*
 * What instances (inotify.c) and watches (inotify_watch.c) share.
 *
 * An instance is an open file with a queue of events. A watch ties an instance to an inode, with a mask of events. An inode that is watched
 * has a `struct watched`, which holds a reference on it: a watched inode does not go away, but it is told when its last name has.
 *
 *   I1 An inode has at most one watch an instance.
 *   I2 A watch is in its instance's table and in its inode's list, or in neither and about to be freed by who took it out; the last thing
 *      that its number says is IN_IGNORED (unless the instance closes).
 *   I3 The queue holds at most inotify_queue_max events and one IN_Q_OVERFLOW, which stands for all that found no room, or no memory.
 *   I4 An event that says what the youngest one of the queue says is not added.
 *
 * Locking: inotify_lock guards all of this, of all instances: only what is watched takes it. Events are made under the locks of folders
 * and inside of the tree lock's reading side. References on inodes are dropped after it.
 */
#ifndef INOTIFY_INTERNAL_H
#define INOTIFY_INTERNAL_H

#include <cloudos/hash.h>
#include <cloudos/inotify.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/wait.h>

#define INOTIFY_HEADS 64

struct inotify_user;

/* All by inotify_lock. */
struct inotify {
	struct inotify_user *user;
	struct hash_head watches[INOTIFY_HEADS]; /* by number */
	int last_wd;
	struct list events;
	uint32_t queued; /* events in the list, but the overflow */
	bool overflowed; /* the list ends in `overflow`, or holds it */
	struct wait_queue changed;
	struct inotify_item {
		struct list link;
		struct inotify_event e; /* len: of the name with its zeros, 0 without one */
	} overflow;
};

struct watched {
	struct inode *inode; /* constant: with a reference */
	struct list watches;
	struct list all;
};

struct watch {
	struct hash_link by_wd;
	struct list link; /* in watched.watches */
	struct inotify *owner;
	struct watched *on;
	int wd;
	uint32_t mask; /* IN_ALL_EVENTS, IN_EXCL_UNLINK, IN_ONESHOT */
};

extern struct spinlock inotify_lock;

/* ---- inotify.c; inotify_lock held ---- */

void inotify_queue_locked(struct inotify *i, int wd, uint32_t mask, uint32_t cookie, const char *name, size_t len);
/* One watch more of the instance's user: false beyond the limit. */
bool inotify_user_take_watch(struct inotify *i);
void inotify_user_drop_watch(struct inotify *i);

/* ---- inotify_watch.c ---- */

int64_t watch_set(struct inotify *i, struct inode *inode, uint32_t mask);
int watch_remove(struct inotify *i, int wd);
void watch_remove_all(struct inotify *i); /* the instance goes: nobody is told */

#endif
