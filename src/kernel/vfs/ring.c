/* SPDX-License-Identifier: MIT */
/*
 * Rings of pages (see cloudos/ring.h).
 *
 * I1  head - tail <= capacity, also across their 32-bit wrap.
 * I2  Byte number n lives in slots[(n & mask) / PAGE_SIZE]; the slots of [tail, head) have a page.
 * I3  head == tail implies head == tail == 0.
 */
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/panic.h>
#include <cloudos/ring.h>
#include <cloudos/string.h>

void ring_init(struct ring *r, void **slots, uint32_t bytes)
{
	ASSERT(bytes >= PAGE_SIZE && bytes <= RING_BYTES_MAX && (bytes & (bytes - 1)) == 0);
	memset(slots, 0, (bytes >> PAGE_SHIFT) * sizeof(*slots));
	*r = (struct ring){ .slots = slots, .mask = bytes - 1 };
}

void ring_fini(struct ring *r)
{
	for (uint32_t i = 0; i < ring_capacity(r) >> PAGE_SHIFT; i++)
		if (r->slots[i])
			page_put(page_of_virt(r->slots[i]));
}

static inline void **slot_of(const struct ring *r, uint32_t position)
{
	return &r->slots[(position & r->mask) >> PAGE_SHIFT];
}

static inline int slot_fill(void **slot)
{
	struct page *page;

	if (likely(*slot))
		return 0;
	page = page_alloc(0, 0);
	if (!page)
		return -ENOMEM;
	*slot = page_virt(page);
	return 0;
}

static inline size_t least(size_t a, size_t b, size_t c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/* Bytes from `position` to the end of its page, at most max. */
static inline size_t run_length(uint32_t position, size_t max)
{
	size_t room = PAGE_SIZE - (position & (PAGE_SIZE - 1));

	return room < max ? room : max;
}

int ring_reserve(struct ring *r, uint32_t bytes)
{
	for (uint32_t done = 0; done < bytes; done += (uint32_t)run_length(r->head + done, bytes - done))
		if (slot_fill(slot_of(r, r->head + done)))
			return -ENOMEM;
	return 0;
}

ssize_t ring_put_pages(struct ring *r, struct io_iter *from, size_t max)
{
	size_t wanted = least(max, from->count, ring_space(r)), done = 0;
	int error = 0;

	while (done < wanted) {
		size_t run = run_length(r->head, wanted - done), copied;
		void **slot = slot_of(r, r->head);

		error = slot_fill(slot);
		if (unlikely(error))
			break;
		copied = io_copy_from(from, (char *)*slot + (r->head & (PAGE_SIZE - 1)), run);
		WRITE_ONCE(r->head, r->head + (uint32_t)copied);
		done += copied;
		if (unlikely(copied < run)) {
			error = -EFAULT;
			break;
		}
	}
	return done > 0 ? (ssize_t)done : error;
}

ssize_t ring_peek(const struct ring *r, uint32_t skip, struct io_iter *to, size_t max)
{
	uint32_t position = r->tail + skip;
	size_t wanted = least(max, to->count, ring_used(r) - skip), done = 0;

	while (done < wanted) {
		size_t run = run_length(position, wanted - done);
		size_t copied = io_copy_to(to, (char *)*slot_of(r, position) + (position & (PAGE_SIZE - 1)), run);

		position += (uint32_t)copied;
		done += copied;
		if (unlikely(copied < run))
			return done > 0 ? (ssize_t)done : -EFAULT;
	}
	return (ssize_t)done;
}

ssize_t ring_get_pages(struct ring *r, struct io_iter *to, size_t max)
{
	ssize_t n = ring_peek(r, 0, to, max);

	if (likely(n > 0))
		ring_drop(r, (uint32_t)n);
	return n;
}

int ring_copy(struct ring *to, const struct ring *from)
{
	for (uint32_t position = from->tail; position != from->head;) {
		size_t run = run_length(position, from->head - position);
		struct io_iter it;

		io_iter_kernel(&it, (char *)*slot_of(from, position) + (position & (PAGE_SIZE - 1)), run);
		if (ring_put(to, &it, run) != (ssize_t)run)
			return -ENOMEM;
		position += (uint32_t)run;
	}
	return 0;
}
