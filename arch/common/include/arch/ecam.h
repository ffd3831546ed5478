/* SPDX-License-Identifier: MIT */
/*
 * PCI Express configuration space in memory (PCI Express Base Specification, 7.2.2): 4 KiB a function, by its
 * number.
 */
#ifndef ARCH_ECAM_H
#define ARCH_ECAM_H

#include <hal/types.h>

#define ECAM_FUNCTION_SIZE 4096u

struct ecam {
	volatile uint8_t *base; /* of bus first_bus; null: none */
	unsigned first_bus, last_bus;
};

static inline bool ecam_covers(const struct ecam *e, unsigned bdf)
{
	return e->base != NULL && bdf >> 8 >= e->first_bus && bdf >> 8 <= e->last_bus;
}

/* Of a function that is covered; all ones, or nothing, for an offset or width that does not exist. */
uint32_t ecam_read(const struct ecam *e, unsigned bdf, unsigned offset, unsigned width);
void ecam_write(const struct ecam *e, unsigned bdf, unsigned offset, unsigned width, uint32_t value);

#endif
