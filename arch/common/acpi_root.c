/* SPDX-License-Identifier: MIT */
/* ACPI's root pointer and tables: see <arch/acpi_root.h>. */
#include <arch/acpi_root.h>
#include <linux/errno.h>

static bool sum_is_zero(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return sum == 0;
}

bool acpi_table_map(const struct physwin *w, paddr_t pa, struct acpi_table *ret)
{
	const uint8_t *h = physwin_map(w, pa, ACPI_HEADER_SIZE);
	uint32_t len = h == NULL ? 0 : physwin_get32(h + 4);

	if (len < ACPI_HEADER_SIZE || len > ACPI_TABLE_MAX)
		return false;
	h = physwin_map(w, pa, len);
	if (h == NULL)
		return false;
	*ret = (struct acpi_table){h, len};
	return true;
}

bool acpi_table_read(const struct physwin *w, paddr_t pa, struct acpi_table *ret)
{
	struct acpi_table t;

	if (!acpi_table_map(w, pa, &t) || !sum_is_zero(t.data, t.len))
		return false;
	*ret = t;
	return true;
}

/* The root pointer (5.2.5.3) leads to the XSDT, with 8-byte entries, or in ACPI 1.0 to the RSDT, with 4-byte
 * ones. */
int acpi_walk(const struct physwin *w, const void *rsdp, size_t len,
	      void (*visit)(void *ctx, const struct physwin *w, uint32_t signature, paddr_t pa), void *ctx)
{
	const uint8_t *p = rsdp;
	unsigned width = 4;
	struct acpi_table root;
	paddr_t pa;

	if (len < 20 || __builtin_memcmp(p, "RSD PTR ", 8) != 0 || !sum_is_zero(p, 20))
		return -EINVAL;
	pa = physwin_get32(p + 16);
	if (p[15] >= 2 && len >= 36 && sum_is_zero(p, 36) && physwin_get64(p + 24) != 0) {
		pa = physwin_get64(p + 24);
		width = 8;
	}
	if (!acpi_table_read(w, pa, &root))
		return -EINVAL;
	for (unsigned i = 0; i < ACPI_TABLES_MAX && ACPI_HEADER_SIZE + (i + 1) * width <= root.len; i++) {
		const uint8_t *e = root.data + ACPI_HEADER_SIZE + i * width;
		paddr_t at = width == 8 ? physwin_get64(e) : physwin_get32(e);
		const uint8_t *head = physwin_map(w, at, ACPI_HEADER_SIZE);

		if (head != NULL)
			visit(ctx, w, physwin_get32(head), at);
	}
	return 0;
}
