/* SPDX-License-Identifier: MIT */
/* What boot.c found out and keeps. */
#ifndef X86_MACHINE_H
#define X86_MACHINE_H

#include <arch/acpi.h>

extern struct acpi_info x86_acpi;
extern volatile uint8_t *x86_reset_register; /* if ACPI's is in memory, else null */

/* After memory is mapped: finds the ways to configuration space. */
void x86_pci_init(const struct acpi_info *acpi);

#endif
