/* SPDX-License-Identifier: MIT */
/*
 * The kernel's half of the address space after early.c: the direct map of all RAM, device registers, and the
 * kernel's virtual area. One root table for all CPUs; entries are global.
 *
 * Table pages come from what early.c left of its pool; during boot then from the memory map, below the end of
 * the gigabyte that the kernel lies in, which is mapped first; after boot from hal_upcalls.page_alloc(). All
 * are thus in the direct map.
 *
 * Locking: `lock` guards the pool and creation of entries; the kernel virtual area's slots are its caller's
 * to serialise.
 */
#include "aarch64.h"
#include "asm_offsets.h"
#include <arch/note.h>
#include <arch/pt_format.h>
#include <arch/spin.h>
#include <linux/errno.h>

#define DEVICE_START UINT64_C(0xffff800040000000)
#define DEVICE_END   UINT64_C(0xffff801000000000)
#define KVA_START    UINT64_C(0xffff801000000000)
#define KVA_END	     UINT64_C(0xffff802000000000)
#define GIGABYTE     (UINT64_C(1) << 30)

static struct arch_spin lock;
static struct memmap *boot_memmap; /* while the direct map is being made */
static paddr_t boot_tables_from, boot_tables_to;
static uintptr_t device_next = DEVICE_START;

static paddr_t table_zeroed(paddr_t pa)
{
	uint64_t *table = hal_phys_to_virt(pa);

	for (unsigned i = 0; pa != 0 && i < 512; i++)
		table[i] = 0;
	return pa;
}

static paddr_t table_alloc(void)
{
	if (early_tables_next < mmu_image_phys(_early_tables_end)) {
		early_tables_next += PAGE_SIZE;
		return table_zeroed(early_tables_next - PAGE_SIZE);
	}
	if (boot_memmap != NULL) {
		paddr_t pa = memmap_take(boot_memmap, PAGE_SIZE, PAGE_SIZE, boot_tables_to);

		return pa >= boot_tables_from ? table_zeroed(pa) : 0;
	}
	return hal_upcalls.page_alloc != NULL ? hal_upcalls.page_alloc() : 0;
}

static struct ptmap kernel_map(void)
{
	return (struct ptmap){hal_phys_to_virt(kernel_root_pointer), table_alloc};
}

static int map_direct(paddr_t base, paddr_t end)
{
	struct ptmap map = kernel_map();

	return base < end ? ptmap_map(&map, AARCH64_DIRECT_MAP | base, base, end - base, PTMAP_WRITE) : 0;
}

/* Maps [base, end) but for the image, which early.c has mapped, with finer permissions. */
static int map_around_image(paddr_t base, paddr_t end)
{
	paddr_t image = kernel_image_pa, image_end = mmu_image_phys(_end);
	int error;

	if (end <= image || base >= image_end)
		return map_direct(base, end);
	error = map_direct(base, image < base ? base : image);
	return error != 0 ? error : map_direct(image_end, end);
}

/* The part of each range that lies in [from, to); a range that cannot be mapped is no RAM of ours. */
static void map_window(struct memmap *m, paddr_t from, paddr_t to)
{
	struct memmap todo = *m; /* m changes under us as tables are taken from it */

	for (size_t i = 0; i < todo.count; i++) {
		paddr_t base = todo.range[i].base, end = base + todo.range[i].size;

		/* Neighbours of different kinds share blocks. */
		for (; i + 1 < todo.count && todo.range[i + 1].base == end; i++)
			end += todo.range[i + 1].size;
		base = base < from ? from : base;
		end = end > to ? to : end;
		if (base >= end || map_around_image(base, end) == 0)
			continue;
		memmap_remove(m, base, end - base);
		arch_note_hex("boot", "no room to map memory at", base);
	}
}

void mmu_map_memory(struct memmap *m)
{
	paddr_t gigabyte = kernel_image_pa & ~(GIGABYTE - 1);

	map_window(m, gigabyte, gigabyte + 2 * GIGABYTE);
	boot_memmap = m;
	boot_tables_from = gigabyte;
	boot_tables_to = gigabyte + GIGABYTE;
	map_window(m, 0, gigabyte);
	map_window(m, gigabyte + 2 * GIGABYTE, MEMMAP_END);
	boot_memmap = NULL;
}

static void forget_kernel_pages(uintptr_t va, size_t count)
{
	dsb(ishst);
	for (size_t i = 0; i < count; i++)
		__asm__ volatile("tlbi vaae1is, %0" ::"r"(((va >> PAGE_SHIFT) + i) & 0xfffffffffff) : "memory");
	dsb(ish);
	isb();
}

/* ---- the seam: device registers, kernel virtual area ---- */

volatile void *hal_mmio_map(paddr_t base, size_t len)
{
	paddr_t first = base & PAGE_MASK;
	uint64_t size = ((base + len + PAGE_SIZE - 1) & PAGE_MASK) - first;
	uint64_t align = size >= UINT64_C(0x200000) ? UINT64_C(0x200000) : PAGE_SIZE;
	struct ptmap map = kernel_map();
	uintptr_t va = 0;

	if (len == 0 || base + len < base || base + len > MEMMAP_END || size > DEVICE_END - DEVICE_START)
		return NULL;
	unsigned long irq = arch_spin_lock(&lock);
	uintptr_t start = ((device_next + align - 1) & ~(align - 1)) | (first & (align - 1));
	if (start <= DEVICE_END - size &&
	    ptmap_map(&map, start, first, size, PTMAP_WRITE | PTMAP_DEVICE) == 0) {
		va = start + (base - first);
		device_next = start + size;
	}
	arch_spin_unlock(&lock, irq);
	return (volatile void *)va;
}

void hal_kva_range(uintptr_t *ret_start, uintptr_t *ret_end)
{
	*ret_start = KVA_START;
	*ret_end = KVA_END;
}

int hal_kva_map(uintptr_t va, const paddr_t *pages, size_t count)
{
	struct ptmap map = kernel_map();
	unsigned long irq = arch_spin_lock(&lock);
	size_t done = 0;

	for (; done < count; done++) {
		uint64_t *slot = ptmap_slot(&map, va + (done << PAGE_SHIFT), true);

		if (slot == NULL)
			break;
		*slot = pt_leaf(pages[done], 0, PTMAP_WRITE);
	}
	pt_publish();
	arch_spin_unlock(&lock, irq);
	if (done < count) {
		paddr_t mapped[HAL_KVA_RUN_MAX];

		hal_kva_unmap(va, done, mapped);
		return -ENOMEM;
	}
	return 0;
}

void hal_kva_unmap(uintptr_t va, size_t count, paddr_t *ret_pages)
{
	struct ptmap map = kernel_map();

	for (size_t i = 0; i < count; i++) {
		uint64_t *slot = ptmap_slot(&map, va + (i << PAGE_SHIFT), false);

		ret_pages[i] = hal_pte_paddr(*slot);
		*slot = 0;
	}
	forget_kernel_pages(va, count);
}

/* The window's blocks are two entries of one table. */
void mmu_forget_fdt_window(void)
{
	const uint64_t *table = hal_phys_to_virt(kernel_root_pointer);
	uint64_t *level1 = hal_phys_to_virt(hal_pte_paddr(table[FDT_WINDOW >> 39 & 511]));
	uint64_t *level2 = hal_phys_to_virt(hal_pte_paddr(level1[FDT_WINDOW >> 30 & 511]));

	for (uint64_t at = 0; at < FDT_WINDOW_SIZE; at += UINT64_C(1) << 21) {
		level2[(FDT_WINDOW + at) >> 21 & 511] = 0;
		forget_kernel_pages(FDT_WINDOW + at, 1);
	}
}
