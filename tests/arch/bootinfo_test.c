/* SPDX-License-Identifier: MIT */
/* Multiboot2 and PVH information, made here: what is meant arrives, what is bent is left out and counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/errno.h>
#include <x86/bootinfo.h>
#include "memmap_check.h"

/* ---- a writer of multiboot2 information ---- */

struct info {
	uint8_t bytes[4096];
	uint32_t len;
};

static void put32(uint8_t *at, uint32_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void put64(uint8_t *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void info_begin(struct info *i)
{
	memset(i, 0, sizeof(*i));
	i->len = 8;
}

static uint8_t *tag(struct info *i, uint32_t type, uint32_t payload)
{
	uint8_t *at = i->bytes + i->len;

	put32(at, type);
	put32(at + 4, 8 + payload);
	i->len += (8 + payload + 7) & ~7u;
	return at + 8;
}

static void info_end(struct info *i)
{
	tag(i, 0, 0);
	put32(i->bytes, i->len);
}

static void mmap_entry(uint8_t *at, uint64_t base, uint64_t size, uint32_t type)
{
	put64(at, base);
	put64(at + 8, size);
	put32(at + 16, type);
}

static void usual_mmap(struct info *i)
{
	uint8_t *p = tag(i, 6, 8 + 4 * 24);

	put32(p, 24);
	mmap_entry(p + 8, 0x100000, 0x700000, E820_RAM);
	mmap_entry(p + 32, 0, 0x9fc00, E820_RAM);
	mmap_entry(p + 56, 0x7f0000, 0x20000, E820_RESERVED); /* laps over RAM */
	mmap_entry(p + 80, 0x200000, 0x1000, E820_ACPI);
}

static struct boot_info parsed; /* large */

/* Exactly as many bytes as there are: a sanitizer sees a read behind them. */
static int parse(const struct info *i, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, i->bytes, len);
	err = multiboot2_parse(copy, len, &parsed);
	free(copy);
	assert_true(memmap_is_sane(&parsed.mem));
	return err;
}

static void a_usual_loader_is_understood(void **state)
{
	struct info i;
	uint8_t *p;

	(void)state;
	info_begin(&i);
	memcpy(tag(&i, 1, 6), "quiet", 6);
	p = tag(&i, 3, 12);
	put32(p, 0x300000);
	put32(p + 4, 0x300123);
	usual_mmap(&i);
	memcpy(tag(&i, 14, 20), "RSD PTR 0123456789ab", 20);
	memcpy(tag(&i, 15, 36), "RSD PTR 0123456789abcdefghijklmnopqr", 36);
	memcpy(tag(&i, 14, 20), "older, after newer..", 20);
	tag(&i, 8, 24)[21] = 2;
	info_end(&i);

	assert_int_equal(parse(&i, i.len), 0);
	assert_string_equal(parsed.path, "multiboot2/BIOS");
	assert_string_equal(parsed.cmdline, "quiet");
	assert_int_equal(parsed.initrd, 0x300000);
	assert_int_equal(parsed.initrd_len, 0x123);
	assert_int_equal(parsed.rsdp_copy_len, 36);
	assert_memory_equal(parsed.rsdp_copy, "RSD PTR 0123456789abcdefghijklmnopqr", 36);
	assert_true(parsed.text_screen);
	assert_int_equal(parsed.ignored, 0);
	assert_int_equal(parsed.mem.count, 4);
	assert_int_equal(parsed.mem.range[0].size, 0x9f000);
	assert_int_equal(parsed.mem.range[2].kind, HAL_MEM_RESERVED);
	assert_int_equal(parsed.mem.range[3].base + parsed.mem.range[3].size, 0x7f0000);
}

static void information_cut_anywhere_is_survived(void **state)
{
	struct info i;

	(void)state;
	info_begin(&i);
	usual_mmap(&i);
	memset(tag(&i, 1, 1000), 'x', 1000); /* no NUL */
	info_end(&i);
	for (size_t len = 0; len <= i.len; len++)
		assert_int_equal(parse(&i, len), len < 8 ? -EINVAL : 0);
	assert_int_equal(strlen(parsed.cmdline), 1000);
}

static void bent_tags_are_counted(void **state)
{
	struct info i;
	uint8_t *p;

	(void)state;
	info_begin(&i);
	tag(&i, 3, 4);		  /* a module without its end */
	put32(tag(&i, 6, 24), 3); /* entries of three bytes */
	p = tag(&i, 3, 8);
	put32(p, 2);
	put32(p + 4, 1);	      /* ends before it begins */
	put32(tag(&i, 99, 0) - 4, 0); /* no size: the walk ends */
	info_end(&i);
	assert_int_equal(parse(&i, i.len), 0);
	assert_int_equal(parsed.ignored, 4);
	assert_int_equal(parsed.initrd_len, 0);
	put32(i.bytes, 7);
	assert_int_equal(parse(&i, i.len), -EINVAL);
}

/* ---- PVH: physical memory is a buffer at 0x1000 ---- */

#define WINDOW_BASE 0x1000u

static uint8_t memory[8192];

static const void *window_map(const struct physwin *w, paddr_t pa, size_t len)
{
	(void)w;
	if (pa < WINDOW_BASE || len > sizeof(memory) || pa - WINDOW_BASE > sizeof(memory) - len)
		return NULL;
	return memory + (pa - WINDOW_BASE);
}

static const struct physwin window = {window_map};

static void pvh_write(void)
{
	memset(memory, 0, sizeof(memory));
	put32(memory, 0x336ec578);
	put32(memory + 4, 1);
	put32(memory + 12, 1);
	put64(memory + 16, WINDOW_BASE + 0x100);
	put64(memory + 24, WINDOW_BASE + 0x200);
	put64(memory + 32, 0xf5a00);
	put64(memory + 40, WINDOW_BASE + 0x300);
	put32(memory + 48, 2);
	put64(memory + 0x100, 0x400000);
	put64(memory + 0x108, 0x1000);
	memcpy(memory + 0x200, "init=/bin/sh", 13);
	mmap_entry(memory + 0x300, 0, 0xa0000, E820_RAM);
	mmap_entry(memory + 0x318, 0x100000, 0x1000000, E820_RAM);
}

static void pvh_is_understood(void **state)
{
	(void)state;
	pvh_write();
	assert_int_equal(pvh_parse(&window, WINDOW_BASE, &parsed), 0);
	assert_string_equal(parsed.cmdline, "init=/bin/sh");
	assert_int_equal(parsed.rsdp, 0xf5a00);
	assert_int_equal(parsed.initrd, 0x400000);
	assert_int_equal(parsed.mem.count, 2);
}

static void pvh_pointers_to_nowhere_are_survived(void **state)
{
	(void)state;
	pvh_write();
	memset(memory + 0x200, 'y',
	       sizeof(memory) - 0x200); /* a command line without end, over the memory map */
	put64(memory + 16, UINT64_MAX);
	assert_int_equal(pvh_parse(&window, WINDOW_BASE, &parsed), 0);
	assert_int_equal(strlen(parsed.cmdline), HAL_CMDLINE_MAX - 1);
	assert_int_equal(parsed.ignored, 1);
	assert_true(memmap_is_sane(&parsed.mem));
	put32(memory + 48, UINT32_MAX);
	assert_int_equal(pvh_parse(&window, WINDOW_BASE, &parsed), -EINVAL);
	put32(memory, 0);
	assert_int_equal(pvh_parse(&window, WINDOW_BASE, &parsed), -EINVAL);
	assert_int_equal(pvh_parse(&window, 0, &parsed), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_usual_loader_is_understood),
	    cmocka_unit_test(information_cut_anywhere_is_survived),
	    cmocka_unit_test(bent_tags_are_counted),
	    cmocka_unit_test(pvh_is_understood),
	    cmocka_unit_test(pvh_pointers_to_nowhere_are_survived),
	};

	return cmocka_run_group_tests_name("arch/bootinfo", tests, NULL, NULL);
}
