/* SPDX-License-Identifier: MIT */
/* What the files of realtime/ tell each other: the entries of sim_realtime (<sim/world.h>). */
#ifndef REALTIME_H
#define REALTIME_H

#include <sim/world.h>

uint64_t realtime_clock_ns(void);
uint64_t realtime_wall_ns(void);
void realtime_wall_set(uint64_t wall_ns);
void realtime_timer_arm(struct sim_vcpu *v, uint64_t deadline_ns);
bool realtime_timer_due(struct sim_vcpu *v);
void realtime_user_enter(struct sim_vcpu *v);

int realtime_cpu_start(struct sim_vcpu *v);
void realtime_idle(struct sim_vcpu *v);
void realtime_relax(struct sim_vcpu *v);
void realtime_kick(struct sim_vcpu *v, uint32_t bits);

struct sim_disk *realtime_disk(unsigned number);

#endif
