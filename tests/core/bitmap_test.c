/* SPDX-License-Identifier: MIT */
/* Bitmap searches against looking at every bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <cloudos/bitmap.h>

#define BITS 200

static size_t slow_find(const uint64_t *map, size_t bits, size_t from, bool set)
{
	for (; from < bits; from++)
		if (bitmap_test(map, from) == set)
			return from;
	return bits;
}

static void searches_agree_with_the_slow_way(void **state)
{
	uint64_t map[BITMAP_WORDS(BITS)] = { 0 };

	(void)state;
	srandom(1);
	for (int round = 0; round < 500; round++) {
		size_t bit = (size_t)random() % BITS, count = 0;

		if (random() % 2)
			bitmap_set(map, bit);
		else
			bitmap_clear(map, bit);
		for (size_t from = 0; from <= BITS; from += 7) {
			assert_int_equal(bitmap_find_set(map, BITS, from), slow_find(map, BITS, from, true));
			assert_int_equal(bitmap_find_clear(map, BITS, from), slow_find(map, BITS, from, false));
		}
		for (size_t i = 0; i < BITS; i++)
			count += bitmap_test(map, i);
		assert_int_equal(bitmap_count(map, BITS), count);
	}
}

static void ranges_are_their_bits(void **state)
{
	uint64_t map[BITMAP_WORDS(BITS)] = { 0 }, slow[BITMAP_WORDS(BITS)] = { 0 };

	(void)state;
	srandom(2);
	for (int round = 0; round < 2000; round++) {
		size_t from = (size_t)random() % BITS, count = (size_t)random() % (BITS - from + 1);
		bool set = random() % 2;

		if (set)
			bitmap_set_range(map, from, count);
		else
			bitmap_clear_range(map, from, count);
		for (size_t i = from; i < from + count; i++)
			set ? bitmap_set(slow, i) : bitmap_clear(slow, i);
		assert_memory_equal(map, slow, sizeof(map));
	}
}

static void the_end_is_respected(void **state)
{
	uint64_t map[2] = { ~UINT64_C(0), ~UINT64_C(0) };

	(void)state;
	bitmap_clear(map, 70);
	assert_int_equal(bitmap_find_clear(map, 70, 0), 70);
	assert_int_equal(bitmap_find_clear(map, 71, 0), 70);
	assert_int_equal(bitmap_find_clear(map, 71, 71), 71);
	assert_int_equal(bitmap_find_clear(map, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(searches_agree_with_the_slow_way),
		cmocka_unit_test(ranges_are_their_bits),
		cmocka_unit_test(the_end_is_respected),
	};

	return cmocka_run_group_tests_name("core/bitmap", tests, NULL, NULL);
}
