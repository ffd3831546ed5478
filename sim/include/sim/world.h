/* SPDX-License-Identifier: MIT */
/*
 * The two worlds that a simulated machine can live in: real time (realtime/: vCPUs are threads, the clock is the
 * host's) and the deterministic one (deterministic/: one thread, vCPUs are coroutines, time is virtual and a seed decides
 * the rest). Which one it is, is settled before the machine starts; common/world.c leads from <hal/...> here.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <hal/hal.h>

struct sim_disk;

struct sim_world {
	uint64_t (*clock_ns)(void);
	uint64_t (*wall_ns)(void);
	void (*wall_set)(uint64_t wall_ns);
	void (*timer_arm)(struct sim_vcpu *v, uint64_t deadline_ns); /* of the calling vCPU, interrupts off */
	bool (*timer_due)(struct sim_vcpu *v); /* answers SIM_IRQ_CLOCK: has its timer run out? */

	/* Starts a vCPU at v->entry on v->stack_top: 0 or -errno. */
	int (*cpu_start)(struct sim_vcpu *v);
	void (*idle)(struct sim_vcpu *v);  /* until something is pending; interrupts off, and nothing delivered */
	void (*relax)(struct sim_vcpu *v); /* a turn of a spin loop */
	__attribute__((noreturn)) void (*halt)(struct sim_vcpu *v); /* answers SIM_IRQ_HALT */

	/* Sets pending bits of a vCPU and gets it to look. Any vCPU; real time: any thread. */
	void (*kick)(struct sim_vcpu *v, uint32_t bits);

	/* v is about to run user code, interrupts off; what is pending is looked at afterwards, for the last time. */
	void (*user_enter)(struct sim_vcpu *v);

	size_t (*entropy)(void *buf, size_t len);

	int (*console_start)(void);
	void (*console_write)(const char *buf, size_t len);
	/* The bytes that arrived: looks at them, takes some. vCPU 0. */
	size_t (*console_peek)(const char **ret);
	void (*console_take)(size_t len);

	/* The machine's n-th disk, or null; before the kernel starts, once each. */
	struct sim_disk *(*disk)(unsigned number);

	/* The machine is off, or panicked: the last thing that is called. */
	void (*end)(void);
};

extern const struct sim_world sim_realtime, sim_deterministic;
extern const struct sim_world *sim_world; /* the chosen one */

/* Makes the calling host thread, or coroutine, vCPU `cpu`, in its initial state. */
void sim_vcpu_adopt(unsigned cpu);

/* Deterministic world, interrupts on: the running vCPU computes for `ns`; what falls due meanwhile is delivered on time. */
void sim_spend(uint64_t ns);

/* The kernel panics: the exit status will say so. */
extern bool sim_panicking;

#endif
