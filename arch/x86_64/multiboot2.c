/* SPDX-License-Identifier: MIT */
/*
 * Multiboot2 boot information (Multiboot2 specification, version 2.0, section 3.6): a header of eight bytes
 * and then tags {type, size, payload}, each on the next multiple of eight. A tag whose size does not fit ends
 * the walk; one whose contents make no sense is skipped and counted.
 */
#include <x86/bootinfo.h>
#include <linux/errno.h>

#define TAG_ALIGN   8u
#define TAG_HEADER  8u
#define TAGS_MAX    256u  /* a walk ends there */
#define ENTRIES_MAX 1024u /* memory-map entries that are looked at */

enum tag {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MMAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_EFI64 = 12,
	TAG_ACPI_OLD = 14,
	TAG_ACPI_NEW = 15,
};

#define MMAP_ENTRY_MIN	     20u /* base, length, type */
#define FRAMEBUFFER_MIN	     22u
#define FRAMEBUFFER_EGA_TEXT 2u

/* A text that may lack its NUL. */
static void copy_text(char *dst, size_t size, const uint8_t *src, size_t len)
{
	size_t n = 0;

	while (n < len && n + 1 < size && src[n] != '\0') {
		dst[n] = (char)src[n];
		n++;
	}
	dst[n] = '\0';
}

static void take_module(const uint8_t *p, size_t len, struct boot_info *ret)
{
	uint32_t start, end;

	if (len < 8 || ret->initrd_len != 0) {
		ret->ignored++; /* one initramfs is all we know what to do with */
		return;
	}
	start = physwin_get32(p);
	end = physwin_get32(p + 4);
	if (end <= start) {
		ret->ignored++;
		return;
	}
	ret->initrd = start;
	ret->initrd_len = end - start;
}

static void take_mmap(const uint8_t *p, size_t len, struct boot_info *ret)
{
	uint32_t entry = len < 8 ? 0 : physwin_get32(p);
	size_t count;

	if (entry < MMAP_ENTRY_MIN) {
		ret->ignored++;
		return;
	}
	count = (len - 8) / entry;
	if (count > ENTRIES_MAX)
		count = ENTRIES_MAX;
	for (int pass = E820_PASS_RAM; pass <= E820_PASS_HOLES; pass++) {
		for (size_t i = 0; i < count; i++) {
			const uint8_t *e = p + 8 + i * entry;

			e820_entry(&ret->mem, pass, physwin_get64(e), physwin_get64(e + 8),
				   physwin_get32(e + 16));
		}
	}
}

static void take_rsdp(const uint8_t *p, size_t len, struct boot_info *ret)
{
	if (len > RSDP_MAX)
		len = RSDP_MAX;
	if (len < ret->rsdp_copy_len)
		return; /* the older form, after the newer */
	__builtin_memcpy(ret->rsdp_copy, p, len);
	ret->rsdp_copy_len = len;
}

static void take_tag(uint32_t type, const uint8_t *p, size_t len, struct boot_info *ret)
{
	switch (type) {
	case TAG_CMDLINE:
		copy_text(ret->cmdline, sizeof(ret->cmdline), p, len);
		break;
	case TAG_MODULE:
		take_module(p, len, ret);
		break;
	case TAG_MMAP:
		take_mmap(p, len, ret);
		break;
	case TAG_FRAMEBUFFER:
		ret->text_screen = len >= FRAMEBUFFER_MIN && p[21] == FRAMEBUFFER_EGA_TEXT;
		break;
	case TAG_EFI64:
		ret->path = "multiboot2/UEFI";
		break;
	case TAG_ACPI_OLD:
	case TAG_ACPI_NEW:
		take_rsdp(p, len, ret);
		break;
	default:
		break;
	}
}

int multiboot2_parse(const void *info, size_t len, struct boot_info *ret)
{
	const uint8_t *base = info;
	size_t at = 8;

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->path = "multiboot2/BIOS";
	if (len < 8 || physwin_get32(base) < 8 || physwin_get32(base) > MULTIBOOT2_INFO_MAX)
		return -EINVAL;
	if (physwin_get32(base) < len)
		len = physwin_get32(base);

	for (unsigned n = 0; n < TAGS_MAX && len - at >= TAG_HEADER; n++) {
		uint32_t type = physwin_get32(base + at);
		uint32_t size = physwin_get32(base + at + 4);

		if (type == TAG_END)
			return 0;
		if (size < TAG_HEADER || size > len - at)
			break;
		take_tag(type, base + at + TAG_HEADER, size - TAG_HEADER, ret);
		size = (size + TAG_ALIGN - 1) & ~(TAG_ALIGN - 1);
		if (size > len - at)
			break;
		at += size;
	}
	ret->ignored++; /* the end tag is missing */
	return 0;
}
