/* SPDX-License-Identifier: MIT */
/* The real-time clock: a PL031 (Arm DDI 0224), which counts seconds of UTC since 1970. */
#include "aarch64.h"

uint64_t rtc_read_seconds(const struct dt_range *regs)
{
	volatile uint32_t *rtc = regs->size >= 4 ? hal_mmio_map(regs->base, regs->size) : NULL;

	return rtc != NULL ? rtc[0] : 0;
}

/* Days are counted from 0000-03-01, so that a leap day ends its year (Gregorian calendar; 719468 days to
 * 1970-01-01). */
uint64_t rtc_seconds(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
	uint64_t days = 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;

	return (days - 719468) * 86400;
}
