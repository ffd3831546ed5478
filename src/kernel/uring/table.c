/* SPDX-License-Identifier: MIT */
/*
 * What is registered with a ring to be named by an index: files (IOSQE_FIXED_FILE) and buffers (OP_READ_FIXED). Tables change, and
 * are looked at, under ring->state; they come and go, and buffers change, under ring->lock as well, but not what requests put into slots. A tag that is not 0 is posted as a completion when what it belongs
 * to goes.
 *
 * A registered buffer is a range of addresses of whoever uses it: its pages are not held.
 */
#include "uring_internal.h"
#include <asm/resource.h>
#include <cloudos/proc.h>
#include <cloudos/vm.h>
#include <cloudos/uring.h>

/* ---- files ---- */

struct file *uring_file_get(struct uring *ring, uint32_t index)
{
	struct file *f = NULL;

	spin_lock(&ring->state);
	if (index < ring->file_count)
		f = ring->files[index].file;
	if (f)
		file_get(f);
	spin_unlock(&ring->state);
	return f;
}

static void drop(struct uring *ring, struct uring_file_slot old)
{
	if (!old.file)
		return;
	file_put(old.file);
	if (old.tag)
		uring_post(ring, old.tag, 0, 0);
}

/* Takes over the reference; what was there goes. */
static int set_slot(struct uring *ring, uint32_t index, struct file *f, uint64_t tag)
{
	struct uring_file_slot old;

	spin_lock(&ring->state);
	if (index >= ring->file_count) {
		spin_unlock(&ring->state);
		if (f)
			file_put(f);
		return -EINVAL;
	}
	old = ring->files[index];
	ring->files[index] = (struct uring_file_slot){ f, tag };
	spin_unlock(&ring->state);
	drop(ring, old);
	return 0;
}

/* A free slot in the range for those that the kernel chooses gets the file: its index, or -ENFILE. */
static int64_t set_any(struct uring *ring, struct file *f)
{
	int64_t index = -ENFILE;

	spin_lock(&ring->state);
	for (uint32_t i = ring->alloc_from; i < ring->alloc_to && i < ring->file_count; i++)
		if (!ring->files[i].file) {
			ring->files[i] = (struct uring_file_slot){ f, 0 };
			index = i;
			break;
		}
	spin_unlock(&ring->state);
	if (index < 0)
		file_put(f);
	return index;
}

int64_t uring_file_install(struct uring *ring, struct file *f, uint32_t slot_plus_1)
{
	bool any = slot_plus_1 == IORING_FILE_INDEX_ALLOC;
	int err = 0;

	if (file_is_uring(f))
		err = -EBADF;
	else if (!READ_ONCE(ring->file_count))
		err = any ? -ENFILE : -ENXIO;
	if (err) {
		file_put(f);
		return err;
	}
	return any ? set_any(ring, f) : set_slot(ring, slot_plus_1 - 1, f, 0);
}

int uring_file_remove(struct uring *ring, uint32_t index)
{
	struct uring_file_slot old = { 0 };
	int err = 0;

	spin_lock(&ring->state);
	if (!ring->file_count)
		err = -ENXIO;
	else if (index >= ring->file_count)
		err = -EINVAL;
	else if (!ring->files[index].file)
		err = -EBADF;
	if (!err) {
		old = ring->files[index];
		ring->files[index] = (struct uring_file_slot){ 0 };
	}
	spin_unlock(&ring->state);
	drop(ring, old);
	return err;
}

/* One entry of a user's arrays: *ret null for -1. 0, -EFAULT, -EBADF. *ret_skip: it is to stay as it is. */
static int file_from_user(uaddr_t fds, uaddr_t tags, uint32_t i, struct uring_file_slot *ret, bool *ret_skip)
{
	int32_t fd;

	*ret = (struct uring_file_slot){ 0 };
	if (get_user(fd, fds + i * sizeof(fd)))
		return -EFAULT;
	if (tags && get_user(ret->tag, tags + i * sizeof(ret->tag)))
		return -EFAULT;
	*ret_skip = fd == IORING_REGISTER_FILES_SKIP;
	if (*ret_skip)
		return 0;
	if (fd == -1)
		return ret->tag ? -EINVAL : 0;
	ret->file = fd_get(fd);
	if (!ret->file)
		return -EBADF;
	if (!file_is_uring(ret->file))
		return 0;
	file_put(ret->file);
	return -EBADF;
}

int64_t uring_files_update(struct uring *ring, uint32_t offset, uaddr_t fds, uaddr_t tags, uint32_t count)
{
	struct uring_file_slot slot;
	uint32_t done = 0;
	int err = 0;
	bool skip;

	if (!READ_ONCE(ring->file_count))
		return -ENXIO;
	if (offset > UINT32_MAX - count || offset + count > READ_ONCE(ring->file_count))
		return -EINVAL;
	for (; done < count; done++) {
		err = file_from_user(fds, tags, done, &slot, &skip);
		if (!err && !skip)
			err = set_slot(ring, offset + done, slot.file, slot.tag);
		if (err)
			break;
	}
	return done ? (int64_t)done : err;
}

static void drop_slots(struct uring *ring, struct uring_file_slot *slots, uint32_t n, bool tell)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!tell)
			slots[i].tag = 0;
		drop(ring, slots[i]);
	}
	kfree(slots);
}

int uring_files_register(struct uring *ring, uaddr_t fds, uaddr_t tags, uint32_t count)
{
	struct uring_file_slot *slots;
	bool skip;
	int err;

	if (ring->files)
		return -EBUSY;
	if (!count)
		return -EINVAL;
	if (count > URING_FILES_MAX || count > process_limit(RLIMIT_NOFILE))
		return -EMFILE;
	slots = kcalloc(count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; fds && i < count; i++) {
		err = file_from_user(fds, tags, i, &slots[i], &skip);
		if (!err && skip)
			err = -EBADF;
		if (err) {
			drop_slots(ring, slots, i, false);
			return err;
		}
	}
	spin_lock(&ring->state);
	ring->files = slots;
	WRITE_ONCE(ring->file_count, count);
	ring->alloc_from = 0;
	ring->alloc_to = count;
	spin_unlock(&ring->state);
	return 0;
}

int uring_files_unregister(struct uring *ring)
{
	struct uring_file_slot *slots;
	uint32_t count;

	spin_lock(&ring->state);
	slots = ring->files;
	count = ring->file_count;
	ring->files = NULL;
	WRITE_ONCE(ring->file_count, 0);
	spin_unlock(&ring->state);
	if (!slots)
		return -ENXIO;
	drop_slots(ring, slots, count, true);
	return 0;
}

int uring_files_alloc_range(struct uring *ring, uaddr_t arg)
{
	struct io_uring_file_index_range range;
	int err = 0;

	if (get_user(range, arg))
		return -EFAULT;
	if (range.resv || range.off > UINT32_MAX - range.len)
		return range.resv ? -EINVAL : -EOVERFLOW;
	spin_lock(&ring->state);
	if (range.off + range.len > ring->file_count) {
		err = -EINVAL;
	} else {
		ring->alloc_from = range.off;
		ring->alloc_to = range.off + range.len;
	}
	spin_unlock(&ring->state);
	return err;
}

/* ---- buffers ---- */

#define BUFFER_BYTES_MAX (UINT64_C(1) << 30)

static int buffer_from_user(uaddr_t vec, uaddr_t tags, uint32_t i, struct uring_buffer *ret)
{
	struct io_vec v;
	uaddr_t from;
	uint64_t len;

	if (get_user(v, vec + i * sizeof(v)) || (tags && get_user(ret->tag, tags + i * sizeof(ret->tag))))
		return -EFAULT;
	ret->addr = v.base;
	ret->len = v.len;
	if (!v.base)
		return v.len || ret->tag ? (v.len ? -EFAULT : -EINVAL) : 0;
	if (!v.len || v.len > BUFFER_BYTES_MAX || !user_range_ok(v.base, v.len))
		return -EFAULT;
	from = v.base & ~(uaddr_t)(PAGE_SIZE - 1);
	len = align_up(v.base + v.len - from, PAGE_SIZE);
	return vm_populate(thread_current()->vm, from, len) ? -EFAULT : 0;
}

int uring_buffers_register(struct uring *ring, uaddr_t vec, uaddr_t tags, uint32_t count)
{
	struct uring_buffer *buffers;
	int err = 0;

	if (ring->buffers)
		return -EBUSY;
	if (!count || count > URING_BUFFERS_MAX)
		return -EINVAL;
	buffers = kcalloc(count, sizeof(*buffers));
	if (!buffers)
		return -ENOMEM;
	for (uint32_t i = 0; vec && i < count && !err; i++)
		err = buffer_from_user(vec, tags, i, &buffers[i]);
	if (err) {
		kfree(buffers);
		return err;
	}
	spin_lock(&ring->state);
	ring->buffers = buffers;
	ring->buffer_count = count;
	spin_unlock(&ring->state);
	return 0;
}

int uring_buffers_update(struct uring *ring, uint32_t offset, uaddr_t vec, uaddr_t tags, uint32_t count)
{
	uint32_t done = 0;
	int err = 0;

	if (!ring->buffers)
		return -ENXIO;
	if (offset > UINT32_MAX - count || offset + count > ring->buffer_count)
		return -EINVAL;
	for (; done < count; done++) {
		struct uring_buffer fresh = { 0 }, old;

		err = buffer_from_user(vec, tags, done, &fresh);
		if (err)
			break;
		spin_lock(&ring->state);
		old = ring->buffers[offset + done];
		ring->buffers[offset + done] = fresh;
		spin_unlock(&ring->state);
		if (old.tag)
			uring_post(ring, old.tag, 0, 0);
	}
	return done ? (int)done : err;
}

int uring_buffers_unregister(struct uring *ring)
{
	struct uring_buffer *buffers;
	uint32_t count;

	spin_lock(&ring->state);
	buffers = ring->buffers;
	count = ring->buffer_count;
	ring->buffers = NULL;
	ring->buffer_count = 0;
	spin_unlock(&ring->state);
	if (!buffers)
		return -ENXIO;
	for (uint32_t i = 0; i < count; i++)
		if (buffers[i].tag)
			uring_post(ring, buffers[i].tag, 0, 0);
	kfree(buffers);
	return 0;
}

int uring_buffer_check(struct uring *ring, uint32_t index, uint64_t addr, uint64_t len)
{
	int err = -EFAULT;

	spin_lock(&ring->state);
	if (index < ring->buffer_count) {
		const struct uring_buffer *b = &ring->buffers[index];

		if (addr >= b->addr && len <= b->len && addr - b->addr <= b->len - len)
			err = 0;
	}
	spin_unlock(&ring->state);
	return err;
}

void uring_tables_drop(struct uring *ring)
{
	if (ring->files)
		drop_slots(ring, ring->files, ring->file_count, false);
	kfree(ring->buffers);
}
