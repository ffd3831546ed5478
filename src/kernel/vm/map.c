/* SPDX-License-Identifier: MIT */
/* Mapping and unmapping ranges of an address space, and the heap's end. Checks come first; a call that fails has changed nothing. */
#include <cloudos/errno.h>
#include "vm_internal.h"

#define OVERCOMMIT_FACTOR 4 /* more times the RAM than this in one writable mapping cannot be meant */

int range_check(uaddr_t start, uint64_t len, uaddr_t *ret_end)
{
	if (!is_aligned(start, PAGE_SIZE))
		return -EINVAL;
	if (len > HAL_USER_TOP || start > HAL_USER_TOP - align_up(len, PAGE_SIZE))
		return -ENOMEM;
	*ret_end = start + align_up(len, PAGE_SIZE);
	return 0;
}

static bool counts_as_data(uint32_t prot, uint32_t flags)
{
	return (prot & HAL_PROT_WRITE) && !(flags & (VM_SHARED | VM_GROWSDOWN));
}

int map_check_limits(const struct vm_space *s, uint64_t pages, uint32_t prot, uint32_t flags)
{
	struct mm_stats mm;

	if (pages > (s->limit_as >> PAGE_SHIFT) || s->total_pages > (s->limit_as >> PAGE_SHIFT) - pages)
		return -ENOMEM;
	if (!counts_as_data(prot, flags))
		return 0;
	if (pages > (s->limit_data >> PAGE_SHIFT) || s->data_pages > (s->limit_data >> PAGE_SHIFT) - pages)
		return -ENOMEM;
	if ((flags & VM_NORESERVE) || pages < 4096)
		return 0;
	mm_get_stats(&mm);
	return pages > mm.ram_pages * OVERCOMMIT_FACTOR ? -ENOMEM : 0;
}

/* ---- where ---- */

static int place_fixed(struct vm_space *s, const struct vm_map_request *r, uint64_t len, uaddr_t *ret)
{
	uaddr_t end;
	int err = range_check(r->addr, len, &end);

	if (err)
		return err;
	if (r->addr < VM_MIN_ADDR)
		return -EPERM;
	if (r->noreplace) {
		const struct vm_area *a = area_find(s, r->addr);

		if (a && a->start < end)
			return -EEXIST;
	}
	*ret = r->addr;
	return 0;
}

int map_place(struct vm_space *s, const struct vm_map_request *r, uint64_t len, uaddr_t *ret)
{
	uaddr_t hint = r->addr & PAGE_MASK;

	if (r->fixed)
		return place_fixed(s, r, len, ret);
	if (len > HAL_USER_TOP - VM_MIN_ADDR)
		return -ENOMEM;
	if (hint && (r->addr < VM_MIN_ADDR))
		hint = VM_MIN_ADDR;
	if (hint && hint <= HAL_USER_TOP - len && area_range_free(s, hint, hint + len)) {
		*ret = hint;
		return 0;
	}
	if (r->top)
		return area_find_free(s, len, r->top, ret) ? 0 : -ENOMEM;
	if (area_find_free(s, len, s->map_top, ret) || area_find_free(s, len, HAL_USER_TOP, ret))
		return 0;
	return -ENOMEM;
}

/* ---- mapping ---- */

/* Unmaps what a fixed mapping replaces, once the new one is sure to find room: what was there shall not be gone for nothing. */
static int replace_locked(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	const struct vm_area *a = area_find(s, start);
	int err;

	if (!a || a->start >= end)
		return 0;
	err = area_reserve(s);
	return err ? err : unmap_locked(s, start, end);
}

static int map_locked(struct vm_space *s, struct vm_map_request *r, uint64_t len, uaddr_t *ret)
{
	int err = map_place(s, r, len, ret);

	if (err)
		return err;
	r->flags |= s->future_flags;
	err = map_check_limits(s, len >> PAGE_SHIFT, r->prot, r->flags);
	if (!err && r->fixed && !r->noreplace)
		err = replace_locked(s, *ret, *ret + len);
	return err ? err : area_create(s, r, *ret, *ret + len);
}

int vm_map(struct vm_space *s, const struct vm_map_request *request, uaddr_t *ret)
{
	struct vm_map_request r = *request;
	uint64_t len = align_up(r.len, PAGE_SIZE);
	uaddr_t at;
	int err;

	if (r.len == 0)
		return -EINVAL;
	if (len == 0 || len > HAL_USER_TOP)
		return -ENOMEM;
	space_lock(s);
	err = map_locked(s, &r, len, &at);
	space_unlock(s);
	if (err)
		return err;
	if (r.populate || (r.flags & VM_LOCKED))
		vm_populate(s, at, len); /* as far as it goes: mmap succeeds anyhow */
	*ret = at;
	return 0;
}

/* Takes [start, end) off an area that reaches over one end of it or none. */
static void cut(struct vm_area *a, uaddr_t start, uaddr_t end)
{
	if (a->start < start)
		area_resize(a, a->start, start);
	else if (a->end > end)
		area_resize(a, end, a->end);
	else
		area_remove(a);
}

int unmap_locked(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	struct vm_area *a = area_find(s, start), *next;

	if (!a || a->start >= end)
		return 0;
	if (a->start < start && a->end > end) {
		int err = area_split(a, end);

		if (err)
			return err;
	}
	zap_range(s, start, end, ZAP_ALL, true);
	for (; a && a->start < end; a = next) {
		next = area_next(a);
		cut(a, start, end);
	}
	return 0;
}

int vm_unmap(struct vm_space *s, uaddr_t start, uint64_t len)
{
	uaddr_t end;
	int err = range_check(start, len, &end);

	if (err || len == 0)
		return -EINVAL;
	space_lock(s);
	err = unmap_locked(s, start, end);
	space_unlock(s);
	return err;
}

/* Does the area show what a mapping of its object's first page at `start` would show there? */
static bool continues(const struct vm_area *a, uaddr_t start)
{
	return a->start >= start && a->object_page == (a->start - start) >> PAGE_SHIFT;
}

static int unmap_object_locked(struct vm_space *s, uaddr_t start, bool (*is)(const void *file))
{
	struct vm_area *a, *next;
	struct vm_object *o;
	uaddr_t end;

	for (a = area_find(s, start); a; a = area_next(a))
		if (a->file && is(a->file) && continues(a, start))
			break;
	if (!a)
		return -EINVAL;
	o = a->object;
	end = start + align_up(min(READ_ONCE(o->size), HAL_USER_TOP - start), PAGE_SIZE);
	for (; a && a->start < end; a = next) {
		next = area_next(a);
		if (a->object == o && continues(a, start))
			(void)unmap_locked(s, a->start, a->end); /* whole areas: nothing is cut */
	}
	return 0;
}

int vm_unmap_object(struct vm_space *s, uaddr_t start, bool (*is)(const void *file))
{
	int err;

	space_lock(s);
	err = start < HAL_USER_TOP ? unmap_object_locked(s, start, is) : -EINVAL;
	space_unlock(s);
	return err;
}

void *vm_file_at(struct vm_space *s, uaddr_t start, void *(*take)(void *file))
{
	struct vm_area *a;
	void *taken = NULL;

	rwlock_read(&s->lock);
	a = start < HAL_USER_TOP ? area_find(s, start) : NULL;
	if (a && a->start == start && a->file)
		taken = take(a->file);
	rwlock_read_unlock(&s->lock);
	return taken;
}

/* ---- the heap ---- */

static const struct vm_map_request heap = {
	.prot = HAL_PROT_READ | HAL_PROT_WRITE, .may_prot = VM_PROT_ANY, .flags = VM_HEAP, .name = "[heap]",
};

static int heap_grow(struct vm_space *s, uaddr_t from, uaddr_t to)
{
	struct vm_map_request r = heap;
	int err;

	r.flags |= s->future_flags;
	if (to > HAL_USER_TOP || !area_range_free(s, from, min(to + PAGE_SIZE, HAL_USER_TOP)))
		return -ENOMEM;
	if (to - s->brk_start > s->limit_data)
		return -ENOMEM;
	err = map_check_limits(s, (to - from) >> PAGE_SHIFT, r.prot, r.flags);
	return err ? err : area_create(s, &r, from, to);
}

static int brk_locked(struct vm_space *s, uaddr_t wanted)
{
	uaddr_t from = align_up(s->brk_end, PAGE_SIZE), to = align_up(wanted, PAGE_SIZE);

	if (to < wanted)
		return -ENOMEM;
	if (to > from)
		return heap_grow(s, from, to);
	return to < from ? unmap_locked(s, to, from) : 0;
}

uaddr_t vm_brk(struct vm_space *s, uaddr_t wanted)
{
	uaddr_t before, result;

	space_lock(s);
	before = s->brk_end;
	if (wanted >= s->brk_start && brk_locked(s, wanted) == 0)
		s->brk_end = wanted;
	result = s->brk_end;
	space_unlock(s);
	if (result > before && (s->future_flags & VM_LOCKED))
		vm_populate(s, before & PAGE_MASK, align_up(result, PAGE_SIZE) - (before & PAGE_MASK));
	return result;
}
