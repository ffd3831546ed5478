/* SPDX-License-Identifier: MIT */
/* The boot memory map: by hand, and against an array with an entry for each page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "memmap_check.h"

#define PAGES 256

static void assert_range(const struct memmap *m, size_t i, paddr_t base, uint64_t size,
			 enum hal_mem_kind kind)
{
	assert_true(i < m->count);
	assert_int_equal(m->range[i].base, base);
	assert_int_equal(m->range[i].size, size);
	assert_int_equal(m->range[i].kind, kind);
}

static void ram_is_rounded_inward_and_merged(void **state)
{
	struct memmap m = {0};

	(void)state;
	memmap_add(&m, 0x100001, 0x2fff); /* [0x101000, 0x103000) */
	memmap_add(&m, 0x103000, 0x1000);
	memmap_add(&m, 0x1000, 0x1000);
	assert_int_equal(m.count, 2);
	assert_range(&m, 0, 0x1000, 0x1000, HAL_MEM_FREE);
	assert_range(&m, 1, 0x101000, 0x3000, HAL_MEM_FREE);
	memmap_add(&m, 0x5001, 0xffe); /* no whole page */
	assert_int_equal(m.dropped, 1);
}

static void wrapping_ranges_are_clipped(void **state)
{
	struct memmap m = {0};

	(void)state;
	memmap_add(&m, UINT64_MAX - 0x1fff, 0x10000);
	assert_int_equal(m.count, 0);
	memmap_add(&m, MEMMAP_END - 0x1000, UINT64_MAX);
	assert_range(&m, 0, MEMMAP_END - 0x1000, 0x1000, HAL_MEM_FREE);
	memmap_reserve(&m, 0, UINT64_MAX, HAL_MEM_RESERVED);
	assert_range(&m, 0, MEMMAP_END - 0x1000, 0x1000, HAL_MEM_RESERVED);
	memmap_remove(&m, 0, UINT64_MAX);
	assert_int_equal(m.count, 0);
}

static void what_is_taken_is_reserved_and_below_the_limit(void **state)
{
	struct memmap m = {0};

	(void)state;
	memmap_add(&m, 0, 0x100000);
	assert_int_equal(memmap_take(&m, 0x1000, 0x1000, 0x80800), 0x7f000);
	assert_int_equal(memmap_take(&m, 0x3000, 0x4000, 0x80000), 0x7c000);
	assert_int_equal(memmap_take(&m, 0x200000, 0x1000, UINT64_MAX), 0);
	assert_true(memmap_is_sane(&m));
	memmap_remove(&m, 0x1000, 0x100000);
	assert_int_equal(memmap_take(&m, 0x1000, 0x1000, UINT64_MAX), 0); /* page 0 is never given */
}

/* Given a full table, a removal that cannot cut takes more, never less. */
static void a_full_table_only_loses_memory(void **state)
{
	struct memmap m = {0};

	(void)state;
	for (unsigned i = 0; i < HAL_MEM_RANGES_MAX; i++)
		memmap_add(&m, (paddr_t)i << 20, 0x8000);
	assert_int_equal(m.count, HAL_MEM_RANGES_MAX);
	memmap_add(&m, UINT64_C(1) << 40, 0x1000);
	assert_int_equal(m.dropped, 1);
	memmap_reserve(&m, 0x2000, 0x1000, HAL_MEM_INITRD);
	assert_true(memmap_is_sane(&m));
	for (size_t i = 0; i < m.count; i++)
		assert_false(m.range[i].base <= 0x2000 && m.range[i].base + m.range[i].size > 0x2000 &&
			     m.range[i].kind == HAL_MEM_FREE);
}

/* ---- against a page array: 0 is no RAM, else 1 + kind ---- */

static void expect(const struct memmap *m, const uint8_t *page)
{
	uint8_t got[PAGES] = {0};

	assert_true(memmap_is_sane(m));
	for (size_t i = 0; i < m->count; i++)
		memset(got + m->range[i].base / PAGE_SIZE, 1 + (int)m->range[i].kind,
		       m->range[i].size / PAGE_SIZE);
	assert_memory_equal(got, page, PAGES);
}

static void step(struct memmap *m, uint8_t *page)
{
	unsigned first = (unsigned)random() % PAGES, count = 1 + (unsigned)random() % 20,
		 what = (unsigned)random() % 4;

	if (first + count > PAGES)
		count = PAGES - first;
	if (what == 0)
		memmap_add(m, first * PAGE_SIZE, count * PAGE_SIZE);
	else if (what == 1)
		memmap_remove(m, first * PAGE_SIZE + 1, count * PAGE_SIZE - 2);
	else
		memmap_reserve(m, first * PAGE_SIZE + 1, count * PAGE_SIZE - 2,
			       what == 2 ? HAL_MEM_RESERVED : HAL_MEM_INITRD);
	for (unsigned i = first; i < first + count; i++) {
		if (what == 0 && page[i] == 0)
			page[i] = 1 + HAL_MEM_FREE;
		else if (what == 1)
			page[i] = 0;
		else if (what > 1 && page[i] == 1 + HAL_MEM_FREE)
			page[i] = 1 + (what == 2 ? HAL_MEM_RESERVED : HAL_MEM_INITRD);
	}
}

static void random_calls_agree_with_a_page_array(void **state)
{
	(void)state;
	srandom(7);
	for (unsigned round = 0; round < 200; round++) {
		struct memmap m = {0};
		uint8_t page[PAGES] = {0};

		for (unsigned i = 0; i < 40 && m.count < HAL_MEM_RANGES_MAX - 2; i++) {
			step(&m, page);
			expect(&m, page);
		}
		assert_int_equal(m.dropped, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ram_is_rounded_inward_and_merged),
	    cmocka_unit_test(wrapping_ranges_are_clipped),
	    cmocka_unit_test(what_is_taken_is_reserved_and_below_the_limit),
	    cmocka_unit_test(a_full_table_only_loses_memory),
	    cmocka_unit_test(random_calls_agree_with_a_page_array),
	};

	return cmocka_run_group_tests_name("arch/memmap", tests, NULL, NULL);
}
