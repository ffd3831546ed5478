/* SPDX-License-Identifier: MIT */
/* The firmware's power interface: PSCI 0.2 and later (Arm DEN 0022), by HVC or SMC. */
#include "aarch64.h"
#include <arch/note.h>
#include <linux/errno.h>

#define PSCI_SYSTEM_OFF	  0x84000008
#define PSCI_SYSTEM_RESET 0x84000009

static enum dt_psci conduit;
static uint32_t cpu_on_function;

/* SMC Calling Convention: x0-x3 are arguments and results, x4-x17 may be lost. */
static int64_t call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a;
	register uint64_t x2 __asm__("x2") = b;
	register uint64_t x3 __asm__("x3") = c;

	if (conduit == DT_PSCI_HVC)
		__asm__ volatile("hvc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
				 :
				 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
				   "x15", "x16", "x17", "memory");
	else
		__asm__ volatile("smc #0"
				 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
				 :
				 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
				   "x15", "x16", "x17", "memory");
	return (int64_t)x0;
}

void psci_init(enum dt_psci how, uint32_t cpu_on)
{
	conduit = how;
	cpu_on_function = cpu_on;
	if (how == DT_PSCI_NONE)
		arch_note("psci", "not there: one CPU, no power-off");
}

int psci_cpu_on(uint64_t mpidr, paddr_t entry, uint64_t context)
{
	if (conduit == DT_PSCI_NONE || cpu_on_function == 0)
		return -EIO;
	return (int32_t)call(cpu_on_function, mpidr, entry, context) == 0 ? 0 : -EIO;
}

void hal_power_off(void)
{
	if (conduit != DT_PSCI_NONE)
		call(PSCI_SYSTEM_OFF, 0, 0, 0);
	smp_park();
}

void hal_reboot(void)
{
	if (conduit != DT_PSCI_NONE)
		call(PSCI_SYSTEM_RESET, 0, 0, 0);
	smp_park();
}
