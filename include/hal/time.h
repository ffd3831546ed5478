/* SPDX-License-Identifier: MIT */
/* Time: nanoseconds since boot, the wall clock, and one one-shot timer a CPU. */
#ifndef HAL_TIME_H
#define HAL_TIME_H

#include <hal/types.h>

#define HAL_TIMER_NEVER UINT64_MAX

/* Monotonic, the same on every CPU, starts near 0. Any context. */
uint64_t hal_clock_ns(void);

/* Nanoseconds since 1970-01-01 UTC: the machine's clock at boot, or what hal_wall_set() said, and hal_clock_ns() since. */
uint64_t hal_wall_ns(void);

/* The wall clock is `wall_ns` now, also for the vDSO. The machine's battery clock is left alone. */
void hal_wall_set(uint64_t wall_ns);

/*
 * Calls hal_upcalls.timer() on this CPU, interrupts off, once, at or after `deadline_ns` (hal_clock_ns scale); a past
 * deadline fires at once. A new call replaces the last; HAL_TIMER_NEVER disarms. Interrupts off.
 */
void hal_timer_arm(uint64_t deadline_ns);

#endif
