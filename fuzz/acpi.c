/* SPDX-License-Identifier: MIT */
/*
 * ACPI's tables: the input is the root pointer (36 bytes) and then physical memory from ACPI_BASE on.
 * Checksums keep a fuzzer out, so each table that is looked at gets the right one first, in a copy.
 */
#include <arch/acpi.h>
#include "../arch/aarch64/acpi.h"

#define ACPI_BASE  0x10000u
#define MEMORY_MAX 65536u
#define RSDP_SIZE  36u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t memory[MEMORY_MAX];
static size_t memory_size;

static void mend_checksum(uint8_t *p, size_t len, size_t at)
{
	uint8_t sum = 0;

	if (at >= len)
		return;
	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	p[at] = (uint8_t)-sum;
}

static const void *window_map(const struct physwin *w, paddr_t pa, size_t len)
{
	uint8_t *p;

	(void)w;
	if (pa < ACPI_BASE || len > memory_size || pa - ACPI_BASE > memory_size - len)
		return NULL;
	p = memory + (pa - ACPI_BASE);
	if (len >= 36 && physwin_get32(p + 4) == len)
		mend_checksum(p, len, 9);
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct physwin window = {window_map};
	static struct acpi_info info;
	static struct dt_machine machine;
	uint8_t rsdp[RSDP_SIZE];

	if (size < RSDP_SIZE || size - RSDP_SIZE > MEMORY_MAX)
		return 0;
	__builtin_memcpy(rsdp, data, RSDP_SIZE);
	mend_checksum(rsdp, 20, 8);
	mend_checksum(rsdp, RSDP_SIZE, 32);
	memory_size = size - RSDP_SIZE;
	__builtin_memcpy(memory, data + RSDP_SIZE, memory_size);
	(void)acpi_parse(&window, rsdp, RSDP_SIZE, &info);
	if (info.cpu_count > ACPI_CPUS_MAX || info.ioapic_count > ACPI_IOAPICS_MAX ||
	    info.ecam_count > ACPI_ECAMS_MAX || info.override_count > ACPI_OVERRIDES_MAX)
		__builtin_trap();
	__builtin_memset(&machine, 0, sizeof(machine));
	(void)acpi_decode(&window, rsdp, RSDP_SIZE, &machine);
	if (machine.cpu_count > DT_CPUS_MAX || machine.gic_redistributors > DT_REDISTRIBUTORS_MAX)
		__builtin_trap();
	return 0;
}
