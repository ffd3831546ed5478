/* SPDX-License-Identifier: MIT */
/*
 * What nobody asks for: at each tick of a clock of its own, while faults are armed, an interrupt that nobody sent, or a jump of the
 * wall clock; and CPUs that are slow from the start. Its ticks are background events: a machine that waits for nothing
 * else is stuck.
 */
#include <sim/event.h>
#include "deterministic.h"

#define TICK_NS	    100000
#define TICK_IDLE_NS 50000000 /* at most, while the machine does nothing: it shall not be busy with being disturbed */
#define STEP_NS	    (UINT64_C(3600) * 1000000000) /* the wall clock jumps up to an hour, either way */
#define SLOWNESS_MAX 64

static struct sim_event tick;

static void spurious(void)
{
	unsigned cpu = (unsigned)sim_fault_draw(SIM_FAULT_IRQ_SPURIOUS, sim_machine.cpus);

	if (det_cpus[cpu].state == DET_READY || det_cpus[cpu].state == DET_IDLE)
		det_pend(cpu, sim_fault_draw(SIM_FAULT_IRQ_SPURIOUS, 2) ? SIM_IRQ_IPI : SIM_IRQ_TIMER);
}

/* The next tick's mean distance: longer and longer while no scheduling point is passed but those of the ticks themselves. */
static uint64_t distance(void)
{
	static uint64_t points, mean = TICK_NS;
	uint64_t now = det_points[HAL_POINT_SLEEP] + det_points[HAL_POINT_WAKE];

	mean = now != points ? TICK_NS : mean < TICK_IDLE_NS ? 2 * mean : mean;
	points = now;
	return mean;
}

static void ticks(struct sim_event *e)
{
	if (sim_fault(SIM_FAULT_IRQ_SPURIOUS))
		spurious();
	if (sim_fault(SIM_FAULT_CLOCK_STEP))
		det_wall_step((int64_t)sim_fault_draw(SIM_FAULT_CLOCK_STEP, 2 * STEP_NS) - (int64_t)STEP_NS);
	sim_event_arm(e, det_now_ns + 1 + sim_draw_below(SIM_STREAM_INTERRUPT, 2 * distance()));
}

static void choose_slow_cpus(void)
{
	uint32_t ppm = sim_fault_rate(SIM_FAULT_CPU_SLOW);

	for (unsigned cpu = 0; cpu < sim_machine.cpus; cpu++) {
		det_cpus[cpu].slowness = 1;
		if (ppm && sim_fault_draw(SIM_FAULT_CPU_SLOW, 1000000) < ppm)
			det_cpus[cpu].slowness += (uint32_t)sim_fault_draw(SIM_FAULT_CPU_SLOW, SLOWNESS_MAX);
	}
}

void det_chaos_start(void)
{
	choose_slow_cpus();
	if (!sim_fault_rate(SIM_FAULT_IRQ_SPURIOUS) && !sim_fault_rate(SIM_FAULT_CLOCK_STEP))
		return;
	tick.fn = ticks;
	tick.background = true;
	sim_event_arm(&tick, det_now_ns + TICK_NS);
}
