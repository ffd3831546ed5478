/* SPDX-License-Identifier: MIT */
/*
 * GICv3 and later (Arm IHI 0069): one distributor, a redistributor a CPU, the CPU interface in system
 * registers. Affinity routing is on; all interrupts are group 1, and go to the boot CPU unless they are a
 * CPU's own.
 */
#include "aarch64.h"
#include <linux/errno.h>

/* distributor; the first block also in a redistributor's SGI frame, for lines below 32 */
enum {
	GICD_CTLR = 0x0000,
	GICD_TYPER = 0x0004,
	GICD_IGROUPR = 0x0080,
	GICD_ISENABLER = 0x0100,
	GICD_ICENABLER = 0x0180,
	GICD_IPRIORITYR = 0x0400,
	GICD_ICFGR = 0x0c00,
	GICD_IROUTER = 0x6000,
};
/* redistributor */
enum {
	GICR_TYPER = 0x08,
	GICR_WAKER = 0x14,
	GICR_SGI_FRAME = 0x10000,
};
#define CTLR_GROUP1	   (1u << 1)
#define CTLR_AFFINITY	   (1u << 4)
#define CTLR_WRITE_PENDING (1u << 31)
#define TYPER_LAST	   (1u << 4)
#define TYPER_VLPIS	   (1u << 1) /* then two more frames */
#define WAKER_SLEEP	   (1u << 1)
#define WAKER_ASLEEP	   (1u << 2)
#define FRAMES_SIZE_MAX	   0x40000 /* of one redistributor */
#define PRIORITY	   0x80u
#define SPIN_MAX	   1000000

/* System registers by their encoding, which assemblers without the extension know too. */
#define ICC_PMR_EL1	S3_0_C4_C6_0
#define ICC_IAR1_EL1	S3_0_C12_C12_0
#define ICC_EOIR1_EL1	S3_0_C12_C12_1
#define ICC_BPR1_EL1	S3_0_C12_C12_3
#define ICC_CTLR_EL1	S3_0_C12_C12_4
#define ICC_SRE_EL1	S3_0_C12_C12_5
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7
#define ICC_SGI1R_EL1	S3_0_C12_C11_5

static volatile uint8_t *dist;
static struct {
	volatile uint8_t *base;
	uint64_t size;
} regions[DT_REDISTRIBUTORS_MAX];

static uint32_t get(volatile uint8_t *base, unsigned reg)
{
	return *(volatile uint32_t *)(base + reg);
}

static void set(volatile uint8_t *base, unsigned reg, uint32_t value)
{
	*(volatile uint32_t *)(base + reg) = value;
}

static void wait_for_distributor(void)
{
	for (unsigned i = 0; i < SPIN_MAX && (get(dist, GICD_CTLR) & CTLR_WRITE_PENDING) != 0; i++)
		hal_cpu_relax();
}

static int gicv3_init(const struct dt_machine *m)
{
	dist = m->gic_distributor.size >= 0x10000 ? hal_mmio_map(m->gic_distributor.base, 0x10000) : NULL;
	if (dist == NULL || m->gic_redistributors == 0)
		return -ENODEV;
	for (unsigned i = 0; i < m->gic_redistributors; i++) {
		uint64_t most = (uint64_t)m->cpu_count * FRAMES_SIZE_MAX;

		regions[i].size = m->gic_redistributor[i].size < most ? m->gic_redistributor[i].size : most;
		regions[i].base = hal_mmio_map(m->gic_redistributor[i].base, regions[i].size);
	}
	set(dist, GICD_CTLR, 0);
	wait_for_distributor();
	unsigned lines = 32 * ((get(dist, GICD_TYPER) & 31) + 1);
	for (unsigned line = 32; line < lines; line += 32)
		set(dist, GICD_ICENABLER + line / 8, 0xffffffff);
	wait_for_distributor();
	set(dist, GICD_CTLR, CTLR_AFFINITY | CTLR_GROUP1);
	wait_for_distributor();
	return 0;
}

/* Affinity levels 3, 2, 1, 0 of an MPIDR as GICR_TYPER has them in its upper half. */
static uint32_t packed_affinity(uint64_t mpidr)
{
	return (uint32_t)(mpidr >> 32 & 0xff) << 24 | (uint32_t)(mpidr & 0xffffff);
}

/* The CPU's redistributor in a region: its frames follow each other, the last one says so. */
static volatile uint8_t *find_redistributor(unsigned region, uint64_t mpidr)
{
	uint64_t size;

	for (uint64_t at = 0; regions[region].base != NULL && at + 0x20000 <= regions[region].size;
	     at += size) {
		volatile uint8_t *r = regions[region].base + at;
		uint64_t typer = *(volatile uint64_t *)(r + GICR_TYPER);

		if (typer >> 32 == packed_affinity(mpidr))
			return r;
		if ((typer & TYPER_LAST) != 0)
			return NULL;
		size = (typer & TYPER_VLPIS) != 0 ? 0x40000 : 0x20000;
	}
	return NULL;
}

static int wake_redistributor(volatile uint8_t *r)
{
	set(r, GICR_WAKER, get(r, GICR_WAKER) & ~WAKER_SLEEP);
	for (unsigned i = 0; i < SPIN_MAX; i++) {
		if ((get(r, GICR_WAKER) & WAKER_ASLEEP) == 0)
			return 0;
		hal_cpu_relax();
	}
	return -EIO;
}

static int gicv3_init_cpu(struct hal_cpu *cpu)
{
	volatile uint8_t *r = NULL;

	for (unsigned i = 0; i < DT_REDISTRIBUTORS_MAX && r == NULL; i++)
		r = find_redistributor(i, cpu->mpidr);
	if (r == NULL || wake_redistributor(r) != 0)
		return -ENODEV;
	volatile uint8_t *sgi = r + GICR_SGI_FRAME;
	cpu->gic_redistributor = (void *)sgi;
	set(sgi, GICD_IGROUPR, 0xffffffff);
	set(sgi, GICD_ICENABLER, 0xffff0000);
	for (unsigned line = 0; line < 32; line += 4)
		set(sgi, GICD_IPRIORITYR + line, PRIORITY * 0x01010101u);
	set(sgi, GICD_ISENABLER, 0x0000ffff);
	write_sysreg(ICC_SRE_EL1, read_sysreg(ICC_SRE_EL1) | 1); /* SRE */
	isb();
	write_sysreg(ICC_PMR_EL1, 0xf0);
	write_sysreg(ICC_BPR1_EL1, 0);
	write_sysreg(ICC_CTLR_EL1, 0); /* end drops priority and deactivates */
	write_sysreg(ICC_IGRPEN1_EL1, 1);
	isb();
	return 0;
}

static void gicv3_prepare(uint32_t line, bool edge)
{
	unsigned config = GICD_ICFGR + line / 16 * 4, shift = line % 16 * 2;

	set(dist, config, (get(dist, config) & ~(3u << shift)) | (edge ? 2u : 0u) << shift);
	set(dist, GICD_IGROUPR + line / 32 * 4, get(dist, GICD_IGROUPR + line / 32 * 4) | 1u << line % 32);
	dist[GICD_IPRIORITYR + line] = PRIORITY;
	*(volatile uint64_t *)(dist + GICD_IROUTER + 8 * line) = boot_cpu.mpidr & UINT64_C(0xff00ffffff);
}

static uint32_t gicv3_acknowledge(void)
{
	uint64_t word = read_sysreg(ICC_IAR1_EL1);

	dsb(sy); /* before the handler reads what the interrupt announces */
	return (uint32_t)word;
}

static void gicv3_end(uint32_t word)
{
	write_sysreg(ICC_EOIR1_EL1, word);
	isb();
}

static void gicv3_set_enabled(uint32_t line, bool on)
{
	unsigned reg = on ? GICD_ISENABLER : GICD_ICENABLER;

	if (line < 32)
		set(this_hal_cpu()->gic_redistributor, reg, 1u << line);
	else
		set(dist, reg + line / 32 * 4, 1u << line % 32);
}

static void gicv3_sgi(uint64_t word)
{
	write_sysreg(ICC_SGI1R_EL1, word);
	isb();
}

/* Affinity 3.2.1 names a group of 16 CPUs (range selector: which 16 of affinity 0), a bit one of them. */
static void gicv3_send(const struct hal_cpu *to, unsigned ipi)
{
	uint64_t m = to->mpidr;

	gicv3_sgi((m >> 32 & 0xff) << 48 | (m >> 4 & 0xf) << 44 | (m >> 16 & 0xff) << 32 |
		  (uint64_t)ipi << 24 | (m >> 8 & 0xff) << 16 | UINT64_C(1) << (m & 0xf));
}

static void gicv3_send_others(unsigned ipi)
{
	gicv3_sgi(UINT64_C(1) << 40 | (uint64_t)ipi << 24);
}

const struct gic_ops gicv3_ops = {
    .init = gicv3_init,
    .init_cpu = gicv3_init_cpu,
    .prepare = gicv3_prepare,
    .acknowledge = gicv3_acknowledge,
    .end = gicv3_end,
    .set_enabled = gicv3_set_enabled,
    .send = gicv3_send,
    .send_others = gicv3_send_others,
};
