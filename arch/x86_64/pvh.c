/* SPDX-License-Identifier: MIT */
/*
 * PVH start information: struct hvm_start_info of Xen's public headers
 * (xen/include/public/arch-x86/hvm/start_info.h), versions 0 and 1; version 1 added the memory map, without
 * which nothing can be done.
 *
 *    0 magic   4 version   8 flags   12 modules   16 module list   24 command line   32 RSDP
 *   40 memory map   48 its entries   52 reserved
 *
 * A module is {address, length, command line, reserved}, a memory-map entry {address, size, type, reserved}.
 */
#include <x86/bootinfo.h>
#include <linux/errno.h>

#define START_MAGIC 0x336ec578u
#define START_SIZE  56u
#define MODULE_SIZE 32u
#define ENTRY_SIZE  24u
#define ENTRIES_MAX 1024u

/* Byte by byte up to the NUL: the window may end anywhere behind it. */
static void copy_cmdline(const struct physwin *w, paddr_t pa, struct boot_info *ret)
{
	size_t n = 0;

	while (n + 1 < sizeof(ret->cmdline)) {
		const char *c = physwin_map(w, pa + n, 1);

		if (c == NULL || *c == '\0')
			break;
		ret->cmdline[n++] = *c;
	}
	ret->cmdline[n] = '\0';
}

static void take_module(const struct physwin *w, paddr_t pa, struct boot_info *ret)
{
	const uint8_t *m = physwin_map(w, pa, MODULE_SIZE);

	if (m == NULL || physwin_get64(m) == 0 || physwin_get64(m + 8) == 0) {
		ret->ignored++;
		return;
	}
	ret->initrd = physwin_get64(m);
	ret->initrd_len = physwin_get64(m + 8);
}

static int take_memory_map(const struct physwin *w, paddr_t pa, uint32_t count, struct boot_info *ret)
{
	const uint8_t *map;

	if (count > ENTRIES_MAX)
		count = ENTRIES_MAX;
	map = physwin_map(w, pa, (uint64_t)count * ENTRY_SIZE);
	if (map == NULL)
		return -EINVAL;
	for (int pass = E820_PASS_RAM; pass <= E820_PASS_HOLES; pass++) {
		for (uint32_t i = 0; i < count; i++) {
			const uint8_t *e = map + (size_t)i * ENTRY_SIZE;

			e820_entry(&ret->mem, pass, physwin_get64(e), physwin_get64(e + 8),
				   physwin_get32(e + 16));
		}
	}
	return 0;
}

int pvh_parse(const struct physwin *w, paddr_t pa, struct boot_info *ret)
{
	const uint8_t *s = physwin_map(w, pa, START_SIZE);

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->path = "PVH";
	if (s == NULL || physwin_get32(s) != START_MAGIC || physwin_get32(s + 4) < 1)
		return -EINVAL;
	copy_cmdline(w, physwin_get64(s + 24), ret);
	ret->rsdp = physwin_get64(s + 32);
	if (physwin_get32(s + 12) > 0)
		take_module(w, physwin_get64(s + 16), ret);
	return take_memory_map(w, physwin_get64(s + 40), physwin_get32(s + 48), ret);
}
