/* SPDX-License-Identifier: MIT */
/* The system console: a serial port (and, where there is one, a text screen and keyboard); the simulator's standard streams. */
#ifndef HAL_CONSOLE_H
#define HAL_CONSOLE_H

#include <hal/types.h>

/*
 * Writes bytes as they are ("\n" is not expanded), synchronously. Works from the first instruction of kernel_main on,
 * any context, also during a panic. The caller serialises.
 */
void hal_console_write(const char *buf, size_t len);

/* Starts reception: from now on hal_upcalls.console_input() gets what arrives. */
int hal_console_input_start(void);

/* After console_input() took less than it was offered: offer the rest again. Any context. */
void hal_console_input_resume(void);

#endif
