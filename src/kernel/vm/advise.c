/* SPDX-License-Identifier: MIT */
/* madvise, mincore, msync: what a program says and asks about pages that it has mapped. */
#include <asm/mman.h>
#include <cloudos/errno.h>
#include <cloudos/uaccess.h>
#include "vm_internal.h"

/* ---- madvise ---- */

/* Advice that changes an area's flags: the bits to set and to clear. False: it is not of that kind. */
static bool flag_advice(int advice, uint32_t *ret_set, uint32_t *ret_clear)
{
	static const struct {
		int advice;
		uint32_t set, clear;
	} table[] = {
		{ MADV_DONTFORK, VM_DONTFORK, 0 },     { MADV_DOFORK, 0, VM_DONTFORK },
		{ MADV_DONTDUMP, VM_DONTDUMP, 0 },     { MADV_DODUMP, 0, VM_DONTDUMP },
		{ MADV_WIPEONFORK, VM_WIPEONFORK, 0 }, { MADV_KEEPONFORK, 0, VM_WIPEONFORK },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].advice == advice) {
			*ret_set = table[i].set;
			*ret_clear = table[i].clear;
			return true;
		}
	}
	return false;
}

static int advise_flags(struct vm_space *s, uaddr_t start, uaddr_t end, uint32_t set, uint32_t clear)
{
	struct vm_area *a;
	int err = 0;

	area_for_each(a, s, start, end)
		if (((set | clear) & VM_WIPEONFORK) && (a->object || (a->flags & VM_SPECIAL)))
			return -EINVAL;
	err = area_isolate(s, start, end);
	if (err)
		return err;
	area_for_each(a, s, start, end)
		if (!(a->flags & VM_SPECIAL))
			area_set_flags(a, (a->flags & ~clear) | set);
	area_merge_range(s, start, end);
	return 0;
}

/* The pages of the range go; what was anonymous reads as zeros from now on. */
static int advise_drop(struct vm_space *s, uaddr_t start, uaddr_t end, int advice)
{
	const struct vm_area *a;

	area_for_each(a, s, start, end) {
		if (a->flags & (VM_LOCKED | VM_SPECIAL))
			return -EINVAL;
		if (advice == MADV_FREE && a->object)
			return -EINVAL;
	}
	zap_range(s, start, end, ZAP_ALL, true);
	return 0;
}

static int advise_reclaim(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	const struct vm_area *a;

	area_for_each(a, s, start, end)
		if (a->flags & (VM_LOCKED | VM_SPECIAL))
			return -EINVAL;
	return 0;
}

/* Punches the hole into the file or shared memory behind the range. */
static int advise_remove(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	struct vm_area *a;

	area_for_each(a, s, start, end) {
		uaddr_t from = max(a->start, start), to = min(a->end, end);
		int err;

		if (!a->object || area_is_private(a) || (a->flags & VM_LOCKED))
			return -EINVAL;
		if (!(a->may_prot & HAL_PROT_WRITE))
			return -EACCES;
		err = vm_object_punch(a->object, area_object_page(a, from) << PAGE_SHIFT,
				      (area_object_page(a, from) << PAGE_SHIFT) + (to - from));
		if (err)
			return err;
	}
	return 0;
}

static int advise_locked(struct vm_space *s, uaddr_t start, uaddr_t end, int advice)
{
	uint32_t set, clear;

	if (flag_advice(advice, &set, &clear))
		return advise_flags(s, start, end, set, clear);
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE: /* at once: later would be better only if the memory is not needed before */
		return advise_drop(s, start, end, advice);
	case MADV_COLD:
	case MADV_PAGEOUT: /* the rest is done with the lock given back */
		return advise_reclaim(s, start, end);
	case MADV_REMOVE:
		return advise_remove(s, start, end);
	default: /* hints that nothing here depends on */
		return 0;
	}
}

static bool known(int advice)
{
	static const int8_t values[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
		MADV_DONTFORK, MADV_DOFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP,
		MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (values[i] == advice)
			return true;
	return false;
}

int vm_advise(struct vm_space *s, uaddr_t start, uint64_t len, int advice)
{
	uaddr_t end;
	bool covered;
	int err;

	if (!known(advice) || range_check(start, len, &end))
		return -EINVAL;
	if (len == 0)
		return 0;
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		return vm_populate(s, start, end - start);
	space_lock(s);
	covered = area_covers(s, start, end);
	err = advise_locked(s, start, end, advice);
	space_unlock(s);
	if (!err && (advice == MADV_COLD || advice == MADV_PAGEOUT))
		reclaim_range(s, start, end, advice == MADV_COLD ? RECLAIM_COLD : RECLAIM_NOW);
	return err ? err : covered ? 0 : -ENOMEM; /* what is mapped is advised even if there are holes */
}

/* ---- mincore ---- */

#define MINCORE_BATCH 256 /* pages asked about at a time */

struct mincore {
	struct pt_visit visit;
	uint8_t *vec;
	uaddr_t start;
};

static void mincore_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct mincore *m = container_of(v, struct mincore, visit);
	uint64_t first = (addr - m->start) >> PAGE_SHIFT;

	for (unsigned i = 0; i < n; i++)
		m->vec[first + i] = hal_pte_present(pte_read(&slots[i]));
}

/* Pages of the object that are in memory though nobody here has mapped them yet. */
static void mincore_object(const struct vm_area *a, uaddr_t start, uaddr_t end, uint8_t *vec)
{
	struct vm_object *o = a->object;

	if (!o)
		return;
	mutex_lock(&o->lock);
	for (; start < end; start += PAGE_SIZE, vec++)
		if (page_map_get(&o->pages, area_object_page(a, start)))
			*vec = 1;
	mutex_unlock(&o->lock);
}

static int mincore_batch(struct vm_space *s, uaddr_t start, uaddr_t end, uint8_t *vec)
{
	struct mincore m = { .visit = { .space = s, .run = mincore_run }, .vec = vec, .start = start };
	const struct vm_area *a;

	for (uaddr_t at = start; at < end; at += PAGE_SIZE)
		vec[(at - start) >> PAGE_SHIFT] = 0;
	if (!area_covers(s, start, end))
		return -ENOMEM;
	pagetable_visit(&m.visit, start, end);
	area_for_each(a, s, start, end) {
		uaddr_t from = max(a->start, start);

		mincore_object(a, from, min(a->end, end), vec + ((from - start) >> PAGE_SHIFT));
	}
	return 0;
}

int vm_mincore(struct vm_space *s, uaddr_t start, uint64_t len, uaddr_t vec)
{
	uint8_t answer[MINCORE_BATCH];
	uaddr_t end;
	int err = range_check(start, len, &end);

	if (err)
		return err;
	if (!user_range_ok(vec, (end - start) >> PAGE_SHIFT))
		return -EFAULT;
	while (start < end && !err) {
		uint64_t pages = min((end - start) >> PAGE_SHIFT, (uint64_t)MINCORE_BATCH);

		rwlock_read(&s->lock);
		err = mincore_batch(s, start, start + (pages << PAGE_SHIFT), answer);
		rwlock_read_unlock(&s->lock);
		if (!err)
			err = copy_to_user(vec, answer, pages);
		start += pages << PAGE_SHIFT;
		vec += pages;
	}
	return err;
}

/* ---- msync ---- */

/* A shared mapping shows the object's own pages, so that there is nothing to bring together here; writing files back is their owners'. */
int vm_sync(struct vm_space *s, uaddr_t start, uint64_t len, int flags)
{
	const struct vm_area *a;
	uaddr_t end;
	int err = range_check(start, len, &end);

	if (err)
		return err;
	rwlock_read(&s->lock);
	if (!area_covers(s, start, end))
		err = -ENOMEM;
	area_for_each(a, s, start, end)
		if ((flags & MS_INVALIDATE) && (a->flags & VM_LOCKED) && !err)
			err = -EBUSY;
	rwlock_read_unlock(&s->lock);
	return err;
}
