/* SPDX-License-Identifier: MIT */
/*
 * Boots the lower floors of the kernel in the order of kernel_main(). User programs run as UNIT_USER in the
 * environment says ("seccomp", "ptrace"), so that one test serves both ways.
 */
#include "boot.h"
#include "usage.h"

#include <cloudos/mm.h>
#include <cloudos/panic.h>
#include <cloudos/percpu.h>
#include <cloudos/thread.h>
#include <sim/host.h>
#include <sim/host_machine.h>
#include <sim/world.h>

#define WARM_STACKS 32

char *getenv(const char *name);

void unit_boot(const struct unit_machine *machine)
{
	const char *user = getenv("UNIT_USER");
	const struct host_options options = {
	    .user = user,
	    .hide_host = machine->hide_host,
	    .append = machine->cmdline ? machine->cmdline : "",
	    .cpus = machine->cpus,
	    .memory_mib = machine->memory_mib,
	    .test = true,
	};

	host_machine_create(&options);
	sim_vcpu_adopt(0);
	hal_upcalls.kernel_fault = panic_kernel_fault;
	percpu_init_boot();
	mm_init();
	sched_init();
	hal_irq_enable();
	sched_start_cpus();
	while (cpus_online_count() < machine->cpus)
		hal_cpu_relax();
	thread_set_affinity(thread_current(), 1);
	usage_warm_up(WARM_STACKS);
}
