/* SPDX-License-Identifier: MIT */
/*
 * Models of PCI devices: what a model needs of the machine around it.
 *
 * A model is one file with a small table (struct sim_pci_ops): it is told of reads and writes of its registers, reaches RAM through
 * sim_dma(), and raises interrupts. All model code runs under the bus lock, on whatever vCPU accessed a register, or that completes
 * something (a disk's request): it must not sleep, look at the clock (which lets time pass), or call the kernel.
 *
 * What drivers and devices get wrong is recorded in the device, not punished: an address that is no RAM, a register that is none.
 */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include <hal/hal.h>

#define SIM_PCI_SLOTS	   32 /* devices on bus 0, one function each */
#define SIM_PCI_BARS	   6
#define SIM_PCI_CONFIG	   256 /* bytes of configuration space */
#define SIM_PCI_VECTORS	   16  /* MSI-X vectors of a device */
#define SIM_LINES	   32  /* interrupt lines; each is the vector of its number */
#define SIM_LINE_SHARE_MAX 8   /* handlers of one */
#define SIM_MMIO_BASE	   (UINT64_C(1) << 40) /* physical address of the first device's window */
#define SIM_MMIO_WINDOW	   (UINT64_C(1) << 20) /* bytes a device has for its BARs */
#define SIM_MMIO_SIZE	   (SIM_PCI_SLOTS * SIM_MMIO_WINDOW)
#define SIM_MSI_BASE	   UINT64_C(0xfee00000) /* a message's address: this, and the vCPU << 12; its data: the vector */
_Static_assert(SIM_MMIO_BASE >= SIM_RAM_MAX, "registers are not where RAM can be");

struct sim_pci;

struct sim_pci_ops {
	uint64_t (*read)(struct sim_pci *d, unsigned bar, uint64_t offset, unsigned width);
	void (*write)(struct sim_pci *d, unsigned bar, uint64_t offset, unsigned width, uint64_t value);
};

/* What went wrong, for tests. */
struct sim_device_faults {
	uint64_t bad_dma, last_bad_address; /* addresses that are no RAM, or while the device may not */
	uint64_t bad_registers;		    /* accesses to registers that are none */
	uint64_t bad_messages;		    /* MSI addresses that are none */
	uint64_t interrupts_lost;
};

struct sim_pci {
	const struct sim_pci_ops *ops;
	unsigned slot;
	bool plugged;
	uint8_t config[SIM_PCI_CONFIG], writable[SIM_PCI_CONFIG]; /* content, and the bits that software may change */
	uint64_t bar_size[SIM_PCI_BARS];
	unsigned config_end; /* where the next capability goes */
	unsigned msix;	     /* its capability's offset; 0: none */
	unsigned msix_bar, msix_count;
	struct {
		uint64_t address;
		uint32_t data, control;
	} vectors[SIM_PCI_VECTORS];
	uint32_t pending; /* vectors that are masked and want to be sent: the PBA */
	struct sim_device_faults faults;
};

/* ---- making a device, before it is plugged ---- */

void sim_pci_init(struct sim_pci *d, const struct sim_pci_ops *ops, uint16_t vendor, uint16_t device, uint32_t class);
void sim_pci_set(struct sim_pci *d, unsigned offset, unsigned width, uint32_t value);
uint32_t sim_pci_get(const struct sim_pci *d, unsigned offset, unsigned width);
void sim_pci_add_bar(struct sim_pci *d, unsigned bar, uint64_t size); /* 64-bit memory, two registers; size a power of two */
/* Room for a capability of `len` bytes: its offset; id and link are set. */
unsigned sim_pci_add_capability(struct sim_pci *d, uint8_t id, unsigned len);
void sim_pci_add_msix(struct sim_pci *d, unsigned vectors, unsigned bar); /* the table is all of that BAR */

/* Puts it into a free slot, with its BARs assigned as firmware does: the number of the function for hal_pci_read(), or -ENOSPC. */
int sim_pci_plug(struct sim_pci *d);
/* It is gone from one moment to the next: reads give all ones. From outside the bus lock; the other is for models. */
void sim_pci_unplug(struct sim_pci *d);
void sim_pci_vanish(struct sim_pci *d);

/* ---- what a running device does ---- */

/* RAM that the device may reach, or null (recorded). */
void *sim_dma(struct sim_pci *d, uint64_t address, uint64_t len);

bool sim_pci_has_msix(const struct sim_pci *d); /* MSI-X is on: then the line is not used */
void sim_pci_message(struct sim_pci *d, unsigned vector);
void sim_pci_line(struct sim_pci *d, bool level); /* INTA# */

/* ---- the bus lock ---- */

/*
 * Interrupts of the vCPU are off while it is held. Releasing it delivers nothing: what has become pending is seen at the next place
 * where interrupts come on, or at the next scheduling point.
 */
bool sim_bus_lock(void);
void sim_bus_unlock(bool irq);

/* ---- interrupts (device/irq.c); bus lock held ---- */

/* Message `vector` for vCPU `cpu`; a line's level as one of its sources (0..31) has it. */
void sim_vector_raise(unsigned cpu, unsigned vector);
void sim_line_set(unsigned line, unsigned source, bool level);

/* Answers SIM_IRQ_DEVICE: calls the handlers of what is pending. */
void sim_vectors_deliver(struct sim_vcpu *v);

/* Makes the devices that the command line asks for; before the kernel starts. */
void sim_devices_create(void);

#endif
