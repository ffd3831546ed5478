/* SPDX-License-Identifier: MIT */
/*
 * What the kernel takes from a device tree: memory, boot arguments and the few devices that it must know
 * before it can look for others. Everything is copied, so that the tree's memory can be given back.
 */
#ifndef AARCH64_DT_H
#define AARCH64_DT_H

#include <hal/boot.h>
#include <arch/fdt.h>

#define DT_CPUS_MAX	      64
#define DT_MEMORY_MAX	      32
#define DT_WINDOWS_MAX	      4
#define DT_INTX_MAX	      128
#define DT_SEED_MAX	      64
#define DT_REDISTRIBUTORS_MAX 4

struct dt_range {
	uint64_t base, size;
};

enum dt_psci { DT_PSCI_NONE, DT_PSCI_HVC, DT_PSCI_SMC };
enum dt_gic { DT_GIC_NONE, DT_GIC_V2, DT_GIC_V3 };

/* A PCI function's pin and the line it is wired to. */
struct dt_intx {
	uint16_t devfn; /* masked by intx_mask */
	uint8_t pin;
	uint32_t line;
};

struct dt_window { /* of PCI memory space */
	uint64_t cpu, pci, size;
	bool prefetchable, wide;
};

struct dt_pcie {
	struct dt_range ecam;
	unsigned bus_first, bus_last;
	struct dt_window window[DT_WINDOWS_MAX];
	unsigned window_count;
	struct dt_intx intx[DT_INTX_MAX];
	unsigned intx_count;
	uint16_t intx_devfn_mask;
};

/* size 0, line 0 and count 0 stand for what the tree does not have. */
struct dt_machine {
	struct dt_range memory[DT_MEMORY_MAX], reserved[DT_MEMORY_MAX];
	unsigned memory_count, reserved_count;
	unsigned left_out; /* entries for which the tables had no room */
	char cmdline[HAL_CMDLINE_MAX];
	bool cmdline_cut;
	uint64_t initrd_start, initrd_end;
	uint8_t seed[DT_SEED_MAX];
	unsigned seed_len;
	uint64_t mpidr[DT_CPUS_MAX];
	unsigned cpu_count, cpus_ignored;
	enum dt_psci psci;
	uint32_t psci_cpu_on; /* function id */
	uint32_t timer_line;  /* virtual timer's INTID */
	enum dt_gic gic;
	struct dt_range gic_distributor, gic_cpu, gic_redistributor[DT_REDISTRIBUTORS_MAX];
	struct dt_range gic_v2m;
	unsigned gic_redistributors;
	struct dt_range uart, rtc;
	uint32_t uart_line;
	struct dt_pcie pcie;
	char model[64];
};

/* Reads the whole tree; 0, or -EINVAL where it is broken: what was read up to there is kept. *m is
 * overwritten. */
int dt_decode(const struct fdt *fdt, struct dt_machine *m);

#endif
