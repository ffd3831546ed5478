/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of PCI devices: MSI-X and MSI (PCI Local Bus Specification 3.0, 6.8), and the INTx line (2.2.6).
 *
 * The machine hands out vectors and lines for ever, so a device keeps what it once got, and between it and the driver stands a slot
 * that can be emptied: a device that is removed, or that comes back with another driver, uses the same vectors again.
 *
 * I1 a slot's ctx is stored before its fn, and fn is cleared first: a handler never runs with another's ctx. I2 after
 * pci_irq_disconnect() no CPU is inside a handler: each has since been asked for something with interrupts off.
 *
 * A device that holds its line for ever would have a CPU do nothing but handle it. So a driver says when an interrupt was of use, and a
 * line on which FRUITLESS_MAX calls in a row were not is masked for good: its devices are then looked at when they are late.
 */
#define LOG_SUBSYSTEM "pci"
#include <linux/pci_regs.h>
#include <cloudos/driver.h>
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/thread.h>

#define TABLE_BIR 7u /* bits of PCI_MSIX_TABLE that name the BAR */

#define LINES_MAX     1024  /* lines that are watched: all that the machines have */
#define FRUITLESS_MAX 20000 /* calls; a shared line has one a device */

static uint32_t fruitless[LINES_MAX]; /* atomic: calls since one was of use, by line */

struct pci_irq {
	hal_irq_handler fn; /* null: nobody */
	void *ctx;
	bool allocated; /* the machine calls run() for it */
	struct hal_msi msi;
	unsigned number; /* of the line, if it is one */
};

struct pci_irqs {
	struct pci_irq line, message[PCI_IRQS_MAX];
};

static void run(void *ctx)
{
	struct pci_irq *irq = ctx;
	hal_irq_handler fn = __atomic_load_n(&irq->fn, __ATOMIC_ACQUIRE);

	if (fn)
		fn(irq->ctx);
}

static void run_line(void *ctx)
{
	struct pci_irq *irq = ctx;

	if (irq->number < LINES_MAX && __atomic_add_fetch(&fruitless[irq->number], 1, __ATOMIC_RELAXED) == FRUITLESS_MAX) {
		hal_irq_mask(irq->number);
		log_err("line %u interrupts for nothing: masked", irq->number);
	}
	run(irq);
}

void pci_irq_useful(const struct pci_device *d)
{
	if (d->irq_kind == PCI_IRQ_INTX && d->irqs->line.number < LINES_MAX)
		__atomic_store_n(&fruitless[d->irqs->line.number], 0, __ATOMIC_RELAXED);
}

static void fill(struct pci_irq *irq, hal_irq_handler fn, void *ctx)
{
	irq->ctx = ctx;
	__atomic_store_n(&irq->fn, fn, __ATOMIC_RELEASE);
}

/* A message of the machine's for the slot, the first time. */
static int allocate(struct pci_irq *irq)
{
	int error = irq->allocated ? 0 : hal_msi_alloc(run, irq, &irq->msi);

	irq->allocated = irq->allocated || !error;
	return error;
}

static void set_intx(struct pci_device *d, bool on)
{
	uint32_t command = pci_read(d, PCI_COMMAND, 2) & ~(uint32_t)PCI_COMMAND_INTX_DISABLE;

	pci_write(d, PCI_COMMAND, 2, command | (on ? 0 : PCI_COMMAND_INTX_DISABLE));
}

/* ---- MSI-X ---- */

static unsigned msix_count(const struct pci_device *d)
{
	unsigned n = d->msix ? (pci_read(d, d->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1 : 0;

	return min(n, (unsigned)PCI_IRQS_MAX);
}

/* The entry in the device's table; null if the capability makes no sense. */
static volatile uint8_t *table_entry(const struct pci_device *d, unsigned index)
{
	uint32_t table = pci_read(d, d->msix + PCI_MSIX_TABLE, 4);

	return pci_map(d, table & TABLE_BIR, (table & ~TABLE_BIR) + (uint64_t)index * PCI_MSIX_ENTRY_SIZE, PCI_MSIX_ENTRY_SIZE);
}

static int connect_msix(struct pci_device *d, unsigned index)
{
	struct pci_irq *irq = &d->irqs->message[index];
	volatile uint8_t *entry;
	uint32_t flags;
	int error;

	if (index >= msix_count(d))
		return -EOPNOTSUPP;
	entry = table_entry(d, index);
	error = entry ? allocate(irq) : -EOPNOTSUPP;
	if (error)
		return error;
	hal_mmio_write32(entry + PCI_MSIX_ENTRY_LOWER_ADDR, (uint32_t)irq->msi.address);
	hal_mmio_write32(entry + PCI_MSIX_ENTRY_UPPER_ADDR, (uint32_t)(irq->msi.address >> 32));
	hal_mmio_write32(entry + PCI_MSIX_ENTRY_DATA, irq->msi.data);
	hal_mmio_write32(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	flags = pci_read(d, d->msix + PCI_MSIX_FLAGS, 2);
	pci_write(d, d->msix + PCI_MSIX_FLAGS, 2, (flags & ~(uint32_t)PCI_MSIX_FLAGS_MASKALL) | PCI_MSIX_FLAGS_ENABLE);
	set_intx(d, false);
	return 0;
}

static void disable_msix(struct pci_device *d)
{
	uint32_t flags = pci_read(d, d->msix + PCI_MSIX_FLAGS, 2);

	pci_write(d, d->msix + PCI_MSIX_FLAGS, 2, flags & ~(uint32_t)PCI_MSIX_FLAGS_ENABLE);
}

/* ---- MSI ---- */

static int connect_msi(struct pci_device *d)
{
	struct pci_irq *irq = &d->irqs->message[0];
	uint32_t flags;
	bool is_64bit;
	int error = d->msi ? allocate(irq) : -EOPNOTSUPP;

	if (error)
		return error;
	flags = pci_read(d, d->msi + PCI_MSI_FLAGS, 2);
	is_64bit = flags & PCI_MSI_FLAGS_64BIT;
	if (!is_64bit && irq->msi.address > UINT32_MAX)
		return -EOPNOTSUPP;
	pci_write(d, d->msi + PCI_MSI_ADDRESS_LO, 4, (uint32_t)irq->msi.address);
	if (is_64bit)
		pci_write(d, d->msi + PCI_MSI_ADDRESS_HI, 4, (uint32_t)(irq->msi.address >> 32));
	pci_write(d, d->msi + (is_64bit ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, irq->msi.data & 0xffff);
	pci_write(d, d->msi + PCI_MSI_FLAGS, 2, (flags & ~(uint32_t)PCI_MSI_FLAGS_QSIZE) | PCI_MSI_FLAGS_ENABLE);
	set_intx(d, false);
	return 0;
}

static void disable_msi(struct pci_device *d)
{
	uint32_t flags = pci_read(d, d->msi + PCI_MSI_FLAGS, 2);

	pci_write(d, d->msi + PCI_MSI_FLAGS, 2, flags & ~(uint32_t)PCI_MSI_FLAGS_ENABLE);
}

/* ---- INTx ---- */

static int connect_intx(struct pci_device *d)
{
	struct pci_irq *irq = &d->irqs->line;
	int line = d->interrupt_pin >= 1 && d->interrupt_pin <= 4 ? hal_pci_intx_line(d->bdf, d->interrupt_pin) : -ENOENT;
	int error = line < 0 ? -EOPNOTSUPP : 0;

	if (!error && !irq->allocated) {
		irq->number = (unsigned)line;
		error = hal_irq_attach(irq->number, run_line, irq);
	}
	if (error)
		return error;
	irq->allocated = true;
	set_intx(d, true);
	return 0;
}

/* ---- the choice ---- */

/* The first kind that works. The slot is filled before, since an interrupt may come at once. */
static int choose(struct pci_device *d, hal_irq_handler fn, void *ctx)
{
	int error;

	fill(&d->irqs->message[0], fn, ctx);
	error = connect_msix(d, 0);
	d->irq_kind = PCI_IRQ_MSIX;
	if (error) {
		error = connect_msi(d);
		d->irq_kind = PCI_IRQ_MSI;
	}
	if (error) {
		d->irqs->message[0].fn = NULL;
		fill(&d->irqs->line, fn, ctx);
		error = connect_intx(d);
		d->irq_kind = PCI_IRQ_INTX;
	}
	if (error) {
		d->irqs->line.fn = NULL;
		d->irq_kind = PCI_IRQ_NONE;
	}
	return error;
}

static int connect_further(struct pci_device *d, unsigned index, hal_irq_handler fn, void *ctx)
{
	struct pci_irq *irq;
	int error;

	if (d->irq_kind != PCI_IRQ_MSIX || index >= PCI_IRQS_MAX)
		return -EOPNOTSUPP;
	irq = &d->irqs->message[index];
	if (irq->fn)
		return -EBUSY;
	fill(irq, fn, ctx);
	error = connect_msix(d, index);
	if (error)
		irq->fn = NULL;
	return error;
}

int pci_irq_connect(struct pci_device *d, unsigned index, hal_irq_handler fn, void *ctx, enum pci_irq_kind *ret_kind)
{
	int error;

	if (!d->irqs)
		d->irqs = kzalloc(sizeof(*d->irqs));
	if (!d->irqs)
		return -ENOMEM;
	if (d->irq_kind == PCI_IRQ_NONE)
		error = index == 0 ? choose(d, fn, ctx) : -EOPNOTSUPP;
	else
		error = index > 0 ? connect_further(d, index, fn, ctx) : -EBUSY;
	if (!error)
		*ret_kind = d->irq_kind;
	return error;
}

unsigned pci_irq_count(const struct pci_device *d)
{
	if (d->irq_kind == PCI_IRQ_NONE || d->irq_kind == PCI_IRQ_MSIX)
		return max(msix_count(d), 1u);
	return 1;
}

const char *pci_irq_name(enum pci_irq_kind kind)
{
	static const char *const names[] = { "none", "msix", "msi", "intx" };

	return names[kind];
}

static void nothing(void *arg)
{
	(void)arg;
}

void pci_irq_synchronize(void)
{
	cpus_call(UINT64_MAX, nothing, NULL);
}

void pci_irq_disconnect(struct pci_device *d)
{
	if (d->irq_kind == PCI_IRQ_NONE)
		return;
	if (d->irq_kind == PCI_IRQ_MSIX)
		disable_msix(d);
	else if (d->irq_kind == PCI_IRQ_MSI)
		disable_msi(d);
	set_intx(d, false);
	d->irq_kind = PCI_IRQ_NONE;
	__atomic_store_n(&d->irqs->line.fn, NULL, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < PCI_IRQS_MAX; i++)
		__atomic_store_n(&d->irqs->message[i].fn, NULL, __ATOMIC_RELEASE);
	pci_irq_synchronize();
}
