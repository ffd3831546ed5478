/* SPDX-License-Identifier: MIT */
/* Searching bitmaps a word at a time. */
#include <cloudos/bitmap.h>

/* The first bit in [from, bits) that is set in word ^ flip. */
static size_t find(const uint64_t *map, size_t bits, size_t from, uint64_t flip)
{
	for (size_t i = from / 64; i * 64 < bits; i++) {
		uint64_t word = map[i] ^ flip;

		if (i == from / 64)
			word &= ~UINT64_C(0) << (from % 64);
		if (word) {
			size_t bit = i * 64 + (size_t)__builtin_ctzll(word);

			return bit < bits ? bit : bits;
		}
	}
	return bits;
}

size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t from)
{
	return from >= bits ? bits : find(map, bits, from, ~UINT64_C(0));
}

size_t bitmap_find_set(const uint64_t *map, size_t bits, size_t from)
{
	return from >= bits ? bits : find(map, bits, from, 0);
}

size_t bitmap_count(const uint64_t *map, size_t bits)
{
	size_t n = 0;

	for (size_t bit = bitmap_find_set(map, bits, 0); bit < bits; bit = bitmap_find_set(map, bits, bit + 1))
		n++;
	return n;
}

/* The bits of the word that holds `from` which lie in [from, end). */
static uint64_t word_mask(size_t from, size_t end)
{
	size_t first = from % 64, n = min(end - from, 64 - first);

	return (n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1) << first;
}

void bitmap_set_range(uint64_t *map, size_t from, size_t count)
{
	size_t end = from + count;

	for (; from < end; from = (from / 64 + 1) * 64)
		map[from / 64] |= word_mask(from, end);
}

void bitmap_clear_range(uint64_t *map, size_t from, size_t count)
{
	size_t end = from + count;

	for (; from < end; from = (from / 64 + 1) * 64)
		map[from / 64] &= ~word_mask(from, end);
}
