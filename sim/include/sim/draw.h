/* SPDX-License-Identifier: MIT */
/*
 * The random numbers of the deterministic world: one generator, split into streams by use, so that one more draw
 * in one place does not shift those of any other. A stream's numbers follow from the seed and the stream's name
 * alone. Each draw goes into the trace hash. Deterministic world only.
 */
#ifndef SIM_DRAW_H
#define SIM_DRAW_H

#include <hal/types.h>

/* Streams by use. Faults have one each besides (fault.h), so that switching one off leaves the others as they are. */
#define SIM_STREAM_LIST(X)                                                                                   \
	X(SCHEDULE, "schedule")	  /* which vCPU runs, and for how long          */                           \
	X(TIME, "time")		  /* what things cost                           */                           \
	X(INTERRUPT, "interrupt") /* how late interrupts are                    */                           \
	X(MEMORY, "memory")	  /* which entries a TLB forgets                */                           \
	X(DISK, "disk")		  /* latencies, and what a power cut keeps      */                           \
	X(NETWORK, "network")	  /* the same of wires                          */                           \
	X(ENTROPY, "entropy")	  /* what the machine's entropy source delivers */                           \
	X(OPERATION, "operation") /* what a model does (tests/model)            */                           \
	X(SWARM, "swarm")	  /* which faults a run has                     */

enum sim_stream {
#define X(name, text) SIM_STREAM_##name,
	SIM_STREAM_LIST(X)
#undef X
	SIM_STREAMS
};

/* Starts all streams afresh; those that decide about time and order from schedule_seed, if it is not 0. */
void sim_draw_seed(uint64_t seed, uint64_t schedule_seed);

/* The next 64 bits of a stream. */
uint64_t sim_draw(enum sim_stream stream);

/* Uniform in [0, n); n > 0. */
uint64_t sim_draw_below(enum sim_stream stream, uint64_t n);

/* Uniform in [low, high]. */
uint64_t sim_draw_between(enum sim_stream stream, uint64_t low, uint64_t high);

/* True in `ppm` of a million draws. */
bool sim_draw_chance(enum sim_stream stream, uint32_t ppm);

/*
 * A generator of one's own, outside the streams and the trace: for what must be the same whatever else was drawn (a
 * model's n-th operation). Same seed and number, same state.
 */
struct sim_generator {
	uint64_t state;
};
struct sim_generator sim_generator(uint64_t seed, uint64_t number);
uint64_t sim_generate(struct sim_generator *g);
uint64_t sim_generate_below(struct sim_generator *g, uint64_t n);

#endif
