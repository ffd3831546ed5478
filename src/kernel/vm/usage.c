/* SPDX-License-Identifier: MIT */
/*
 * What an area's pages cost: how many are in memory, written to, shared with others, and each one's share (PSS: a page that n entries
 * map counts as an n-th of itself). From the entries and from the pages' references, of which each entry holds one and a cache object
 * one more; a reference that somebody holds for a moment makes a page look shared that is not.
 *
 * An anonymous page counts as written: it is there because it was. Of one that is swapped out its slot knows the share. A page's struct is
 * looked at under the table lock alone: as long as that is held, no entry gives up its page.
 */
#include "swap_internal.h"

struct usage_visit {
	struct pt_visit visit;
	struct vm_usage *usage;
};

static uint32_t mappers(const struct page *p)
{
	uint32_t refs = refcount_read(&p->refs);

	return max(p->kind == PAGE_CACHE && refs > 0 ? refs - 1 : refs, 1u);
}

static void count_page(struct vm_usage *u, hal_pte_t pte)
{
	const struct page *p = pte_page(pte);
	bool anonymous = p->kind == PAGE_USER, dirty = anonymous || hal_pte_dirty(pte);
	uint32_t n = mappers(p);
	uint64_t share = (PAGE_SIZE << VM_PSS_SHIFT) / n;

	u->resident += PAGE_SIZE;
	u->pss += share;
	if (anonymous)
		u->anonymous += PAGE_SIZE;
	if (hal_pte_accessed(pte))
		u->referenced += PAGE_SIZE;
	if (dirty)
		u->pss_dirty += share;
	u->pages[n > 1 ? VM_USAGE_SHARED : VM_USAGE_PRIVATE][dirty] += PAGE_SIZE;
}

static void count_swapped(struct vm_usage *u, hal_pte_t pte)
{
	u->swapped += PAGE_SIZE;
	u->pss_swapped += (PAGE_SIZE << VM_PSS_SHIFT) / swap_shares(hal_pte_soft_value(pte));
}

#define BATCH (UINT64_C(2) << 20) /* bytes that are looked at with the tables locked */

static void count_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct usage_visit *u = container_of(v, struct usage_visit, visit);

	(void)addr;
	for (unsigned i = 0; i < n; i++) {
		hal_pte_t pte = pte_read(&slots[i]);

		if (pte_is_swapped(pte))
			count_swapped(u->usage, pte);
		else if (pte && !pte_is_zero_page(pte))
			count_page(u->usage, pte);
	}
}

void vm_area_usage(struct vm_area *a, struct vm_usage *usage)
{
	struct vm_usage before = *usage;
	struct usage_visit v = { .visit = { .space = a->space, .run = count_run }, .usage = usage };

	for (uaddr_t at = a->start, end; at < a->end; at = end) {
		spin_lock(&a->space->table_lock);
		at = pagetable_next(a->space, at, a->end);
		end = min(a->end, (at / BATCH + 1) * BATCH);
		if (at < a->end)
			pagetable_visit(&v.visit, at, end);
		spin_unlock(&a->space->table_lock);
		sched_point();
	}
	usage->size += a->end - a->start;
	if (a->flags & VM_LOCKED)
		usage->pss_locked += usage->pss - before.pss;
}
