/* SPDX-License-Identifier: MIT */
/* Entries of the kernel's page tables, for arch/common/ptmap.c: <arch/ptmap.h> says what each function is. */
#ifndef ARCH_PT_FORMAT_H
#define ARCH_PT_FORMAT_H

#include <hal/arch.h>
#include <arch/ptmap.h>

static inline uint64_t pt_leaf(paddr_t pa, unsigned level, unsigned attr)
{
	uint64_t pte = pa | PTE_VALID | PTE_ACCESSED | PTE_UXN;

	pte |= level == 0 ? PTE_TABLE : 0; /* at the last level that bit says "page" */
	pte |= (attr & PTMAP_WRITE) != 0 ? 0 : PTE_READONLY;
	pte |= (attr & PTMAP_EXEC) != 0 ? 0 : PTE_PXN;
	if ((attr & PTMAP_DEVICE) != 0)
		return pte | PTE_ATTR(AARCH64_MEM_DEVICE);
	return pte | PTE_ATTR(AARCH64_MEM_NORMAL) | PTE_SHARED;
}

static inline uint64_t pt_table(paddr_t pa)
{
	return hal_pte_table(pa);
}

static inline bool pt_is_leaf(uint64_t entry, unsigned level)
{
	return level == 0 || (entry & PTE_TABLE) == 0;
}

static inline unsigned pt_max_leaf_level(void)
{
	return 2;
}

static inline void pt_publish(void)
{
	__asm__ volatile("dsb ishst\n\tisb" ::: "memory");
}

#endif
