/* SPDX-License-Identifier: MIT */
/* epoll(7): sets of watched files. */
#ifndef CLOUDOS_EPOLL_H
#define CLOUDOS_EPOLL_H

#include <linux/eventpoll.h>
#include <cloudos/types.h>

struct file;

#define EPOLL_ITEMS_MAX	 (UINT32_C(1) << 20) /* watched files in all: ENOSPC beyond, as with Linux's max_user_watches */
#define EPOLL_NESTING_MAX 4		     /* epolls that watch epolls that watch ...: ELOOP beyond */

/* A file with one reference: 0, -ENOMEM, -ENFILE. */
int epoll_file_create(struct file **ret);

/* EPOLL_CTL_*; `event` is not looked at for DEL. 0, -EINVAL, -EEXIST, -ENOENT, -EPERM, -ELOOP, -ENOSPC, -ENOMEM. May sleep. */
int epoll_control(struct file *epoll, int op, struct file *target, int fd, const struct epoll_event *event);

/*
 * What kcmp(2) compares: the file that `epoll` watches as `fd` (after `skip` others of that number), to be compared and not to be used: it may be gone.
 * 0, -EINVAL (no epoll), -ENOENT. May sleep.
 */
int epoll_watched(struct file *epoll, int fd, unsigned skip, const struct file **ret);

/*
 * Waits for events and writes up to `max` of them to user memory. How many; 0 when the time was up; -EINTR, -EFAULT, -EINVAL.
 * deadline_ns as for poll_items().
 */
int64_t epoll_collect(struct file *epoll, uaddr_t events, uint32_t max, uint64_t deadline_ns);

/*
 * The last reference of a file that some epoll watched is gone: called before its release operation, if file.epoll_links.next is not
 * null (epoll sets the list up with the first watcher). May sleep.
 */
void epoll_file_gone(struct file *f);

#endif
