/* SPDX-License-Identifier: MIT */
/*
 * Off and reset. Off: ACPI's soft-off state S5, entered by writing SLP_TYP and SLP_EN to PM1 control (ACPI
 * specification 6.5, 4.8.3.2); the values come from \_S5 in the DSDT. Reset: ACPI's reset register, the
 * keyboard controller, and at last a triple fault.
 */
#include <x86/cpu.h>
#include <x86/machine.h>
#include <hal/hal.h>
#include <arch/note.h>

#define PM1_SCI_ENABLED	 (1u << 0)
#define PM1_SLP_TYP(n)	 ((uint32_t)(n) << 10)
#define PM1_SLP_TYP_MASK (7u << 10)
#define PM1_SLP_EN	 (1u << 13)
#define SPINS_MAX	 1000000u

static bool is_port(const struct acpi_register *r)
{
	return r->space == ACPI_SPACE_PORT && r->address != 0 && r->address <= UINT16_MAX;
}

static void pm1_sleep(const struct acpi_register *r, uint8_t type)
{
	uint16_t port = (uint16_t)r->address;

	if (is_port(r))
		outw(port, (uint16_t)((inw(port) & ~PM1_SLP_TYP_MASK) | PM1_SLP_TYP(type) | PM1_SLP_EN));
}

/* Firmware may own the registers until it is told that there is an operating system. */
static void acpi_mode_enter(const struct acpi_info *acpi)
{
	uint16_t port = (uint16_t)acpi->pm1a_control.address;

	if (acpi->smi_command == 0 || acpi->acpi_enable == 0 || (inw(port) & PM1_SCI_ENABLED))
		return;
	outb((uint16_t)acpi->smi_command, acpi->acpi_enable);
	for (unsigned n = 0; n < SPINS_MAX && !(inw(port) & PM1_SCI_ENABLED); n++)
		hal_cpu_relax();
}

void hal_power_off(void)
{
	const struct acpi_info *acpi = &x86_acpi;

	hal_irq_disable();
	if (acpi->has_s5 && is_port(&acpi->pm1a_control)) {
		acpi_mode_enter(acpi);
		pm1_sleep(&acpi->pm1a_control, acpi->s5_type_a);
		pm1_sleep(&acpi->pm1b_control, acpi->s5_type_b);
		for (unsigned n = 0; n < SPINS_MAX; n++)
			hal_cpu_relax();
	}
	arch_note("power", "the machine can be switched off now");
	cpu_halt_forever();
}

static void reset_by_acpi(const struct acpi_info *acpi)
{
	if (!acpi->has_reset)
		return;
	if (is_port(&acpi->reset))
		outb((uint16_t)acpi->reset.address, acpi->reset_value);
	else if (x86_reset_register != NULL)
		*x86_reset_register = acpi->reset_value;
	for (unsigned n = 0; n < SPINS_MAX; n++)
		hal_cpu_relax();
}

void hal_reboot(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = {0, 0};

	hal_irq_disable();
	reset_by_acpi(&x86_acpi);
	outb(0x64, 0xfe); /* the 8042's line to the CPU's reset */
	for (unsigned n = 0; n < SPINS_MAX; n++)
		hal_cpu_relax();
	__asm__ volatile("lidt %0\n\tint3" : : "m"(no_idt));
	cpu_halt_forever();
}
