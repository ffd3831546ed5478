/* SPDX-License-Identifier: MIT */
/*
 * Kernel mappings: fills radix page tables with the largest leaves that alignment and the machine allow. For
 * the direct map, the kernel's image, device registers and the kernel virtual area; user tables are the
 * kernel's own.
 *
 * Tables are reached through the direct map. The machine's <arch/pt_format.h> gives, with level 0 the last
 * one:
 *
 *   uint64_t pt_leaf(paddr_t pa, unsigned level, unsigned attr)    a present page or block; attr of PTMAP_*;
 * the address is added to the rest uint64_t pt_table(paddr_t pa)                                  a pointer
 * to a table of the next lower level bool pt_is_leaf(uint64_t entry, unsigned level)                of a
 * present entry unsigned pt_max_leaf_level(void)                               2 where 1 GiB leaves exist,
 * else 1 void pt_publish(void)                                          barrier that makes stored entries
 * walkable
 */
#ifndef ARCH_PTMAP_H
#define ARCH_PTMAP_H

#include <hal/types.h>

enum {
	PTMAP_WRITE = 1,
	PTMAP_EXEC = 2,
	PTMAP_DEVICE = 4, /* uncached, strongly ordered */
};

struct ptmap {
	uint64_t *root;		/* the table of level HAL_PT_LEVELS - 1 */
	paddr_t (*alloc)(void); /* one zeroed page, inside the direct map; 0 when out of memory */
};

/*
 * Maps [va, va+len) to [pa, pa+len), page aligned. -ENOMEM when a table is wanting (what was mapped so far
 * stays), -EEXIST when something is mapped there. The caller serialises.
 */
int ptmap_map(const struct ptmap *pt, uintptr_t va, paddr_t pa, uint64_t len, unsigned attr);

/*
 * The last-level slot of va: made with its tables if `create`, else null where a table is missing or a block
 * lies.
 */
uint64_t *ptmap_slot(const struct ptmap *pt, uintptr_t va, bool create);

/* Makes sure that the top-level entry of va points to a table, so that all roots can share it. 0 or -ENOMEM.
 */
int ptmap_anchor(const struct ptmap *pt, uintptr_t va);

#endif
