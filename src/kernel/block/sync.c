/* SPDX-License-Identifier: MIT */
/*
 * Requests that a thread waits for, and writes of any bytes.
 *
 * A device knows whole blocks. A write of fewer reads the blocks at its edges, puts its bytes in and writes them back; between the read
 * and the write nobody may write there, or his bytes would be undone. So writes of whole blocks share d->bytes, and one that reads
 * first has it alone. I1 what a write did not name keeps the bytes of the last write that did. This holds among users of
 * block_write_bytes(); a file system that submits requests by itself orders them by itself.
 */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "block_internal.h"

/* ---- waiting ---- */

/* The waiter's stack holds this: whoever wakes is done with it when he has released the lock. */
struct completion {
	struct spinlock lock;
	struct wait_queue queue;
	bool done;
	int error;
};

static void complete(struct block_request *r, int error)
{
	struct completion *c = r->private;
	unsigned long irq = spin_lock_irq(&c->lock);

	c->error = error;
	WRITE_ONCE(c->done, true);
	wake_all(&c->queue);
	spin_unlock_irq(&c->lock, irq);
}

static int wait_for(struct completion *c)
{
	unsigned long irq;

	wait_event(&c->queue, READ_ONCE(c->done));
	irq = spin_lock_irq(&c->lock);
	spin_unlock_irq(&c->lock, irq);
	return c->error;
}

int block_wait(struct block_device *d, struct block_request *r)
{
	struct completion c = { .lock = SPINLOCK_INIT(RANK_BLOCK_DONE) };
	int error;

	wait_queue_init(&c.queue);
	r->done = complete;
	r->private = &c;
	while ((error = block_submit(d, r)) == -EAGAIN)
		wait_event(&d->room, READ_ONCE(d->outstanding) < BLOCK_OUTSTANDING_MAX || READ_ONCE(d->dead));
	return error ? error : wait_for(&c);
}

int block_flush(struct block_device *d)
{
	struct block_request r = { .op = BLOCK_FLUSH };

	return block_wait(d, &r);
}

/* ---- one buffer, as many requests as it takes ---- */

/* Fills segments from the buffer, as far as one request goes; returns the bytes, whole blocks. */
static size_t cut(const struct block_device *d, char *data, size_t len, struct block_segment *segments, uint32_t *ret_count)
{
	size_t most = align_down((size_t)d->segment_bytes_max, (size_t)d->block_size), done = 0;
	uint32_t n = 0;

	while (done < len && n < d->segments_max) {
		size_t part = min(len - done, most);

		segments[n++] = (struct block_segment){ data + done, (uint32_t)part };
		done += part;
	}
	*ret_count = n;
	return done;
}

/* Segments of a transfer from one buffer: few, since most devices take any length. */
#define TRANSFER_SEGMENTS 4

int block_transfer(struct block_device *d, enum block_op op, uint64_t sector, void *data, size_t len, uint32_t flags)
{
	struct block_segment segments[TRANSFER_SEGMENTS];
	char *at = data;

	while (len > 0) {
		struct block_request r = { .op = op, .flags = flags, .sector = sector, .segments = segments };
		size_t most = (size_t)d->segment_bytes_max * min(d->segments_max, (uint32_t)TRANSFER_SEGMENTS);
		size_t part = cut(d, at, min(len, most), segments, &r.segment_count);
		int error = block_wait(d, &r);

		if (error)
			return error;
		at += part;
		len -= part;
		sector += part >> BLOCK_SECTOR_SHIFT;
	}
	return 0;
}

/* ---- any bytes ---- */

/* Bytes [from, to) of the block at `pos` come from the device into `block`, the others stay. */
static int fill(struct block_device *d, uint64_t pos, char *block, size_t from, size_t to, char *scratch)
{
	int error = block_transfer(d, BLOCK_READ, pos >> BLOCK_SECTOR_SHIFT, scratch, d->block_size, 0);

	if (!error)
		memcpy(block + from, scratch + from, to - from);
	return error;
}

static int write_partial(struct block_device *d, uint64_t pos, char *buffer, size_t len, char *scratch)
{
	uint64_t start = align_down(pos, (uint64_t)d->block_size), end = align_up(pos + len, (uint64_t)d->block_size);
	uint64_t last = end - d->block_size;
	size_t head = pos - start, tail = pos + len - last;
	int error = 0;

	if (head)
		error = fill(d, start, buffer, 0, head, scratch);
	if (!error && tail < d->block_size)
		error = fill(d, last, buffer + (last - start), tail, d->block_size, scratch);
	return error ? error : block_transfer(d, BLOCK_WRITE, start >> BLOCK_SECTOR_SHIFT, buffer, end - start, 0);
}

int block_write_bytes(struct block_device *d, uint64_t pos, void *buffer, size_t len)
{
	struct page *scratch;
	int error;

	if (is_aligned(pos | len, (uint64_t)d->block_size)) {
		rwlock_read(&d->bytes);
		error = block_transfer(d, BLOCK_WRITE, pos >> BLOCK_SECTOR_SHIFT, buffer, len, 0);
		rwlock_read_unlock(&d->bytes);
		return error;
	}
	scratch = page_alloc(0, 0);
	if (!scratch)
		return -ENOMEM;
	rwlock_write(&d->bytes);
	error = write_partial(d, pos, buffer, len, page_virt(scratch));
	rwlock_write_unlock(&d->bytes);
	page_put(scratch);
	return error;
}
