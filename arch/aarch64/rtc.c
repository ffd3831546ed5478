/* SPDX-License-Identifier: MIT */
/* The real-time clock: a PL031 (Arm DDI 0224), which counts seconds of UTC since 1970. */
#include "aarch64.h"

uint64_t rtc_read_seconds(const struct dt_range *regs)
{
	volatile uint32_t *rtc = regs->size >= 4 ? hal_mmio_map(regs->base, regs->size) : NULL;

	return rtc != NULL ? rtc[0] : 0;
}
