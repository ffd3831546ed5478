/* SPDX-License-Identifier: MIT */
/*
 * Gives addresses to PCI functions that have none: a kernel that was loaded without firmware finds all base
 * address registers zero (PCI Local Bus 3.0, 6.2.5.1). Registers that firmware has set stay, and if there is
 * one, so do all.
 *
 * First bus only; functions behind bridges stay without, as firmware would have to number the buses first. A
 * 64-bit register gets room in a 64-bit window if there is one, everything else in a 32-bit window; what
 * finds no room stays zero, and its driver will find it so. Windows that PCI and CPU address differently are
 * not used.
 */
#include "aarch64.h"
#include <arch/ecam.h>

#define PCI_VENDOR	0x00
#define PCI_COMMAND	0x04
#define PCI_HEADER_TYPE 0x0e
#define PCI_BAR(n)	(0x10 + 4 * (n))
#define BARS		6
#define COMMAND_DECODE	3u /* ports and memory */
#define HEADER_MULTI	0x80u
#define BAR_PORTS	1u
#define BAR_TYPE	6u
#define BAR_64		4u
#define BAR_FLAGS	15u

struct room {
	const struct dt_window *window;
	uint64_t used;
};

struct assign {
	const struct ecam *ecam;
	struct room narrow, wide;
};

/* An address on the PCI side, aligned to its size; 0 if there is no room. */
static uint64_t take(struct room *room, uint64_t size)
{
	if (room->window == NULL)
		return 0;
	uint64_t start = (room->window->pci + room->used + size - 1) & ~(size - 1);
	uint64_t end = room->window->pci + room->window->size;

	if (start < room->window->pci || start >= end || size > end - start)
		return 0;
	room->used = start + size - room->window->pci;
	return start;
}

static uint32_t get(const struct assign *a, unsigned bdf, unsigned offset)
{
	return ecam_read(a->ecam, bdf, offset, 4);
}

static void set(const struct assign *a, unsigned bdf, unsigned offset, uint32_t value)
{
	ecam_write(a->ecam, bdf, offset, 4, value);
}

/* Size of a memory register by writing ones, 0 if it is not there. `high`: with the next one, as 64 bits. */
static uint64_t bar_size(const struct assign *a, unsigned bdf, unsigned n, bool high)
{
	set(a, bdf, PCI_BAR(n), UINT32_MAX);
	uint64_t mask = get(a, bdf, PCI_BAR(n)) & ~BAR_FLAGS;

	if (mask == 0 && !high)
		return 0;
	if (high) {
		set(a, bdf, PCI_BAR(n + 1), UINT32_MAX);
		mask |= (uint64_t)get(a, bdf, PCI_BAR(n + 1)) << 32;
	} else {
		mask |= UINT64_C(0xffffffff) << 32;
	}
	return mask == 0 ? 0 : ~mask + 1;
}

/* Returns how many registers it was. */
static unsigned assign_bar(struct assign *a, unsigned bdf, unsigned n)
{
	uint32_t kind = get(a, bdf, PCI_BAR(n));
	bool high = (kind & BAR_TYPE) == BAR_64 && n + 1 < BARS;
	uint64_t size, address = 0;

	if ((kind & BAR_PORTS) != 0)
		return 1;
	size = bar_size(a, bdf, n, high);
	if (size != 0 && high)
		address = take(&a->wide, size);
	if (size != 0 && address == 0)
		address = take(&a->narrow, size);
	set(a, bdf, PCI_BAR(n), (uint32_t)address);
	if (high)
		set(a, bdf, PCI_BAR(n + 1), (uint32_t)(address >> 32));
	return high ? 2 : 1;
}

static void assign_function(struct assign *a, unsigned bdf)
{
	uint16_t command = (uint16_t)ecam_read(a->ecam, bdf, PCI_COMMAND, 2);

	ecam_write(a->ecam, bdf, PCI_COMMAND, 2, command & ~COMMAND_DECODE);
	for (unsigned n = 0; n < BARS;)
		n += assign_bar(a, bdf, n);
	ecam_write(a->ecam, bdf, PCI_COMMAND, 2, command & ~COMMAND_DECODE);
}

static bool has_address(struct assign *a, unsigned bdf)
{
	bool any = false;

	for (unsigned n = 0; n < BARS; n++)
		any |= (get(a, bdf, PCI_BAR(n)) & ~BAR_FLAGS) != 0;
	return any;
}

/* Calls fn for the ordinary functions (header type 0) of the first bus until it says true. */
static bool each_function(struct assign *a, bool (*fn)(struct assign *a, unsigned bdf))
{
	unsigned first = a->ecam->first_bus << 8;

	for (unsigned devfn = 0; devfn < 256; devfn++) {
		unsigned bdf = first | devfn;

		if (ecam_read(a->ecam, bdf, PCI_VENDOR, 2) == 0xffff) {
			devfn |= (devfn & 7) == 0 ? 7 : 0; /* no function 0, no others */
			continue;
		}
		uint32_t header = ecam_read(a->ecam, bdf, PCI_HEADER_TYPE, 1);
		if ((header & ~HEADER_MULTI) == 0 && fn(a, bdf))
			return true;
		if ((devfn & 7) == 0 && (header & HEADER_MULTI) == 0)
			devfn |= 7;
	}
	return false;
}

static bool do_assign(struct assign *a, unsigned bdf)
{
	assign_function(a, bdf);
	return false;
}

void pci_assign(const struct ecam *ecam, const struct dt_window *windows, unsigned count)
{
	struct assign a = {.ecam = ecam};

	for (unsigned i = 0; i < count; i++) {
		struct room *room = windows[i].wide ? &a.wide : &a.narrow;

		if (room->window == NULL && windows[i].pci == windows[i].cpu)
			room->window = &windows[i];
	}
	if (!each_function(&a, has_address))
		each_function(&a, do_assign);
}
