/* SPDX-License-Identifier: MIT */
/*
 * CPUs. In <hal/arch.h>, inline:
 *
 *   HAL_CPU_MAX                       most CPUs supported (64: a mask is one uint64_t)
 *   unsigned hal_cpu_id(void)         0 .. hal_cpu_count()-1; the boot CPU is 0
 *   void *hal_cpu_area(void)          this CPU's kernel pointer (per-CPU data), as set below
 *   void hal_cpu_set_area(void *)
 *   void *hal_current(void)           this CPU's second kernel pointer: the running thread
 *   void hal_set_current(void *)
 *   void hal_cpu_refetch(void)        instructions that others have changed are fetched anew from here on (a core-serialising instruction)
 *   void hal_cpu_relax(void)          in every spin loop; may let another vCPU of the simulator run
 *
 * None of these may be cached by the compiler across a context switch (volatile asm, or an opaque call).
 */
#ifndef HAL_CPU_H
#define HAL_CPU_H

#include <hal/types.h>

/* CPUs found at boot, at least 1, at most HAL_CPU_MAX. Those not started yet count. */
unsigned hal_cpu_count(void);

/*
 * Starts CPU `cpu`: it sets up its machine state and calls entry(arg) on the stack that ends at stack_top (16-byte
 * aligned), interrupts off, hal_cpu_area() and hal_current() null. Returns once the CPU has taken off, or
 * -EIO when it did not within a bounded time. Boot CPU only, may spin.
 */
int hal_cpu_start(unsigned cpu, void *stack_top, void (*entry)(void *), void *arg);

/*
 * Called with interrupts off and nothing to do: unmasks and waits, atomically, until an interrupt has been
 * handled on this CPU; returns with interrupts off. An interrupt that is already pending is not slept through.
 */
void hal_cpu_idle(void);

/* Makes CPU `cpu` leave user mode or idle and call hal_upcalls.ipi() with interrupts off. Any context; coalesces. */
void hal_ipi_send(unsigned cpu);

/* Fills up to len bytes with what hardware entropy the CPU has; returns how many (0: none). Any context. */
size_t hal_entropy(void *buf, size_t len);

#endif
