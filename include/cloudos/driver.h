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

/* How a device's interrupts reach its driver. */
enum pci_irq_kind { PCI_IRQ_NONE, PCI_IRQ_MSIX, PCI_IRQ_MSI, PCI_IRQ_INTX };

struct pci_irqs;

/* Constant after enumeration, but for the last four. */
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
	enum pci_irq_kind irq_kind; /* which its driver uses */
	struct pci_irqs *irqs;	   /* by pci_irq.c */
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
	void (*remove)(struct pci_device *d); /* gives the device up, which may be gone already; null: never given up */
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

/* Lets the device answer to its BARs and reach memory by itself; takes the latter from it again. */
void pci_enable(struct pci_device *d);
void pci_disable_dma(struct pci_device *d);

/*
 * Maps [offset, offset + len) of a memory BAR for hal_mmio_*; null if it does not lie in one, if the BAR claims RAM, or when out of space.
 * What the device said of its BARs is checked here.
 */
volatile void *pci_map(const struct pci_device *d, unsigned bar, uint64_t offset, uint64_t len);

/*
 * Connects interrupt `index` of a device to fn(ctx), and says how. The first one connected chooses for the device: MSI-X, else MSI, else
 * its INTx line; the latter two have index 0 alone. A handler on a line is also called when another device on the line raised it.
 * 0; -EOPNOTSUPP when the device or the machine has none (of that index), -EBUSY, -ENOSPC, -ENOMEM. May sleep.
 */
int pci_irq_connect(struct pci_device *d, unsigned index, hal_irq_handler fn, void *ctx, enum pci_irq_kind *ret_kind);
unsigned pci_irq_count(const struct pci_device *d); /* that can be connected as things are, at most PCI_IRQS_MAX */
const char *pci_irq_name(enum pci_irq_kind kind);

/* For handlers: there was something to do. A line on which that is never said is taken for stuck, and masked. */
void pci_irq_useful(const struct pci_device *d);

/* The device raises none any more; on return no handler runs. Not in interrupts. */
void pci_irq_disconnect(struct pci_device *d);

/* On return every handler that ran on another CPU at the call has returned. Not in interrupts. */
void pci_irq_synchronize(void);

#define PCI_IRQS_MAX 16 /* message-signalled interrupts of a device that are used */

/* The i-th device found; null at the end. */
struct pci_device *pci_device(unsigned i);

/*
 * Hot plug, one at a time: looks at a function that was not there before (or was removed) and offers it to the drivers: null if nothing is
 * there or the table is full. The other takes a device from its driver.
 */
struct pci_device *pci_add(unsigned bdf);
void pci_remove(struct pci_device *d);

#endif
