/* SPDX-License-Identifier: MIT */
/*
 * The end of a run. Power-off and reboot both end the process, with status 0, as QEMU does under -no-reboot;
 * after a panic the status is SIM_EXIT_PANIC, whichever of the two the kernel then calls.
 */
#include <hal/hal.h>
#include <sim/host.h>
#include <sim/world.h>

bool sim_panicking;

void hal_power_off(void)
{
	sim_world->end();
	host_exit(sim_panicking ? SIM_EXIT_PANIC : SIM_EXIT_OFF);
}

void hal_reboot(void)
{
	hal_power_off();
}

/*
 * A fatal signal hit the simulator itself: that is a fault of the kernel, unless there is none yet to report
 * it.
 */
void sim_crashed(const char *what, uintptr_t pc, uintptr_t fp, uintptr_t addr, const char *dump)
{
	if (sim_self() && hal_upcalls.kernel_fault)
		hal_upcalls.kernel_fault(what, pc, fp, addr, dump);
	host_fatal("%s at %#lx, address %#lx\n%s", what, (unsigned long)pc, (unsigned long)addr, dump);
}
