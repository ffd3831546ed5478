/* SPDX-License-Identifier: MIT */
/*
 * Builds the table that hal_mem_ranges() hands out from what a boot loader says about memory: in any order,
 * overlapping, unaligned, wrapping. At every moment the table is sorted, page aligned, without overlap, and
 * no two neighbours of one kind touch. Pure: depends on no machine, allocates nothing.
 *
 * Legal order: memmap_add() all RAM; memmap_remove() what firmware says is not usable as RAM; then reserve
 * and take.
 */
#ifndef ARCH_MEMMAP_H
#define ARCH_MEMMAP_H

#include <hal/boot.h>

#define MEMMAP_END (UINT64_C(1) << 52) /* no machine addresses more; what lies above is clipped */

struct memmap {
	struct hal_mem_range range[HAL_MEM_RANGES_MAX];
	size_t count;
	unsigned dropped; /* calls that found the table full, or an empty range: their memory is not used */
};

/* Free RAM, rounded inward to pages. Where something is listed already, that stays. */
void memmap_add(struct memmap *m, paddr_t base, uint64_t size);

/* Not RAM after all; rounded outward. */
void memmap_remove(struct memmap *m, paddr_t base, uint64_t size);

/* What of [base, base+size), rounded outward, is free RAM becomes `kind`. */
void memmap_reserve(struct memmap *m, paddr_t base, uint64_t size, enum hal_mem_kind kind);

/*
 * Takes `size` bytes (whole pages) of free RAM that end at or below `limit`, the highest such place, and
 * marks them reserved. `align` is a power of two, at least a page. 0 when there is none; page 0 is never
 * given.
 */
paddr_t memmap_take(struct memmap *m, uint64_t size, uint64_t align, paddr_t limit);

#endif
