/* SPDX-License-Identifier: MIT */
/* Access to PCI Express configuration space: see <arch/ecam.h>. */
#include <arch/ecam.h>

static bool valid(unsigned offset, unsigned width)
{
	return (width == 1 || width == 2 || width == 4) && offset % width == 0 && offset < ECAM_FUNCTION_SIZE;
}

static volatile uint8_t *address(const struct ecam *e, unsigned bdf, unsigned offset)
{
	return e->base + (size_t)(bdf - (e->first_bus << 8)) * ECAM_FUNCTION_SIZE + offset;
}

uint32_t ecam_read(const struct ecam *e, unsigned bdf, unsigned offset, unsigned width)
{
	volatile uint8_t *at = address(e, bdf, offset);

	if (!valid(offset, width))
		return UINT32_MAX;
	if (width == 1)
		return *at;
	return width == 2 ? *(volatile uint16_t *)at : *(volatile uint32_t *)at;
}

void ecam_write(const struct ecam *e, unsigned bdf, unsigned offset, unsigned width, uint32_t value)
{
	volatile uint8_t *at = address(e, bdf, offset);

	if (!valid(offset, width))
		return;
	if (width == 1)
		*at = (uint8_t)value;
	else if (width == 2)
		*(volatile uint16_t *)at = (uint16_t)value;
	else
		*(volatile uint32_t *)at = value;
}
