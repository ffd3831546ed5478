/* SPDX-License-Identifier: MIT */
/*
 * Console input: the reader thread (host_console.c) fills a ring and interrupts vCPU 0, which offers the
 * bytes to the kernel. What the kernel does not take stays in the ring until it asks again; a full ring stops
 * the reader, and so, in the end, the sender.
 */
#include <hal/hal.h>
#include <sim/host.h>
#include <sim/world.h>

int hal_console_input_start(void)
{
	return host_console_start();
}

void sim_console_arrived(void)
{
	sim_kick(&sim_vcpus[0], SIM_IRQ_CONSOLE);
}

void hal_console_input_resume(void)
{
	sim_console_arrived();
}

void sim_console_deliver(void)
{
	const char *bytes;
	size_t len, taken;

	if (!hal_upcalls.console_input)
		return;
	while ((len = host_console_peek(&bytes)) != 0) {
		taken = hal_upcalls.console_input(bytes, len);
		host_console_take(taken);
		if (taken < len)
			break;
	}
}
