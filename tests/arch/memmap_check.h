/* SPDX-License-Identifier: MIT */
/* Invariant I1 of arch/common/memmap.c, for its tests and for the fuzzers of what fills such a table. */
#ifndef MEMMAP_CHECK_H
#define MEMMAP_CHECK_H

#include <arch/memmap.h>

static inline bool memmap_is_sane(const struct memmap *m)
{
	paddr_t last_end = 0;

	if (m->count > HAL_MEM_RANGES_MAX)
		return false;
	for (size_t i = 0; i < m->count; i++) {
		const struct hal_mem_range *r = &m->range[i];

		if (r->size == 0 || (r->base | r->size) % PAGE_SIZE != 0 || r->base + r->size > MEMMAP_END)
			return false;
		if (i > 0 && (r->base < last_end || (r->base == last_end && r->kind == m->range[i - 1].kind)))
			return false;
		last_end = r->base + r->size;
	}
	return true;
}

#endif
