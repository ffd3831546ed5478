/* SPDX-License-Identifier: MIT */
/* The kernel's side of the vDSO: its image, and the page of data that it reads (vdso_data.h). */
#include "../aarch64.h"
#include "vdso_data.h"

struct vdso_data {
	uint64_t base, mult, reciprocal, second, wall;
};
_Static_assert(offsetof(struct vdso_data, base) == VDSO_BASE && offsetof(struct vdso_data, mult) == VDSO_MULT,
	       "clock");
_Static_assert(offsetof(struct vdso_data, reciprocal) == VDSO_RECIPROCAL, "division");
_Static_assert(offsetof(struct vdso_data, second) == VDSO_SECOND &&
		   offsetof(struct vdso_data, wall) == VDSO_WALL,
	       "");

extern const char vdso_image[], vdso_image_end[]; /* page aligned, whole pages */

static union {
	struct vdso_data data;
	char page[4096];
} page __attribute__((aligned(4096)));

/* 2^75 / 5^9, rounded up: exact for all 64-bit n, since n / 2^9 has 55 bits. */
#define RECIPROCAL UINT64_C(0x44b82fa09b5a53)

void vdso_set_clock(uint64_t base_ticks, uint64_t mult, uint64_t wall_ns)
{
	page.data = (struct vdso_data){
	    .base = base_ticks,
	    .mult = mult,
	    .reciprocal = RECIPROCAL,
	    .second = 1000000000,
	    .wall = wall_ns,
	};
}

/* One word, so a reader sees the old value or the new. */
void vdso_set_wall(uint64_t wall_ns)
{
	__atomic_store_n(&page.data.wall, wall_ns, __ATOMIC_RELAXED);
}

/* By the direct map, where the kernel finds pages' addresses. */
const void *hal_vdso_image(size_t *ret_len)
{
	*ret_len = (size_t)(vdso_image_end - vdso_image);
	return hal_phys_to_virt(mmu_image_phys(vdso_image));
}

paddr_t hal_vdso_data(void)
{
	return mmu_image_phys(&page);
}
