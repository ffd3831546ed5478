/* SPDX-License-Identifier: MIT */
/*
 * Cache objects: the pages of a file, or of memory that processes share. read(), write() and mmap() see the same pages.
 *
 *   I1 A page in the map has one reference for being there, kind PAGE_CACHE, owner and index (but for what was adopted from elsewhere).
 *   I2 No page lies wholly behind `size`, except one that a writer, whose bytes make the object longer, is filling just now.
 *   I3 Bytes of the last page behind `size` are zero, or were written there through a mapping.
 *
 * User memory is never touched with the object's lock held: a fault on it may need the same lock. A reader takes a reference on the page
 * and copies without the lock; a writer into a hole fills a page of its own first and then offers it, so that a page never shows
 * what was in memory before. Writers and resizers of one file exclude each other by its inode's lock.
 */
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <cloudos/swap.h>
#include <cloudos/thread.h>
#include "vm_internal.h"

#define OBJECT_SIZE_MAX ((uint64_t)INT64_MAX)

static const struct vm_object_ops no_ops;
static struct slab_cache *object_cache;
static uint64_t last_id;

int object_cache_init(void)
{
	object_cache = slab_cache_create("vm_object", sizeof(struct vm_object), 0);
	return object_cache ? 0 : -ENOMEM;
}

/* ---- life ---- */

void vm_object_init(struct vm_object *o, const struct vm_object_ops *ops, void *owner, uint64_t size)
{
	refcount_init(&o->refs, 1);
	o->ops = ops ? ops : &no_ops;
	o->owner = owner;
	o->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	o->allocated = false;
	mutex_init(&o->lock, RANK_VM_OBJECT);
	o->size = size;
	o->pages = (struct vm_page_map){ 0 };
	list_init(&o->areas);
	o->write_sealed = false;
}

struct vm_object *vm_object_create(const struct vm_object_ops *ops, void *owner, uint64_t size)
{
	struct vm_object *o = slab_alloc(object_cache);

	if (!o)
		return NULL;
	vm_object_init(o, ops, owner, size);
	o->allocated = true;
	return o;
}

/* Takes the page out of the map and gives up the object's reference. */
static void drop_page(struct vm_object *o, uint64_t index)
{
	page_put(page_map_remove(&o->pages, index));
	if (o->ops->uncharge)
		o->ops->uncharge(o, 1);
}

/* Frees the pages [first, last]; nobody maps them any more. */
static void drop_pages(struct vm_object *o, uint64_t first, uint64_t last)
{
	for (uint64_t index = first; page_map_next(&o->pages, &index) && index <= last;)
		drop_page(o, index);
}

void vm_object_fini(struct vm_object *o)
{
	ASSERT(list_empty(&o->areas));
	drop_pages(o, 0, UINT64_MAX);
}

int vm_object_seal_writes(struct vm_object *o)
{
	const struct vm_area *a;
	int err = 0;

	mutex_lock(&o->lock);
	list_for_each(a, &o->areas, object_link)
		if (area_writes_object(READ_ONCE(a->flags), a->may_prot))
			err = -EBUSY;
	if (!err)
		o->write_sealed = true;
	mutex_unlock(&o->lock);
	return err;
}

void vm_object_get(struct vm_object *o)
{
	refcount_get(&o->refs);
}

void vm_object_put(struct vm_object *o)
{
	bool allocated = o->allocated;

	if (!refcount_put(&o->refs))
		return;
	vm_object_fini(o);
	if (o->ops->release)
		o->ops->release(o);
	if (allocated)
		slab_free(object_cache, o);
}

/* ---- pages ---- */

/* Enters a page; takes over the reference if it succeeds. */
static int add_page(struct vm_object *o, uint64_t index, struct page *page)
{
	int err = o->ops->charge ? o->ops->charge(o, 1) : 0;

	if (err)
		return err;
	err = page_map_set(&o->pages, index, page);
	if (err) {
		if (o->ops->uncharge)
			o->ops->uncharge(o, 1);
		return err;
	}
	page_set_kind(page, PAGE_CACHE);
	page->owner = o;
	page->index = index;
	return 0;
}

static int make_page(struct vm_object *o, uint64_t index, struct page **ret)
{
	struct page *page = object_page_alloc(PAGE_ALLOC_ZERO);
	int err;

	if (!page)
		return -ENOMEM;
	err = o->ops->read_page ? o->ops->read_page(o, index, page) : 0;
	if (!err)
		err = add_page(o, index, page);
	if (err)
		page_put(page);
	else
		*ret = page;
	return err;
}

int object_page_locked(struct vm_object *o, uint64_t index, bool create, struct page **ret)
{
	struct page *page = page_map_get(&o->pages, index);

	if (unlikely(!page))
		return create ? make_page(o, index, ret) : -ENOENT;
	*ret = page;
	return 0;
}

int vm_object_page(struct vm_object *o, uint64_t index, bool create, struct page **ret)
{
	struct page *page;
	int err;

	mutex_lock(&o->lock);
	err = object_page_locked(o, index, create, &page);
	if (!err)
		page_get(page);
	mutex_unlock(&o->lock);
	if (!err)
		*ret = page;
	return err;
}

int vm_object_adopt(struct vm_object *o, uint64_t index, struct page *page)
{
	int err;

	mutex_lock(&o->lock);
	err = page_map_get(&o->pages, index) ? -EEXIST : add_page(o, index, page);
	mutex_unlock(&o->lock);
	return err;
}

int64_t vm_object_seek(struct vm_object *o, uint64_t pos, bool data)
{
	uint64_t index = pos >> PAGE_SHIFT, end;
	int64_t found;

	mutex_lock(&o->lock);
	end = min(o->size, OBJECT_SIZE_MAX);
	if (data)
		found = page_map_next(&o->pages, &index) ? 0 : -ENXIO;
	else
		for (found = 0; page_map_get(&o->pages, index);)
			index++;
	mutex_unlock(&o->lock);
	if (found < 0 || pos >= end)
		return -ENXIO;
	pos = max(pos, index << PAGE_SHIFT);
	if (pos >= end)
		return data ? -ENXIO : (int64_t)end;
	return (int64_t)pos;
}

/* Between the pages of a transfer, with nothing held but what its caller holds: true if it is to end here. */
static bool enough(const struct io_iter *it)
{
	if (!it->count)
		return true;
	sched_point();
	return thread_exit_pending();
}

/* ---- read ---- */

/* The page of a read with a reference, null for a hole, and how many bytes of it are valid from pos on (0: the end). */
static int read_begin(struct vm_object *o, uint64_t pos, struct page **ret, uint64_t *ret_valid)
{
	struct page *page = NULL;
	int err = 0;

	mutex_lock(&o->lock);
	if (pos >= o->size) {
		*ret_valid = 0;
	} else {
		*ret_valid = min(o->size - pos, PAGE_SIZE - (pos & ~PAGE_MASK));
		err = object_page_locked(o, pos >> PAGE_SHIFT, o->ops->read_page, &page);
		if (!err)
			page_get(page);
		else if (err == -ENOENT)
			err = 0;
	}
	mutex_unlock(&o->lock);
	*ret = page;
	return err;
}

ssize_t vm_object_read(struct vm_object *o, uint64_t pos, struct io_iter *to)
{
	ssize_t total = 0;

	while (to->count > 0) {
		struct page *page;
		uint64_t valid;
		size_t done;
		int err = read_begin(o, pos, &page, &valid);

		if (err)
			return total ? total : err;
		if (valid == 0)
			break;
		valid = min(valid, to->count);
		if (page) {
			done = io_copy_to(to, (char *)page_virt(page) + (pos & ~PAGE_MASK), valid);
			page_put(page);
		} else {
			done = io_zero(to, valid);
		}
		pos += done;
		total += (ssize_t)done;
		if (done < valid)
			return total ? total : -EFAULT;
		if (enough(to))
			break;
	}
	return total;
}

/* ---- write ---- */

/* Enters a page that a writer has filled from pos on; if another one came in between, that one stays. Grows the object. */
static int offer_page(struct vm_object *o, uint64_t pos, size_t n, struct page *page)
{
	int err;

	mutex_lock(&o->lock);
	err = page_map_get(&o->pages, pos >> PAGE_SHIFT) ? -EEXIST : add_page(o, pos >> PAGE_SHIFT, page);
	if (!err && o->size < pos + n)
		WRITE_ONCE(o->size, pos + n);
	mutex_unlock(&o->lock);
	return err;
}

/* Writes n bytes within one page that is not there. Bytes done (0: a bad address), or an errno. */
static ssize_t write_hole(struct vm_object *o, uint64_t pos, size_t n, struct io_iter *from)
{
	size_t offset = pos & ~PAGE_MASK, done;
	struct page *page = object_page_alloc(0);
	char *data;
	int err;

	if (!page)
		return -ENOMEM;
	data = page_virt(page);
	done = io_copy_from(from, data + offset, n);
	memset(data, 0, offset);
	memset(data + offset + done, 0, PAGE_SIZE - offset - done);
	err = done ? offer_page(o, pos, done, page) : 0;
	if (err || !done)
		page_put(page);
	if (err)
		io_revert(from, done);
	return err ? err : (ssize_t)done;
}

/* Writes n bytes into a page that is there; takes over the reference. */
static size_t write_page(struct vm_object *o, uint64_t pos, size_t n, struct page *page, struct io_iter *from)
{
	size_t done = io_copy_from(from, (char *)page_virt(page) + (pos & ~PAGE_MASK), n);

	page_written(page);
	page_put(page);
	if (done && pos + done > READ_ONCE(o->size)) {
		mutex_lock(&o->lock);
		WRITE_ONCE(o->size, max(o->size, pos + done));
		mutex_unlock(&o->lock);
	}
	return done;
}

/* A whole page need not be read first; a hole of an object that is all in memory need not be made first. */
static ssize_t write_part(struct vm_object *o, uint64_t pos, size_t n, struct io_iter *from)
{
	struct page *page;
	ssize_t done;

	for (;;) {
		int err = vm_object_page(o, pos >> PAGE_SHIFT, n < PAGE_SIZE && o->ops->read_page, &page);

		if (!err)
			return (ssize_t)write_page(o, pos, n, page, from);
		if (err != -ENOENT)
			return err;
		done = write_hole(o, pos, n, from);
		if (done != -EEXIST)
			return done;
	}
}

ssize_t vm_object_write(struct vm_object *o, uint64_t pos, struct io_iter *from)
{
	struct reclaim_tries tries = { 0 };
	ssize_t total = 0;

	while (from->count > 0) {
		size_t n = min(from->count, PAGE_SIZE - (pos & ~PAGE_MASK));
		ssize_t done;

		if (pos >= OBJECT_SIZE_MAX)
			return total ? total : -EFBIG;
		n = min(n, OBJECT_SIZE_MAX - pos);
		done = write_part(o, pos, n, from);
		if (done == -ENOMEM && reclaim_wait(&tries))
			continue;
		if (done < 0)
			return total ? total : done;
		tries = (struct reclaim_tries){ 0 };
		pos += (uint64_t)done;
		total += done;
		if ((size_t)done < n)
			return total ? total : -EFAULT;
		if (enough(from))
			break;
	}
	return total;
}

/* ---- size ---- */

static void clear_within(struct vm_object *o, uint64_t start, uint64_t end)
{
	struct page *page = page_map_get(&o->pages, start >> PAGE_SHIFT);

	if (page && start < end)
		memset((char *)page_virt(page) + (start & ~PAGE_MASK), 0, end - start);
}

int vm_object_resize(struct vm_object *o, uint64_t size)
{
	uint64_t first = (size >> PAGE_SHIFT) + ((size & ~PAGE_MASK) != 0), before;

	if (size > OBJECT_SIZE_MAX)
		return -EFBIG;
	mutex_lock(&o->lock);
	before = o->size;
	WRITE_ONCE(o->size, size);
	if (size < before) {
		if (!list_empty(&o->areas))
			object_unmap_locked(o, first, UINT64_MAX, ZAP_ALL);
		drop_pages(o, first, UINT64_MAX);
	}
	before = min(before, size); /* what lies behind the smaller size in its last page */
	if (before & ~PAGE_MASK)
		clear_within(o, before, align_up(before, PAGE_SIZE));
	mutex_unlock(&o->lock);
	return 0;
}

int vm_object_punch(struct vm_object *o, uint64_t start, uint64_t end)
{
	uint64_t first = (start + PAGE_SIZE - 1) >> PAGE_SHIFT, behind = end >> PAGE_SHIFT;

	if (start > end || end > OBJECT_SIZE_MAX)
		return -EINVAL;
	mutex_lock(&o->lock);
	if (first > behind) { /* inside one page */
		clear_within(o, start, end);
	} else {
		if (first < behind) {
			object_unmap_locked(o, first, behind - 1, ZAP_CACHE_PAGES);
			drop_pages(o, first, behind - 1);
		}
		clear_within(o, start, first << PAGE_SHIFT);
		clear_within(o, behind << PAGE_SHIFT, end);
	}
	mutex_unlock(&o->lock);
	return 0;
}
