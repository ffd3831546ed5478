/* SPDX-License-Identifier: MIT */
/*
 * What gcc calls for __builtin_popcountll(): without SIMD registers there is no instruction for it (before
 * FEAT_CSSC).
 */
#include <hal/types.h>

int __popcountdi2(uint64_t n);

int __popcountdi2(uint64_t n)
{
	n -= n >> 1 & UINT64_C(0x5555555555555555);
	n = (n & UINT64_C(0x3333333333333333)) + (n >> 2 & UINT64_C(0x3333333333333333));
	n = (n + (n >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (int)(n * UINT64_C(0x0101010101010101) >> 56);
}
