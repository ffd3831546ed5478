/* SPDX-License-Identifier: MIT */
/*
 * Interrupts. In <hal/arch.h>, inline (a per-vCPU flag in the simulator, never a host signal mask):
 *
 *   unsigned long hal_irq_save(void)            masks; returns the former state
 *   void hal_irq_restore(unsigned long state)   in the simulator delivers what is pending
 *   void hal_irq_enable(void), hal_irq_disable(void)
 *   bool hal_irq_enabled(void)
 */
#ifndef HAL_IRQ_H
#define HAL_IRQ_H

#include <hal/types.h>

typedef void (*hal_irq_handler)(void *ctx); /* interrupts off; must not sleep */

/*
 * A device's interrupt line (x86: global system interrupt; aarch64: GIC INTID; sim: model's line), unmasked. Handlers of one line are all
 * called; there is no way back: a handler stays.
 */
int hal_irq_attach(unsigned line, hal_irq_handler fn, void *ctx);
void hal_irq_mask(unsigned line);
void hal_irq_unmask(unsigned line);

/*
 * In an upcall of an interrupt: where the kernel was when it came, for hal_backtrace_from(); false: user mode was left for it. In the simulator,
 * whose kernel code is interrupted where it lets interrupts in, that is the place.
 */
bool hal_interrupted(uintptr_t *ret_pc, uintptr_t *ret_fp);

/* A message-signalled interrupt: what a device must write where. -ENOSPC when vectors are used up, -ENOTSUP if none. */
struct hal_msi {
	uint64_t address;
	uint32_t data;
};
int hal_msi_alloc(hal_irq_handler fn, void *ctx, struct hal_msi *ret);

#endif
