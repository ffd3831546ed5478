/* SPDX-License-Identifier: MIT */
/*
 * mremap: a mapping shrinks, grows where it is, or moves. A move cuts the old area to size and makes the new one, then the tables for it
 * (the last thing that can fail), then carries the entries over, and unmaps what is left. The pages stay where they are. As on Linux, a
 * move to a fixed place that fails for want of memory may have unmapped what was at that place.
 */
#include <asm/mman.h>
#include <linux/mman.h>
#include <cloudos/errno.h>
#include "vm_internal.h"

struct remap {
	uaddr_t old, new;
	uint64_t old_len, new_len;
	uint32_t flags;
};

/* ---- moving entries; table lock held ---- */

struct move {
	struct pt_visit visit;
	uint64_t distance; /* added to an old address (modulo 2^64) */
	int err;
};

static void reserve_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct move *m = container_of(v, struct move, visit);
	uaddr_t to = addr + m->distance;

	if (m->err || pagetable_page(slots)->index == 0)
		return;
	if (!pagetable_make(v->space, to) || !pagetable_make(v->space, to + ((uint64_t)(n - 1) << PAGE_SHIFT)))
		m->err = -ENOMEM;
}

static void move_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct move *m = container_of(v, struct move, visit);

	for (unsigned i = 0; i < n; i++) {
		hal_pte_t pte = pte_read(&slots[i]);

		if (!pte)
			continue;
		hal_pte_set(&slots[i], 0);
		pagetable_page(slots)->index--;
		pagetable_fill(pagetable_find(v->space, addr + ((uaddr_t)i << PAGE_SHIFT) + m->distance), pte);
	}
}

/* Carries the entries of [from, from + len) over. 0 or -ENOMEM: none was moved. */
static int move_entries(struct vm_space *s, uaddr_t from, uaddr_t to, uint64_t len)
{
	struct move m = { .visit = { .space = s, .run = reserve_run }, .distance = to - from };

	spin_lock(&s->table_lock);
	pagetable_visit(&m.visit, from, from + len);
	if (!m.err) {
		m.visit.run = move_run;
		pagetable_visit(&m.visit, from, from + len);
	}
	spin_unlock(&s->table_lock);
	if (!m.err)
		tlb_flush(s, from, from + len);
	return m.err;
}

/* Truncation must find each page in the old or the new place: the object's lock keeps it out. */
static int move_area_entries(struct vm_space *s, struct vm_object *o, const struct remap *m)
{
	int err;

	if (!o)
		return move_entries(s, m->old, m->new, m->old_len);
	mutex_lock(&o->lock);
	err = move_entries(s, m->old, m->new, m->old_len);
	mutex_unlock(&o->lock);
	return err;
}

/* ---- moving an area; the space's lock is held for writing in what follows ---- */

static struct vm_map_request request_of(const struct vm_area *a, uaddr_t addr)
{
	return (struct vm_map_request){
		.prot = a->prot, .flags = a->flags, .may_prot = a->may_prot, .object = a->object,
		.object_page = area_object_page(a, addr), .file = a->file, .name = a->name,
	};
}

static int carry_over(struct vm_space *s, struct vm_area *a, const struct remap *m)
{
	struct vm_object *o = a->object;
	bool has_private = a->has_private, unmaps = m->old_len > 0 && !(m->flags & MREMAP_DONTUNMAP);
	struct vm_map_request r = request_of(a, m->old);
	int err = unmaps ? area_isolate(s, m->old, m->old + m->old_len) : 0; /* so that nothing is left to fail after the move */

	if (!err)
		err = area_create(s, &r, m->new, m->new + m->new_len);
	if (err || m->old_len == 0)
		return err;
	if (has_private)
		area_find(s, m->new)->has_private = true;
	err = move_area_entries(s, o, m);
	if (err) {
		unmap_locked(s, m->new, m->new + m->new_len);
		return err;
	}
	return unmaps ? unmap_locked(s, m->old, m->old + m->old_len) : 0;
}

/* Moves [old, old + old_len), which lies in area a, to m->new, or where there is room. */
static int move_area(struct vm_space *s, struct vm_area *a, struct remap *m)
{
	struct vm_map_request where = { .addr = m->new, .fixed = m->flags & MREMAP_FIXED, .flags = a->flags };
	int err = map_check_limits(s, m->new_len >> PAGE_SHIFT, a->prot, a->flags);

	if (!err)
		err = map_place(s, &where, m->new_len, &m->new);
	return err ? err : carry_over(s, a, m);
}

/* The area that holds all of the old range, or null. */
static struct vm_area *old_area(struct vm_space *s, const struct remap *m)
{
	struct vm_area *a = area_find(s, m->old);

	return a && a->start <= m->old && m->old_len <= a->end - m->old ? a : NULL;
}

static int check_old(const struct vm_area *a, const struct remap *m)
{
	if (!a)
		return -EFAULT;
	if (m->old_len == 0 && area_is_private(a))
		return -EINVAL;
	if (m->new_len > m->old_len && (a->flags & VM_SPECIAL))
		return -EFAULT;
	if ((m->flags & MREMAP_DONTUNMAP) && (a->flags & VM_SPECIAL))
		return -EINVAL;
	return 0;
}

/* MREMAP_FIXED and MREMAP_DONTUNMAP. */
static int remap_to(struct vm_space *s, struct remap *m)
{
	uaddr_t new_end;
	int err = 0;

	if (m->flags & MREMAP_FIXED) {
		err = range_check(m->new, m->new_len, &new_end);
		if (err || (m->old < new_end && m->new < m->old + m->old_len))
			return -EINVAL;
		if (m->new < VM_MIN_ADDR)
			return -EPERM;
		err = check_old(old_area(s, m), m);
		if (!err)
			err = unmap_locked(s, m->new, new_end);
	}
	if (!err && m->old_len > m->new_len) {
		err = unmap_locked(s, m->old + m->new_len, m->old + m->old_len);
		m->old_len = m->new_len;
	}
	if (!err)
		err = check_old(old_area(s, m), m);
	return err ? err : move_area(s, old_area(s, m), m);
}

/* True if the area could be made longer where it is. */
static bool grow_in_place(struct vm_space *s, struct vm_area *a, const struct remap *m)
{
	uaddr_t end = m->old + m->new_len;

	if (m->old_len == 0 || a->end != m->old + m->old_len || m->new_len > HAL_USER_TOP - m->old ||
	    !area_range_free(s, a->end, end))
		return false;
	area_resize(a, a->start, end);
	return true;
}

static int remap_locked(struct vm_space *s, struct remap *m)
{
	struct vm_area *a;
	int err;

	if (m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return remap_to(s, m);
	a = old_area(s, m);
	m->new = m->old;
	if (m->new_len <= m->old_len && m->old_len > 0) {
		if (!area_find(s, m->old) || area_find(s, m->old)->start > m->old)
			return -EFAULT;
		return m->new_len < m->old_len ? unmap_locked(s, m->old + m->new_len, m->old + m->old_len) : 0;
	}
	err = check_old(a, m);
	if (!err && m->old_len > 0)
		err = map_check_limits(s, (m->new_len - m->old_len) >> PAGE_SHIFT, a->prot, a->flags);
	if (err || grow_in_place(s, a, m))
		return err;
	m->new = 0;
	return m->flags & MREMAP_MAYMOVE ? move_area(s, a, m) : -ENOMEM;
}

static int check_arguments(const struct remap *m)
{
	uaddr_t end;

	if (m->flags & ~(uint32_t)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(m->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((m->flags & MREMAP_DONTUNMAP) && m->old_len != m->new_len)
		return -EINVAL;
	if (m->new_len == 0 || !is_aligned(m->old, PAGE_SIZE) || range_check(m->old, m->old_len, &end))
		return -EINVAL;
	return m->new_len > HAL_USER_TOP ? -ENOMEM : 0;
}

int vm_remap(struct vm_space *s, uaddr_t old, uint64_t old_len, uint64_t new_len, uint32_t flags, uaddr_t new_addr, uaddr_t *ret)
{
	struct remap m = { .old = old, .new = new_addr, .old_len = align_up(old_len, PAGE_SIZE),
			   .new_len = align_up(new_len, PAGE_SIZE), .flags = flags };
	bool locked = false;
	int err = check_arguments(&m);

	if (err)
		return err;
	space_lock(s);
	err = remap_locked(s, &m);
	if (!err)
		locked = area_find(s, m.new)->flags & VM_LOCKED;
	space_unlock(s);
	if (err)
		return err;
	if (locked)
		vm_populate(s, m.new, m.new_len);
	*ret = m.new;
	return 0;
}
