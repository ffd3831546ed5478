/* SPDX-License-Identifier: MIT */
/*
 * Decodes a device tree in one pass. A node's properties come before its children, so that a stack of open
 * nodes, each with the few properties that matter, is all the state there is; a node is looked at when it
 * ends. Pure: the tests and the fuzzer run this file on the host.
 *
 * A tree is hostile until shown otherwise: a property with a wrong length counts as absent; a device without
 * what it needs is left out; nodes deeper than DEPTH_MAX are passed over.
 */
#include "dt.h"
#include <cloudos/string.h>
#include <linux/errno.h>

#define DEPTH_MAX 4 /* /soc/interrupt-controller/v2m */
#define CELLS_MAX 4
#define SPI_FIRST 32
#define PPI_FIRST 16
#define PCI_CELLS 3
#define GIC_CELLS 3

struct property {
	const uint8_t *value;
	uint32_t len;
};

/* The properties that some node is asked for; names[] below is in the same order. */
enum {
	P_COMPATIBLE,
	P_REG,
	P_INTERRUPTS,
	P_DEVICE_TYPE,
	P_STATUS,
	P_RANGES,
	P_BOOTARGS,
	P_INITRD_START,
	P_INITRD_END,
	P_STDOUT,
	P_SEED,
	P_METHOD,
	P_CPU_ON,
	P_BUS_RANGE,
	P_INTX_MAP,
	P_INTX_MASK,
	P_MODEL,
	P_COUNT,
};

struct node {
	const char *name;
	unsigned address_cells, size_cells; /* of its children */
	struct property p[P_COUNT];
};

struct walk {
	struct dt_machine *m;
	struct node open[DEPTH_MAX + 1]; /* [0] stands for the root's parent */
	unsigned depth;			 /* open nodes; beyond DEPTH_MAX only counted */
	const char *uart_names[4];
	struct dt_range uarts[4];
	uint32_t uart_lines[4];
	unsigned uart_count;
	struct property stdout_path;
};

static const char names[P_COUNT][20] = {
    "compatible",
    "reg",
    "interrupts",
    "device_type",
    "status",
    "ranges",
    "bootargs",
    "linux,initrd-start",
    "linux,initrd-end",
    "stdout-path",
    "rng-seed",
    "method",
    "cpu_on",
    "bus-range",
    "interrupt-map",
    "interrupt-map-mask",
    "model",
};

static bool name_is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* "memory" and "memory@40000000" alike. */
static bool node_is(const struct node *n, const char *base)
{
	size_t len = strlen(base);

	return strncmp(n->name, base, len) == 0 && (n->name[len] == 0 || n->name[len] == '@');
}

static bool has(const struct node *n, unsigned which, const char *string)
{
	return fdt_list_has(n->p[which].value, n->p[which].len, string);
}

static bool compatible(const struct node *n, const char *string)
{
	return has(n, P_COMPATIBLE, string);
}

static bool enabled(const struct node *n)
{
	return n->p[P_STATUS].value == NULL || has(n, P_STATUS, "okay") || has(n, P_STATUS, "ok");
}

static uint32_t u32(struct property p, uint32_t otherwise)
{
	return p.len == 4 ? (uint32_t)fdt_cells(p.value, 1) : otherwise;
}

/* A number of one or two cells. */
static uint64_t number(struct property p)
{
	return p.len == 4 || p.len == 8 ? fdt_cells(p.value, p.len / 4) : 0;
}

/* An address on the bus of open node `bus` as the CPU sees it; false where no window leads there. */
static bool translate(const struct walk *w, unsigned bus, uint64_t *address)
{
	for (; bus > 1; bus--) {
		const struct node *n = &w->open[bus], *parent = &w->open[bus - 1];
		unsigned child = n->address_cells, above = parent->address_cells, size = n->size_cells;
		uint32_t step = 4 * (child + above + size), at;

		if (n->p[P_RANGES].value == NULL)
			return false;
		if (n->p[P_RANGES].len == 0)
			continue;
		for (at = 0; step != 0 && at + step <= n->p[P_RANGES].len; at += step) {
			const uint8_t *r = n->p[P_RANGES].value + at;
			uint64_t from = fdt_cells(r, child), len = fdt_cells(r + 4 * (child + above), size);

			if (*address >= from && *address - from < len) {
				*address = *address - from + fdt_cells(r + 4 * child, above);
				break;
			}
		}
		if (step == 0 || at + step > n->p[P_RANGES].len)
			return false;
	}
	return true;
}

/* Entry i of the node's `reg`; false at its end, or where it cannot be reached or wraps. */
static bool reg(const struct walk *w, unsigned i, struct dt_range *ret)
{
	const struct node *n = &w->open[w->depth], *bus = &w->open[w->depth - 1];
	uint32_t step = 4 * (bus->address_cells + bus->size_cells);
	struct dt_range r;

	if (step == 0 || i >= n->p[P_REG].len / step)
		return false;
	const uint8_t *entry = n->p[P_REG].value + i * step;
	r.base = fdt_cells(entry, bus->address_cells);
	r.size = fdt_cells(entry + 4 * bus->address_cells, bus->size_cells);
	if (r.base + r.size < r.base || !translate(w, w->depth - 1, &r.base) || r.base + r.size < r.base)
		return false;
	*ret = r;
	return true;
}

/* A GIC interrupt specifier (type, number, flags) as an INTID; 0 if it is none. */
static uint32_t intid(const uint8_t *cells)
{
	uint64_t type = fdt_cells(cells, 1), line = fdt_cells(cells + 4, 1);

	if (type == 0 && line < 1020 - SPI_FIRST)
		return (uint32_t)line + SPI_FIRST;
	if (type == 1 && line < SPI_FIRST - PPI_FIRST)
		return (uint32_t)line + PPI_FIRST;
	return 0;
}

static uint32_t interrupt(const struct node *n, unsigned i)
{
	return n->p[P_INTERRUPTS].len / (4 * GIC_CELLS) > i
		   ? intid(n->p[P_INTERRUPTS].value + i * 4 * GIC_CELLS)
		   : 0;
}

static void copy_string(char *dst, size_t size, struct property p, bool *ret_cut)
{
	size_t n = 0;

	while (n < p.len && p.value[n] != 0 && n < size - 1) {
		dst[n] = (char)p.value[n];
		n++;
	}
	dst[n] = 0;
	*ret_cut = n < p.len && p.value[n] != 0;
}

static void add_range(struct dt_machine *m, struct dt_range *table, unsigned *count, struct dt_range r)
{
	if (r.size == 0)
		return;
	if (*count == DT_MEMORY_MAX)
		m->left_out++;
	else
		table[(*count)++] = r;
}

static void take_memory(struct walk *w)
{
	struct dt_range r;

	for (unsigned i = 0; reg(w, i, &r); i++)
		add_range(w->m, w->m->memory, &w->m->memory_count, r);
}

static void take_reserved(struct walk *w)
{
	struct dt_range r;

	for (unsigned i = 0; reg(w, i, &r); i++)
		add_range(w->m, w->m->reserved, &w->m->reserved_count, r);
}

static void take_chosen(struct walk *w)
{
	const struct node *n = &w->open[w->depth];
	struct dt_machine *m = w->m;

	copy_string(m->cmdline, sizeof(m->cmdline), n->p[P_BOOTARGS], &m->cmdline_cut);
	m->initrd_start = number(n->p[P_INITRD_START]);
	m->initrd_end = number(n->p[P_INITRD_END]);
	w->stdout_path = n->p[P_STDOUT];
	m->seed_len = n->p[P_SEED].len < DT_SEED_MAX ? n->p[P_SEED].len : DT_SEED_MAX;
	for (unsigned i = 0; i < m->seed_len; i++)
		m->seed[i] = n->p[P_SEED].value[i];
}

/* A CPU's reg is its MPIDR, without a size. */
static void take_cpu(struct walk *w)
{
	const struct node *n = &w->open[w->depth];
	unsigned cells = w->open[w->depth - 1].address_cells;

	if (!has(n, P_DEVICE_TYPE, "cpu") || cells == 0 || n->p[P_REG].len != 4 * cells)
		return;
	if (w->m->cpu_count == DT_CPUS_MAX)
		w->m->cpus_ignored++;
	else
		w->m->mpidr[w->m->cpu_count++] = fdt_cells(n->p[P_REG].value, cells);
}

static void take_psci(struct walk *w)
{
	const struct node *n = &w->open[w->depth];

	if (has(n, P_METHOD, "hvc"))
		w->m->psci = DT_PSCI_HVC;
	else if (has(n, P_METHOD, "smc"))
		w->m->psci = DT_PSCI_SMC;
	w->m->psci_cpu_on = 0xc4000003; /* PSCI 0.2 and later; 0.1 names its functions */
	if (!compatible(n, "arm,psci-0.2") && !compatible(n, "arm,psci-1.0"))
		w->m->psci_cpu_on = u32(n->p[P_CPU_ON], 0);
}

static void take_gic(struct walk *w, enum dt_gic kind)
{
	struct dt_machine *m = w->m;

	if (m->gic != DT_GIC_NONE || !reg(w, 0, &m->gic_distributor))
		return;
	if (kind == DT_GIC_V2 && !reg(w, 1, &m->gic_cpu))
		return;
	for (unsigned i = 0;
	     kind == DT_GIC_V3 && i < DT_REDISTRIBUTORS_MAX && reg(w, 1 + i, &m->gic_redistributor[i]); i++)
		m->gic_redistributors = i + 1;
	m->gic = kind;
}

static void take_uart(struct walk *w)
{
	unsigned i = w->uart_count;

	if (i == 4 || !reg(w, 0, &w->uarts[i]))
		return;
	w->uart_names[i] = w->open[w->depth].name;
	w->uart_lines[i] = interrupt(&w->open[w->depth], 0);
	w->uart_count++;
}

/* Memory windows: 3 cells of PCI address (kind in the first), the bus's cells, 2 of size. */
static void take_pcie_windows(struct walk *w, struct dt_pcie *pcie)
{
	struct property p = w->open[w->depth].p[P_RANGES];
	unsigned cpu = w->open[w->depth - 1].address_cells;
	uint32_t step = 4 * (PCI_CELLS + cpu + 2);

	for (uint32_t at = 0; at + step <= p.len && pcie->window_count < DT_WINDOWS_MAX; at += step) {
		const uint8_t *r = p.value + at;
		uint32_t kind = (uint32_t)fdt_cells(r, 1);
		struct dt_window window = {
		    .pci = fdt_cells(r + 4, 2),
		    .cpu = fdt_cells(r + 4 * PCI_CELLS, cpu),
		    .size = fdt_cells(r + 4 * (PCI_CELLS + cpu), 2),
		    .prefetchable = (kind & 0x40000000) != 0,
		    .wide = (kind >> 24 & 3) == 3,
		};

		if ((kind >> 24 & 3) >= 2 && window.size != 0)
			pcie->window[pcie->window_count++] = window;
	}
}

/* interrupt-map: PCI address, pin, the GIC's handle and address (none), and a GIC specifier. */
static void take_pcie_lines(struct walk *w, struct dt_pcie *pcie)
{
	const struct node *n = &w->open[w->depth];
	struct property map = n->p[P_INTX_MAP], mask = n->p[P_INTX_MASK];
	unsigned parent = 0; /* address cells of the GIC, which its own node says; both are in use */

	if (mask.len != 16)
		return;
	pcie->intx_devfn_mask = (uint16_t)(fdt_cells(mask.value, 1) >> 8);
	for (parent = 0; parent <= 2; parent += 2) {
		uint32_t step = 4 * (PCI_CELLS + 1 + 1 + parent + GIC_CELLS);
		bool plausible = map.len != 0 && map.len % step == 0;

		for (uint32_t at = 0; plausible && at < map.len; at += step)
			plausible = intid(map.value + at + step - 4 * GIC_CELLS) >= SPI_FIRST;
		for (uint32_t at = 0; plausible && at < map.len && pcie->intx_count < DT_INTX_MAX;
		     at += step) {
			const uint8_t *e = map.value + at;

			pcie->intx[pcie->intx_count++] = (struct dt_intx){
			    .devfn = (uint16_t)(fdt_cells(e, 1) >> 8) & pcie->intx_devfn_mask,
			    .pin = (uint8_t)fdt_cells(e + 4 * PCI_CELLS, 1),
			    .line = intid(e + step - 4 * GIC_CELLS),
			};
		}
		if (plausible)
			break;
	}
}

static void take_pcie(struct walk *w)
{
	struct dt_pcie *pcie = &w->m->pcie;
	struct property bus = w->open[w->depth].p[P_BUS_RANGE];

	if (pcie->ecam.size != 0 || !reg(w, 0, &pcie->ecam))
		return;
	pcie->bus_last = 255;
	if (bus.len == 8 && fdt_cells(bus.value, 1) <= 255 && fdt_cells(bus.value + 4, 1) <= 255) {
		pcie->bus_first = (unsigned)fdt_cells(bus.value, 1);
		pcie->bus_last = (unsigned)fdt_cells(bus.value + 4, 1);
	}
	take_pcie_windows(w, pcie);
	take_pcie_lines(w, pcie);
}

static void take_device(struct walk *w)
{
	const struct node *n = &w->open[w->depth];
	struct dt_machine *m = w->m;

	if (compatible(n, "arm,pl011"))
		take_uart(w);
	else if (compatible(n, "arm,pl031"))
		reg(w, 0, &m->rtc);
	else if (compatible(n, "arm,armv8-timer"))
		m->timer_line = interrupt(n, 2);
	else if (compatible(n, "arm,gic-v3"))
		take_gic(w, DT_GIC_V3);
	else if (compatible(n, "arm,cortex-a15-gic") || compatible(n, "arm,gic-400"))
		take_gic(w, DT_GIC_V2);
	else if (compatible(n, "arm,gic-v2m-frame"))
		reg(w, 0, &m->gic_v2m);
	else if (compatible(n, "pci-host-ecam-generic"))
		take_pcie(w);
	else if (compatible(n, "arm,psci") || compatible(n, "arm,psci-0.2") || compatible(n, "arm,psci-1.0"))
		take_psci(w);
}

/* The innermost open node ends. */
static void take_node(struct walk *w)
{
	const struct node *n = &w->open[w->depth];
	const char *parent = w->depth > 1 ? w->open[w->depth - 1].name : "";
	bool cut;

	if (w->depth == 1)
		copy_string(w->m->model, sizeof(w->m->model), n->p[P_MODEL], &cut);
	else if (!enabled(n))
		return;
	else if (w->depth == 2 && name_is(n->name, "chosen"))
		take_chosen(w);
	else if (w->depth == 2 && has(n, P_DEVICE_TYPE, "memory"))
		take_memory(w);
	else if (w->depth == 3 && name_is(parent, "reserved-memory"))
		take_reserved(w);
	else if (w->depth == 3 && name_is(parent, "cpus") && node_is(n, "cpu"))
		take_cpu(w);
	else if (n->p[P_COMPATIBLE].value != NULL)
		take_device(w);
}

static void open_node(struct walk *w, const char *name)
{
	if (++w->depth > DEPTH_MAX)
		return;
	w->open[w->depth] = (struct node){.name = name, .address_cells = 2, .size_cells = 1};
}

static void cells_property(const struct fdt_item *item, unsigned *cells)
{
	if (item->len == 4 && fdt_cells(item->value, 1) <= CELLS_MAX)
		*cells = (unsigned)fdt_cells(item->value, 1);
}

static void set_property(struct node *n, const struct fdt_item *item)
{
	if (item->name[0] == '#') {
		if (name_is(item->name, "#address-cells"))
			cells_property(item, &n->address_cells);
		else if (name_is(item->name, "#size-cells"))
			cells_property(item, &n->size_cells);
		return;
	}
	for (unsigned i = 0; i < P_COUNT; i++) {
		if (item->name[0] == names[i][0] && name_is(item->name, names[i])) {
			n->p[i] = (struct property){item->value, item->len};
			return;
		}
	}
}

/* The serial port that stdout-path names by its last part, or else the first. */
static void choose_uart(struct walk *w)
{
	unsigned chosen = 0;
	char path[128];
	bool cut;

	copy_string(path, sizeof(path), w->stdout_path, &cut);
	char *options = strchr(path, ':'), *last = strrchr(path, '/');
	if (options != NULL)
		*options = 0;
	for (unsigned i = 0; last != NULL && i < w->uart_count; i++) {
		if (name_is(w->uart_names[i], last + 1))
			chosen = i;
	}
	if (w->uart_count > 0) {
		w->m->uart = w->uarts[chosen];
		w->m->uart_line = w->uart_lines[chosen];
	}
}

static void take_reservations(const struct fdt *fdt, struct dt_machine *m)
{
	struct dt_range r;

	for (uint32_t i = 0; i < DT_MEMORY_MAX && fdt_reservation(fdt, i, &r.base, &r.size); i++)
		add_range(m, m->reserved, &m->reserved_count, r);
}

int dt_decode(const struct fdt *fdt, struct dt_machine *m)
{
	struct walk w = {.m = m, .open[0] = {.name = "", .address_cells = 2, .size_cells = 1}};
	struct fdt_item item = {0};
	uint32_t cursor = 0;
	int error = 0;

	memset(m, 0, sizeof(*m));
	take_reservations(fdt, m);
	while (item.token != FDT_END && (error = fdt_next(fdt, &cursor, &item)) == 0) {
		if (item.token == FDT_NODE) {
			open_node(&w, item.name);
		} else if (item.token == FDT_PROPERTY && w.depth > 0 && w.depth <= DEPTH_MAX) {
			set_property(&w.open[w.depth], &item);
		} else if (item.token == FDT_NODE_END && w.depth > 0) {
			if (w.depth <= DEPTH_MAX)
				take_node(&w);
			w.depth--;
		}
	}
	choose_uart(&w);
	return error;
}
