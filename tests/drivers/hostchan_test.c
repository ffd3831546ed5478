/* SPDX-License-Identifier: MIT */
/* The host channel's parser: pieces that were asked for arrive whole, everything else is dropped. */
#include "unit.h"
#include "../../src/kernel/drivers/hostchan_parser.h"
#include <cloudos/string.h>

static struct hostchan_parser p;

/* Feeds all of it in steps of `step` bytes; how many pieces came. */
static unsigned feed(const char *bytes, size_t len, size_t step)
{
	unsigned pieces = 0;

	for (size_t at = 0; at < len;) {
		size_t taken, n = step < len - at ? step : len - at;

		if (hostchan_parser_feed(&p, (const uint8_t *)bytes + at, n, &taken) == HOSTCHAN_PIECE)
			pieces++;
		assert_true(taken > 0 && taken <= n);
		at += taken;
	}
	return pieces;
}

static void begin(uint32_t want)
{
	memset(&p, 0, sizeof(p));
	if (want)
		hostchan_parser_want(&p, want);
}

static void a_piece_arrives_however_it_is_cut(void **state)
{
	(void)state;
	for (size_t step = 1; step <= 9; step++) {
		begin(10);
		assert_int_equal(feed("\x01i\x05\0hello", 9, step), 1);
		assert_int_equal(p.filled, 5);
		assert_memory_equal(p.piece, "hello", 5);
		assert_int_equal(p.wanted, 0);
		assert_int_equal(p.errors, 0);
	}
}

static void an_empty_piece_is_the_end_of_the_file(void **state)
{
	(void)state;
	begin(10);
	assert_int_equal(feed("\x01i\0\0", 4, 4), 1);
	assert_int_equal(p.filled, 0);
}

static void nothing_comes_unasked(void **state)
{
	(void)state;
	begin(0);
	assert_int_equal(feed("\x01i\x02\0ab", 6, 6), 0);
	assert_int_equal(p.errors, 1);
	hostchan_parser_want(&p, 4);
	assert_int_equal(feed("\x01i\x05\0abcde\x01i\x01\0z", 14, 3), 1);
	assert_int_equal(p.errors, 2);
	assert_int_equal(p.filled, 1);
	assert_int_equal(p.piece[0], 'z');
}

static void other_letters_and_noise_are_passed_over(void **state)
{
	(void)state;
	begin(4);
	assert_int_equal(feed("xyz\x01o\x03\0abc\x01i\x01\0q", 15, 2), 1);
	assert_int_equal(p.errors, 4);
	assert_int_equal(p.piece[0], 'q');
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(a_piece_arrives_however_it_is_cut),
		UNIT_TEST(an_empty_piece_is_the_end_of_the_file),
		UNIT_TEST(nothing_comes_unasked),
		UNIT_TEST(other_letters_and_noise_are_passed_over),
	};

	return UNIT_MAIN(tests, 32, 1);
}
