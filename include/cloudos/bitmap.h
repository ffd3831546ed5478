/* SPDX-License-Identifier: MIT */
/* Arrays of bits in 64-bit words. The caller locks. */
#ifndef CLOUDOS_BITMAP_H
#define CLOUDOS_BITMAP_H

#include <cloudos/types.h>

#define BITMAP_WORDS(bits) (((bits) + 63) / 64)

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t bit)
{
	map[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
	map[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

/* Bits [from, from + count). */
void bitmap_set_range(uint64_t *map, size_t from, size_t count);
void bitmap_clear_range(uint64_t *map, size_t from, size_t count);

/* The first clear (set) bit in [from, bits), or `bits`. */
size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t from);
size_t bitmap_find_set(const uint64_t *map, size_t bits, size_t from);
size_t bitmap_count(const uint64_t *map, size_t bits);

#endif
