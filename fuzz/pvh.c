/* SPDX-License-Identifier: MIT */
/* PVH start information: the input is physical memory from PVH_BASE on, and begins with it. */
#include <x86/bootinfo.h>
#include "../tests/arch/memmap_check.h"

#define PVH_BASE 0x1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *memory;
static size_t memory_size;

static const void *window_map(const struct physwin *w, paddr_t pa, size_t len)
{
	(void)w;
	if (pa < PVH_BASE || len > memory_size || pa - PVH_BASE > memory_size - len)
		return NULL;
	return memory + (pa - PVH_BASE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct physwin window = {window_map};
	static struct boot_info info;

	memory = data;
	memory_size = size;
	if (pvh_parse(&window, PVH_BASE, &info) == 0 && !memmap_is_sane(&info.mem))
		__builtin_trap();
	return 0;
}
