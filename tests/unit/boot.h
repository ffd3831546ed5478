/* SPDX-License-Identifier: MIT */
/* Booting part of the kernel in a test program. */
#ifndef UNIT_BOOT_H
#define UNIT_BOOT_H

#include <stdbool.h>

struct unit_machine {
	unsigned memory_mib, cpus;
	const char *cmdline; /* null: empty */
	bool hide_host;	     /* from programs */
};

/*
 * Memory, the scheduler and the other CPUs; the calling thread becomes the boot thread, on CPU 0 for good.
 * Once a process.
 */
void unit_boot(const struct unit_machine *machine);

#endif
