/* SPDX-License-Identifier: MIT */
/*
 * What a boot protocol says, in one form. The parsers are pure: they read only the buffer or window they are
 * given.
 */
#ifndef X86_BOOTINFO_H
#define X86_BOOTINFO_H

#include <arch/memmap.h>
#include <arch/physwin.h>

#define RSDP_MAX 36 /* bytes of an ACPI 2.0 root pointer */

struct boot_info {
	struct memmap mem;
	const char *path; /* for hal_boot_path() */
	char cmdline[HAL_CMDLINE_MAX];
	paddr_t initrd;
	uint64_t initrd_len; /* 0: none */
	paddr_t rsdp;	     /* where it lies; 0: a copy is in rsdp_copy, or there is none */
	uint8_t rsdp_copy[RSDP_MAX];
	size_t rsdp_copy_len;
	bool text_screen; /* the boot loader left VGA text mode at 0xb8000 */
	unsigned ignored; /* tags and entries that made no sense */
};

#define MULTIBOOT2_INFO_MAX (1u << 20) /* bytes of the information; a longer one is refused */

/*
 * Multiboot2 information of `len` bytes. 0, or -EINVAL when not even its header is usable: *ret is then
 * empty.
 */
int multiboot2_parse(const void *info, size_t len, struct boot_info *ret);

/* PVH start information at `pa`. 0 or -EINVAL, as above. */
int pvh_parse(const struct physwin *w, paddr_t pa, struct boot_info *ret);

/* Kinds of memory that both protocols take from the BIOS' E820 interface (ACPI specification, 15). */
enum {
	E820_RAM = 1,
	E820_RESERVED = 2,
	E820_ACPI = 3,
	E820_NVS = 4,
};

/* A memory map is read twice: RAM first, then what is carved out of it, since entries come in any order. */
enum e820_pass {
	E820_PASS_RAM,
	E820_PASS_HOLES,
};
void e820_entry(struct memmap *m, enum e820_pass pass, paddr_t base, uint64_t size, uint32_t type);

#endif
