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

/* For hal_upcalls.kernel_fault: the same for a trap in the kernel. */
__attribute__((noreturn)) void panic_kernel_fault(const char *what, uintptr_t pc, uintptr_t fp, uintptr_t addr, const char *dump);

/* Names the running thread for a panic; filled by sched. Any context. */
extern void (*panic_describe_thread)(char *buf, size_t size);

/* Prints the caller's backtrace into the log (not the end of anything). */
void backtrace_log(void);

#endif
