/* SPDX-License-Identifier: MIT */
/*
 * Finding ACPI's static tables (ACPI specification 6.5, 5.2.5 to 5.2.8). Pure: memory is read through a
 * struct physwin alone, and a table that is cut short, has a bad checksum or points nowhere is not there.
 */
#ifndef ARCH_ACPI_ROOT_H
#define ARCH_ACPI_ROOT_H

#include <arch/physwin.h>

#define ACPI_TABLES_MAX	 64	    /* root table entries looked at */
#define ACPI_TABLE_MAX	 (4u << 20) /* bytes of one table */
#define ACPI_HEADER_SIZE 36u	    /* 5.2.6: signature, length, revision, checksum, ... */

#define ACPI_SIGNATURE(a, b, c, d)                                                                           \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

struct acpi_table {
	const uint8_t *data; /* with the header; `len` bytes */
	uint32_t len;
};

/* The table at pa by its own length, at least a header; acpi_table_read() checks its sum, too. */
bool acpi_table_map(const struct physwin *w, paddr_t pa, struct acpi_table *ret);
bool acpi_table_read(const struct physwin *w, paddr_t pa, struct acpi_table *ret);

/*
 * Calls visit(ctx, ...) for each table that the root pointer (a copy of `len` bytes) leads to, whatever its
 * state. 0, or -EINVAL when the root itself is not usable.
 */
int acpi_walk(const struct physwin *w, const void *rsdp, size_t len,
	      void (*visit)(void *ctx, const struct physwin *w, uint32_t signature, paddr_t pa), void *ctx);

#endif
