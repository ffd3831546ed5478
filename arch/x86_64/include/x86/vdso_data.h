/* SPDX-License-Identifier: MIT */
/* The page that lies before the vDSO: written by the kernel, read by programs. */
#ifndef X86_VDSO_DATA_H
#define X86_VDSO_DATA_H

#include <stdint.h>

/* A sequence lock: odd while it is being written; a reader starts over when it has changed. */
struct x86_vdso_data {
	uint32_t sequence;
	uint32_t pad;
	uint64_t tsc_base, multiplier; /* monotonic ns = (TSC - tsc_base) * multiplier / 2^32 */
	uint64_t wall_offset_ns;       /* wall clock = monotonic + this */
};

void x86_vdso_set_clock(uint64_t tsc_base, uint64_t multiplier);
void x86_vdso_set_wall(uint64_t offset_ns);

#endif
