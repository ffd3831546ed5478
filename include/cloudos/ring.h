/* SPDX-License-Identifier: MIT */
/*
 * A queue of bytes in pages: what a pipe and a stream socket hold between their writer and their reader.
 *
 * The pages are taken when first written to and kept until the ring is destroyed. An empty ring begins again at its first page, so
 * that small messages back and forth stay in one page, and warm in the cache. The caller locks; what only looks at
 * ring_used() may do so without the lock and must then expect an outdated answer.
 */
#ifndef CLOUDOS_RING_H
#define CLOUDOS_RING_H

#include <cloudos/io.h>
#include <cloudos/types.h>

#define RING_BYTES_MAX (UINT32_C(1) << 20)

struct ring {
	void **slots;	     /* the pages; null: not taken yet. The array is the owner's */
	uint32_t mask;	     /* capacity in bytes - 1                                    */
	uint32_t head, tail; /* bytes put in and taken out since it was last empty       */
};

/* `slots` has bytes / PAGE_SIZE entries and is cleared here; `bytes` is a power of two from PAGE_SIZE to RING_BYTES_MAX. */
void ring_init(struct ring *r, void **slots, uint32_t bytes);
void ring_fini(struct ring *r); /* frees the pages */

static inline uint32_t ring_capacity(const struct ring *r)
{
	return r->mask + 1;
}

static inline uint32_t ring_used(const struct ring *r)
{
	return READ_ONCE(r->head) - READ_ONCE(r->tail);
}

static inline uint32_t ring_space(const struct ring *r)
{
	return r->mask + 1 - ring_used(r);
}

/*
 * Moves up to `max` bytes, as many as the iterator, the ring's content or space allow; returns how many. Zero only if nothing could
 * be moved; when the very first byte fails: -EFAULT for a bad address, -ENOMEM (put) for no page. May sleep.
 */
ssize_t ring_put(struct ring *r, struct io_iter *from, size_t max);
ssize_t ring_get(struct ring *r, struct io_iter *to, size_t max);

/* Copies without taking out, beginning `skip` bytes behind the first. */
ssize_t ring_peek(const struct ring *r, uint32_t skip, struct io_iter *to, size_t max);

/* Takes out without copying; at most ring_used(). */
void ring_drop(struct ring *r, uint32_t bytes);

/* Makes sure that the next `bytes` (at most ring_space()) find their pages: 0 or -ENOMEM. */
int ring_reserve(struct ring *r, uint32_t bytes);

/* Puts a copy of everything into another, empty ring, which must be large enough: 0, or -ENOMEM with part of it there. */
int ring_copy(struct ring *to, const struct ring *from);

#endif
