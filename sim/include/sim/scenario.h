/* SPDX-License-Identifier: MIT */
/*
 * What a deterministic run is, beyond the machine (host.h): the seed and all that may be pinned besides. Filled from
 * the command line and a scenario file before the machine starts (deterministic/host_scenario.c), read by all.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <hal/types.h>
#include <sim/fault.h>

#define SIM_TARGET_MAX	  32  /* bytes of a target's name, with the NUL */
#define SIM_SKIPS_MAX	  256 /* ranges of operations left out */
#define SIM_TIME_LIMIT_NS UINT64_C(3600000000000) /* of virtual time, unless the scenario says otherwise */

enum sim_strategy {
	SIM_STRATEGY_SEED,    /* whichever the seed chooses                                              */
	SIM_STRATEGY_RANDOM,  /* at random points, to a random CPU                                       */
	SIM_STRATEGY_PCT,     /* probabilistic concurrency testing: priorities, changed at `depth` points */
	SIM_STRATEGY_BOUNDED, /* each CPU runs on until it waits, but for `depth` preemptions            */
};

struct sim_scenario {
	bool deterministic; /* there is a seed; else time is real and the rest means nothing */
	uint64_t seed;
	uint64_t schedule_seed; /* of the streams that decide about time and order, if not 0; else `seed` is */
	char target[SIM_TARGET_MAX]; /* the model that runs instead of /init; empty: user programs */
	enum sim_strategy strategy;
	unsigned depth;	   /* of PCT and BOUNDED; 0: the seed chooses */
	uint64_t operations; /* most that a model does; 0: the model's own number */
	bool swarm;	   /* the seed chooses faults that were not set */
	uint32_t fault_ppm[SIM_FAULTS];
	bool fault_set[SIM_FAULTS];
	uint64_t fail_allocation; /* the n-th allocation of the armed phase fails; 0: none */
	uint64_t time_limit_ns;	  /* then the verdict is "no end"; 0: none */
	uint64_t user_limit_s;	  /* of the host's processor that a program may take from one event to the next; 0: USER_LIMIT_S */
	uint64_t stop_at;	  /* event number at which a debugger is called; 0: none */
	struct {
		uint64_t first, last;
	} skip[SIM_SKIPS_MAX]; /* operations left out, for shrinking */
	unsigned skips;
};

extern struct sim_scenario sim_scenario;

/* The machine, which was created, lives in the deterministic world from now on; before sim_start(). */
void sim_deterministic_start(void);

/* Where the strategies that count scheduling points begin to count: after the boot. */
void sim_schedule_restart(void);

/* ---- hosted half (deterministic/host_scenario.c) ---- */

struct host_options;

/* Reads a scenario file into *options and sim_scenario; ends the process with a message that names file and line. */
void host_scenario_read(const char *file, struct host_options *options);

/* One line of it: "word value..."; null, or what is wrong. */
const char *host_scenario_line(char *line, struct host_options *options);

/* True if a model is to leave its operation `number` out. */
bool sim_operation_skipped(uint64_t number);

#endif
