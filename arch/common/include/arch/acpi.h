/* SPDX-License-Identifier: MIT */
/*
 * The few facts CloudOS takes from ACPI's static tables (ACPI specification 6.5, chapter 5), without an
 * interpreter for its bytecode. Pure: memory is read through a struct physwin alone, and a table that is cut
 * short, has a bad checksum or points nowhere is left out.
 */
#ifndef ARCH_ACPI_H
#define ARCH_ACPI_H

#include <arch/acpi_root.h>

#define ACPI_CPUS_MAX	   64
#define ACPI_IOAPICS_MAX   8
#define ACPI_OVERRIDES_MAX 16
#define ACPI_ECAMS_MAX	   8

struct acpi_ioapic {
	uint32_t address;
	uint32_t first_line;
};

/* An ISA interrupt that is wired to another line, or in another way. */
struct acpi_override {
	uint8_t isa_irq;
	bool level, active_low;
	uint32_t line;
};

struct acpi_ecam {
	uint64_t base; /* of bus 0 */
	uint16_t segment;
	uint8_t first_bus, last_bus;
};

enum acpi_space {
	ACPI_SPACE_MEMORY = 0,
	ACPI_SPACE_PORT = 1,
};

/* Generic Address Structure, 5.2.3.2; address 0: there is no such register. */
struct acpi_register {
	enum acpi_space space;
	uint8_t bits;
	uint64_t address;
};

struct acpi_info {
	/* MADT */
	uint64_t lapic_address;
	bool has_pics; /* a pair of 8259 that must be masked */
	unsigned cpu_count, ioapic_count, override_count, ecam_count;
	uint32_t cpu_apic_id[ACPI_CPUS_MAX]; /* enabled ones */
	struct acpi_ioapic ioapic[ACPI_IOAPICS_MAX];
	struct acpi_override override[ACPI_OVERRIDES_MAX];
	/* MCFG */
	struct acpi_ecam ecam[ACPI_ECAMS_MAX];
	/* FADT */
	bool has_fadt, has_keyboard, has_reset;
	uint32_t smi_command;
	uint8_t acpi_enable;	      /* value for smi_command */
	uint8_t reset_value, century; /* century: its CMOS register, or 0 */
	uint32_t pm_timer_port;	      /* 3.579545 MHz, at least 24 bits; 0: none */
	struct acpi_register pm1a_control, pm1b_control, reset;
	bool has_s5;
	uint8_t s5_type_a, s5_type_b; /* SLP_TYP for soft off */
	/* HPET */
	uint64_t hpet_address; /* 0: none */
	unsigned ignored;      /* tables and entries that made no sense or found no room */
};

/* Reads what the root pointer (a copy of `len` bytes) leads to. 0, or -EINVAL when that itself is not usable.
 */
int acpi_parse(const struct physwin *w, const void *rsdp, size_t len, struct acpi_info *ret);

/* Finds \_S5's first two numbers in a definition block. False when there is no such package. */
bool acpi_find_s5(const uint8_t *aml, size_t len, uint8_t *ret_a, uint8_t *ret_b);

#endif
