/* SPDX-License-Identifier: MIT */
/*
 * Faults: their rates, and whether one happens now. In a swarm (Groce et al., Swarm Testing, 2012) each fault that the scenario
 * does not set is left out of a run by an even chance, and has a rate from a wide range otherwise: a run with few kinds of
 * fault reaches what a run with all of them never does.
 */
#include <sim/fault.h>
#include <sim/host.h>
#include "deterministic.h"

static uint32_t rates[SIM_FAULTS];
static struct sim_generator draws[SIM_FAULTS];
static bool armed;
static uint64_t allocations; /* since faults were armed */

static const struct {
	const char *name;
	uint32_t swarm_ppm;
} faults[SIM_FAULTS] = {
#define X(name, text, most) {text, most},
    SIM_FAULT_LIST(X)
#undef X
};

const char *sim_fault_name(enum sim_fault fault)
{
	return faults[fault].name;
}

uint32_t sim_fault_rate(enum sim_fault fault)
{
	return rates[fault];
}

void sim_fault_set(enum sim_fault fault, uint32_t ppm)
{
	rates[fault] = ppm;
}

/* Between a thousandth of the most and the most, evenly by magnitude; or nothing. */
static uint32_t swarm_rate(uint32_t most)
{
	uint64_t present = sim_draw_below(SIM_STREAM_SWARM, 2), shift = sim_draw_below(SIM_STREAM_SWARM, 11);

	return present ? most >> shift : 0;
}

void det_faults_start(void)
{
	for (unsigned i = 0; i < SIM_FAULTS; i++) {
		uint32_t swarm = sim_scenario.swarm ? swarm_rate(faults[i].swarm_ppm) : 0;

		draws[i] = sim_named_generator(sim_scenario.seed, faults[i].name);
		rates[i] = sim_scenario.fault_set[i] ? sim_scenario.fault_ppm[i] : swarm;
	}
	armed = false;
	allocations = 0;
}

void sim_faults_arm(bool arm)
{
	armed = arm;
	allocations = 0;
}

bool sim_faults_armed(void)
{
	return armed;
}

uint64_t sim_fault_draw(enum sim_fault fault, uint64_t n)
{
	uint64_t value = sim_generate_below(&draws[fault], n);

	sim_trace(SIM_TRACE_DRAW, SIM_STREAMS + (uint64_t)fault, value);
	return value;
}

bool sim_fault(enum sim_fault fault)
{
	if (!armed || __builtin_expect(!rates[fault], 1))
		return false;
	if (sim_fault_draw(fault, 1000000) >= rates[fault])
		return false;
	sim_trace(SIM_TRACE_FAULT, fault, 0);
	return true;
}

bool sim_fault_at(const char *site)
{
	(void)site; /* every site so far is an allocation */
	if (!armed)
		return false;
	if (++allocations == sim_scenario.fail_allocation) {
		sim_trace_at(SIM_TRACE_FAULT, SIM_FAULT_MEMORY_ALLOC, allocations, (uintptr_t)__builtin_return_address(0));
		return true;
	}
	return sim_fault(SIM_FAULT_MEMORY_ALLOC);
}
