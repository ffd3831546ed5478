/* SPDX-License-Identifier: MIT */
/* A pipe, as reading and writing (pipe.c) and splicing (splice.c) share it. */
#ifndef PIPE_INTERNAL_H
#define PIPE_INTERNAL_H

#include <cloudos/lock.h>
#include <cloudos/pipe.h>
#include <cloudos/ring.h>
#include <cloudos/wait.h>
#include <linux/limits.h>

#define PIPE_SLOTS (PIPE_BYTES_DEFAULT / PAGE_SIZE)

/* Fields: L = by lock; F = by fifo_lock; C = constant. */
struct pipe {
	struct mutex lock;
	struct ring ring;		  /* L */
	bool reading, writing;		  /* L: splice() has bytes, or space, for itself alone; see P4 */
	uint32_t readers, writers;	  /* L: open files */
	uint32_t reader_opens, writer_opens; /* L: how many there ever were, for those that wait in open(2) */
	uint32_t users;			  /* F */
	uint32_t number;		  /* C: for its name */
	struct pipe **slot;		  /* C: of the FIFO's inode, or null */
	struct wait_queue can_read, can_write;
	void *slots[PIPE_SLOTS];	  /* the ring's, unless fcntl made it another size */
};

/* The pipe of an open file, or null. */
struct pipe *pipe_of(const struct file *f);

/* What sleepers wait for; looked at without the lock. */
static inline bool pipe_may_read(const struct pipe *p)
{
	return (ring_used(&p->ring) > 0 || READ_ONCE(p->writers) == 0) && !READ_ONCE(p->reading);
}

static inline bool pipe_may_write(const struct pipe *p)
{
	return (ring_space(&p->ring) >= PIPE_BUF || READ_ONCE(p->readers) == 0) && !READ_ONCE(p->writing);
}

#endif
