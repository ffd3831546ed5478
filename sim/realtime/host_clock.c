/* SPDX-License-Identifier: MIT */
/*
 * The clock thread (hosted): sleeps until the earliest deadline that a vCPU in user mode has asked it to
 * watch, then interrupts that vCPU. `sleeping_until` tells vCPUs whether an earlier deadline must wake it;
 * while it looks around that is "for ever", so that each new deadline changes `news`, which ends its next
 * sleep.
 */
#include <stdatomic.h>

#include <sim/host.h>
#include <sim/host_private.h>
#include <sim/vcpu.h>
#include <sim/world.h>

#define CLOCK_STACK (64 * 1024)

static _Atomic uint64_t sleeping_until = UINT64_MAX;
static _Atomic uint32_t news;

void host_clock_watch(uint64_t deadline_ns)
{
	if (deadline_ns >= atomic_load(&sleeping_until))
		return;
	atomic_fetch_add(&news, 1);
	host_wake(&news);
}

/* Fires what is due; the earliest deadline that is left. */
static uint64_t look_around(uint64_t now)
{
	uint64_t earliest = UINT64_MAX;

	for (unsigned cpu = 0; cpu < sim_machine.cpus; cpu++) {
		struct sim_vcpu *v = &sim_vcpus[cpu];
		uint64_t watched = atomic_load(&v->watched);

		if (watched == UINT64_MAX)
			continue;
		if (watched + sim_machine.boot_ns > now) {
			if (watched + sim_machine.boot_ns < earliest)
				earliest = watched + sim_machine.boot_ns;
		} else if (atomic_compare_exchange_strong(&v->watched, &watched, UINT64_MAX)) {
			sim_world->kick(v, SIM_IRQ_CLOCK);
		}
	}
	return earliest;
}

static void *clock_thread(void *arg)
{
	for (;;) {
		uint32_t seen = atomic_load(&news);
		uint64_t earliest;

		atomic_store(&sleeping_until, UINT64_MAX);
		earliest = look_around(host_clock_ns());
		atomic_store(&sleeping_until, earliest);
		host_wait(&news, seen, earliest);
	}
	return arg;
}

int host_clock_start(void)
{
	for (unsigned cpu = 0; cpu < SIM_CPU_MAX; cpu++)
		atomic_store(&sim_vcpus[cpu].watched, UINT64_MAX);
	return host_thread_create(CLOCK_STACK, clock_thread, NULL);
}
