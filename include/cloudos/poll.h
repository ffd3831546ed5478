/* SPDX-License-Identifier: MIT */
/* Waiting for any of several files: what poll, select and epoll are made of. */
#ifndef CLOUDOS_POLL_H
#define CLOUDOS_POLL_H

#include <cloudos/types.h>

struct file;

#define POLL_ITEMS_MAX 65536 /* files of one call: ENOMEM beyond */

/* One file to wait for. `events` and `revents` in poll(2)'s bits; POLLERR and POLLHUP count only if `events` has them. */
struct poll_item {
	struct file *file; /* null: passed over; its revents stay as they are */
	int fd;
	uint32_t events, revents;
	bool put;	   /* for fd_end() */
};

/*
 * Sleeps until one of the items is ready, or the deadline (0: does not sleep; HAL_TIMER_NEVER: no deadline). Returns how many have
 * revents, 0 when the time was up, -ERESTARTSYS for a signal, -ENOMEM.
 */
int64_t poll_items(struct poll_item *items, size_t n, uint64_t deadline_ns);

#endif
