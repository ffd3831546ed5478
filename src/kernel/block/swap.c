/* SPDX-License-Identifier: MIT */
/* Block devices as swap areas: swapon(2) and swapoff(2), from the file that was opened on. What a page is written to is vm's business. */
#include <cloudos/fs.h>
#include <cloudos/string.h>
#include <cloudos/swap.h>
#include <cloudos/vfs.h>
#include "block_internal.h"

#define PAGE_SECTORS (PAGE_SIZE / BLOCK_SECTOR)
_Static_assert(PAGE_SIZE % BLOCK_SIZE_LARGEST == 0 && SWAP_RUN_MAX <= BLOCK_SEGMENTS_MAX, "a page is whole blocks, and a segment");

/* Pages of one transfer in as many requests as the device needs. */
static int transfer(void *device, bool write, uint64_t first, struct page *const pages[], unsigned n)
{
	struct block_device *d = device;
	struct block_segment segments[SWAP_RUN_MAX];
	int err = 0;

	for (unsigned done = 0, part; done < n && !err; done += part) {
		struct block_request r = { .op = write ? BLOCK_WRITE : BLOCK_READ, .sector = (first + done) * PAGE_SECTORS,
					   .segments = segments };

		part = min(n - done, d->segments_max);
		for (unsigned i = 0; i < part; i++)
			segments[i] = (struct block_segment){ page_virt(pages[done + i]), PAGE_SIZE };
		r.segment_count = part;
		err = block_wait(d, &r);
	}
	return err;
}

static void release(void *device)
{
	block_put(device);
}

static const struct swap_backing_ops backing = { .transfer = transfer, .release = release };

int block_swap_on(struct file *f, bool preferred, int priority)
{
	struct block_device *d = block_of_file(f);
	struct swap_request r = { .ops = &backing, .device = d, .preferred = preferred, .priority = priority };
	int err;

	if (!d)
		return -EINVAL;
	r.device_pages = block_bytes(d) / PAGE_SIZE;
	if (path_string(&f->path, r.name, sizeof(r.name)) < 0)
		memcpy(r.name, d->name, sizeof(d->name));
	refcount_get(&d->refs);
	err = swap_on(&r);
	if (err)
		block_put(d);
	return err;
}

int block_swap_off(struct file *f)
{
	struct block_device *d = block_of_file(f);

	return d ? swap_off(d) : -EINVAL;
}
