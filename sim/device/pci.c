/* SPDX-License-Identifier: MIT */
/*
 * The PCI bus and the registers of its devices: <hal/device.h> for the simulator.
 *
 * Bus 0 has SIM_PCI_SLOTS slots. A register's address, as hal_mmio_map() gives it, is a cookie: the physical address moved to
 * where no pointer of this process can lead, so that code that dereferences it by itself faults. An access finds the slot by the
 * address, the BAR by the device's own registers, and the model by the BAR. MSI-X tables are the bus's own (PCI Local Bus 3.0, 6.8.2).
 */
#include <asm/errno.h>
#include <linux/pci_regs.h>

#include <sim/device.h>
#include <sim/host.h>
#include <sim/world.h>

#define COOKIE	     UINT64_C(0xdec0000000000000) /* not canonical */
#define CONFIG_FIRST PCI_STD_HEADER_SIZEOF
#define LINE_FIRST   16u /* lines of INTA# to INTD# */
#define LINES_OF_PCI 4u
#define BAR_ALIGN    PAGE_SIZE

static struct sim_pci *slots[SIM_PCI_SLOTS];
static uint32_t bus_lock;

bool sim_bus_lock(void)
{
	struct sim_vcpu *v = sim_self();
	bool irq = v && v->irq_on;

	if (v)
		v->irq_on = false;
	while (__atomic_exchange_n(&bus_lock, 1, __ATOMIC_ACQUIRE))
		host_yield();
	return irq;
}

void sim_bus_unlock(bool irq)
{
	struct sim_vcpu *v = sim_self();

	__atomic_store_n(&bus_lock, 0, __ATOMIC_RELEASE);
	if (v)
		v->irq_on = irq;
}

/* ---- making a device ---- */

uint32_t sim_pci_get(const struct sim_pci *d, unsigned offset, unsigned width)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < width && offset + i < SIM_PCI_CONFIG; i++)
		value |= (uint32_t)d->config[offset + i] << 8 * i;
	return value;
}

void sim_pci_set(struct sim_pci *d, unsigned offset, unsigned width, uint32_t value)
{
	for (unsigned i = 0; i < width && offset + i < SIM_PCI_CONFIG; i++)
		d->config[offset + i] = (uint8_t)(value >> 8 * i);
}

static void set_writable(struct sim_pci *d, unsigned offset, unsigned width, uint32_t bits)
{
	for (unsigned i = 0; i < width && offset + i < SIM_PCI_CONFIG; i++)
		d->writable[offset + i] = (uint8_t)(bits >> 8 * i);
}

void sim_pci_init(struct sim_pci *d, const struct sim_pci_ops *ops, uint16_t vendor, uint16_t device, uint32_t class)
{
	*d = (struct sim_pci){.ops = ops, .config_end = CONFIG_FIRST};
	sim_pci_set(d, PCI_VENDOR_ID, 2, vendor);
	sim_pci_set(d, PCI_DEVICE_ID, 2, device);
	sim_pci_set(d, PCI_CLASS_REVISION, 4, class << 8 | 1);
	sim_pci_set(d, PCI_INTERRUPT_PIN, 1, 1);
	set_writable(d, PCI_COMMAND, 2,
		     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	set_writable(d, PCI_INTERRUPT_LINE, 1, 0xff);
}

void sim_pci_add_bar(struct sim_pci *d, unsigned bar, uint64_t size)
{
	unsigned offset = PCI_BASE_ADDRESS_0 + 4 * bar;

	d->bar_size[bar] = size;
	sim_pci_set(d, offset, 4, PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_64);
	set_writable(d, offset, 4, ~(uint32_t)(size - 1));
	set_writable(d, offset + 4, 4, UINT32_MAX);
}

unsigned sim_pci_add_capability(struct sim_pci *d, uint8_t id, unsigned len)
{
	unsigned at = d->config_end, link = PCI_CAPABILITY_LIST;

	if (at + len > SIM_PCI_CONFIG)
		host_fatal("a device has more capabilities than fit");
	while (d->config[link])
		link = d->config[link] + PCI_CAP_LIST_NEXT;
	d->config[link] = (uint8_t)at;
	d->config[at + PCI_CAP_LIST_ID] = id;
	d->config_end = (at + len + 3) & ~3u;
	sim_pci_set(d, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	return at;
}

void sim_pci_add_msix(struct sim_pci *d, unsigned vectors, unsigned bar)
{
	d->msix = sim_pci_add_capability(d, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	d->msix_bar = bar;
	d->msix_count = vectors;
	sim_pci_add_bar(d, bar, 2 * PAGE_SIZE);
	sim_pci_set(d, d->msix + PCI_MSIX_FLAGS, 2, vectors - 1);
	set_writable(d, d->msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	sim_pci_set(d, d->msix + PCI_MSIX_TABLE, 4, bar);
	sim_pci_set(d, d->msix + PCI_MSIX_PBA, 4, bar | (uint32_t)PAGE_SIZE);
	for (unsigned i = 0; i < vectors; i++)
		d->vectors[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

static void assign_bars(struct sim_pci *d)
{
	uint64_t at = SIM_MMIO_BASE + d->slot * SIM_MMIO_WINDOW;

	for (unsigned bar = 0; bar < SIM_PCI_BARS; bar++) {
		uint64_t size = d->bar_size[bar];

		if (!size)
			continue;
		if (size < BAR_ALIGN)
			size = BAR_ALIGN;
		at = (at + size - 1) & ~(size - 1);
		sim_pci_set(d, PCI_BASE_ADDRESS_0 + 4 * bar, 4, (uint32_t)at | PCI_BASE_ADDRESS_MEM_TYPE_64);
		sim_pci_set(d, PCI_BASE_ADDRESS_0 + 4 * bar + 4, 4, (uint32_t)(at >> 32));
		at += size;
	}
}

int sim_pci_plug(struct sim_pci *d)
{
	bool irq = sim_bus_lock();
	unsigned slot = 0;

	while (slot < SIM_PCI_SLOTS && slots[slot])
		slot++;
	if (slot < SIM_PCI_SLOTS) {
		slots[slot] = d;
		d->slot = slot;
		d->plugged = true;
		assign_bars(d);
	}
	sim_bus_unlock(irq);
	return slot < SIM_PCI_SLOTS ? (int)(slot << 3) : -ENOSPC;
}

void sim_pci_vanish(struct sim_pci *d)
{
	if (!d->plugged)
		return;
	sim_pci_line(d, false);
	d->plugged = false;
	slots[d->slot] = NULL;
}

void sim_pci_unplug(struct sim_pci *d)
{
	bool irq = sim_bus_lock();

	sim_pci_vanish(d);
	sim_bus_unlock(irq);
}

/* ---- configuration space ---- */

static struct sim_pci *at_bdf(unsigned bdf)
{
	return bdf >> 3 < SIM_PCI_SLOTS && !(bdf & 7) ? slots[bdf >> 3] : NULL;
}

static bool config_valid(unsigned offset, unsigned width)
{
	return (width == 1 || width == 2 || width == 4) && offset % width == 0 && offset < SIM_PCI_CONFIG;
}

bool hal_pci_present(void)
{
	return true;
}

uint32_t hal_pci_read(unsigned bdf, unsigned offset, unsigned width)
{
	bool irq = sim_bus_lock();
	struct sim_pci *d = at_bdf(bdf);
	uint32_t value = UINT32_MAX >> (32 - 8 * width);

	if (d && config_valid(offset, width))
		value = sim_pci_get(d, offset, width);
	sim_bus_unlock(irq);
	return value;
}

static void send_pending(struct sim_pci *d)
{
	uint32_t pending = d->pending;

	d->pending = 0;
	for (; pending; pending &= pending - 1)
		sim_pci_message(d, (unsigned)__builtin_ctz(pending));
}

void hal_pci_write(unsigned bdf, unsigned offset, unsigned width, uint32_t value)
{
	bool irq = sim_bus_lock();
	struct sim_pci *d = at_bdf(bdf);

	if (d && config_valid(offset, width)) {
		for (unsigned i = 0; i < width; i++) {
			uint8_t bits = d->writable[offset + i], byte = (uint8_t)(value >> 8 * i);

			d->config[offset + i] = (uint8_t)((d->config[offset + i] & ~bits) | (byte & bits));
		}
		send_pending(d);
	}
	sim_bus_unlock(irq);
}

int hal_pci_intx_line(unsigned bdf, unsigned pin)
{
	return pin >= 1 && pin <= 4 ? (int)(LINE_FIRST + ((bdf >> 3) + pin - 1) % LINES_OF_PCI) : -ENOENT;
}

/* ---- interrupts ---- */

bool sim_pci_has_msix(const struct sim_pci *d)
{
	return d->msix && sim_pci_get(d, d->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE;
}

void sim_pci_message(struct sim_pci *d, unsigned vector)
{
	uint64_t address;

	if (vector >= d->msix_count || !sim_pci_has_msix(d))
		return;
	if (d->vectors[vector].control & PCI_MSIX_ENTRY_CTRL_MASKBIT ||
	    sim_pci_get(d, d->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_MASKALL) {
		d->pending |= UINT32_C(1) << vector;
		return;
	}
	address = d->vectors[vector].address;
	if ((address & ~UINT64_C(0xff000)) != SIM_MSI_BASE || !(sim_pci_get(d, PCI_COMMAND, 2) & PCI_COMMAND_MASTER))
		d->faults.bad_messages++;
	else
		sim_vector_raise((unsigned)(address >> 12 & 0xff), d->vectors[vector].data);
}

void sim_pci_line(struct sim_pci *d, bool level)
{
	uint32_t command = sim_pci_get(d, PCI_COMMAND, 2);

	sim_line_set((unsigned)hal_pci_intx_line(d->slot << 3, 1), d->slot,
		     level && !(command & PCI_COMMAND_INTX_DISABLE) && !sim_pci_has_msix(d));
}

/* ---- DMA ---- */

void *sim_dma(struct sim_pci *d, uint64_t address, uint64_t len)
{
	if (len <= sim_machine.ram_size && address <= sim_machine.ram_size - len && address >= PAGE_SIZE &&
	    sim_pci_get(d, PCI_COMMAND, 2) & PCI_COMMAND_MASTER)
		return hal_phys_to_virt(address);
	d->faults.bad_dma++;
	d->faults.last_bad_address = address;
	return NULL;
}

/* ---- registers ---- */

volatile void *hal_mmio_map(paddr_t base, size_t len)
{
	if (base < SIM_MMIO_BASE || len > SIM_MMIO_SIZE || base - SIM_MMIO_BASE > SIM_MMIO_SIZE - len)
		return NULL;
	return (volatile void *)(uintptr_t)(COOKIE + (base - SIM_MMIO_BASE));
}

/* The device and BAR that answer to an address, as its registers have it; null: nobody. */
static struct sim_pci *decode(uint64_t cookie, unsigned width, unsigned *ret_bar, uint64_t *ret_offset)
{
	uint64_t address = cookie - COOKIE + SIM_MMIO_BASE;
	struct sim_pci *d = cookie - COOKIE < SIM_MMIO_SIZE ? slots[(cookie - COOKIE) / SIM_MMIO_WINDOW] : NULL;

	if (!d || !(sim_pci_get(d, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY))
		return NULL;
	for (unsigned bar = 0; bar < SIM_PCI_BARS; bar++) {
		uint64_t base = sim_pci_get(d, PCI_BASE_ADDRESS_0 + 4 * bar, 4) & ~UINT64_C(15);

		if (!d->bar_size[bar])
			continue;
		base |= (uint64_t)sim_pci_get(d, PCI_BASE_ADDRESS_0 + 4 * bar + 4, 4) << 32;
		if (address < base || address - base > d->bar_size[bar] - width)
			continue;
		*ret_bar = bar;
		*ret_offset = address - base;
		if (*ret_offset % width == 0)
			return d;
	}
	d->faults.bad_registers++;
	return NULL;
}

static uint32_t *table_word(struct sim_pci *d, uint64_t offset)
{
	unsigned i = (unsigned)(offset / PCI_MSIX_ENTRY_SIZE);

	if (i >= d->msix_count)
		return NULL;
	switch (offset % PCI_MSIX_ENTRY_SIZE) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return (uint32_t *)&d->vectors[i].address;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return (uint32_t *)&d->vectors[i].address + 1;
	case PCI_MSIX_ENTRY_DATA:
		return &d->vectors[i].data;
	default:
		return &d->vectors[i].control;
	}
}

static uint64_t table_read(struct sim_pci *d, uint64_t offset, unsigned width)
{
	uint32_t *word = width == 4 ? table_word(d, offset) : NULL;

	if (offset >= PAGE_SIZE)
		return d->pending;
	return word ? *word : UINT32_MAX;
}

static void table_write(struct sim_pci *d, uint64_t offset, unsigned width, uint64_t value)
{
	uint32_t *word = width == 4 && offset < PAGE_SIZE ? table_word(d, offset) : NULL;

	if (!word) {
		d->faults.bad_registers++;
		return;
	}
	*word = (uint32_t)value;
	send_pending(d);
}

uint64_t sim_mmio_read(const volatile void *at, unsigned width)
{
	bool irq = sim_bus_lock();
	uint64_t offset, value = UINT64_MAX;
	unsigned bar;
	struct sim_pci *d = decode((uintptr_t)at, width, &bar, &offset);

	if (d)
		value = d->msix && bar == d->msix_bar ? table_read(d, offset, width) : d->ops->read(d, bar, offset, width);
	sim_bus_unlock(irq);
	return value;
}

void sim_mmio_write(volatile void *at, unsigned width, uint64_t value)
{
	bool irq = sim_bus_lock();
	uint64_t offset;
	unsigned bar;
	struct sim_pci *d = decode((uintptr_t)at, width, &bar, &offset);

	if (d && d->msix && bar == d->msix_bar)
		table_write(d, offset, width, value);
	else if (d)
		d->ops->write(d, bar, offset, width, value);
	sim_bus_unlock(irq);
}
