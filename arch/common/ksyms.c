/* SPDX-License-Identifier: MIT */
/*
 * Names of the kernel's functions, for backtraces.
 *
 * The build links the image twice: tools/ksyms.py reads the function symbols of the first link and writes
 * them as a sorted table that the second link carries (that script documents the format). Looking one up is a
 * binary search that takes no lock, allocates nothing and touches read-only data alone, so that a panic may
 * do it in any state. An image linked with the empty table answers false, and a backtrace then shows bare
 * addresses.
 */

#include <hal/context.h>

extern const uint32_t ksyms_count;
extern const uint32_t ksyms_offsets[];
extern const uint32_t ksyms_name_at[];
extern const char ksyms_names[];
extern const char _text[];

bool hal_symbol_lookup(uintptr_t addr, const char **ret_name, size_t *ret_offset)
{
	uintptr_t base = (uintptr_t)_text;
	uint32_t low = 0, high = ksyms_count;

	if (addr < base || addr - base > UINT32_MAX)
		return false;
	uint32_t wanted = (uint32_t)(addr - base);
	/* Invariant: functions before `low` begin at or before the address, those from `high` on after it. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (ksyms_offsets[middle] <= wanted)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	*ret_name = ksyms_names + ksyms_name_at[low - 1];
	*ret_offset = wanted - ksyms_offsets[low - 1];
	return true;
}
