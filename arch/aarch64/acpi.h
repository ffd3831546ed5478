/* SPDX-License-Identifier: MIT */
/* What ACPI's static tables say of an aarch64 machine, in the device tree's terms. */
#ifndef AARCH64_ACPI_H
#define AARCH64_ACPI_H

#include <arch/acpi_root.h>
#include "dt.h"

/*
 * Fills in CPUs, interrupt controller, timer, console, PSCI and PCI; memory, command line and initramfs are
 * not ACPI's to tell. 0, or -EINVAL when the root pointer (a copy of `len` bytes) leads nowhere. The lines of
 * PCI's INTx pins are in bytecode, which is not run: there are none.
 */
int acpi_decode(const struct physwin *w, const void *rsdp, size_t len, struct dt_machine *m);

#endif
