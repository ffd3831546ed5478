/* SPDX-License-Identifier: MIT */
/* Device interrupts: I/O APICs, message-signalled ones, and the old controllers that must be quiet. */
#ifndef X86_IRQ_H
#define X86_IRQ_H

#include <arch/acpi.h>
#include <hal/irq.h>

/* Boot: masks the 8259s, maps the I/O APICs, masks their inputs. */
void x86_irq_init(const struct acpi_info *acpi);

/* The line that an ISA interrupt is wired to. */
unsigned x86_isa_line(unsigned isa_irq);

#endif
