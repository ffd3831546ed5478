/* SPDX-License-Identifier: MIT */
/* The random numbers' bookkeeping: nothing is handed out twice, every byte asked for is written. How good they are is ChaCha20's affair. */
#include "unit.h"
#include <cloudos/random.h>
#include <cloudos/string.h>

#define DRAWS 3000

static void no_number_comes_twice(void **state)
{
	static uint64_t seen[DRAWS];

	(void)state;
	for (unsigned i = 0; i < DRAWS; i++) {
		seen[i] = random_u64();
		if (i % 100 == 99)
			random_add(&i, sizeof(i));
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
	}
}

static void every_length_is_filled(void **state)
{
	static uint8_t buf[1026];

	(void)state;
	for (size_t len = 0; len <= 1024; len += len < 70 ? 1 : 53) {
		bool changed[1024] = { false };

		for (int round = 0; round < 8; round++) { /* 8 times 0 by chance: once in 2^64 */
			memset(buf, 0, sizeof(buf));
			random_bytes(buf + 1, len);
			assert_true(buf[0] == 0 && buf[len + 1] == 0);
			for (size_t i = 0; i < len; i++)
				changed[i] |= buf[1 + i] != 0;
		}
		for (size_t i = 0; i < len; i++)
			assert_true(changed[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(no_number_comes_twice),
		UNIT_TEST(every_length_is_filled),
	};

	return UNIT_MAIN(tests, 16, 1);
}
