/* SPDX-License-Identifier: MIT */
/*
 * vCPUs as threads of the host: starting, sleeping, spinning, and being interrupted.
 *
 * Whoever wants something of a vCPU sets a bit of its pending word and, where it does not look at that word by
 * itself (common/irq.c), gets it to: asleep in idle, by waking the futex; in user mode, by stopping the stub.
 *
 * I1  A bit is set before the vCPU is woken, and the vCPU publishes that it sleeps or runs user code before it
 * looks at the bits for the last time (both sequentially consistent): one of the two sees the other, so no
 * interrupt is slept through.
 */
#include <asm/errno.h>

#include <hal/hal.h>
#include <sim/host.h>
#include <sim/stub.h>
#include "realtime.h"

#define START_TIMEOUT_NS UINT64_C(5000000000)
#define YIELD_EVERY	 64 /* turns of a spin loop: the vCPU that is waited for may need this host CPU */

static void run(struct sim_vcpu *v)
{
	sim_vcpu_adopt(v->id);
	atomic_store(&v->online, 1);
	host_wake(&v->online);
	sim_vcpu_enter(v, v->stack_top, v->entry, v->arg);
}

int realtime_cpu_start(struct sim_vcpu *v)
{
	if (host_thread_start(v, run) < 0)
		return -EIO;
	host_wait(&v->online, 0, host_clock_ns() + START_TIMEOUT_NS);
	return atomic_load(&v->online) ? 0 : -EIO;
}

void realtime_idle(struct sim_vcpu *v)
{
	realtime_clock_ns();
	while (!atomic_load(&v->pending)) {
		uint64_t deadline = v->deadline;

		if (deadline != HAL_TIMER_NEVER)
			deadline += sim_machine.boot_ns;
		atomic_store(&v->sleeping, 1);
		host_wait(&v->pending, 0, deadline);
		atomic_store(&v->sleeping, 0);
		realtime_clock_ns();
	}
}

void realtime_relax(struct sim_vcpu *v)
{
	__builtin_ia32_pause();
	if (++v->relaxed % YIELD_EVERY == 0) {
		realtime_clock_ns();
		host_yield();
	}
}

void realtime_kick(struct sim_vcpu *v, uint32_t bits)
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
