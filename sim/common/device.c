/* SPDX-License-Identifier: MIT */
/* The real-time machine has no buses and no interrupt lines: drivers look, find nothing, and say so. */
#include <asm/errno.h>

#include <hal/hal.h>

volatile void *hal_mmio_map(paddr_t base, size_t len)
{
	(void)base;
	(void)len;
	return NULL;
}

bool hal_pci_present(void)
{
	return false;
}

uint32_t hal_pci_read(unsigned bdf, unsigned offset, unsigned width)
{
	(void)bdf;
	(void)offset;
	return UINT32_MAX >> (32 - 8 * width);
}

void hal_pci_write(unsigned bdf, unsigned offset, unsigned width, uint32_t value)
{
	(void)bdf;
	(void)offset;
	(void)width;
	(void)value;
}

int hal_pci_intx_line(unsigned bdf, unsigned pin)
{
	(void)bdf;
	(void)pin;
	return -ENOENT;
}

int hal_irq_attach(unsigned line, hal_irq_handler fn, void *ctx)
{
	(void)line;
	(void)fn;
	(void)ctx;
	return -ENXIO;
}

void hal_irq_mask(unsigned line)
{
	(void)line;
}

void hal_irq_unmask(unsigned line)
{
	(void)line;
}

int hal_msi_alloc(hal_irq_handler fn, void *ctx, struct hal_msi *ret)
{
	(void)fn;
	(void)ctx;
	(void)ret;
	return -EOPNOTSUPP; /* ENOTSUP */
}
