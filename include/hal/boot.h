/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader handed over. The machine's entry code parses multiboot2, PVH, EFI, the device tree or the
 * simulator's command line into these, with interrupts off, then calls kernel_main() on the boot CPU on a
 * stack of HAL_KSTACK_SIZE bytes. Hostile boot data (truncated tags, overlapping or wrapping ranges, cyclic trees)
 * never crashes the parser: what cannot be used is left out with a message.
 */
#ifndef HAL_BOOT_H
#define HAL_BOOT_H

#include <hal/types.h>

#define HAL_MEM_RANGES_MAX 64
#define HAL_CMDLINE_MAX	   2048 /* bytes, with the NUL; a longer command line is cut, with a message */

enum hal_mem_kind {
	HAL_MEM_FREE,	  /* the kernel may allocate from it                               */
	HAL_MEM_RESERVED, /* RAM that holds the kernel, firmware tables, the device tree   */
	HAL_MEM_INITRD,	  /* RAM that holds the initramfs; the kernel frees it when unpacked */
};

/* Page aligned, sorted by base, not overlapping. Memory that is not RAM is not listed. */
struct hal_mem_range {
	paddr_t base;
	uint64_t size; /* bytes */
	enum hal_mem_kind kind;
};

/* The machine's RAM; *ret points at a table that stays. Returns the number of ranges. */
size_t hal_mem_ranges(const struct hal_mem_range **ret);

/* The kernel command line, NUL terminated, never null. */
const char *hal_cmdline(void);

/* The initramfs, in the direct map; false when there is none. *ret_len in bytes, as the loader gave it. */
bool hal_initrd(const void **ret_data, size_t *ret_len);

/* One line naming the boot path, for the log: "multiboot2/BIOS", "PVH", "Image/DT", "EFI", "sim". */
const char *hal_boot_path(void);

/* One line naming the machine and CPU model, for the log and /proc/cpuinfo's "model name". */
const char *hal_cpu_model(void);

/* Clock at the kernel's first instruction, on hal_clock_ns()'s scale (may be 0). */
uint64_t hal_boot_clock_ns(void);

/* The kernel's entry, called by the machine; does not return. */
_Noreturn void kernel_main(void);

/* Its first part: everything up to process 1. For the simulator's model checks, which run in its place. */
void kernel_boot(void);

#endif
