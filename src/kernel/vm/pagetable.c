/* SPDX-License-Identifier: MIT */
/*
 * Page tables: radix trees of HAL_PT_LEVELS levels of 512 entries, whose encoding is the machine's (hal/mmu.h). A table is a page of
 * kind PAGE_TABLE whose struct page counts in `index` the entries that are not 0. The root also holds entries of the machine, which
 * are not counted.
 *
 * A table is empty when it goes, and a new one must be: each CPU keeps a few for the next use, so that they need not be cleared.
 *
 * I1: an entry of a table above the last level is 0 or points to a table. I2: a counted entry of the root lies below HAL_USER_TOP.
 */
#include <cloudos/errno.h>
#include <cloudos/percpu.h>
#include "vm_internal.h"

#define TOP_LEVEL (HAL_PT_LEVELS - 1) /* levels are numbered from the last, 0, upwards */

#define SPARE_TABLES_MAX 16 /* a CPU; what comes back beyond that is freed */

/* Not touched in interrupts, and the kernel is not preempted: no lock. */
struct spare_tables {
	uint32_t count;
	struct page *tables[SPARE_TABLES_MAX];
};
static DEFINE_PER_CPU(struct spare_tables, spare_tables);

static inline unsigned shift_of(unsigned level)
{
	return PAGE_SHIFT + PT_SHIFT * level;
}

static inline unsigned slot_index(uaddr_t addr, unsigned level)
{
	return (unsigned)(addr >> shift_of(level)) & (PT_ENTRIES - 1);
}

static inline hal_pte_t *table_below(hal_pte_t entry)
{
	return hal_phys_to_virt(hal_pte_paddr(entry));
}

hal_pte_t *pagetable_find(const struct vm_space *s, uaddr_t addr)
{
	hal_pte_t *table = s->table_root;

	for (unsigned level = TOP_LEVEL; level > 0; level--) {
		hal_pte_t entry = pte_read(&table[slot_index(addr, level)]);

		if (!entry)
			return NULL;
		table = table_below(entry);
	}
	return table + slot_index(addr, 0);
}

/* The same for [start, end), which lies in one table of this level. */
static uaddr_t next_in(const hal_pte_t *table, unsigned level, uaddr_t start, uaddr_t end)
{
	uint64_t span = UINT64_C(1) << shift_of(level);
	const hal_pte_t *slot = table + slot_index(start, level);

	if (level == 0)
		return start;
	for (uaddr_t next; start < end; start = next, slot++) {
		hal_pte_t entry = pte_read(slot);

		next = min(align_down(start, span) + span, end);
		if (entry) {
			uaddr_t found = next_in(table_below(entry), level - 1, start, next);

			if (found < next)
				return found;
		}
	}
	return end;
}

uaddr_t pagetable_next(const struct vm_space *s, uaddr_t start, uaddr_t end)
{
	return start < end ? next_in(s->table_root, TOP_LEVEL, start, end) : end;
}

static struct page *table_alloc(struct vm_space *s)
{
	struct spare_tables *spare = &this_cpu(spare_tables);
	struct page *p;

	if (likely(spare->count > 0)) {
		p = spare->tables[--spare->count];
		page_set_kind(p, PAGE_TABLE);
	} else {
		p = page_alloc_as(PAGE_TABLE, 0, PAGE_ALLOC_ZERO);
		if (!p)
			return NULL;
		p->index = 0;
	}
	s->table_pages++;
	return p;
}

void pagetable_recycle(struct page *table)
{
	struct spare_tables *spare = &this_cpu(spare_tables);

	if (spare->count == SPARE_TABLES_MAX) {
		page_put(table);
		return;
	}
	page_set_kind(table, PAGE_SPARE);
	spare->tables[spare->count++] = table;
}

hal_pte_t *pagetable_make(struct vm_space *s, uaddr_t addr)
{
	hal_pte_t *table = s->table_root;

	for (unsigned level = TOP_LEVEL; level > 0; level--) {
		hal_pte_t *slot = table + slot_index(addr, level);

		if (unlikely(!*slot)) {
			struct page *p = table_alloc(s);

			if (!p)
				return NULL;
			pagetable_fill(slot, hal_pte_table(page_phys(p)));
		}
		table = table_below(*slot);
	}
	return table + slot_index(addr, 0);
}

/* The table that `slot` points to is empty. */
static void table_reap(struct pt_visit *v, hal_pte_t *slot, uaddr_t addr)
{
	struct page *p = pte_page(*slot);

	hal_pte_set(slot, 0);
	pagetable_page(slot)->index--;
	v->space->table_pages--;
	tlb_batch_range(v->reap, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE);
	tlb_batch_page(v->reap, p);
}

/* Visits [start, end), which lies in one table of this level. */
static void visit_table(struct pt_visit *v, hal_pte_t *table, unsigned level, uaddr_t start, uaddr_t end)
{
	uint64_t span = UINT64_C(1) << shift_of(level);
	hal_pte_t *slot = table + slot_index(start, level);

	if (level == 0) {
		v->run(v, slot, (unsigned)((end - start) >> PAGE_SHIFT), start);
		return;
	}
	for (uaddr_t next; start < end; start = next, slot++) {
		next = min(align_down(start, span) + span, end);
		if (!*slot)
			continue;
		visit_table(v, table_below(*slot), level - 1, start, next);
		if (v->reap && pte_page(*slot)->index == 0)
			table_reap(v, slot, start);
	}
}

void pagetable_visit(struct pt_visit *v, uaddr_t start, uaddr_t end)
{
	visit_table(v, v->space->table_root, TOP_LEVEL, start, end);
}

int pagetable_init(struct vm_space *s)
{
	struct page *root = page_alloc_as(PAGE_TABLE, 0, PAGE_ALLOC_ZERO); /* never a spare one, which had entries of the machine */
	int err;

	if (!root)
		return -ENOMEM;
	root->index = 0;
	s->table_pages = 1;
	s->table_root = page_virt(root);
	err = hal_aspace_init(&s->sched.hal, s->table_root);
	if (err)
		page_put(root);
	return err;
}

void pagetable_fini(struct vm_space *s)
{
	struct page *root = page_of_virt(s->table_root);

	ASSERT(root->index == 0 && s->table_pages == 1);
	page_put(root);
}
