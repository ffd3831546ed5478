/* SPDX-License-Identifier: MIT */
/* The radix tree of a cache object against a plain array. The "pages" are struct pages that nobody looks into. */
#include "unit.h"

#include <cloudos/string.h>
#include "../../src/kernel/vm/vm_internal.h"

#define SLOTS 64

static struct page pages[SLOTS];

static uint64_t seed = 1;
static uint64_t next_random(void)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return seed >> 24;
}

/* Indices that share levels, and some that need every level there is. */
static uint64_t index_of(unsigned i)
{
	static const uint64_t base[] = { 0, 60, 4090, UINT64_C(1) << 30, (UINT64_C(1) << 51) - 8 };

	return base[i % 5] + i / 5;
}

static void one_page_needs_no_node(void **state)
{
	struct vm_page_map m = { 0 };
	struct page *run[2];

	(void)state;
	assert_int_equal(page_map_set(&m, 0, &pages[0]), 0);
	assert_ptr_equal(m.root, &pages[0]);
	assert_ptr_equal(page_map_get(&m, 0), &pages[0]);
	assert_null(page_map_get(&m, 1));
	page_map_get_run(&m, 0, 2, run);
	assert_ptr_equal(run[0], &pages[0]);
	assert_null(run[1]);
	assert_ptr_equal(page_map_remove(&m, 0), &pages[0]);
	assert_null(page_map_remove(&m, 0));
	assert_null(m.root);
}

static void sparse_indices_are_found_in_order(void **state)
{
	struct vm_page_map m = { 0 };
	uint64_t index = 0, last = 0;
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(page_map_set(&m, index_of(i), &pages[i]), 0);
	assert_int_equal(m.count, SLOTS);
	for (struct page *p; (p = page_map_next(&m, &index)); last = index++, found++) {
		assert_true(found == 0 || index > last);
		assert_ptr_equal(page_map_get(&m, index), p);
		assert_int_equal(index_of((unsigned)(p - pages)), index);
	}
	assert_int_equal(found, SLOTS);
	for (unsigned i = 0; i < SLOTS; i++) {
		struct page *run[70];

		page_map_get_run(&m, index_of(i) > 35 ? index_of(i) - 35 : 0, 70, run);
		for (unsigned j = 0; j < 70; j++)
			assert_ptr_equal(run[j], page_map_get(&m, (index_of(i) > 35 ? index_of(i) - 35 : 0) + j));
	}
	for (unsigned i = 0; i < SLOTS; i++)
		assert_ptr_equal(page_map_remove(&m, index_of(i)), &pages[i]);
	assert_null(m.root);
	assert_int_equal(m.levels, 0);
}

static void random_changes_agree_with_an_array(void **state)
{
	struct vm_page_map m = { 0 };
	bool there[SLOTS] = { 0 };

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)(next_random() % SLOTS);

		if (there[i])
			assert_ptr_equal(page_map_remove(&m, index_of(i)), &pages[i]);
		else
			assert_int_equal(page_map_set(&m, index_of(i), &pages[i]), 0);
		there[i] = !there[i];
		i = (unsigned)(next_random() % SLOTS);
		assert_ptr_equal(page_map_get(&m, index_of(i)), there[i] ? &pages[i] : NULL);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		page_map_remove(&m, index_of(i));
	assert_null(m.root);
}

static int setup(void **state)
{
	int err = unit_group_setup(state);

	return err ? err : vm_start();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(one_page_needs_no_node),
		UNIT_TEST(sparse_indices_are_found_in_order),
		UNIT_TEST(random_changes_agree_with_an_array),
	};

	unit_machine = (struct unit_machine){ .memory_mib = 16, .cpus = 1 };
	return cmocka_run_group_tests_name("vm/page_map", tests, setup, NULL);
}
