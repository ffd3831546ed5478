/* SPDX-License-Identifier: MIT */
/* What aio.c (contexts and their rings) and aio_submit.c (requests) share. */
#ifndef AIO_INTERNAL_H
#define AIO_INTERNAL_H

#include <linux/aio_abi.h>
#include <cloudos/lock.h>
#include <cloudos/refcount.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include "shared.h"

/* Fields: C = constant; L = lock; M = `reader`. */
struct aio {
	struct refcount refs;	  /* its file, each request, and passers-by */
	struct shared_memory ring; /* C */
	uint32_t slots;		  /* C: events that the ring has room for */
	uint32_t requests;	  /* C: as counted for aio-nr */
	struct spinlock lock;
	uint32_t tail;		  /* L, read freely: the slot that the next event goes to */
	uint32_t running;	  /* L, read freely: requests without an event yet */
	struct list polls;	  /* L */
	bool dead;		  /* L, read freely */
	struct mutex reader;	  /* around moving events out of the ring */
	struct wait_queue changed; /* an event has come, or a request is gone */
};

/* By a program's id, with a reference; null: there is none. */
struct aio *aio_find(uaddr_t id);
void aio_put(struct aio *a); /* may sleep */

/* Takes a slot for a request: false if there is none. Given back by an event, or undone. */
bool aio_reserve(struct aio *a);
void aio_unreserve(struct aio *a);
void aio_post(struct aio *a, const struct io_event *e, struct file *eventfd);

/* Cancels all that wait. */
void aio_cancel_polls(struct aio *a);

#endif
