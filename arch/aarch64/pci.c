/* SPDX-License-Identifier: MIT */
/*
 * PCI: configuration space in memory, where the machine's description says; looked at when somebody first
 * asks for it, so that a boot without PCI drivers pays nothing. Legacy interrupts are wired as the
 * description's table says.
 */
#include "aarch64.h"
#include <arch/ecam.h>
#include <linux/errno.h>

#define BDF_MAX 0xffffu

static struct ecam ecam;

bool hal_pci_present(void)
{
	const struct dt_pcie *pcie = &machine.pcie;
	unsigned buses = pcie->bus_last - pcie->bus_first + 1;

	if (ecam.base != NULL || pcie->ecam.size == 0 || pcie->bus_last < pcie->bus_first)
		return ecam.base != NULL;
	if (buses > pcie->ecam.size / (256 * ECAM_FUNCTION_SIZE))
		buses = (unsigned)(pcie->ecam.size / (256 * ECAM_FUNCTION_SIZE));
	if (buses == 0)
		return false;
	ecam.first_bus = pcie->bus_first;
	ecam.last_bus = pcie->bus_first + buses - 1;
	ecam.base = hal_mmio_map(pcie->ecam.base, (size_t)buses * 256 * ECAM_FUNCTION_SIZE);
	if (ecam.base != NULL)
		pci_assign(&ecam, pcie->window, pcie->window_count);
	return ecam.base != NULL;
}

uint32_t hal_pci_read(unsigned bdf, unsigned offset, unsigned width)
{
	return bdf <= BDF_MAX && ecam_covers(&ecam, bdf) ? ecam_read(&ecam, bdf, offset, width) : UINT32_MAX;
}

void hal_pci_write(unsigned bdf, unsigned offset, unsigned width, uint32_t value)
{
	if (bdf <= BDF_MAX && ecam_covers(&ecam, bdf))
		ecam_write(&ecam, bdf, offset, width, value);
}

int hal_pci_intx_line(unsigned bdf, unsigned pin)
{
	const struct dt_pcie *pcie = &machine.pcie;

	for (unsigned i = 0; i < pcie->intx_count; i++) {
		const struct dt_intx *x = &pcie->intx[i];

		if (x->devfn == (bdf & 0xff & pcie->intx_devfn_mask) && x->pin == pin)
			return (int)x->line;
	}
	return -ENOENT;
}
