/* SPDX-License-Identifier: MIT */
/* Building the machine that main(), or a unit test, asks for (hosted). */
#ifndef SIM_HOST_MACHINE_H
#define SIM_HOST_MACHINE_H

#include <stdbool.h>

struct host_options {
	const char *initrd; /* file name, or null */
	const char *append;
	const char *disks[16]; /* images; null: no more */
	unsigned cpus;
	unsigned long memory_mib;
	const char *record, *timeline; /* files for the trace of a deterministic run, or null */
	bool quiet; /* one of many runs: no line at the end, the terminal is left alone */
	const char *user; /* how user programs run: "seccomp", "ptrace", or null for the faster that works */
	bool hide_host;	  /* from programs: its processor's features and its time-stamp counter */
	bool test; /* part of a test program: its standard output, terminal and signals are left alone */
};

/*
 * Fills sim_machine and sets up everything below sim_start(); ends the process with a message when it cannot.
 */
void host_machine_create(const struct host_options *options);

#endif
