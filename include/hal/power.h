/* SPDX-License-Identifier: MIT */
/* The end of a run. */
#ifndef HAL_POWER_H
#define HAL_POWER_H

_Noreturn void hal_power_off(void);
_Noreturn void hal_reboot(void);

/* For panics: stops every other CPU as well as can be had, without waiting for long. Any context. */
void hal_cpu_stop_others(void);

#endif
