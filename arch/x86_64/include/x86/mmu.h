/* SPDX-License-Identifier: MIT */
/* The kernel's half of the address space. */
#ifndef X86_MMU_H
#define X86_MMU_H

#include <arch/memmap.h>
#include <arch/physwin.h>
#include <hal/hal.h>

/* One top-level entry (512 GiB) each, but for the direct map, which may have up to 128. */
#define X86_KVA_BASE	   UINT64_C(0xffffc00000000000)
#define X86_KVA_SIZE	   (UINT64_C(1) << 36)
#define X86_MMIO_BASE	   UINT64_C(0xffffc08000000000)
#define X86_MMIO_SIZE	   (UINT64_C(1) << 39)
#define X86_KERNEL_BASE	   UINT64_C(0xffffffff80000000)
#define X86_ROOT_INDEX(va) ((va) >> 39 & 511)
#define X86_DIRECT_MAX	   (UINT64_C(64) << 40) /* RAM above is not used */

/* The linker script's. */
extern char x86_text[] __asm__("_text"), x86_rodata_start[] __asm__("_rodata_start");
extern char x86_data_start[] __asm__("_data_start"), x86_boot_bss_start[] __asm__("_boot_bss_start");
extern char x86_end[] __asm__("_end");

static inline paddr_t x86_image_paddr(const void *p)
{
	return (uintptr_t)p - X86_KERNEL_BASE;
}

/* Boot: physical memory through the boot tables, 2 MiB at a time. */
extern const struct physwin x86_boot_window;

/*
 * Builds the kernel's own page tables, in pages taken from *m, and loads them; gives the boot-only memory
 * back to *m. From here on the direct map works, and x86_boot_window does not.
 */
int x86_paging_init(struct memmap *m);

/* *m is final: further tables come from the kernel. */
void x86_paging_boot_done(void);

/* The kernel's own root, without user memory; and the boot tables, which still have the one-to-one map. */
extern paddr_t x86_kernel_root;
paddr_t x86_boot_root(void);

/* NMI: another CPU wants a kernel translation dropped here. True if so; it has been done. */
bool x86_flush_requested(void);

#endif
