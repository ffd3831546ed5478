/* SPDX-License-Identifier: MIT */
/* What <hal/arch.h> promises and is the same on every real machine. At the end of the machine's own <hal/arch.h>. */
#ifndef ARCH_METAL_H
#define ARCH_METAL_H

#include <hal/types.h>

/* Flushes need no numbers: aarch64 broadcasts them, and x86_64 counts them by itself (x86_64/pcid.c). */
static inline uint64_t hal_tlb_change(struct hal_aspace *as)
{
	(void)as;
	return 0;
}

static inline void hal_tlb_caught_up(struct hal_aspace *as, uint64_t number)
{
	(void)as;
	(void)number;
}

static inline uint64_t hal_dma_addr(const void *va)
{
	return hal_virt_to_phys(va);
}

static inline void hal_ram_clear(paddr_t from, uint64_t size)
{
	__builtin_memset(hal_phys_to_virt(from), 0, size);
}

#endif
