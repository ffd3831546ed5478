/* SPDX-License-Identifier: MIT */
/*
 * Virtual time. There is one clock. It moves by a little at each scheduling point and each look at it, by more
 * for a stay in user mode, and jumps to the next event when every vCPU idles. So a wait of an hour takes no
 * time, and a busy wait that looks at the clock comes to its end.
 *
 * The wall clock is virtual time, plus the date at boot, plus what was set, plus the steps and the drift that a scenario
 * injects.
 */
#include <sim/event.h>
#include "deterministic.h"

#define LOOK_NS 20 /* a look at the clock */
#define BOOT_WALL_NS UINT64_C(1767225600000000000) /* 2026-01-01: the date does not come from the host */

uint64_t det_now_ns;

static uint64_t wall_base_ns = BOOT_WALL_NS;
static int64_t wall_drift_ppm;
static struct sim_event timers[SIM_CPU_MAX];
static bool running_events;

/* Events may let time pass (a model that looks at the clock); they do not nest. */
static void run_due(void)
{
	if (running_events)
		return;
	running_events = true;
	sim_event_run(det_now_ns);
	running_events = false;
}

void det_pass(uint64_t ns)
{
	det_now_ns += ns;
	if (__builtin_expect(sim_event_next_ns() <= det_now_ns, 0))
		run_due();
	if (__builtin_expect(sim_scenario.time_limit_ns && det_now_ns > sim_scenario.time_limit_ns && sim_points, 0))
		sim_verdict("no end", "%llu s of virtual time have passed",
			    (unsigned long long)(sim_scenario.time_limit_ns / 1000000000));
}

bool det_jump(void)
{
	if (!sim_event_foreground())
		return false;
	if (sim_event_next_ns() > det_now_ns)
		det_now_ns = sim_event_next_ns();
	det_pass(0);
	return true;
}

uint64_t det_clock_ns(void)
{
	if (sim_points)
		det_pass(LOOK_NS);
	return det_now_ns;
}

/* ---- the wall clock ---- */

static uint64_t wall_now(void)
{
	return wall_base_ns + det_now_ns + (uint64_t)((int64_t)(det_now_ns / 1000) * wall_drift_ppm / 1000);
}

uint64_t det_wall_ns(void)
{
	det_clock_ns();
	return wall_now();
}

void det_wall_set(uint64_t wall_ns)
{
	wall_base_ns += wall_ns - wall_now();
}

void det_wall_step(int64_t ns)
{
	wall_base_ns += (uint64_t)ns;
}

/* ---- one-shot timers ---- */

static void timer_fires(struct sim_event *e)
{
	unsigned cpu = (unsigned)(e - timers);

	if (sim_fault(SIM_FAULT_TIMER_LATE)) {
		sim_event_arm(e, det_now_ns + sim_fault_draw(SIM_FAULT_TIMER_LATE, 2000000));
		return;
	}
	sim_vcpus[cpu].deadline = HAL_TIMER_NEVER;
	det_pend(cpu, SIM_IRQ_TIMER);
}

void det_timer_arm(struct sim_vcpu *v, uint64_t deadline_ns)
{
	sim_trace(SIM_TRACE_TIMER, deadline_ns, 0);
	atomic_fetch_and(&v->pending, ~(uint32_t)SIM_IRQ_TIMER);
	v->deadline = deadline_ns;
	if (deadline_ns == HAL_TIMER_NEVER)
		sim_event_cancel(&timers[v->id]);
	else
		sim_event_arm(&timers[v->id], deadline_ns);
	det_pass(0);
}

void det_time_start(void)
{
	for (unsigned cpu = 0; cpu < SIM_CPU_MAX; cpu++)
		timers[cpu].fn = timer_fires;
	if (sim_fault_rate(SIM_FAULT_CLOCK_DRIFT))
		wall_drift_ppm = (int64_t)sim_fault_draw(SIM_FAULT_CLOCK_DRIFT,
							 2 * (uint64_t)sim_fault_rate(SIM_FAULT_CLOCK_DRIFT)) -
				 (int64_t)sim_fault_rate(SIM_FAULT_CLOCK_DRIFT);
}
