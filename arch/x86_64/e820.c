/* SPDX-License-Identifier: MIT */
/* One entry of a BIOS memory map. Firmware's tables lie in RAM: they are listed, but not free. */
#include <x86/bootinfo.h>

void e820_entry(struct memmap *m, enum e820_pass pass, paddr_t base, uint64_t size, uint32_t type)
{
	bool ram = type == E820_RAM || type == E820_ACPI;

	if (pass == E820_PASS_RAM && ram)
		memmap_add(m, base, size);
	else if (pass == E820_PASS_HOLES && type == E820_ACPI)
		memmap_reserve(m, base, size, HAL_MEM_RESERVED);
	else if (pass == E820_PASS_HOLES && !ram)
		memmap_remove(m, base, size);
}
