/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: what both models of the GIC (gicv2.c, gicv3.c) have in common, and the seam's side of it. Lines
 * are INTIDs: below 16 software-generated (IPIs), 16 to 31 a CPU's own (its timer), from 32 on those of
 * devices, all of which go to the boot CPU.
 *
 * Locking: `lock` guards the table of handlers while one is added; interrupt context reads it without (a slot
 * is published by a release store of its index, and never changes after).
 */
#include "aarch64.h"
#include <arch/spin.h>
#include <linux/errno.h>

#define HANDLERS_MAX 64 /* more: -ENOSPC; and of one line, which PCI devices may share */

static const struct gic_ops *ops;
static struct arch_spin lock;
static uint8_t handler_of[GIC_LINES]; /* index + 1 into handlers, 0: none */
static struct {
	hal_irq_handler fn;
	void *ctx;
	uint8_t next; /* index + 1 of the line's next one, 0: none */
} handlers[HANDLERS_MAX];
static unsigned handler_count;

int gic_init(const struct dt_machine *m)
{
	if (m->gic == DT_GIC_NONE)
		return -ENODEV;
	ops = m->gic == DT_GIC_V3 ? &gicv3_ops : &gicv2_ops;
	int error = ops->init(m);
	return error != 0 ? error : gic_init_cpu(&boot_cpu);
}

int gic_init_cpu(struct hal_cpu *cpu)
{
	int error = ops->init_cpu(cpu);

	if (error == 0)
		ops->set_enabled(machine.timer_line, true);
	return error;
}

static void handle_device(uint32_t line)
{
	unsigned index = __atomic_load_n(&handler_of[line], __ATOMIC_ACQUIRE);

	if (index == 0)
		ops->set_enabled(line, false); /* nobody wants it: or it would come for ever */
	for (; index != 0; index = handlers[index - 1].next)
		handlers[index - 1].fn(handlers[index - 1].ctx);
}

static void handle(uint32_t word)
{
	uint32_t line = word & 0x3ff;

	if (line == machine.timer_line)
		timer_interrupt();
	else if (line >= 32)
		handle_device(line);
	ops->end(word);
	if (line == IPI_KERNEL && hal_upcalls.ipi != NULL)
		hal_upcalls.ipi();
	else if (line == IPI_STOP)
		smp_park();
}

/* One interrupt, which is pending on this CPU; a further one raises the exception again. */
void gic_handle(const uintptr_t *interrupted)
{
	uint32_t word = ops->acknowledge();

	if ((word & 0x3ff) >= GIC_SPURIOUS)
		return;
	this_hal_cpu()->interrupted = interrupted;
	handle(word);
	this_hal_cpu()->interrupted = NULL;
}

bool hal_interrupted(uintptr_t *ret_pc, uintptr_t *ret_fp)
{
	const uintptr_t *record = this_hal_cpu()->interrupted;

	if (record == NULL)
		return false;
	*ret_fp = record[0];
	*ret_pc = record[1];
	return true;
}

static int attach(unsigned line, hal_irq_handler fn, void *ctx, bool edge)
{
	int error = 0;

	if (line < 32 || line >= GIC_LINES)
		return -EINVAL;
	unsigned long irq = arch_spin_lock(&lock);
	bool first = handler_of[line] == 0;
	if (!first && edge)
		error = -EBUSY;
	else if (handler_count == HANDLERS_MAX)
		error = -ENOSPC;
	if (error == 0) {
		handlers[handler_count].fn = fn;
		handlers[handler_count].ctx = ctx;
		handlers[handler_count].next = handler_of[line];
		__atomic_store_n(&handler_of[line], (uint8_t)++handler_count, __ATOMIC_RELEASE);
		if (first)
			ops->prepare(line, edge);
		ops->set_enabled(line, true);
	}
	arch_spin_unlock(&lock, irq);
	return error;
}

int hal_irq_attach(unsigned line, hal_irq_handler fn, void *ctx)
{
	return attach(line, fn, ctx, false);
}

int gic_attach_edge(uint32_t line, hal_irq_handler fn, void *ctx)
{
	return attach(line, fn, ctx, true);
}

void hal_irq_mask(unsigned line)
{
	if (line >= 32 && line < GIC_LINES)
		ops->set_enabled(line, false);
}

void hal_irq_unmask(unsigned line)
{
	if (line >= 32 && line < GIC_LINES)
		ops->set_enabled(line, true);
}

void hal_ipi_send(unsigned cpu)
{
	dsb(ishst); /* what was stored before is there for the receiver */
	ops->send(smp_cpu(cpu), IPI_KERNEL);
}

void hal_cpu_stop_others(void)
{
	if (ops != NULL)
		ops->send_others(IPI_STOP);
}
