/* SPDX-License-Identifier: MIT */
/* GICv2 (Arm IHI 0048B): distributor and CPU interface in memory, at most 8 CPUs. */
#include "aarch64.h"
#include <linux/errno.h>

/* distributor */
enum {
	GICD_CTLR = 0x000,
	GICD_TYPER = 0x004,
	GICD_ISENABLER = 0x100,
	GICD_ICENABLER = 0x180,
	GICD_IPRIORITYR = 0x400,
	GICD_ITARGETSR = 0x800,
	GICD_ICFGR = 0xc00,
	GICD_SGIR = 0xf00,
};
/* CPU interface */
enum {
	GICC_CTLR = 0x00,
	GICC_PMR = 0x04,
	GICC_IAR = 0x0c,
	GICC_EOIR = 0x10,
};
#define SGIR_OTHERS (1u << 24)
#define PRIORITY    0x80u

static volatile uint8_t *dist, *cpu_interface;
static uint8_t boot_target;

static uint32_t get(volatile uint8_t *base, unsigned reg)
{
	return *(volatile uint32_t *)(base + reg);
}

static void set(volatile uint8_t *base, unsigned reg, uint32_t value)
{
	*(volatile uint32_t *)(base + reg) = value;
}

static int gicv2_init(const struct dt_machine *m)
{
	if (m->gic_distributor.size < 0x1000 || m->gic_cpu.size < 0x100)
		return -ENODEV;
	dist = hal_mmio_map(m->gic_distributor.base, 0x1000);
	cpu_interface = hal_mmio_map(m->gic_cpu.base, 0x100);
	if (dist == NULL || cpu_interface == NULL)
		return -ENOMEM;
	set(dist, GICD_CTLR, 0);
	unsigned lines = 32 * ((get(dist, GICD_TYPER) & 31) + 1);
	boot_target = (uint8_t)get(dist, GICD_ITARGETSR);
	for (unsigned line = 32; line < lines; line += 32)
		set(dist, GICD_ICENABLER + line / 8, 0xffffffff);
	set(dist, GICD_CTLR, 1);
	return 0;
}

/* The first 32 lines' registers are each CPU's own. */
static int gicv2_init_cpu(struct hal_cpu *cpu)
{
	cpu->gic_target = get(dist, GICD_ITARGETSR) & 0xff;
	set(dist, GICD_ICENABLER, 0xffff0000);
	set(dist, GICD_ISENABLER, 0x0000ffff);
	for (unsigned line = 0; line < 32; line += 4)
		set(dist, GICD_IPRIORITYR + line, PRIORITY * 0x01010101u);
	set(cpu_interface, GICC_PMR, 0xf0);
	set(cpu_interface, GICC_CTLR, 1);
	return 0;
}

static void gicv2_prepare(uint32_t line, bool edge)
{
	unsigned config = GICD_ICFGR + line / 16 * 4, shift = line % 16 * 2;

	set(dist, config, (get(dist, config) & ~(3u << shift)) | (edge ? 2u : 0u) << shift);
	dist[GICD_IPRIORITYR + line] = PRIORITY;
	dist[GICD_ITARGETSR + line] = boot_target;
}

static uint32_t gicv2_acknowledge(void)
{
	return get(cpu_interface, GICC_IAR);
}

static void gicv2_end(uint32_t word)
{
	set(cpu_interface, GICC_EOIR, word);
}

static void gicv2_set_enabled(uint32_t line, bool on)
{
	set(dist, (on ? GICD_ISENABLER : GICD_ICENABLER) + line / 32 * 4, 1u << line % 32);
}

static void gicv2_send(const struct hal_cpu *to, unsigned ipi)
{
	set(dist, GICD_SGIR, to->gic_target << 16 | ipi);
}

static void gicv2_send_others(unsigned ipi)
{
	set(dist, GICD_SGIR, SGIR_OTHERS | ipi);
}

const struct gic_ops gicv2_ops = {
    .init = gicv2_init,
    .init_cpu = gicv2_init_cpu,
    .prepare = gicv2_prepare,
    .acknowledge = gicv2_acknowledge,
    .end = gicv2_end,
    .set_enabled = gicv2_set_enabled,
    .send = gicv2_send,
    .send_others = gicv2_send_others,
};
