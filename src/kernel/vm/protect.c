/* SPDX-License-Identifier: MIT */
/*
 * mprotect: the areas of the range get the new protection, and entries that are there are rewritten. A private page that becomes writable
 * stays read-only until the first write faults and finds out whether it must be copied.
 */
#include <cloudos/errno.h>
#include "vm_internal.h"

struct protect {
	struct pt_visit visit;
	unsigned prot;
	bool keep_read_only; /* private: entries that may not be written to stay so */
};

static void protect_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	const struct protect *p = container_of(v, struct protect, visit);
	uint64_t left = pagetable_page(slots)->index;

	(void)addr;
	for (unsigned i = 0; i < n && left > 0; i++) {
		hal_pte_t pte = pte_read(&slots[i]);
		unsigned prot = p->prot;

		if (!hal_pte_present(pte)) { /* what is swapped out comes back with the area's protection */
			left -= pte != 0;
			continue;
		}
		left--;
		if (p->keep_read_only && !hal_pte_writable(pte))
			prot &= ~(unsigned)HAL_PROT_WRITE;
		hal_pte_set(&slots[i], page_pte(pte_page(pte), prot));
	}
}

static int check(struct vm_space *s, uaddr_t start, uaddr_t end, uint32_t prot)
{
	uint64_t new_data = 0;
	const struct vm_area *a;

	if (!area_covers(s, start, end))
		return -ENOMEM;
	area_for_each(a, s, start, end) {
		if (prot & ~a->may_prot)
			return -EACCES;
		if ((prot & ~a->prot & HAL_PROT_WRITE) && area_is_private(a))
			new_data += min(a->end, end) - max(a->start, start);
	}
	new_data >>= PAGE_SHIFT;
	if (new_data > (s->limit_data >> PAGE_SHIFT) || s->data_pages > (s->limit_data >> PAGE_SHIFT) - new_data)
		return -ENOMEM;
	return 0;
}

static void protect_area(struct vm_area *a, uint32_t prot)
{
	struct protect p = { .visit = { .space = a->space, .run = protect_run }, .prot = pte_prot(prot),
			     .keep_read_only = area_is_private(a) };

	if (a->prot == prot)
		return;
	area_set_prot(a, prot);
	spin_lock(&a->space->table_lock);
	pagetable_visit(&p.visit, a->start, a->end);
	spin_unlock(&a->space->table_lock);
}

static int protect_locked(struct vm_space *s, uaddr_t start, uaddr_t end, uint32_t prot)
{
	struct vm_area *a;
	int err = check(s, start, end, prot);

	if (!err)
		err = area_isolate(s, start, end);
	if (err)
		return err;
	area_for_each(a, s, start, end)
		protect_area(a, prot);
	tlb_flush(s, start, end);
	area_merge_range(s, start, end);
	return 0;
}

/* From the start of the stack on that *start is in. */
static int start_of_stack(struct vm_space *s, uaddr_t *start, uaddr_t end)
{
	const struct vm_area *a = area_find(s, *start);

	if (!a || a->start >= end)
		return -ENOMEM;
	if (!(a->flags & VM_GROWSDOWN))
		return -EINVAL;
	*start = a->start;
	return 0;
}

static int protect(struct vm_space *s, uaddr_t start, uint64_t len, uint32_t prot, bool down)
{
	uaddr_t end;
	int err = range_check(start, len, &end);

	if (err || len == 0)
		return err;
	space_lock(s);
	if (down)
		err = start_of_stack(s, &start, end);
	if (!err)
		err = protect_locked(s, start, end, prot);
	space_unlock(s);
	return err;
}

int vm_protect(struct vm_space *s, uaddr_t start, uint64_t len, uint32_t prot)
{
	return protect(s, start, len, prot, false);
}

int vm_protect_down(struct vm_space *s, uaddr_t start, uint64_t len, uint32_t prot)
{
	return protect(s, start, len, prot, true);
}
