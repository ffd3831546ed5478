/* SPDX-License-Identifier: MIT */
/*
 * What the machine calls in the kernel: a table that the machine's floor owns and the kernel's floors fill before they
 * first need it (mm the page functions, sched timer and ipi, vm the fault, the console driver its input). A null
 * entry is not called.
 */
#ifndef HAL_UPCALL_H
#define HAL_UPCALL_H

#include <hal/types.h>

enum hal_access {
	HAL_ACCESS_READ = 1,
	HAL_ACCESS_WRITE = 2,
	HAL_ACCESS_EXEC = 4,
};

struct hal_context;

struct hal_upcalls {
	/* One zeroed page for the machine's own tables; 0 when out of memory. Any context. */
	paddr_t (*page_alloc)(void);
	void (*page_free)(paddr_t pa);

	void (*timer)(void); /* this CPU's one-shot timer fired; interrupts off */
	void (*ipi)(void);   /* hal_ipi_send() was called for this CPU; interrupts off */

	/* For reports: names the thread that a kernel context is of, and with `detail` what it holds and waits for. Any context. */
	void (*describe_context)(const struct hal_context *c, char *buf, size_t size, bool detail);

	/*
	 * Wakes the thread of a context that is not running, though nothing may have happened that it waits for; false if it does
	 * not sleep. Every sleeper looks again at what it waits for, so that a wake-up too many is harmless. Interrupts off.
	 */
	bool (*wake_context)(struct hal_context *c);

	/* A fault on a user address inside hal_copy_*: 0 when the access may be tried again. Interrupts on. */
	int (*user_fault)(uaddr_t addr, enum hal_access access);

	/* Console bytes arrived; returns how many were taken. Interrupts off. */
	size_t (*console_input)(const char *buf, size_t len);

	/* One line for the kernel log, printf style (the subset of cloudos/format.h). Any context. */
	__attribute__((format(printf, 1, 2))) void (*log)(const char *format, ...);

	/*
	 * The kernel itself faulted: `what` names the trap in words ("page fault: write to unmapped"), `dump` is the text of the
	 * registers, one line each. Prints, with a symbolised backtrace from pc and fp, and stops the machine.
	 */
	__attribute__((noreturn)) void (*kernel_fault)(const char *what, uintptr_t pc, uintptr_t fp, uintptr_t addr,
						       const char *dump);
};

extern struct hal_upcalls hal_upcalls;

#endif
