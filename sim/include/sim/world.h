/* SPDX-License-Identifier: MIT */
/* What the files of a world (realtime/) tell each other. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <hal/hal.h>

/* True once when the one-shot timer of `v`, the calling vCPU, has run out. */
bool sim_clock_due(struct sim_vcpu *v);

/* Before user mode or sleep: sees to it that the deadline of `v` ends it. */
void sim_clock_watch(struct sim_vcpu *v);

/* Offers what arrived on the console to the kernel; vCPU 0, interrupts off. */
void sim_console_deliver(void);

/* Makes the calling host thread vCPU `cpu`, in its initial state. */
void sim_vcpu_adopt(unsigned cpu);

/* The kernel panics: the exit status will say so. */
extern bool sim_panicking;

#endif
