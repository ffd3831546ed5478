/* SPDX-License-Identifier: MIT */
/*
 * The PCI bus (PCI Local Bus Specification 3.0; PCI-to-PCI Bridge Architecture 1.2): finds the functions of bus 0 and of the buses
 * behind bridges, sizes their BARs, and offers them to drivers. The table is built once and does not change.
 *
 * What hardware says is bounded: each bus is scanned at most once, capability lists at most CAPABILITIES_MAX long.
 */
#define LOG_SUBSYSTEM "pci"
#include <linux/pci_regs.h>
#include <cloudos/bitmap.h>
#include <cloudos/driver.h>
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/service.h>
#include <cloudos/vfs.h>

#define BUSES		 256u
#define CAPABILITIES_MAX 48 /* (256 - 64) / 4: more do not fit */
#define MAP_MAX		 (UINT64_C(16) << 20) /* bytes of registers mapped at a time */

static struct pci_device devices[PCI_DEVICES_MAX];
static unsigned device_count, left_out;

extern const struct driver __start_cloudos_drivers[], __stop_cloudos_drivers[];

struct pci_device *pci_device(unsigned i)
{
	return i < device_count ? &devices[i] : NULL;
}

/* ---- capabilities ---- */

unsigned pci_capability(const struct pci_device *d, uint8_t id, unsigned from)
{
	unsigned at;

	if (!(pci_read(d, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	at = pci_read(d, from ? from + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST, 1) & ~3u;
	for (unsigned i = 0; i < CAPABILITIES_MAX && at >= PCI_STD_HEADER_SIZEOF; i++) {
		if (pci_read(d, at + PCI_CAP_LIST_ID, 1) == id)
			return at;
		at = pci_read(d, at + PCI_CAP_LIST_NEXT, 1) & ~3u;
	}
	return 0;
}

/* ---- BARs ---- */

/* Writes all ones and sees which bits stay: those of the size are 0. */
static uint32_t probe_bar(const struct pci_device *d, unsigned offset, uint32_t *ret_value)
{
	uint32_t mask;

	*ret_value = pci_read(d, offset, 4);
	pci_write(d, offset, 4, UINT32_MAX);
	mask = pci_read(d, offset, 4);
	pci_write(d, offset, 4, *ret_value);
	return mask;
}

/* Reads BAR `i`; returns how many registers it takes (2 for a 64-bit one). */
static unsigned read_bar(struct pci_device *d, unsigned i, unsigned count)
{
	unsigned offset = PCI_BASE_ADDRESS_0 + 4 * i;
	struct pci_bar *bar = &d->bars[i];
	uint32_t low, high = 0, low_mask = probe_bar(d, offset, &low), high_mask = UINT32_MAX;
	uint64_t mask;

	if (low_mask == 0)
		return 1;
	bar->is_port = low & PCI_BASE_ADDRESS_SPACE_IO;
	if (bar->is_port) {
		bar->base = low & (uint32_t)PCI_BASE_ADDRESS_IO_MASK;
		bar->size = (~(low_mask & (uint32_t)PCI_BASE_ADDRESS_IO_MASK) & 0xffff) + 1;
		return 1;
	}
	bar->prefetchable = low & PCI_BASE_ADDRESS_MEM_PREFETCH;
	bar->is_64bit = (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 && i + 1 < count;
	if (bar->is_64bit)
		high_mask = probe_bar(d, offset + 4, &high);
	mask = (uint64_t)high_mask << 32 | (low_mask & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK);
	bar->base = (uint64_t)high << 32 | (low & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK);
	bar->size = ~mask + 1;
	return bar->is_64bit ? 2 : 1;
}

static void read_bars(struct pci_device *d)
{
	unsigned count = d->header == PCI_HEADER_TYPE_NORMAL ? PCI_BARS : d->header == PCI_HEADER_TYPE_BRIDGE ? 2 : 0;
	uint32_t command = pci_read(d, PCI_COMMAND, 2);

	pci_write(d, PCI_COMMAND, 2, command & ~(uint32_t)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	for (unsigned i = 0; i < count;)
		i += read_bar(d, i, count);
	pci_write(d, PCI_COMMAND, 2, command);
}

void pci_enable(struct pci_device *d)
{
	uint32_t command = pci_read(d, PCI_COMMAND, 2);

	pci_write(d, PCI_COMMAND, 2, command | PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void pci_disable_dma(struct pci_device *d)
{
	uint32_t command = pci_read(d, PCI_COMMAND, 2);

	if (command != 0xffff)
		pci_write(d, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MASTER);
}

/* A device that says its registers are where memory is would have drivers write there. */
static bool touches_ram(paddr_t base, uint64_t len)
{
	for (paddr_t page = base & PAGE_MASK; page < base + len; page += PAGE_SIZE)
		if (page_is_ram(page))
			return true;
	return false;
}

volatile void *pci_map(const struct pci_device *d, unsigned bar, uint64_t offset, uint64_t len)
{
	const struct pci_bar *b;

	if (bar >= PCI_BARS)
		return NULL;
	b = &d->bars[bar];
	if (b->size == 0 || b->is_port || b->base == 0 || b->base + b->size < b->base)
		return NULL;
	if (len == 0 || len > MAP_MAX || offset > b->size || len > b->size - offset || touches_ram(b->base + offset, len))
		return NULL;
	return hal_mmio_map(b->base + offset, len);
}

/* ---- enumeration ---- */

/* A function that was removed and comes back gets its entry again, with the interrupts that were allocated for it. */
static struct pci_device *entry_for(unsigned bdf)
{
	for (unsigned i = 0; i < device_count; i++)
		if (devices[i].bdf == bdf)
			return &devices[i];
	return device_count < PCI_DEVICES_MAX ? &devices[device_count++] : NULL;
}

static struct pci_device *add_function(unsigned bdf, uint32_t id, uint8_t header)
{
	struct pci_device *d = entry_for(bdf);
	uint32_t class;

	if (!d) {
		left_out++;
		return NULL;
	}
	*d = (struct pci_device){ .bdf = (uint16_t)bdf, .vendor = (uint16_t)id, .device = (uint16_t)(id >> 16), .irqs = d->irqs };
	class = pci_read(d, PCI_CLASS_REVISION, 4);
	d->class = class >> 8;
	d->revision = (uint8_t)class;
	d->header = header & 0x7f;
	d->interrupt_pin = (uint8_t)pci_read(d, PCI_INTERRUPT_PIN, 1);
	if (d->header == PCI_HEADER_TYPE_NORMAL) {
		d->subsystem_vendor = (uint16_t)pci_read(d, PCI_SUBSYSTEM_VENDOR_ID, 2);
		d->subsystem = (uint16_t)pci_read(d, PCI_SUBSYSTEM_ID, 2);
	}
	d->msi = (uint8_t)pci_capability(d, PCI_CAP_ID_MSI, 0);
	d->msix = (uint8_t)pci_capability(d, PCI_CAP_ID_MSIX, 0);
	read_bars(d);
	return d;
}

/* Returns the header type, or 0 where nothing is. */
static uint8_t scan_function(unsigned bdf, uint64_t *to_scan)
{
	uint32_t id = hal_pci_read(bdf, PCI_VENDOR_ID, 4);
	uint8_t header;

	if ((id & 0xffff) == 0xffff || id == 0)
		return 0;
	header = (uint8_t)hal_pci_read(bdf, PCI_HEADER_TYPE, 1);
	add_function(bdf, id, header);
	if ((header & 0x7f) == PCI_HEADER_TYPE_BRIDGE)
		bitmap_set(to_scan, hal_pci_read(bdf, PCI_SECONDARY_BUS, 1) & 0xff);
	return header;
}

static void scan_bus(unsigned bus, uint64_t *to_scan)
{
	for (unsigned device = 0; device < 32; device++) {
		unsigned bdf = bus << 8 | device << 3;

		if (!(scan_function(bdf, to_scan) & 0x80))
			continue;
		for (unsigned function = 1; function < 8; function++)
			scan_function(bdf | function, to_scan);
	}
}

/* Bridges lead to buses of higher numbers, as firmware numbers them; one that leads back is not followed. */
static void scan_all(void)
{
	uint64_t to_scan[BITMAP_WORDS(BUSES)] = { 1 };

	for (size_t bus = 0; bus < BUSES; bus++) {
		bus = bitmap_find_set(to_scan, BUSES, bus);
		if (bus < BUSES)
			scan_bus((unsigned)bus, to_scan);
	}
	if (left_out > 0)
		log_warning("%u functions are left out: the table holds %u", left_out, PCI_DEVICES_MAX);
}

/* ---- drivers ---- */

static bool matches(const struct pci_device *d, const struct pci_match *m)
{
	uint32_t mask = m->class_mask ? m->class_mask : 0xffffff;

	return (!m->vendor || m->vendor == d->vendor) && (!m->device || m->device == d->device) &&
	       (!m->class || (d->class & mask) == (m->class & mask));
}

static bool wants(const struct driver *driver, const struct pci_device *d)
{
	for (const struct pci_match *m = driver->matches; m->vendor || m->device || m->class; m++)
		if (matches(d, m))
			return true;
	return false;
}

static void offer(struct pci_device *d)
{
	for (const struct driver *driver = __start_cloudos_drivers; driver < __stop_cloudos_drivers; driver++) {
		int error;

		if (!wants(driver, d))
			continue;
		error = driver->probe(d);
		if (!error) {
			d->driver = driver;
			return;
		}
		if (error != -ENODEV)
			log_err("%02x:%02x.%x: driver %s failed (%d)", d->bdf >> 8, d->bdf >> 3 & 31, d->bdf & 7, driver->name, error);
	}
}

struct pci_device *pci_add(unsigned bdf)
{
	uint32_t id = hal_pci_read(bdf, PCI_VENDOR_ID, 4);
	struct pci_device *d;

	if ((id & 0xffff) == 0xffff || id == 0)
		return NULL;
	d = add_function(bdf, id, (uint8_t)hal_pci_read(bdf, PCI_HEADER_TYPE, 1));
	if (d)
		offer(d);
	return d;
}

void pci_remove(struct pci_device *d)
{
	if (d->driver && d->driver->remove)
		d->driver->remove(d);
	d->driver = NULL;
}

/* Bridges were set up by the firmware: they only need somebody to own them. */
static int bridge_probe(struct pci_device *d)
{
	(void)d;
	return 0;
}

static const struct pci_match bridge_matches[] = { { .class = 0x060000, .class_mask = 0xff0000 }, { 0 } };
DRIVER_DEFINE(pci_bridge, .matches = bridge_matches, .probe = bridge_probe);

/* ---- /proc/cloudos/pci ---- */

static void show_device(struct text_out *o, const struct pci_device *d)
{
	out_printf(o, "%02x:%02x.%x %04x:%04x class %06x rev %02x", d->bdf >> 8, d->bdf >> 3 & 31, d->bdf & 7, d->vendor,
		   d->device, d->class, d->revision);
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (d->bars[i].size > 0)
			out_printf(o, " bar%u=%s0x%lx+0x%lx", i, d->bars[i].is_port ? "port:" : "", (unsigned long)d->bars[i].base,
				   (unsigned long)d->bars[i].size);
	if (d->msi || d->msix)
		out_printf(o, " %s=%u", d->msix ? "msix" : "msi", pci_irq_count(d));
	out_printf(o, " irq=%s driver=%s\n", pci_irq_name(d->irq_kind), d->driver ? d->driver->name : "-");
}

static int show(struct text_out *o, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < device_count; i++)
		show_device(o, &devices[i]);
	return 0;
}

static int pci_start(void)
{
	if (hal_pci_present())
		scan_all();
	for (unsigned i = 0; i < device_count; i++)
		offer(&devices[i]);
	if (device_count > 0)
		log_info("%u functions", device_count);
	return procfs_add("cloudos/pci", 0444, show, NULL, NULL);
}
SERVICE_DEFINE(pci, .requires = SERVICE_REQUIRES("procfs"), .start = pci_start);
