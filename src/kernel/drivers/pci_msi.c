/* SPDX-License-Identifier: MIT */
/* Message-signalled interrupts of PCI devices (PCI Local Bus Specification 3.0, 6.8). */
#include <linux/pci_regs.h>
#include <cloudos/driver.h>
#include <cloudos/errno.h>

#define TABLE_BIR 7u /* bits of PCI_MSIX_TABLE that name the BAR */

unsigned pci_msi_count(const struct pci_device *d)
{
	if (d->msix)
		return (pci_read(d, d->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
	return d->msi ? 1 : 0;
}

static int connect_msi(struct pci_device *d, const struct hal_msi *m)
{
	uint32_t flags = pci_read(d, d->msi + PCI_MSI_FLAGS, 2);
	bool is_64bit = flags & PCI_MSI_FLAGS_64BIT;

	if (!is_64bit && m->address > UINT32_MAX)
		return -EOPNOTSUPP;
	pci_write(d, d->msi + PCI_MSI_ADDRESS_LO, 4, (uint32_t)m->address);
	if (is_64bit)
		pci_write(d, d->msi + PCI_MSI_ADDRESS_HI, 4, (uint32_t)(m->address >> 32));
	pci_write(d, d->msi + (is_64bit ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, m->data & 0xffff);
	pci_write(d, d->msi + PCI_MSI_FLAGS, 2, (flags & ~(uint32_t)PCI_MSI_FLAGS_QSIZE) | PCI_MSI_FLAGS_ENABLE);
	return 0;
}

/* The entry's four words in the device's table; null if the capability makes no sense. */
static volatile uint32_t *table_entry(const struct pci_device *d, unsigned index)
{
	uint32_t table = pci_read(d, d->msix + PCI_MSIX_TABLE, 4), bar = table & TABLE_BIR;
	uint64_t offset = (table & ~TABLE_BIR) + (uint64_t)index * PCI_MSIX_ENTRY_SIZE;

	if (bar >= PCI_BARS || d->bars[bar].is_port || d->bars[bar].base == 0 ||
	    offset + PCI_MSIX_ENTRY_SIZE > d->bars[bar].size)
		return NULL;
	return hal_mmio_map(d->bars[bar].base + offset, PCI_MSIX_ENTRY_SIZE);
}

static int connect_msix(struct pci_device *d, unsigned index, const struct hal_msi *m)
{
	volatile uint32_t *entry = table_entry(d, index);
	uint32_t flags;

	if (!entry)
		return -EOPNOTSUPP;
	entry[PCI_MSIX_ENTRY_LOWER_ADDR / 4] = (uint32_t)m->address;
	entry[PCI_MSIX_ENTRY_UPPER_ADDR / 4] = (uint32_t)(m->address >> 32);
	entry[PCI_MSIX_ENTRY_DATA / 4] = m->data;
	entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] = 0;
	flags = pci_read(d, d->msix + PCI_MSIX_FLAGS, 2);
	pci_write(d, d->msix + PCI_MSIX_FLAGS, 2, (flags & ~(uint32_t)PCI_MSIX_FLAGS_MASKALL) | PCI_MSIX_FLAGS_ENABLE);
	return 0;
}

int pci_msi_connect(struct pci_device *d, unsigned index, hal_irq_handler fn, void *ctx)
{
	struct hal_msi m;
	int error;

	if (pci_msi_count(d) == 0)
		return -EOPNOTSUPP;
	if (index >= pci_msi_count(d))
		return -EINVAL;
	error = hal_msi_alloc(fn, ctx, &m);
	if (error)
		return error;
	return d->msix ? connect_msix(d, index, &m) : connect_msi(d, &m);
}
