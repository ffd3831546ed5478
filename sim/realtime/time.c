/* SPDX-License-Identifier: MIT */
/*
 * Time is the host's monotonic clock, from the start of the machine.
 *
 * The one-shot timer costs the host nothing while the kernel runs: its deadline is a number that is compared
 * whenever the vCPU reads the clock, which sets the timer's pending bit. An idle vCPU sleeps no longer than
 * its deadline. Only user mode needs somebody to end it, the clock thread (host_clock.c), which is told at
 * user entry, and only of deadlines earlier than the one it already watches for this vCPU: with a scheduler
 * that moves its deadline forward at each switch, that is once a time slice.
 */
#include <hal/hal.h>
#include <sim/host.h>
#include "realtime.h"

bool realtime_timer_due(struct sim_vcpu *v)
{
	if (v->deadline == HAL_TIMER_NEVER || host_clock_ns() - sim_machine.boot_ns < v->deadline)
		return false;
	v->deadline = HAL_TIMER_NEVER;
	return true;
}

uint64_t realtime_clock_ns(void)
{
	struct sim_vcpu *v = sim_self();
	uint64_t now = host_clock_ns() - sim_machine.boot_ns;

	if (v && now >= v->deadline) {
		v->deadline = HAL_TIMER_NEVER;
		atomic_fetch_or_explicit(&v->pending, SIM_IRQ_TIMER, memory_order_relaxed);
	}
	return now;
}

uint64_t realtime_wall_ns(void)
{
	return __atomic_load_n(&sim_machine.boot_wall_ns, __ATOMIC_RELAXED) + realtime_clock_ns();
}

void realtime_wall_set(uint64_t wall_ns)
{
	__atomic_store_n(&sim_machine.boot_wall_ns, wall_ns - realtime_clock_ns(), __ATOMIC_RELAXED);
}

void realtime_timer_arm(struct sim_vcpu *v, uint64_t deadline_ns)
{
	if (atomic_load_explicit(&v->pending, memory_order_relaxed) & SIM_IRQ_TIMER)
		atomic_fetch_and(&v->pending, ~(uint32_t)SIM_IRQ_TIMER);
	v->deadline = deadline_ns;
	if (deadline_ns != HAL_TIMER_NEVER)
		realtime_clock_ns();
}

void realtime_user_enter(struct sim_vcpu *v)
{
	realtime_clock_ns();
	if (v->deadline >= atomic_load_explicit(&v->watched, memory_order_relaxed))
		return;
	atomic_store(&v->watched, v->deadline);
	host_clock_watch(v->deadline + sim_machine.boot_ns);
}
