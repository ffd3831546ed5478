/* SPDX-License-Identifier: MIT */
/* Encoding of the kernel's own mappings on x86_64, for <arch/ptmap.h>. */
#ifndef ARCH_PT_FORMAT_H
#define ARCH_PT_FORMAT_H

#include <hal/hal.h>
#include <arch/ptmap.h>

extern unsigned x86_max_leaf_level; /* 2 with 1 GiB pages, else 1 */

static inline unsigned pt_max_leaf_level(void)
{
	return x86_max_leaf_level;
}

static inline uint64_t pt_leaf(paddr_t pa, unsigned level, unsigned attr)
{
	uint64_t e = pa | X86_PTE_P | X86_PTE_A | X86_PTE_D | X86_PTE_G;

	if (attr & PTMAP_WRITE)
		e |= X86_PTE_W;
	if (!(attr & PTMAP_EXEC))
		e |= x86_pte_nx;
	if (attr & PTMAP_DEVICE)
		e |= X86_PTE_PCD | X86_PTE_PWT;
	return level > 0 ? e | X86_PTE_PS : e;
}

static inline uint64_t pt_table(paddr_t pa)
{
	return pa | X86_PTE_P | X86_PTE_W;
}

static inline bool pt_is_leaf(uint64_t entry, unsigned level)
{
	return level == 0 || (level < 3 && (entry & X86_PTE_PS) != 0);
}

static inline void pt_publish(void)
{
	__asm__ volatile("" : : : "memory"); /* x86 keeps the order of stores */
}

#endif
