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

#include <cloudos/errno.h>
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

/* Do the next `bytes` go into the page at hand? */
static inline bool ring_fits_page(const struct ring *r, size_t bytes)
{
	return (r->head & (PAGE_SIZE - 1)) + bytes <= PAGE_SIZE && r->slots[(r->head & r->mask) >> PAGE_SHIFT];
}

/* Takes out without copying; at most ring_used(). */
static inline void ring_drop(struct ring *r, uint32_t bytes)
{
	uint32_t tail = r->tail + bytes;

	if (tail == r->head) {
		WRITE_ONCE(r->head, 0);
		tail = 0;
	}
	WRITE_ONCE(r->tail, tail);
}

ssize_t ring_put_pages(struct ring *r, struct io_iter *from, size_t max);
ssize_t ring_get_pages(struct ring *r, struct io_iter *to, size_t max);

/*
 * Moves up to `max` bytes, as many as the iterator, the ring's content or space allow; returns how many. Zero only if nothing could
 * be moved; when the very first byte fails: -EFAULT for a bad address, -ENOMEM (put) for no page. May sleep. What stays in
 * one page takes the short way, the others do the same for any number of pages.
 */
static inline ssize_t ring_put(struct ring *r, struct io_iter *from, size_t max)
{
	size_t n = from->count;

	if (likely(n <= max && n <= ring_space(r) && ring_fits_page(r, n))) {
		char *page = r->slots[(r->head & r->mask) >> PAGE_SHIFT];

		n = io_copy_from(from, page + (r->head & (PAGE_SIZE - 1)), n);
		WRITE_ONCE(r->head, r->head + (uint32_t)n);
		return likely(n > 0) || from->count == 0 ? (ssize_t)n : -EFAULT;
	}
	return ring_put_pages(r, from, max);
}

static inline ssize_t ring_get(struct ring *r, struct io_iter *to, size_t max)
{
	size_t n = ring_used(r), at = r->tail & (PAGE_SIZE - 1);

	n = n < to->count ? n : to->count;
	if (likely(n > 0 && n <= max && at + n <= PAGE_SIZE)) {
		n = io_copy_to(to, (char *)r->slots[(r->tail & r->mask) >> PAGE_SHIFT] + at, n);
		if (unlikely(n == 0))
			return -EFAULT;
		ring_drop(r, (uint32_t)n);
		return (ssize_t)n;
	}
	return ring_get_pages(r, to, max);
}

/* Copies without taking out, beginning `skip` bytes behind the first. */
ssize_t ring_peek(const struct ring *r, uint32_t skip, struct io_iter *to, size_t max);

/* Makes sure that the next `bytes` (at most ring_space()) find their pages: 0 or -ENOMEM. */
int ring_reserve(struct ring *r, uint32_t bytes);

/* Puts a copy of everything into another, empty ring, which must be large enough: 0, or -ENOMEM with part of it there. */
int ring_copy(struct ring *to, const struct ring *from);

#endif
