/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables. Boot: entry.S's boot tables map the first MiB; x86_boot_window adds to them, 2
 * MiB at a time, what the boot protocol's and ACPI's parsers want to see. Then the tables that stay are
 * built, in free RAM seen through the same window:
 *
 *   the kernel's image at -2 GiB     text read-execute, constants read, data read-write
 *   the direct map of all RAM        read-write, but for the image's text and constants, which have no
 * writable alias empty areas for kernel stacks (mmu.c) and device registers (mmio.c)
 *
 * Nothing is executable but the text; nothing is mapped at low addresses. User address spaces copy the
 * top-level entries of the upper half, so these never change again.
 */
#include <x86/cpu.h>
#include <x86/mmu.h>
#include <x86/paging.h>
#include <arch/pt_format.h>
#include <linux/errno.h>

#define BOOT_PAGE	 (UINT64_C(2) << 20)
#define BOOT_POOL_PAGES	 8 /* page directories for windows: one for each GiB that is looked at */
#define TABLES_BELOW	 (UINT64_C(4) << 30)
#define ROOT_ENTRIES	 512u
#define ROOT_KERNEL_HALF 256u

extern uint64_t x86_boot_pml4[ROOT_ENTRIES], x86_boot_pdpt[ROOT_ENTRIES];

uint64_t x86_pte_nx;
unsigned x86_max_leaf_level = 1;
paddr_t x86_kernel_root;
struct ptmap x86_kernel_tables;

static uint8_t boot_pool[BOOT_POOL_PAGES][PAGE_SIZE] __attribute__((section(".bss..boot"), aligned(4096)));
static unsigned boot_pool_used;
static struct memmap *boot_memory; /* where tables come from until the kernel has memory to give */
static bool tables_active;

paddr_t x86_boot_root(void)
{
	return x86_image_paddr(x86_boot_pml4);
}

/* ---- the window ---- */

static paddr_t boot_pool_alloc(void)
{
	return boot_pool_used == BOOT_POOL_PAGES ? 0 : x86_image_paddr(boot_pool[boot_pool_used++]);
}

static const void *boot_window_map(const struct physwin *w, paddr_t pa, size_t len)
{
	struct ptmap boot = {hal_phys_to_virt(x86_boot_root()), boot_pool_alloc};
	paddr_t last = (pa + len - 1) & ~(BOOT_PAGE - 1);

	(void)w;
	if (pa + len > X86_DIRECT_MAX || len > 64 * BOOT_PAGE)
		return NULL;
	for (paddr_t at = pa & ~(BOOT_PAGE - 1); at <= last; at += BOOT_PAGE) {
		int err = ptmap_map(&boot, X86_DIRECT_BASE + at, at, BOOT_PAGE, PTMAP_WRITE);

		if (err != 0 && err != -EEXIST)
			return NULL;
	}
	return hal_phys_to_virt(pa);
}

const struct physwin x86_boot_window = {boot_window_map};

/* ---- the tables that stay ---- */

static paddr_t table_alloc(void)
{
	paddr_t pa;

	if (boot_memory == NULL)
		return hal_upcalls.page_alloc == NULL ? 0 : hal_upcalls.page_alloc();
	pa = memmap_take(boot_memory, PAGE_SIZE, PAGE_SIZE, TABLES_BELOW);
	if (pa == 0 || (!tables_active && boot_window_map(&x86_boot_window, pa, PAGE_SIZE) == NULL))
		return 0;
	__builtin_memset(hal_phys_to_virt(pa), 0, PAGE_SIZE);
	return pa;
}

static int map_image(const struct ptmap *pt)
{
	const struct {
		const char *start, *end;
		unsigned attr;
	} part[] = {
	    {x86_text, x86_rodata_start, PTMAP_EXEC},
	    {x86_rodata_start, x86_data_start, 0},
	    {x86_data_start, x86_boot_bss_start, PTMAP_WRITE},
	};

	for (unsigned i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		int err = ptmap_map(pt, (uintptr_t)part[i].start, x86_image_paddr(part[i].start),
				    (uint64_t)(part[i].end - part[i].start), part[i].attr);

		if (err != 0)
			return err;
	}
	return 0;
}

static int map_direct(const struct ptmap *pt, paddr_t start, paddr_t end)
{
	paddr_t fixed = x86_image_paddr(x86_text), fixed_end = x86_image_paddr(x86_data_start);
	int err = 0;

	if (end > X86_DIRECT_MAX)
		end = X86_DIRECT_MAX;
	if (start >= end)
		return 0;
	if (fixed >= end || fixed_end <= start)
		return ptmap_map(pt, X86_DIRECT_BASE + start, start, end - start, PTMAP_WRITE);
	if (start < fixed)
		err = ptmap_map(pt, X86_DIRECT_BASE + start, start, fixed - start, PTMAP_WRITE);
	if (err == 0)
		err = ptmap_map(pt, X86_DIRECT_BASE + fixed, fixed, fixed_end - fixed, 0);
	if (err == 0 && fixed_end < end)
		err = ptmap_map(pt, X86_DIRECT_BASE + fixed_end, fixed_end, end - fixed_end, PTMAP_WRITE);
	return err;
}

/*
 * Runs of touching entries, whatever their kind: taking pages for tables changes kinds, not the extent of
 * RAM.
 */
static int map_ram(const struct ptmap *pt, const struct memmap *m)
{
	paddr_t done = 0;
	int err = 0;

	for (size_t i = 0; i < m->count && err == 0; i++) {
		paddr_t start = m->range[i].base, end = start + m->range[i].size;

		if (end <= done)
			continue;
		while (i + 1 < m->count && m->range[i + 1].base == end)
			end += m->range[++i].size;
		err = map_direct(pt, start < done ? done : start, end);
		done = end;
		i = 0; /* the table may have grown */
	}
	return err;
}

/*
 * The boot tables get the kernel's half too: other CPUs start on them. Of the one-to-one map the first GiB's
 * table stays; the others lie in memory that is about to be free.
 */
static void share_upper_half(const uint64_t *root)
{
	for (unsigned i = 1; i < ROOT_ENTRIES; i++)
		x86_boot_pdpt[i] = 0;
	for (unsigned i = ROOT_KERNEL_HALF; i < ROOT_ENTRIES; i++)
		x86_boot_pml4[i] = root[i];
}

static int build(struct ptmap *pt, const struct memmap *m)
{
	int err = map_image(pt);

	if (err == 0)
		err = map_ram(pt, m);
	if (err == 0)
		err = ptmap_anchor(pt, X86_KVA_BASE);
	if (err == 0)
		err = ptmap_anchor(pt, X86_MMIO_BASE);
	return err;
}

int x86_paging_init(struct memmap *m)
{
	struct ptmap *pt = &x86_kernel_tables;
	paddr_t pool = x86_image_paddr(x86_boot_bss_start);
	int err;

	boot_memory = m;
	pt->alloc = table_alloc;
	x86_kernel_root = table_alloc();
	if (x86_kernel_root == 0)
		return -ENOMEM;
	pt->root = hal_phys_to_virt(x86_kernel_root);
	if (cpuid(0x80000000, 0).eax >= 0x80000001 && (cpuid(0x80000001, 0).edx & (1u << 26)))
		x86_max_leaf_level = 2;
	err = build(pt, m);
	if (err != 0)
		return err;
	write_cr3(x86_kernel_root);
	tables_active = true;
	share_upper_half(pt->root);
	memmap_remove(m, pool, x86_image_paddr(x86_end) - pool);
	memmap_add(m, pool, x86_image_paddr(x86_end) - pool);
	return 0;
}

void x86_paging_boot_done(void)
{
	boot_memory = NULL;
}
