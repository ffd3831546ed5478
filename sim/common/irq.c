/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a vCPU: bits of its pending word, set by whoever wants something of it (the world's kick).
 *
 * A vCPU in kernel mode looks at them when it enables interrupts, relaxes, idles, or enters user mode, in the
 * deterministic world also at scheduling points. No kernel code ever runs in a signal handler of the host. Handlers
 * run with irq_on false, on the stack of what they interrupted, to their end; they do not switch contexts.
 */
#include <hal/hal.h>
#include <sim/device.h>
#include <sim/disk.h>
#include <sim/host.h>
#include <sim/trace.h>
#include <sim/world.h>

static void console_deliver(void)
{
	const char *bytes;
	size_t len, taken;

	if (!hal_upcalls.console_input)
		return;
	while ((len = sim_world->console_peek(&bytes)) != 0) {
		taken = hal_upcalls.console_input(bytes, len);
		sim_world->console_take(taken);
		if (taken < len)
			break;
	}
}

static void handle(struct sim_vcpu *v, uint32_t bits)
{
	if (bits & SIM_IRQ_HALT)
		sim_world->halt(v);
	if (bits & SIM_IRQ_TIMER && hal_upcalls.timer)
		hal_upcalls.timer();
	if (bits & SIM_IRQ_IPI && hal_upcalls.ipi)
		hal_upcalls.ipi();
	if (bits & SIM_IRQ_CONSOLE)
		console_deliver();
	if (bits & SIM_IRQ_DISK)
		sim_disks_completed();
	if (bits & SIM_IRQ_DEVICE)
		sim_vectors_deliver(v);
}

void sim_irq_deliver(void)
{
	struct sim_vcpu *v = sim_self();
	uint32_t bits;

	while (v->irq_on && (bits = atomic_exchange(&v->pending, 0)) != 0) {
		v->irq_on = false;
		if (sim_points)
			sim_trace(SIM_TRACE_INTERRUPT, bits, 0);
		if (bits & SIM_IRQ_CLOCK && sim_world->timer_due(v))
			bits |= SIM_IRQ_TIMER;
		v->in_irq = true;
		v->interrupted = v->left_user ? NULL : __builtin_frame_address(0);
		handle(v, bits);
		v->interrupted = NULL;
		v->in_irq = false;
		v->irq_on = true;
	}
}

bool hal_interrupted(uintptr_t *ret_pc, uintptr_t *ret_fp)
{
	const uintptr_t *frame = sim_self()->interrupted;

	if (!frame)
		return false;
	*ret_fp = frame[0];
	*ret_pc = frame[1];
	return true;
}

void hal_ipi_send(unsigned cpu)
{
	sim_world->kick(&sim_vcpus[cpu], SIM_IRQ_IPI);
}

int hal_console_input_start(void)
{
	return sim_world->console_start();
}

void sim_console_arrived(void)
{
	sim_world->kick(&sim_vcpus[0], SIM_IRQ_CONSOLE);
}

void hal_console_input_resume(void)
{
	sim_console_arrived();
}
