/* SPDX-License-Identifier: MIT */
/*
 * Decodes ACPI's tables into the same struct dt_machine that a device tree fills, so that the drivers below
 * the seam know one description. Sections are those of the ACPI specification 6.5. Pure: the fuzzer runs this
 * file on the host.
 */
#include "acpi.h"
#include <linux/errno.h>

#define MSI_FRAME_SIZE 0x1000
#define UART_SIZE      0x1000
#define GICD_SIZE      0x10000
#define GICC_SIZE      0x2000
#define GICR_SIZE      0x20000 /* the two frames of one CPU's redistributor */
#define PPI_END	       32

/* MADT structures, 5.2.12.14 and following. */
enum madt_type {
	MADT_GICC = 0x0b,
	MADT_GICD = 0x0c,
	MADT_MSI = 0x0d,
	MADT_GICR = 0x0e,
};

static void add_redistributor(struct dt_machine *m, uint64_t base, uint64_t size)
{
	if (base == 0 || size == 0)
		return;
	if (m->gic_redistributors == DT_REDISTRIBUTORS_MAX)
		m->left_out++;
	else
		m->gic_redistributor[m->gic_redistributors++] = (struct dt_range){base, size};
}

/* A CPU: its interface's address is a GICv2's, that of its redistributor stands in for GICR entries. */
static void read_gicc(struct dt_machine *m, const uint8_t *e)
{
	if ((physwin_get32(e + 12) & 1) == 0)
		return; /* not enabled */
	if (m->gic_cpu.size == 0 && physwin_get64(e + 32) != 0)
		m->gic_cpu = (struct dt_range){physwin_get64(e + 32), GICC_SIZE};
	if (physwin_get64(e + 60) != 0)
		add_redistributor(m, physwin_get64(e + 60), GICR_SIZE);
	if (m->cpu_count == DT_CPUS_MAX)
		m->cpus_ignored++;
	else
		m->mpidr[m->cpu_count++] = physwin_get64(e + 68);
}

static void read_gicd(struct dt_machine *m, const uint8_t *e)
{
	uint8_t version = e[20];

	m->gic_distributor = (struct dt_range){physwin_get64(e + 8), GICD_SIZE};
	m->gic = version == 3 || version == 4 ? DT_GIC_V3 : DT_GIC_V2;
}

static void madt_entry(struct dt_machine *m, const uint8_t *e, uint8_t len)
{
	if (e[0] == MADT_GICC && len >= 76)
		read_gicc(m, e);
	else if (e[0] == MADT_GICD && len >= 24)
		read_gicd(m, e);
	else if (e[0] == MADT_MSI && len >= 24)
		m->gic_v2m = (struct dt_range){physwin_get64(e + 8), MSI_FRAME_SIZE};
	else if (e[0] == MADT_GICR && len >= 16)
		add_redistributor(m, physwin_get64(e + 4), physwin_get32(e + 12));
}

static void read_madt(struct dt_machine *m, const struct acpi_table *t)
{
	for (uint32_t at = 44; at < t->len && t->len - at >= 2;) {
		uint8_t len = t->data[at + 1];

		if (len < 2 || len > t->len - at)
			return;
		madt_entry(m, t->data + at, len);
		at += len;
	}
}

/* 5.2.25: the virtual timer's interrupt. */
static void read_gtdt(struct dt_machine *m, const struct acpi_table *t)
{
	if (t->len >= 72 && physwin_get32(t->data + 64) < PPI_END)
		m->timer_line = physwin_get32(t->data + 64);
}

/* Serial Port Console Redirection 1.08: a PL011, or the generic UART that is a part of one, in memory. */
static void read_spcr(struct dt_machine *m, const struct acpi_table *t)
{
	uint8_t kind = t->len >= 58 ? t->data[36] : 0;

	if ((kind != 3 && kind != 0x0d && kind != 0x0e) || t->data[40] != 0)
		return;
	m->uart = (struct dt_range){physwin_get64(t->data + 44), UART_SIZE};
	m->uart_line = physwin_get32(t->data + 54);
}

/* 5.2.9.4: bits 0 and 1 of the ARM boot flags are "PSCI is there" and "by HVC". */
static void read_fadt(struct dt_machine *m, const struct acpi_table *t)
{
	uint16_t flags = t->len >= 131 ? physwin_get16(t->data + 129) : 0;

	if ((flags & 1) == 0)
		return;
	m->psci = (flags & 2) != 0 ? DT_PSCI_HVC : DT_PSCI_SMC;
	m->psci_cpu_on = 0xc4000003;
}

/* PCI Firmware Specification 3.0, 4.1.2: the first segment. The base is that of bus 0. */
static void read_mcfg(struct dt_machine *m, const struct acpi_table *t)
{
	const uint8_t *e = t->data + 44;

	if (t->len < 60 || physwin_get16(e + 8) != 0 || e[11] < e[10])
		return;
	m->pcie.bus_first = e[10];
	m->pcie.bus_last = e[11];
	m->pcie.ecam.base = physwin_get64(e) + ((uint64_t)e[10] << 20);
	m->pcie.ecam.size = (uint64_t)(e[11] - e[10] + 1) << 20;
}

static void visit(void *ctx, const struct physwin *w, uint32_t signature, paddr_t pa)
{
	static const struct {
		uint32_t signature;
		void (*read)(struct dt_machine *m, const struct acpi_table *t);
	} readers[] = {
	    {ACPI_SIGNATURE('A', 'P', 'I', 'C'), read_madt}, {ACPI_SIGNATURE('G', 'T', 'D', 'T'), read_gtdt},
	    {ACPI_SIGNATURE('S', 'P', 'C', 'R'), read_spcr}, {ACPI_SIGNATURE('F', 'A', 'C', 'P'), read_fadt},
	    {ACPI_SIGNATURE('M', 'C', 'F', 'G'), read_mcfg},
	};
	struct acpi_table t;

	for (unsigned i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		if (readers[i].signature == signature && acpi_table_read(w, pa, &t))
			readers[i].read(ctx, &t);
	}
}

int acpi_decode(const struct physwin *w, const void *rsdp, size_t len, struct dt_machine *m)
{
	return acpi_walk(w, rsdp, len, visit, m);
}
