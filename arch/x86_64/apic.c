/* SPDX-License-Identifier: MIT */
/*
 * Local APIC: see <x86/apic.h>. In xAPIC mode a command is two writes, which must not be torn by an
 * interrupt.
 */
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/trap.h>
#include <linux/errno.h>

#define BASE_ENABLE  (1u << 11)
#define BASE_X2APIC  (1u << 10)
#define CPUID_X2APIC (1u << 21)
#define CPUID_APIC   (1u << 9)

#define ICR_INIT    (5u << 8)
#define ICR_STARTUP (6u << 8)
#define ICR_NMI	    (4u << 8)
#define ICR_ASSERT  (1u << 14)
#define ICR_BUSY    (1u << 12)

#define BUSY_SPINS_MAX 1000000u

static bool x2apic;
static volatile uint32_t *registers;

uint32_t x86_apic_read(enum apic_register reg)
{
	return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : registers[reg / 4];
}

void x86_apic_write(enum apic_register reg, uint32_t value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg / 16, value);
	else
		registers[reg / 4] = value;
}

void x86_apic_eoi(void)
{
	x86_apic_write(APIC_EOI, 0);
}

uint32_t x86_apic_id(void)
{
	uint32_t id = x86_apic_read(APIC_ID);

	return x2apic ? id : id >> 24;
}

int x86_apic_init(paddr_t base)
{
	struct cpuid features = cpuid(1, 0);

	if (!(features.edx & CPUID_APIC))
		return -ENODEV;
	x2apic = (features.ecx & CPUID_X2APIC) != 0;
	if (x2apic)
		return 0;
	registers = hal_mmio_map(base, PAGE_SIZE);
	return registers == NULL ? -ENODEV : 0;
}

void x86_apic_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_ENABLE | (x2apic ? BASE_X2APIC : 0));
	x86_apic_write(APIC_TPR, 0);
	x86_apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
	x86_apic_write(APIC_LVT_LINT1, APIC_LVT_NMI);
	x86_apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
	x86_apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
}

/* x2APIC commands are not ordered behind earlier stores by themselves (Intel SDM 3A 10.12.3). */
static void command_x2apic(uint32_t apic_id, uint32_t command)
{
	__asm__ volatile("mfence; lfence" : : : "memory");
	wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)apic_id << 32 | command);
}

static void command(uint32_t apic_id, uint32_t value)
{
	unsigned long irq;

	if (x2apic) {
		command_x2apic(apic_id, value);
		return;
	}
	irq = hal_irq_save();
	for (unsigned n = 0; (registers[APIC_ICR / 4] & ICR_BUSY) && n < BUSY_SPINS_MAX; n++)
		hal_cpu_relax();
	registers[APIC_ICR_HIGH / 4] = apic_id << 24;
	registers[APIC_ICR / 4] = value;
	hal_irq_restore(irq);
}

void x86_apic_send(uint32_t apic_id, unsigned vector)
{
	command(apic_id, ICR_ASSERT | vector);
}

void x86_apic_send_nmi(uint32_t apic_id)
{
	command(apic_id, ICR_ASSERT | ICR_NMI);
}

void x86_apic_send_init(uint32_t apic_id)
{
	command(apic_id, ICR_ASSERT | ICR_INIT);
}

void x86_apic_send_startup(uint32_t apic_id, unsigned page)
{
	command(apic_id, ICR_ASSERT | ICR_STARTUP | page);
}
