/* SPDX-License-Identifier: MIT */
/* Booting part of the kernel in a test program, and looking for what was left over. */
#ifndef UNIT_BOOT_H
#define UNIT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit_machine {
	unsigned memory_mib, cpus;
	const char *cmdline; /* null: empty */
};

/*
 * Memory, the scheduler and the other CPUs; the calling thread becomes the boot thread, on CPU 0 for good.
 * Once a process.
 */
void unit_boot(const struct unit_machine *machine);

/* What is in use: pages by kind, objects by slab cache, runnable threads. */
#define UNIT_CACHES_MAX 128
struct unit_usage {
	uint64_t pages[8];
	struct {
		const char *name;
		size_t objects;
	} caches[UNIT_CACHES_MAX];
	size_t cache_count;
	unsigned runnable;
};
void unit_usage(struct unit_usage *ret);

/*
 * Waits, bounded, until no more is in use than in `before` (threads that have just ended are still giving
 * back); false if more stays, with a message on what it is.
 */
bool unit_usage_returned(const struct unit_usage *before, char *ret_message, size_t size);

#endif
