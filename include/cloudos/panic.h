/* SPDX-License-Identifier: MIT */
/* Assertions and the end of everything. */
#ifndef CLOUDOS_PANIC_H
#define CLOUDOS_PANIC_H

#include <cloudos/types.h>

/* Prints "panic: ...", CPU, thread and a symbolised backtrace on the console, stops the machine. Any context. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

_Noreturn void assert_failed(const char *expression, const char *file, int line) __attribute__((cold));

/* An internal invariant. Never for what a user, a disk or a wire may say. Always compiled in. */
#define ASSERT(expression)                                                     \
	do {                                                                   \
		if (unlikely(!(expression)))                                   \
			assert_failed(#expression, __FILE__, __LINE__);        \
	} while (0)

/* Prints the caller's backtrace into the log (not the end of anything). */
void backtrace_log(void);

#endif
