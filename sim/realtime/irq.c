/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a vCPU that is a thread of the host.
 *
 * Whoever wants something of a vCPU sets a bit of its pending word (sim_kick) and, where it does not look at
 * that word by itself, gets it to: asleep in hal_cpu_idle(), by waking the futex; in user mode, by stopping
 * the stub. A vCPU in kernel mode looks when it enables interrupts, relaxes, idles, or enters user mode. No
 * kernel code ever runs in a signal handler of the host.
 *
 * I1  A bit is set before the vCPU is woken, and the vCPU publishes that it sleeps or runs user code before
 * it looks at the bits for the last time (both sequentially consistent): one of the two sees the other, so no
 * interrupt is slept through. I2  Handlers run with irq_on false, on the stack of what they interrupted, to
 * their end; they do not switch contexts.
 */
#include <hal/hal.h>
#include <sim/host.h>
#include <sim/stub.h>
#include <sim/world.h>

struct sim_vcpu sim_vcpus[SIM_CPU_MAX];
__thread struct sim_vcpu *sim_self_pointer;

void sim_kick(struct sim_vcpu *v, uint32_t bits)
{
	int pid;

	if ((atomic_fetch_or(&v->pending, bits) & bits) == bits)
		return;
	if (atomic_load(&v->sleeping))
		host_wake(&v->pending);
	pid = atomic_load(&v->stub_pid);
	if (pid)
		host_stub_kick(pid);
}

static void handle(struct sim_vcpu *v, uint32_t bits)
{
	if (bits & SIM_IRQ_HALT)
		host_halt_thread();
	if (bits & SIM_IRQ_TIMER && hal_upcalls.timer)
		hal_upcalls.timer();
	if (bits & SIM_IRQ_IPI && hal_upcalls.ipi)
		hal_upcalls.ipi();
	if (bits & SIM_IRQ_CONSOLE)
		sim_console_deliver();
	(void)v;
}

void sim_irq_deliver(void)
{
	struct sim_vcpu *v = sim_self();
	uint32_t bits;

	while (v->irq_on && (bits = atomic_exchange(&v->pending, 0)) != 0) {
		v->irq_on = false;
		if (bits & SIM_IRQ_CLOCK && sim_clock_due(v))
			bits |= SIM_IRQ_TIMER;
		handle(v, bits);
		v->irq_on = true;
	}
}

void hal_ipi_send(unsigned cpu)
{
	sim_kick(&sim_vcpus[cpu], SIM_IRQ_IPI);
}
