/* SPDX-License-Identifier: MIT */
/* Multiboot2 information: whatever it says, the memory map that comes out is sorted and without overlap. */
#include <x86/bootinfo.h>
#include "../tests/arch/memmap_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_info info;

	if (multiboot2_parse(data, size, &info) == 0 && !memmap_is_sane(&info.mem))
		__builtin_trap();
	return 0;
}
