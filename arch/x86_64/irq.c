/* SPDX-License-Identifier: MIT */
/*
 * Device interrupts. A vector is owned by one I/O APIC input or one message-signalled interrupt; vectors are
 * handed out upwards and never taken back, and so are handlers of a line, which PCI devices may share.
 *
 * Locking: irq_lock guards allocation and the I/O APICs' index/data register pairs. Dispatch takes no lock: a
 * handler is published after its arguments, and stays.
 */
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/irq.h>
#include <x86/percpu.h>
#include <x86/timer.h>
#include <x86/trap.h>
#include <arch/note.h>
#include <arch/spin.h>
#include <linux/errno.h>

#define LINES_MAX      128u /* I/O APIC inputs */
#define LINE_SHARE_MAX 4u   /* handlers of one */
#define ISA_IRQS       16u

/* I/O APIC registers, 82093AA datasheet 3.2. */
#define IOAPIC_VERSION	  1u
#define IOAPIC_ENTRY(n)	  (0x10u + 2 * (n))
#define IOAPIC_MASKED	  (1u << 16)
#define IOAPIC_LEVEL	  (1u << 15)
#define IOAPIC_ACTIVE_LOW (1u << 13)

#define MSI_ADDRESS UINT64_C(0xfee00000) /* Intel SDM 3A 10.11 */

struct handler {
	hal_irq_handler fn; /* null: free */
	void *ctx;
};

struct line {
	volatile uint32_t *ioapic; /* null: no such line */
	uint8_t input, vector;	   /* vector 0: never attached */
	bool level, active_low;
	struct handler handler[LINE_SHARE_MAX];
};

static struct arch_spin irq_lock;
static struct handler vectors[256];
static struct line lines[LINES_MAX];
static unsigned next_vector = VECTOR_DEVICE_FIRST;
static uint8_t isa_lines[ISA_IRQS];

/* ---- I/O APICs ---- */

static uint32_t ioapic_read(volatile uint32_t *ioapic, unsigned reg)
{
	ioapic[0] = reg;
	return ioapic[4];
}

static void ioapic_write(volatile uint32_t *ioapic, unsigned reg, uint32_t value)
{
	ioapic[0] = reg;
	ioapic[4] = value;
}

static void line_write(const struct line *l, bool masked)
{
	uint32_t low = l->vector | (l->level ? IOAPIC_LEVEL : 0) | (l->active_low ? IOAPIC_ACTIVE_LOW : 0);

	if (!masked) {
		ioapic_write(l->ioapic, IOAPIC_ENTRY(l->input) + 1, x86_cpus[0]->apic_id << 24);
		ioapic_write(l->ioapic, IOAPIC_ENTRY(l->input), low);
		return;
	}
	ioapic_write(l->ioapic, IOAPIC_ENTRY(l->input), low | IOAPIC_MASKED);
}

/* Lines above ISA's are PCI's: level, active low. */
static void ioapic_add(const struct acpi_ioapic *io)
{
	volatile uint32_t *registers = hal_mmio_map(io->address, 0x20);
	unsigned inputs;

	if (registers == NULL)
		return;
	inputs = (ioapic_read(registers, IOAPIC_VERSION) >> 16 & 0xff) + 1;
	for (unsigned i = 0; i < inputs; i++) {
		unsigned number = io->first_line + i;

		ioapic_write(registers, IOAPIC_ENTRY(i), IOAPIC_MASKED);
		if (io->first_line >= LINES_MAX || number >= LINES_MAX)
			continue;
		lines[number].ioapic = registers;
		lines[number].input = (uint8_t)i;
		lines[number].level = lines[number].active_low = number >= ISA_IRQS;
	}
}

static void apply_override(const struct acpi_override *o)
{
	if (o->line >= LINES_MAX || o->isa_irq >= ISA_IRQS)
		return;
	isa_lines[o->isa_irq] = (uint8_t)o->line;
	lines[o->line].level = o->level;
	lines[o->line].active_low = o->active_low;
}

/*
 * The 8259s are moved off the exceptions' vectors, since even masked ones can send a spurious interrupt (IRQ
 * 7, 15).
 */
static void pics_mask(void)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, VECTOR_PIC);
	outb(0xa1, VECTOR_PIC + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

void x86_irq_init(const struct acpi_info *acpi)
{
	for (unsigned i = 0; i < ISA_IRQS; i++)
		isa_lines[i] = (uint8_t)i;
	if (acpi->has_pics)
		pics_mask();
	for (unsigned i = 0; i < acpi->ioapic_count; i++)
		ioapic_add(&acpi->ioapic[i]);
	for (unsigned i = 0; i < acpi->override_count; i++)
		apply_override(&acpi->override[i]);
}

unsigned x86_isa_line(unsigned isa_irq)
{
	return isa_irq < ISA_IRQS ? isa_lines[isa_irq] : isa_irq;
}

/* ---- the contract ---- */

/* Under irq_lock; 0 when they are used up. */
static unsigned vector_alloc_locked(hal_irq_handler fn, void *ctx)
{
	unsigned vector = next_vector;

	if (vector > VECTOR_DEVICE_LAST)
		return 0;
	next_vector++;
	vectors[vector].ctx = ctx;
	__atomic_store_n(&vectors[vector].fn, fn, __ATOMIC_RELEASE);
	return vector;
}

static void run_line(void *ctx)
{
	struct line *l = ctx;

	for (unsigned i = 0; i < LINE_SHARE_MAX; i++) {
		hal_irq_handler fn = __atomic_load_n(&l->handler[i].fn, __ATOMIC_ACQUIRE);

		if (fn != NULL)
			fn(l->handler[i].ctx);
	}
}

static int attach_locked(struct line *l, hal_irq_handler fn, void *ctx)
{
	unsigned i = 0;

	while (i < LINE_SHARE_MAX && l->handler[i].fn != NULL)
		i++;
	if (i == LINE_SHARE_MAX)
		return -EBUSY;
	if (l->vector == 0)
		l->vector = (uint8_t)vector_alloc_locked(run_line, l);
	if (l->vector == 0)
		return -ENOSPC;
	l->handler[i].ctx = ctx;
	__atomic_store_n(&l->handler[i].fn, fn, __ATOMIC_RELEASE);
	line_write(l, false);
	return 0;
}

int hal_irq_attach(unsigned line, hal_irq_handler fn, void *ctx)
{
	unsigned long irq;
	int err;

	if (line >= LINES_MAX || lines[line].ioapic == NULL)
		return -ENODEV;
	irq = arch_spin_lock(&irq_lock);
	err = attach_locked(&lines[line], fn, ctx);
	arch_spin_unlock(&irq_lock, irq);
	return err;
}

static void set_masked(unsigned line, bool masked)
{
	unsigned long irq;

	if (line >= LINES_MAX || lines[line].vector == 0)
		return;
	irq = arch_spin_lock(&irq_lock);
	line_write(&lines[line], masked);
	arch_spin_unlock(&irq_lock, irq);
}

void hal_irq_mask(unsigned line)
{
	set_masked(line, true);
}

void hal_irq_unmask(unsigned line)
{
	set_masked(line, false);
}

/* The CPU that asks gets the interrupts: a driver's queue is set up on the CPU that will use it. */
int hal_msi_alloc(hal_irq_handler fn, void *ctx, struct hal_msi *ret)
{
	uint32_t apic_id = this_cpu()->apic_id;
	unsigned long irq = arch_spin_lock(&irq_lock);
	unsigned vector = vector_alloc_locked(fn, ctx);

	arch_spin_unlock(&irq_lock, irq);
	if (vector == 0)
		return -ENOSPC;
	if (apic_id > 255) /* a message has eight bits for it */
		apic_id = x86_cpus[0]->apic_id;
	ret->address = MSI_ADDRESS | (uint64_t)apic_id << 12;
	ret->data = vector;
	return 0;
}

/* ---- dispatch ---- */

static void run_ipi(void)
{
	__atomic_store_n(&this_cpu()->ipi_pending, 0,
			 __ATOMIC_SEQ_CST); /* before what it asks for is looked at */
	x86_apic_eoi();
	if (hal_upcalls.ipi != NULL)
		hal_upcalls.ipi();
}

static void run_device(unsigned vector)
{
	hal_irq_handler fn = __atomic_load_n(&vectors[vector].fn, __ATOMIC_ACQUIRE);

	if (fn != NULL)
		fn(vectors[vector].ctx);
	else
		arch_note_hex("irq", "nobody handles vector", vector);
	x86_apic_eoi();
}

void x86_irq_dispatch(unsigned vector)
{
	if (vector == VECTOR_TIMER) {
		x86_apic_eoi();
		x86_timer_interrupt();
	} else if (vector == VECTOR_IPI) {
		run_ipi();
	} else if (vector >= VECTOR_DEVICE_FIRST && vector <= VECTOR_DEVICE_LAST) {
		run_device(vector);
	}
	/* Else spurious, from the APIC or an 8259: not acknowledged. */
}

void hal_ipi_send(unsigned cpu)
{
	struct cpu *c = x86_cpus[cpu];

	if (c != NULL && __atomic_exchange_n(&c->ipi_pending, 1, __ATOMIC_SEQ_CST) == 0)
		x86_apic_send(c->apic_id, VECTOR_IPI);
}
