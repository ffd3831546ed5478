/* SPDX-License-Identifier: MIT */
/*
 * Pages on their way to a swap area and back.
 *
 * Out: whoever takes memory back collects pages that are in no table any more, and writes them together, neighbours in one transfer. Until
 * then, and while it is written, a page is found by its slot (swap.c), so that nobody reads what is not written yet.
 *
 * In: a fault holds the slot, so that it cannot be used for anything else meanwhile, reads without a lock but the space's, and puts the page in
 * the entry's place if that is still there.
 */
#include <cloudos/errno.h>
#include "swap_internal.h"

static uint64_t pages_in, pages_out; /* atomic */

static void count(uint64_t *figure, unsigned n)
{
	__atomic_fetch_add(figure, n, __ATOMIC_RELAXED);
}

/* ---- out ---- */

static int write_run(uint64_t entry, struct page *const pages[], unsigned n)
{
	int err = swap_transfer(entry, true, pages, n);

	if (!err)
		count(&pages_out, n);
	return err;
}

/* Writes n pages whose slots follow each other; if that fails, each for itself, so that one bad block costs one page. Returns how many were. */
static unsigned write_together(const struct swap_batch *b, unsigned first, unsigned n)
{
	struct page *pages[SWAP_RUN_MAX];
	unsigned good = 0;
	int err;

	for (unsigned i = 0; i < n; i++)
		pages[i] = b->pages[first + i].page;
	err = write_run(b->pages[first].entry, pages, n);
	for (unsigned i = 0; i < n; i++) {
		uint64_t entry = b->pages[first + i].entry;
		int error = err && n > 1 ? write_run(entry, &pages[i], 1) : err;

		swap_wrote(entry, pages[i], error);
		good += !error;
	}
	return good;
}

unsigned swap_batch_finish(struct swap_batch *b)
{
	unsigned good = 0;

	for (unsigned i = 0, n; i < b->count; i += n) {
		n = 1;
		if (!b->pages[i].write) {
			page_put(b->pages[i].page);
			good++;
			continue;
		}
		while (i + n < b->count && b->pages[i + n].write && b->pages[i + n].entry == b->pages[i].entry + n)
			n++;
		good += write_together(b, i, n);
	}
	b->count = 0;
	return good;
}

/* ---- in ---- */

int swap_read(uint64_t entry, bool force, struct page **ret)
{
	struct page *page = vm_page_alloc(PAGE_USER, 0);
	struct memory_group *g = swap_group_of(entry);
	int err;

	if (page && g)
		page = memory_charge_page_to(g, page, force);
	if (!page)
		return -ENOMEM;
	err = swap_transfer(entry, false, &page, 1);
	if (err) {
		page_put(page);
		return -EIO;
	}
	count(&pages_in, 1);
	*ret = page;
	return 0;
}

/* Puts the page in the entry's place, unless somebody was faster. Takes over the reference. */
static void install(struct vm_area *a, hal_pte_t *slot, hal_pte_t pte, struct page *page)
{
	struct vm_space *s = a->space;
	unsigned prot = pte_prot(a->prot);
	bool alone;

	spin_lock(&s->table_lock);
	if (likely(pte_read(slot) == pte)) {
		page = swap_settle(hal_pte_soft_value(pte), page, &alone);
		if (!alone)
			prot &= ~(unsigned)HAL_PROT_WRITE;
		hal_pte_set(slot, page_pte(page, prot));
		s->resident_pages++;
		s->anon_pages++;
		s->swapped_pages--;
		page = NULL;
	}
	spin_unlock(&s->table_lock);
	if (unlikely(page))
		page_put(page);
}

int fault_swapped(struct vm_area *a, hal_pte_t *slot, hal_pte_t pte)
{
	struct vm_space *s = a->space;
	struct page *page = NULL;
	bool held;
	int err = 0;

	spin_lock(&s->table_lock);
	held = pte_read(slot) == pte;
	if (held)
		page = swap_hold(hal_pte_soft_value(pte));
	spin_unlock(&s->table_lock);
	if (!held)
		return 0;
	if (!page) {
		WRITE_ONCE(s->faults_major, READ_ONCE(s->faults_major) + 1);
		if (READ_ONCE(s->group))
			memory_count_faults(s, 0, 1);
		err = swap_read(hal_pte_soft_value(pte), s != thread_current()->vm, &page);
	}
	if (!err)
		install(a, slot, pte, page);
	swap_free(hal_pte_soft_value(pte));
	return err;
}

/* ---- figures ---- */

void swap_count_transfers(struct swap_figures *ret)
{
	ret->pages_in = __atomic_load_n(&pages_in, __ATOMIC_RELAXED);
	ret->pages_out = __atomic_load_n(&pages_out, __ATOMIC_RELAXED);
}
