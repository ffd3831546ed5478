/* SPDX-License-Identifier: MIT */
/* Kernel page-table filler: see <arch/ptmap.h>. It walks down once for each leaf; tables are never freed. */
#include <hal/hal.h>
#include <arch/ptmap.h>
#include <arch/pt_format.h>
#include <linux/errno.h>

#define ENTRY_BITS 9
#define ENTRIES	   (1u << ENTRY_BITS)

static uint64_t level_size(unsigned level)
{
	return PAGE_SIZE << (ENTRY_BITS * level);
}

static unsigned level_index(uintptr_t va, unsigned level)
{
	return (va >> (PAGE_SHIFT + ENTRY_BITS * level)) % ENTRIES;
}

/*
 * The table below *slot, made if it is missing and `create`; null when it is not to be had, or *slot is a
 * leaf.
 */
static uint64_t *descend(const struct ptmap *pt, uint64_t *slot, unsigned level, bool create)
{
	if (*slot == 0) {
		paddr_t pa = create ? pt->alloc() : 0;

		if (pa == 0)
			return NULL;
		pt_publish(); /* the table's zeros first */
		*slot = pt_table(pa);
	}
	if (pt_is_leaf(*slot, level))
		return NULL;
	return hal_phys_to_virt(hal_pte_paddr(*slot));
}

static uint64_t *slot_at(const struct ptmap *pt, uintptr_t va, unsigned level, bool create)
{
	uint64_t *table = pt->root;

	for (unsigned l = HAL_PT_LEVELS - 1; l > level && table != NULL; l--)
		table = descend(pt, &table[level_index(va, l)], l, create);
	return table == NULL ? NULL : &table[level_index(va, level)];
}

uint64_t *ptmap_slot(const struct ptmap *pt, uintptr_t va, bool create)
{
	return slot_at(pt, va, 0, create);
}

int ptmap_anchor(const struct ptmap *pt, uintptr_t va)
{
	return slot_at(pt, va, HAL_PT_LEVELS - 2, true) == NULL ? -ENOMEM : 0;
}

/* The largest leaf that fits at va and pa with `len` bytes to go. */
static unsigned best_level(uintptr_t va, paddr_t pa, uint64_t len)
{
	unsigned level = pt_max_leaf_level();

	while (level > 0 && (((va | pa) & (level_size(level) - 1)) != 0 || len < level_size(level)))
		level--;
	return level;
}

/*
 * Fills as many slots of one table as [pa, pa+len) needs, all at `level`; returns the bytes mapped, or 0 if
 * one was taken.
 */
static uint64_t fill(uint64_t *slot, unsigned room, paddr_t pa, uint64_t len, unsigned level, unsigned attr)
{
	uint64_t size = level_size(level), entry = pt_leaf(pa, level, attr);
	uint64_t count = len >> (PAGE_SHIFT + ENTRY_BITS * level);

	if (count > room)
		count = room;
	for (uint64_t i = 0; i < count; i++) {
		if (slot[i] != 0)
			return 0;
		slot[i] = entry;
		entry += size; /* the address is the entry's middle part */
	}
	return count * size;
}

int ptmap_map(const struct ptmap *pt, uintptr_t va, paddr_t pa, uint64_t len, unsigned attr)
{
	while (len > 0) {
		unsigned level = best_level(va, pa, len);
		uint64_t *slot = slot_at(pt, va, level, true);
		uint64_t done;

		if (slot == NULL)
			return -ENOMEM;
		/* On to the table's end: no larger leaf can begin inside it. */
		done = fill(slot, ENTRIES - level_index(va, level), pa, len, level, attr);
		if (done == 0)
			return -EEXIST;
		va += done;
		pa += done;
		len -= done;
	}
	pt_publish();
	return 0;
}
