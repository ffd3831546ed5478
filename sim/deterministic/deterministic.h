/* SPDX-License-Identifier: MIT */
/* What the files of deterministic/ tell each other. */
#ifndef DETERMINISTIC_H
#define DETERMINISTIC_H

#include <sim/draw.h>
#include <sim/host.h>
#include <sim/scenario.h>
#include <sim/trace.h>
#include <sim/verdict.h>
#include <sim/world.h>

/* ---- time (time.c) ---- */

extern uint64_t det_now_ns;

/* Lets `ns` of virtual time pass for the running vCPU, and what is due by then happen. */
void det_pass(uint64_t ns);

/* Nobody runs: goes to the next event. False if there is none but background ones. */
bool det_jump(void);

uint64_t det_clock_ns(void);
uint64_t det_wall_ns(void);
void det_wall_set(uint64_t wall_ns);
void det_timer_arm(struct sim_vcpu *v, uint64_t deadline_ns);
void det_time_start(void);

/* The wall clock jumps, or begins to run fast or slow. */
void det_wall_step(int64_t ns);

/* ---- vCPUs (cpu.c) ---- */

enum det_state {
	DET_OFF,
	DET_READY, /* runs, or would if it were chosen */
	DET_IDLE,
	DET_HALTED,
};

struct det_cpu {
	enum det_state state;
	struct hal_context parked; /* where it goes on when chosen */
	int64_t priority;	   /* of PCT */
	uint32_t slowness;	   /* its time costs this much more */
	bool spins;		   /* its last point was a turn of a spin loop */
	uint32_t turns;		   /* of that loop, while nothing else happened on this vCPU */
};
extern struct det_cpu det_cpus[SIM_CPU_MAX];

extern uint64_t det_points[HAL_POINT_WAIT + 1]; /* passed, by kind */

/* Parks the running vCPU and continues another; returns when this one is chosen again. */
void det_run_cpu(unsigned cpu);

int det_cpu_start(struct sim_vcpu *v);
void det_idle(struct sim_vcpu *v);
void det_relax(struct sim_vcpu *v);
__attribute__((noreturn)) void det_halt(struct sim_vcpu *v);
void det_kick(struct sim_vcpu *v, uint32_t bits);
void det_user_enter(struct sim_vcpu *v);

/* Sets pending bits at once, without the delay that an injected fault may add. */
void det_pend(unsigned cpu, uint32_t bits);

/* ---- who runs (schedule.c) ---- */

void det_schedule_start(void);

/* One more scheduling point was passed; true if another vCPU shall run now. */
bool det_preempts(void);

/* The vCPU to run instead of `cpu`, which keeps running if none other is ready; SIM_CPU_MAX if nobody is ready. */
unsigned det_choose_other(unsigned cpu);

/* `cpu` runs from now on; has become ready; is spinning. */
void det_schedule_chosen(unsigned cpu);
void det_schedule_ready(unsigned cpu);
void det_schedule_spins(unsigned cpu);

/* ---- faults (fault.c, chaos.c) ---- */

void det_faults_start(void);
void det_chaos_start(void);

/* ---- verdicts (verdict.c) ---- */

/* All vCPUs idle and nothing is due: finds out what for; returns if that made somebody runnable. */
void det_stuck(void);

/* ---- console (console.c) ---- */

int det_console_start(void);
void det_console_write(const char *buf, size_t len);
size_t det_console_peek(const char **ret);
void det_console_take(size_t len);

/* Waits for somebody to type, if anybody may still; false if not. */
bool det_console_wait(void);

/* ---- the rest ---- */

/* The machine's n-th disk: memory, with what its file holds; the file is not written. */
struct sim_disk *det_disk(unsigned number);

struct sim_generator sim_named_generator(uint64_t seed, const char *name);
size_t det_entropy(void *buf, size_t len);
void det_end(void); /* of the run: closes the trace, prints its sum */
void det_off(void); /* the machine switches itself off */

#endif
