/* SPDX-License-Identifier: MIT */
/*
 * Streams of random numbers: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), each
 * started from the seed and a hash of the stream's name (FNV-1a), so that streams do not depend on their order.
 */
#include <sim/draw.h>
#include <sim/fault.h>
#include <sim/trace.h>
#include "deterministic.h"

static struct sim_generator streams[SIM_STREAMS];

static uint64_t scramble(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t sim_generate(struct sim_generator *g)
{
	g->state += UINT64_C(0x9e3779b97f4a7c15);
	return scramble(g->state);
}

/* By multiplication (Lemire, Fast Random Integer Generation in an Interval, 2019): the bias is below 2^-32 for the n used. */
static uint64_t scale(uint64_t value, uint64_t n)
{
	return (uint64_t)((unsigned __int128)value * n >> 64);
}

uint64_t sim_generate_below(struct sim_generator *g, uint64_t n)
{
	return scale(sim_generate(g), n);
}

struct sim_generator sim_generator(uint64_t seed, uint64_t number)
{
	return (struct sim_generator){scramble(scramble(seed) + number)};
}

struct sim_generator sim_named_generator(uint64_t seed, const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return sim_generator(seed, hash);
}

/* Streams that another schedule of the same operations has otherwise. */
static bool of_schedule(unsigned stream)
{
	return stream == SIM_STREAM_SCHEDULE || stream == SIM_STREAM_TIME || stream == SIM_STREAM_INTERRUPT ||
	       stream == SIM_STREAM_MEMORY;
}

void sim_draw_seed(uint64_t seed, uint64_t schedule_seed)
{
	static const char *const names[SIM_STREAMS] = {
#define X(name, text) text,
	    SIM_STREAM_LIST(X)
#undef X
	};

	for (unsigned i = 0; i < SIM_STREAMS; i++)
		streams[i] = sim_named_generator(schedule_seed && of_schedule(i) ? schedule_seed : seed, names[i]);
}

uint64_t sim_draw(enum sim_stream stream)
{
	uint64_t value = sim_generate(&streams[stream]);

	sim_trace(SIM_TRACE_DRAW, stream, value);
	return value;
}

uint64_t sim_draw_below(enum sim_stream stream, uint64_t n)
{
	return scale(sim_draw(stream), n);
}

uint64_t sim_draw_between(enum sim_stream stream, uint64_t low, uint64_t high)
{
	return low + sim_draw_below(stream, high - low + 1);
}

bool sim_draw_chance(enum sim_stream stream, uint32_t ppm)
{
	return sim_draw_below(stream, 1000000) < ppm;
}
