/* SPDX-License-Identifier: MIT */
/*
 * The machine's own lock, for the few registers that several CPUs share below the seam (configuration ports,
 * interrupt controllers, kernel page tables). Interrupts are off while it is held; what is called under it
 * (at most hal_upcalls.page_alloc) never comes back here.
 */
#ifndef ARCH_SPIN_H
#define ARCH_SPIN_H

#include <hal/hal.h>

struct arch_spin {
	uint32_t held;
};

static inline unsigned long arch_spin_lock(struct arch_spin *s)
{
	unsigned long irq = hal_irq_save();

	while (__atomic_exchange_n(&s->held, 1, __ATOMIC_ACQUIRE) != 0)
		hal_cpu_relax();
	return irq;
}

static inline void arch_spin_unlock(struct arch_spin *s, unsigned long irq)
{
	__atomic_store_n(&s->held, 0, __ATOMIC_RELEASE);
	hal_irq_restore(irq);
}

#endif
