/* SPDX-License-Identifier: MIT */
/*
 * Message-signalled interrupts beside a GICv2: a GICv2m frame (Arm Server Base System Architecture, appendix
 * E) turns a device's write of a line's number into that line. GICv3 has the ITS instead, which this kernel
 * does not drive.
 */
#include "aarch64.h"
#include <arch/spin.h>
#include <linux/errno.h>

#define MSI_TYPER  0x008 /* first line, number of lines */
#define MSI_SETSPI 0x040

static struct arch_spin lock;
static uint32_t next, end; /* by lock: lines not given out; both 0 until the frame is looked at */

/* Lock held. */
static int open_frame(void)
{
	const struct dt_range *frame = &machine.gic_v2m;
	volatile uint8_t *regs;

	if (end != 0)
		return 0;
	regs = machine.gic == DT_GIC_V2 && frame->size >= 0x1000 ? hal_mmio_map(frame->base, 0x1000) : NULL;
	if (regs == NULL)
		return -EOPNOTSUPP;
	uint32_t typer = *(volatile uint32_t *)(regs + MSI_TYPER);
	next = typer >> 16 & 0x3ff;
	end = next + (typer & 0x3ff);
	return next >= 32 && end <= GIC_LINES ? 0 : -EOPNOTSUPP;
}

int hal_msi_alloc(hal_irq_handler fn, void *ctx, struct hal_msi *ret)
{
	unsigned long irq = arch_spin_lock(&lock);
	int error = open_frame();
	uint32_t line = next;

	if (error == 0 && next >= end)
		error = -ENOSPC;
	if (error == 0)
		next++;
	arch_spin_unlock(&lock, irq);
	if (error == 0)
		error = gic_attach_edge(line, fn, ctx);
	if (error == 0)
		*ret = (struct hal_msi){machine.gic_v2m.base + MSI_SETSPI, line};
	return error;
}
