/* SPDX-License-Identifier: MIT */
/*
 * Device drivers, and PCI devices as they see them. A driver is a static descriptor, collected by the linker:
 *
 *   static const struct pci_match foo_matches[] = { { .vendor = 0x1af4, .device = 0x1042 }, { 0 } };
 *   DRIVER_DEFINE(foo, .matches = foo_matches, .probe = foo_probe);
 *
 * The service "pci" finds the devices and offers each to the drivers that match, until one's probe() returns 0. It runs in a kernel
 * thread and may sleep. A device that was taken stays with its driver.
 */
#ifndef CLOUDOS_DRIVER_H
#define CLOUDOS_DRIVER_H

#include <cloudos/types.h>
#include <hal/hal.h>

#define PCI_DEVICES_MAX 128 /* functions; the rest is left out with a message */
#define PCI_BARS	6

struct pci_bar {
	paddr_t base;	/* or the first port */
	uint64_t size;	/* bytes; 0: there is none */
	bool is_port, is_64bit, prefetchable;
};

/* Constant after enumeration, but `driver` and `private`. */
struct pci_device {
	uint16_t bdf;		   /* bus << 8 | device << 3 | function                 */
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class;		   /* base class << 16 | subclass << 8 | interface      */
	uint8_t revision, header;  /* header type without the multi-function bit        */
	uint8_t interrupt_pin;	   /* 1..4, 0: none                                     */
	uint8_t msi, msix;	   /* offsets of the capabilities, 0: none              */
	struct pci_bar bars[PCI_BARS];
	const struct driver *driver; /* who has it, or null */
	void *private;		   /* the driver's */
};

/* All that is not 0 must agree; class is compared under class_mask (0: the whole). An entry of zeros ends the list. */
struct pci_match {
	uint16_t vendor, device;
	uint32_t class, class_mask;
};

struct driver {
	const char *name;
	const struct pci_match *matches;
	int (*probe)(struct pci_device *d); /* 0: taken; -ENODEV: not ours after all; other errors are logged */
};

#define DRIVER_DEFINE(ident, ...)                                                      \
	__attribute__((section("cloudos_drivers"), used, aligned(8)))                  \
	static const struct driver driver_##ident = { .name = #ident, __VA_ARGS__ }

/* Configuration space of a device; width 1, 2 or 4. */
static inline uint32_t pci_read(const struct pci_device *d, unsigned offset, unsigned width)
{
	return hal_pci_read(d->bdf, offset, width);
}

static inline void pci_write(const struct pci_device *d, unsigned offset, unsigned width, uint32_t value)
{
	hal_pci_write(d->bdf, offset, width, value);
}

/* The first capability of this kind at or behind `from` (0: the first of all), or 0. */
unsigned pci_capability(const struct pci_device *d, uint8_t id, unsigned from);

/* Lets the device answer to its BARs and reach memory by itself. */
void pci_enable(struct pci_device *d);

/* Maps the registers of a memory BAR; null if it is none, or out of space. */
volatile void *pci_map_bar(const struct pci_device *d, unsigned bar);

/*
 * Message-signalled interrupts: connects vector `index` to fn(ctx). With MSI only index 0 exists. Prefers MSI-X. 0, -EOPNOTSUPP when the
 * device or the machine has none, -EINVAL, -ENOSPC.
 */
int pci_msi_connect(struct pci_device *d, unsigned index, hal_irq_handler fn, void *ctx);
unsigned pci_msi_count(const struct pci_device *d); /* vectors that can be connected; 0: none */

/* The i-th device found; null at the end. */
struct pci_device *pci_device(unsigned i);

#endif
