/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space: in memory where ACPI's MCFG says so, else through the ports 0xcf8 and 0xcfc (PCI
 * Local Bus Specification 3.0, 3.2.2.3.2), which reach 256 bytes of each function and are one pair for all
 * CPUs.
 */
#include <x86/cpu.h>
#include <x86/irq.h>
#include <x86/machine.h>
#include <arch/ecam.h>
#include <arch/spin.h>
#include <linux/errno.h>

#define ADDRESS_PORT 0xcf8
#define DATA_PORT    0xcfc
#define ENABLE	     (1u << 31)
#define PORT_SPACE   256u
#define BDF_MAX	     0xffffu
#define INT_LINE     0x3cu

static struct ecam ecam;
static bool has_ports;
static struct arch_spin port_lock;

/* Segment 0 alone: `bdf` has no room for others. */
static void ecam_init(const struct acpi_ecam *e)
{
	size_t size = (size_t)(e->last_bus - e->first_bus + 1) * 256 * ECAM_FUNCTION_SIZE;

	if (e->segment != 0 || ecam.base != NULL)
		return;
	ecam.base = hal_mmio_map(e->base + (uint64_t)e->first_bus * 256 * ECAM_FUNCTION_SIZE, size);
	ecam.first_bus = e->first_bus;
	ecam.last_bus = e->last_bus;
}

void x86_pci_init(const struct acpi_info *acpi)
{
	for (unsigned i = 0; i < acpi->ecam_count; i++)
		ecam_init(&acpi->ecam[i]);
	outl(ADDRESS_PORT, ENABLE);
	has_ports = inl(ADDRESS_PORT) == ENABLE;
}

bool hal_pci_present(void)
{
	return has_ports || ecam.base != NULL;
}

static uint16_t port_select(unsigned bdf, unsigned offset)
{
	outl(ADDRESS_PORT, ENABLE | bdf << 8 | (offset & 0xfc));
	return (uint16_t)(DATA_PORT + (offset & 3));
}

static bool port_valid(unsigned bdf, unsigned offset, unsigned width)
{
	return has_ports && bdf <= BDF_MAX && offset < PORT_SPACE &&
	       (width == 1 || width == 2 || width == 4) && offset % width == 0;
}

static uint32_t port_read(unsigned bdf, unsigned offset, unsigned width)
{
	unsigned long irq = arch_spin_lock(&port_lock);
	uint16_t port = port_select(bdf, offset);
	uint32_t value = width == 1 ? inb(port) : width == 2 ? inw(port) : inl(port);

	arch_spin_unlock(&port_lock, irq);
	return value;
}

uint32_t hal_pci_read(unsigned bdf, unsigned offset, unsigned width)
{
	if (ecam_covers(&ecam, bdf))
		return ecam_read(&ecam, bdf, offset, width);
	return port_valid(bdf, offset, width) ? port_read(bdf, offset, width) : UINT32_MAX;
}

static void port_write(unsigned bdf, unsigned offset, unsigned width, uint32_t value)
{
	unsigned long irq = arch_spin_lock(&port_lock);
	uint16_t port = port_select(bdf, offset);

	if (width == 1)
		outb(port, (uint8_t)value);
	else if (width == 2)
		outw(port, (uint16_t)value);
	else
		outl(port, value);
	arch_spin_unlock(&port_lock, irq);
}

void hal_pci_write(unsigned bdf, unsigned offset, unsigned width, uint32_t value)
{
	if (ecam_covers(&ecam, bdf))
		ecam_write(&ecam, bdf, offset, width, value);
	else if (port_valid(bdf, offset, width))
		port_write(bdf, offset, width, value);
}

/*
 * Which input a pin is wired to is said in ACPI's bytecode, which is not run here. Firmware has routed the
 * pins to ISA interrupts and left the number in the function's own register; that input of the I/O APIC works
 * too.
 */
int hal_pci_intx_line(unsigned bdf, unsigned pin)
{
	uint32_t irq = hal_pci_read(bdf, INT_LINE, 1);

	if (pin < 1 || pin > 4 || irq == 0 || irq > 15)
		return -ENOENT;
	return (int)x86_isa_line(irq);
}
