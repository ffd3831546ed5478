/* SPDX-License-Identifier: MIT */
/* The list of CPUs. */
#ifndef X86_SMP_H
#define X86_SMP_H

#include <arch/acpi.h>
#include <arch/memmap.h>

/* Boot CPU, after its APIC is on: numbers the CPUs and takes the trampoline's page. */
void x86_smp_init(const struct acpi_info *acpi, struct memmap *m);

#endif
