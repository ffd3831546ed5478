/* SPDX-License-Identifier: MIT */
/* Linux's first asynchronous calls (io_submit and its family), for the system calls. */
#ifndef CLOUDOS_AIO_H
#define CLOUDOS_AIO_H

#include <cloudos/types.h>

struct iocb;

/* A context for so many requests: its id, the address of its ring in the running program. -EINVAL, -EAGAIN (aio-max-nr), -ENOMEM. */
int aio_create(uint32_t requests, uaddr_t *ret_id);
int aio_destroy(uaddr_t id); /* 0 or -EINVAL; waits until nothing of it goes on */

/* Submits the requests whose addresses stand at `iocbs`: how many, or the first one's errno. */
int64_t aio_submit(uaddr_t id, int64_t n, uaddr_t iocbs);

/* -EINPROGRESS: cancelled, its event is on its way; -EINVAL. */
int aio_cancel_one(uaddr_t id, uaddr_t iocb);

/* At least `least` events, at most `most`, into user memory: how many; fewer when the time is up or a signal comes; -EINTR, -EINVAL, -EFAULT. */
int64_t aio_get_events(uaddr_t id, int64_t least, int64_t most, uaddr_t events, uint64_t deadline_ns);

#endif
