/* SPDX-License-Identifier: MIT */
/*
 * Block devices as files: /dev/vda. Bytes at any position, of any length; nothing is cached, so that a write is at the device when write(2)
 * returns, and on the medium after fsync(2), or at once with O_SYNC and O_DSYNC.
 *
 * At the end reads get 0 and writes -ENOSPC; what crosses the end is cut. A read-only disk says -EROFS when it is opened for writing. A
 * device that is gone says -ENXIO at open and -EIO to who has it open. With O_DIRECT position, length and addresses must lie on the
 * device's blocks (-EINVAL), as on Linux, although data go through the kernel's memory here too.
 *
 * User memory is copied outside of all locks, through a buffer of up to CHUNK bytes.
 */
#include <cloudos/cred.h>
#include <cloudos/fs.h>
#include <cloudos/mm.h>
#include <cloudos/thread.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include "block_internal.h"

#define CHUNK_ORDER 4 /* of the buffer, if there is so much memory: 64 KiB */

/* ---- the buffer ---- */

struct chunk {
	struct page *pages;
	char *data;
	size_t size;
};

/* For a transfer of `len` bytes: fewer pages if it needs no more, or if there are no more. */
static int chunk_create(struct chunk *c, size_t len)
{
	unsigned order = 0;

	while (order < CHUNK_ORDER && (PAGE_SIZE << order) < len + BLOCK_SIZE_LARGEST)
		order++;
	while (!(c->pages = page_alloc(order, 0)) && order > 0)
		order--;
	if (!c->pages)
		return -ENOMEM;
	c->data = page_virt(c->pages);
	c->size = PAGE_SIZE << order;
	return 0;
}

/* How much of [pos, pos + len) one chunk holds, blocks at its edges included. */
static size_t chunk_fit(const struct chunk *c, const struct block_device *d, uint64_t pos, size_t len)
{
	return min(len, c->size - (size_t)(pos % d->block_size));
}

/* ---- reading and writing ---- */

static int direct_aligned(const struct file *f, const struct block_device *d, const struct io_iter *it, uint64_t pos)
{
	uint64_t all = pos;

	if (!(READ_ONCE(f->flags) & O_DIRECT))
		return 0;
	for (uint32_t i = 0; i < it->vecs; i++)
		all |= it->vec[i].base | it->vec[i].len;
	return is_aligned(all | it->offset, (uint64_t)d->block_size) ? 0 : -EINVAL;
}

/* What programs are told of a device's end. */
static int node_error(int error)
{
	return error == -ENODEV ? -EIO : error;
}

static int read_chunk(struct block_device *d, struct chunk *c, uint64_t pos, size_t len)
{
	uint64_t start = align_down(pos, (uint64_t)d->block_size), end = align_up(pos + len, (uint64_t)d->block_size);

	return block_transfer(d, BLOCK_READ, start >> BLOCK_SECTOR_SHIFT, c->data, end - start, 0);
}

static ssize_t node_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct block_device *d = f->private;
	uint64_t at = (uint64_t)*pos, size = block_bytes(d);
	struct chunk c;
	size_t left;
	int error = direct_aligned(f, d, to, at);

	if (error || at >= size || !to->count)
		return error;
	left = min((uint64_t)to->count, size - at);
	error = chunk_create(&c, left);
	while (!error && left > 0) {
		size_t n = chunk_fit(&c, d, at, left), copied;

		error = thread_exit_pending() ? -EINTR : read_chunk(d, &c, at, n);
		if (error)
			break;
		copied = io_copy_to(to, c.data + at % d->block_size, n);
		at += copied;
		left -= copied;
		error = copied < n ? -EFAULT : 0;
	}
	if (c.pages)
		page_put(c.pages);
	if (at == (uint64_t)*pos)
		return node_error(error);
	left = at - (uint64_t)*pos;
	*pos = (int64_t)at;
	return (ssize_t)left;
}

/* Writes as much as there is room for; *ret_at: behind what was written. */
static int write_all(struct block_device *d, struct io_iter *from, uint64_t at, size_t left, uint64_t *ret_at)
{
	struct chunk c;
	int error = chunk_create(&c, left);

	*ret_at = at;
	while (!error && left > 0) {
		size_t n = chunk_fit(&c, d, at, left);
		size_t copied = io_copy_from(from, c.data + at % d->block_size, n);

		error = !copied ? -EFAULT : thread_exit_pending() ? -EINTR : block_write_bytes(d, at, c.data, copied);
		if (error)
			break;
		at += copied;
		left -= copied;
		*ret_at = at;
		error = copied < n ? -EFAULT : 0;
	}
	if (c.pages)
		page_put(c.pages);
	return error;
}

static ssize_t node_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	struct block_device *d = f->private;
	uint32_t flags = READ_ONCE(f->flags);
	uint64_t size = block_bytes(d), at = flags & O_APPEND ? size : (uint64_t)*pos, end;
	int error;

	if (!from->count)
		return 0;
	error = direct_aligned(f, d, from, at);
	if (error)
		return error;
	if (at >= size)
		return -ENOSPC;
	error = write_all(d, from, at, min((uint64_t)from->count, size - at), &end);
	if (end == at)
		return node_error(error);
	if (flags & (O_SYNC | O_DSYNC)) {
		error = block_flush(d);
		if (error)
			return node_error(error);
	}
	*pos = (int64_t)end;
	return (ssize_t)(end - at);
}

/* Positions from 0 to the end, as Linux has it for what cannot grow. */
static int64_t node_seek(struct file *f, int64_t offset, int whence)
{
	struct block_device *d = f->private;
	int64_t before = f->pos, pos = seek_within(f, offset, whence, block_bytes(d));

	if (pos >= 0 && (uint64_t)pos > block_bytes(d)) {
		f->pos = before;
		return -EINVAL;
	}
	return pos;
}

static int node_fsync(struct file *f, bool data_only)
{
	(void)data_only;
	return node_error(block_flush(f->private));
}

/* ---- ioctl ---- */

static int64_t put(uaddr_t to, const void *value, size_t len)
{
	return copy_to_user(to, value, len);
}

static int64_t node_ioctl(struct file *f, unsigned cmd, uaddr_t arg)
{
	struct block_device *d = f->private;
	uint64_t bytes = block_bytes(d), sectors = bytes >> BLOCK_SECTOR_SHIFT;
	int read_only = d->read_only, block = (int)d->block_size;

	switch (cmd) {
	case BLKGETSIZE64:
		return put(arg, &bytes, sizeof(bytes));
	case BLKGETSIZE:
		return put(arg, &sectors, sizeof(sectors));
	case BLKSSZGET:
		return put(arg, &block, sizeof(block));
	case BLKPBSZGET:
		return put(arg, &d->physical_size, sizeof(d->physical_size));
	case BLKROGET:
		return put(arg, &read_only, sizeof(read_only));
	case BLKFLSBUF:
		if (!cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
			return -EACCES;
		return d->read_only ? 0 : node_error(block_flush(d));
	default:
		return -ENOTTY;
	}
}

/* ---- opening ---- */

/* The node's private word is the number in the table, so that a name that outlives its device leads nowhere. */
static int node_open(struct file *f)
{
	struct block_device *d = block_get_index((unsigned)(uintptr_t)f->private);
	int error = !d || READ_ONCE(d->dead) ? -ENXIO : d->read_only && (f->mode & FILE_WRITE) ? -EROFS : 0;

	if (error && d)
		block_put(d);
	if (!error)
		f->private = d;
	return error;
}

static void node_release(struct file *f)
{
	block_put(f->private);
}

static const struct file_ops node_ops = {
	.read = node_read,
	.write = node_write,
	.seek = node_seek,
	.ioctl = node_ioctl,
	.fsync = node_fsync,
	.open = node_open,
	.release = node_release,
	.splice = SPLICE_READ | SPLICE_WRITE,
	.rwf_nowait = NOWAIT_WAITS,
};

struct block_device *block_of_file(const struct file *f)
{
	return f->ops == &node_ops ? f->private : NULL;
}

int block_node_add(struct block_device *d)
{
	return devfs_add(d->name, S_IFBLK | 0660, BLOCK_MAJOR, d->index * BLOCK_MINORS, &node_ops, (void *)(uintptr_t)d->index);
}

void block_node_remove(struct block_device *d)
{
	devfs_remove(d->name);
}
