/* SPDX-License-Identifier: MIT */
/*
 * What a core file has of a space: which pages there is anything to say of. Memory that a program has reserved and never touched is found by
 * the page tables that are not there.
 */
#include "vm_internal.h"

#define BATCH (UINT64_C(2) << 20) /* bytes that are looked at with the tables locked: one last-level table */

struct present {
	struct pt_visit visit;
	uaddr_t found; /* UINT64_MAX: nothing yet */
};

static void look_at_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct present *p = container_of(v, struct present, visit);

	for (unsigned i = 0; i < n && p->found == UINT64_MAX; i++)
		if (pte_read(&slots[i]) && !pte_is_zero_page(pte_read(&slots[i])))
			p->found = addr + i * PAGE_SIZE;
}

uaddr_t vm_next_present(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	struct present p = { .visit = { .space = s, .run = look_at_run }, .found = UINT64_MAX };

	for (uaddr_t at = start, stop; at < end && p.found == UINT64_MAX; at = stop) {
		spin_lock(&s->table_lock);
		at = pagetable_next(s, at, end);
		stop = min(end, (at / BATCH + 1) * BATCH);
		if (at < end)
			pagetable_visit(&p.visit, at, stop);
		spin_unlock(&s->table_lock);
		sched_point();
	}
	return min(p.found, end);
}
