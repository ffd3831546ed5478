/* SPDX-License-Identifier: MIT */
/* The deterministic world, as the table that <sim/world.h> describes; its beginning and its end. */
#include <sim/host.h>
#include "deterministic.h"

struct sim_scenario sim_scenario;

bool sim_operation_skipped(uint64_t number)
{
	for (unsigned i = 0; i < sim_scenario.skips; i++)
		if (number >= sim_scenario.skip[i].first && number <= sim_scenario.skip[i].last)
			return true;
	return false;
}

static bool timer_due(struct sim_vcpu *v)
{
	(void)v;
	return false; /* nobody sends SIM_IRQ_CLOCK: the timer is an event */
}

size_t det_entropy(void *buf, size_t len)
{
	uint8_t *to = buf;
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++) {
		if (i % sizeof(word) == 0)
			word = sim_draw(SIM_STREAM_ENTROPY);
		to[i] = (uint8_t)(word >> 8 * (i % sizeof(word)));
	}
	return len;
}

void det_end(void)
{
	struct sim_trace_sum sum;

	sim_points = false;
	sim_trace_sum(&sum);
	host_trace_close();
	host_trace_report(&sum);
}

void sim_deterministic_start(void)
{
	sim_world = &sim_deterministic;
	sim_trace_reset();
	sim_draw_seed(sim_scenario.seed, sim_scenario.schedule_seed);
	det_faults_start();
	det_cpus[0].state = DET_READY;
	det_schedule_start();
	det_time_start();
	det_chaos_start();
	sim_points = true;
}

const struct sim_world sim_deterministic = {
    .clock_ns = det_clock_ns,
    .wall_ns = det_wall_ns,
    .wall_set = det_wall_set,
    .timer_arm = det_timer_arm,
    .timer_due = timer_due,
    .cpu_start = det_cpu_start,
    .idle = det_idle,
    .relax = det_relax,
    .halt = det_halt,
    .kick = det_kick,
    .user_enter = det_user_enter,
    .entropy = det_entropy,
    .console_start = det_console_start,
    .console_write = det_console_write,
    .console_peek = det_console_peek,
    .console_take = det_console_take,
    .disk = det_disk,
    .end = det_off,
};
