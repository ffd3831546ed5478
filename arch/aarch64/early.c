/* SPDX-License-Identifier: MIT */
/*
 * The kernel's first page tables, built with the MMU off. This file runs at the image's physical address:
 * symbols are reached relative to the program counter and so are physical addresses here, no static pointer
 * may be followed, and memory is Device memory to the CPU, which forbids unaligned access.
 *
 * Three things get mapped: the image at its virtual address, each part with its own permissions and the boot
 * stack's guard page with none; the same pages in the direct map, where text and constants stay read-only, so
 * that later tables can be reached there; and the device tree, read-only, in a window. The lower half maps
 * one page, the code that turns the MMU on.
 *
 * Tables come from a pool at the image's end. What is left of it serves mmu.c.
 */
#include "aarch64.h"
#include "asm_offsets.h"
#include <arch/pt_format.h>

#pragma GCC target("strict-align")

#define NOP   0xd503201f
#define EARLY __attribute__((section(".data.early")))

/* Written with caches off, read with caches on: invalidated in between. Not in .bss, which is cleared later.
 */
EARLY paddr_t kernel_image_pa = 0;
EARLY paddr_t kernel_root_pointer = 0;
EARLY paddr_t idmap_root_pointer = 0;
EARLY paddr_t early_tables_next = 0;

extern char _early_tables[], _head_text[];
extern const int32_t __pan_sites_start[], __pan_sites_end[];

uint64_t empty_table[512] __attribute__((aligned(4096)));

static uint64_t *table_take(void)
{
	uint64_t *table = (uint64_t *)early_tables_next;

	early_tables_next += PAGE_SIZE;
	for (unsigned i = 0; i < 512; i++)
		table[i] = 0;
	return table;
}

/* The slot of va at `level` (0: pages, 1: 2 MiB blocks). */
static uint64_t *slot(uint64_t *table, uint64_t va, unsigned level)
{
	for (unsigned l = HAL_PT_LEVELS - 1;; l--) {
		uint64_t *entry = &table[va >> (PAGE_SHIFT + 9 * l) & 511];

		if (l == level)
			return entry;
		if (*entry == 0)
			*entry = pt_table((paddr_t)table_take());
		table = (uint64_t *)(*entry & PTE_ADDR);
	}
}

static void map_pages(uint64_t *root, uint64_t va, paddr_t pa, paddr_t end, unsigned attr)
{
	while (pa < end) {
		uint64_t *entry = slot(root, va, 0);

		do {
			*entry++ = pt_leaf(pa, 0, attr);
			pa += PAGE_SIZE;
			va += PAGE_SIZE;
		} while (pa < end && (va >> PAGE_SHIFT & 511) != 0);
	}
}

/* One part of the image, in both places. */
static void map_part(uint64_t *root, const char *from, const char *to, unsigned attr)
{
	paddr_t pa = (paddr_t)from, end = (paddr_t)to;

	map_pages(root, KERNEL_VA + (pa - kernel_image_pa), pa, end, attr);
	map_pages(root, AARCH64_DIRECT_MAP | pa, pa, end, attr & ~(unsigned)PTMAP_EXEC);
}

static void map_fdt(uint64_t *root, paddr_t fdt)
{
	paddr_t block = fdt & ~UINT64_C(0x1fffff);

	for (unsigned i = 0; fdt != 0 && i < FDT_WINDOW_SIZE >> 21; i++)
		*slot(root, FDT_WINDOW + ((uint64_t)i << 21), 1) = pt_leaf(block + ((uint64_t)i << 21), 1, 0);
}

/* Drops the (clean, stale) lines that the data cache may hold of memory that was written with it off. */
static void cache_drop(const void *from, const void *to)
{
	uint64_t line = UINT64_C(4) << (read_sysreg(ctr_el0) >> 16 & 15);

	for (uintptr_t p = (uintptr_t)from & ~(line - 1); p < (uintptr_t)to; p += line)
		__asm__ volatile("dc ivac, %0" ::"r"(p) : "memory");
	dsb(sy);
}

/* On a CPU without PAN, the instructions that switch it become no-operations. */
static void patch_pan(void)
{
	if (id_field(read_sysreg(id_aa64mmfr1_el1), 20) != 0)
		return;
	for (const int32_t *site = __pan_sites_start; site < __pan_sites_end; site++) {
		uint32_t *instruction = (uint32_t *)((uintptr_t)site + (intptr_t)*site);

		*instruction = NOP;
		cache_drop(instruction, instruction + 1);
	}
}

/* Returns the root table of the kernel half. */
paddr_t early_prepare(paddr_t fdt)
{
	uint64_t *root, *idmap;

	patch_pan();
	kernel_image_pa = (paddr_t)_text;
	early_tables_next = (paddr_t)_early_tables;
	root = table_take();
	idmap = table_take();
	map_part(root, _text, _rodata, PTMAP_EXEC);
	map_part(root, _rodata, _data, 0);
	map_part(root, _data, _boot_stack_guard, PTMAP_WRITE);
	map_part(root, _boot_stack, _end, PTMAP_WRITE);
	map_fdt(root, fdt);
	map_pages(idmap, (uint64_t)_head_text, (paddr_t)_head_text, (paddr_t)_head_text + PAGE_SIZE,
		  PTMAP_EXEC);
	kernel_root_pointer = (paddr_t)root;
	idmap_root_pointer = (paddr_t)idmap;
	cache_drop(_early_tables, (const char *)early_tables_next);
	cache_drop(&kernel_image_pa, &early_tables_next + 1);
	return (paddr_t)root;
}
