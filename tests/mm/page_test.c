/* SPDX-License-Identifier: MIT */
/* The page allocator: what is given out does not overlap, everything comes back, blocks merge. */
#include "unit.h"
#include <cloudos/mm.h>
#include <cloudos/string.h>

#define MANY 600

static uint64_t free_now(void)
{
	struct mm_stats s;

	mm_get_stats(&s);
	return s.free_pages;
}

static void blocks_are_aligned_and_counted(void **state)
{
	uint64_t before = free_now();

	(void)state;
	for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++) {
		struct page *p = page_alloc(order, 0);

		assert_non_null(p);
		assert_true(is_aligned(page_phys(p), PAGE_SIZE << order));
		assert_int_equal(free_now(), before - (1ul << order));
		page_put(p);
		assert_int_equal(free_now(), before);
	}
}

static void pages_do_not_overlap(void **state)
{
	static struct page *pages[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		pages[i] = page_alloc(i % 7 == 0 ? 2 : 0, 0);
		assert_non_null(pages[i]);
		memset(page_virt(pages[i]), (int)i, PAGE_SIZE << pages[i]->order);
	}
	for (size_t i = 0; i < MANY; i++) {
		const unsigned char *bytes = page_virt(pages[i]);

		for (size_t at = 0; at < PAGE_SIZE << pages[i]->order; at += 511)
			assert_int_equal(bytes[at], i & 255);
		page_put(pages[i]);
	}
}

static void zeroed_pages_are_zero(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		struct page *p = page_alloc(0, PAGE_ALLOC_ZERO);
		const uint64_t *words = page_virt(p);

		for (size_t i = 0; i < PAGE_SIZE / 8; i++)
			assert_int_equal(words[i], 0);
		memset(page_virt(p), 0xff, PAGE_SIZE);
		page_put(p);
	}
}

static void memory_runs_out_with_null_and_comes_back_whole(void **state)
{
	uint64_t before = free_now();
	struct list taken = LIST_INIT(taken);
	struct page *p, *tmp;

	(void)state;
	while ((p = page_alloc(0, 0)))
		list_add(&taken, &p->link);
	assert_in_range(free_now(), 0, 1024);
	assert_null(page_alloc(3, 0));
	assert_non_null(p = page_alloc(0, PAGE_ALLOC_RESERVE)); /* what frees memory may still go on */
	page_put(p);
	list_for_each_safe(p, tmp, &taken, link) {
		list_del(&p->link);
		page_put(p);
	}
	assert_int_equal(free_now(), before);
	p = page_alloc(PAGE_ORDER_MAX, 0); /* the single pages have merged again */
	assert_non_null(p);
	page_put(p);
}

static void references_keep_a_page(void **state)
{
	uint64_t before = free_now();
	struct page *p = page_alloc(0, 0);

	(void)state;
	page_get(p);
	page_put(p);
	assert_int_equal(free_now(), before - 1);
	page_put(p);
	assert_int_equal(free_now(), before);
}

static void kinds_are_counted(void **state)
{
	struct mm_stats before, now;
	struct page *p;

	(void)state;
	mm_get_stats(&before);
	p = page_alloc(1, 0);
	page_set_kind(p, PAGE_USER);
	mm_get_stats(&now);
	assert_int_equal(now.kind_pages[PAGE_USER], before.kind_pages[PAGE_USER] + 2);
	assert_int_equal(now.kind_pages[PAGE_KERNEL], before.kind_pages[PAGE_KERNEL]);
	page_put(p);
	mm_get_stats(&now);
	assert_int_equal(now.kind_pages[PAGE_USER], before.kind_pages[PAGE_USER]);
}

static void absurd_orders_are_refused(void **state)
{
	(void)state;
	assert_null(page_alloc(PAGE_ORDER_MAX + 1, 0));
	assert_null(page_alloc(200, 0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(blocks_are_aligned_and_counted),
		UNIT_TEST(pages_do_not_overlap),
		UNIT_TEST(zeroed_pages_are_zero),
		UNIT_TEST(memory_runs_out_with_null_and_comes_back_whole),
		UNIT_TEST(references_keep_a_page),
		UNIT_TEST(kinds_are_counted),
		UNIT_TEST(absurd_orders_are_refused),
	};

	return UNIT_MAIN(tests, 32, 1);
}
