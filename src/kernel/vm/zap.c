/* SPDX-License-Identifier: MIT */
/* Taking mapped pages out of an address space: unmapping, MADV_DONTNEED, truncation of a file, the end of the space. */
#include "vm_internal.h"

struct zap {
	struct pt_visit visit;
	struct tlb_batch *batch;
	enum zap_what what;
};

/* Drops what one entry maps. */
static inline void zap_page(struct zap *z, struct page *p, uint64_t *anon)
{
	*anon += p->kind == PAGE_USER;
	tlb_batch_page(z->batch, p);
}

static void zap_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct zap *z = container_of(v, struct zap, visit);
	struct page *table = pagetable_page(slots);
	uint64_t left = table->index, before = left, others = 0, swapped = 0, anon = 0;

	for (unsigned i = 0; i < n && left > 0; i++) {
		hal_pte_t pte = pte_read(&slots[i]);
		uaddr_t at = addr + ((uaddr_t)i << PAGE_SHIFT);

		if (unlikely(!hal_pte_present(pte))) {
			if (pte && z->what == ZAP_ALL) {
				hal_pte_set(&slots[i], 0);
				left--;
				others++;
				swapped++;
				swap_free(hal_pte_soft_value(pte));
			}
			continue;
		}
		if (z->what == ZAP_CACHE_PAGES && (pte_is_zero_page(pte) || pte_page(pte)->kind != PAGE_CACHE))
			continue;
		hal_pte_set(&slots[i], 0);
		left--;
		tlb_batch_range(z->batch, at, at + PAGE_SIZE);
		if (unlikely(pte_is_zero_page(pte)))
			others++;
		else
			zap_page(z, pte_page(pte), &anon);
	}
	table->index = left;
	v->space->resident_pages -= before - left - others;
	v->space->swapped_pages -= swapped;
	v->space->anon_pages -= anon;
}

static void zap(struct zap *z, uaddr_t start, uaddr_t end)
{
	struct vm_space *s = z->visit.space;

	spin_lock(&s->table_lock);
	WRITE_ONCE(s->peak_resident, max(s->peak_resident, s->resident_pages));
	pagetable_visit(&z->visit, start, end);
	spin_unlock(&s->table_lock);
}

void zap_range(struct vm_space *s, uaddr_t start, uaddr_t end, enum zap_what what, bool tables)
{
	struct tlb_batch batch;
	struct zap z = { .visit = { .space = s, .run = zap_run, .reap = tables ? &batch : NULL },
			 .batch = &batch, .what = what };

	tlb_batch_init(&batch, s);
	zap(&z, start, end);
	tlb_batch_finish(&batch);
}

void zap_unused(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	struct tlb_batch batch;
	struct zap z = { .visit = { .space = s, .run = zap_run, .reap = &batch }, .batch = &batch, .what = ZAP_ALL };

	tlb_batch_init(&batch, s);
	batch.unused = true;
	zap(&z, start, end);
}
