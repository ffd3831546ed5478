/* SPDX-License-Identifier: MIT */
/*
 * What will happen in the deterministic world: a heap of events by virtual time, and among equals by the order in
 * which they were armed. An event's function runs once the clock has reached it, on whatever vCPU is at a
 * scheduling point then, with nothing of the kernel to rely on: it may set pending bits, arm events, draw
 * and complete requests by raising interrupts, but never call the kernel or switch.
 */
#ifndef SIM_EVENT_H
#define SIM_EVENT_H

#include <hal/types.h>

#define SIM_EVENTS_MAX 4096 /* armed at a time; one more is fatal */

struct sim_event {
	uint64_t at_ns; /* hal_clock_ns() scale */
	uint64_t order;
	unsigned slot; /* 1 + its place in the heap; 0: not armed */
	bool background; /* does not count as something that a sleeping machine waits for */
	void (*fn)(struct sim_event *e);
};

/* Arms (or moves) an event; a time that has passed counts as now. */
void sim_event_arm(struct sim_event *e, uint64_t at_ns);
void sim_event_cancel(struct sim_event *e);

/* When the first event is due; UINT64_MAX: none is armed. `foreground`: of those that are not background. */
uint64_t sim_event_next_ns(void);
bool sim_event_foreground(void);

/* Runs what is due at `now_ns`. */
void sim_event_run(uint64_t now_ns);

#endif
