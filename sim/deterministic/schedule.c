/* SPDX-License-Identifier: MIT */
/*
 * Which vCPU runs, and until which scheduling point. Three strategies, of which the seed takes one unless the scenario does:
 *
 *   random   after a random number of points, a random other vCPU; the mean differs from seed to seed, since some
 *            bugs want many switches close together and others two far apart
 *   pct      probabilistic concurrency testing (Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees
 *            of Finding Bugs, 2010): random priorities, the highest that is ready runs; at `depth` - 1 random points the one that
 *            runs drops below all others. A bug that needs `depth` ordering constraints is found with a probability that does
 *            not depend on how long the run is.
 *   bounded  each vCPU runs until it waits, but for `depth` preemptions at random points (Musuvathi, Qadeer: Iterative
 *            Context Bounding, 2007)
 *
 * A vCPU that spins waits for another one, so it goes behind all others until it has done something else. And no vCPU is kept from running
 * for ever: after PATIENCE points the one that runs gives way to one that has waited that long, as if it were spinning.
 */
#include "deterministic.h"

#define DEPTH_MAX   8
#define HORIZON_MIN 8  /* log2 of the number of points among which those of PCT and BOUNDED lie */
#define HORIZON_MAX 20
#define PATIENCE    20000

static struct {
	enum sim_strategy strategy;
	uint64_t points, next; /* passed so far; the one at which somebody else shall run */
	uint64_t gap;	       /* RANDOM: mean number of points between switches */
	uint64_t changes[DEPTH_MAX];
	unsigned depth;
	int64_t lowest; /* PCT: priorities that were dropped lie below 0 */
	bool look;	/* PCT: the next point is not a change, but a look at who is highest now */
	uint64_t ran_at[SIM_CPU_MAX]; /* points passed when it was last chosen */
} plan;

static void next_change(void)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < plan.depth; i++)
		if (plan.changes[i] > plan.points && plan.changes[i] < next)
			next = plan.changes[i];
	plan.next = next < plan.points + PATIENCE ? next : plan.points + PATIENCE;
}

static void plan_next(void)
{
	if (plan.strategy == SIM_STRATEGY_RANDOM)
		plan.next = plan.points + sim_draw_between(SIM_STREAM_SCHEDULE, 1, 2 * plan.gap);
	else
		next_change();
}

void det_schedule_start(void)
{
	static const uint16_t gaps[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096};
	uint64_t horizon;

	plan.strategy = sim_scenario.strategy;
	if (plan.strategy == SIM_STRATEGY_SEED)
		plan.strategy = SIM_STRATEGY_RANDOM + sim_draw_below(SIM_STREAM_SCHEDULE, 3);
	plan.gap = gaps[sim_draw_below(SIM_STREAM_SCHEDULE, sizeof(gaps) / sizeof(gaps[0]))];
	plan.depth = sim_scenario.depth ? sim_scenario.depth
					: (unsigned)sim_draw_between(SIM_STREAM_SCHEDULE, 1, DEPTH_MAX / 2);
	if (plan.depth > DEPTH_MAX)
		plan.depth = DEPTH_MAX;
	horizon = UINT64_C(1) << sim_draw_between(SIM_STREAM_SCHEDULE, HORIZON_MIN, HORIZON_MAX);
	for (unsigned i = 0; i < plan.depth; i++)
		plan.changes[i] = sim_draw_between(SIM_STREAM_SCHEDULE, 1, horizon);
	for (unsigned cpu = 0; cpu < sim_machine.cpus; cpu++)
		det_cpus[cpu].priority = (int64_t)sim_draw_below(SIM_STREAM_SCHEDULE, 1 << 30);
	plan.points = 0;
	plan.lowest = -1;
	plan.look = false;
	plan_next();
}

/* Positions of PCT and BOUNDED count from here: a model's operations, not the boot, are what is to be disturbed. */
void sim_schedule_restart(void)
{
	plan.points = 0;
	for (unsigned cpu = 0; cpu < SIM_CPU_MAX; cpu++)
		plan.ran_at[cpu] = 0;
	plan_next();
}

static bool is_change(uint64_t point)
{
	for (unsigned i = 0; i < plan.depth; i++)
		if (plan.changes[i] == point)
			return true;
	return false;
}

static unsigned waited_too_long(unsigned self)
{
	for (unsigned cpu = 0; cpu < sim_machine.cpus; cpu++)
		if (cpu != self && det_cpus[cpu].state == DET_READY && plan.points - plan.ran_at[cpu] >= PATIENCE)
			return cpu;
	return SIM_CPU_MAX;
}

/* PCT and BOUNDED: at a change, when somebody became ready, or every PATIENCE points. */
static bool ordered_preempts(void)
{
	unsigned self = sim_self()->id;
	bool drops = is_change(plan.points) || waited_too_long(self) != SIM_CPU_MAX, look = plan.look;

	plan.look = false;
	if (drops && plan.strategy == SIM_STRATEGY_PCT)
		det_cpus[self].priority = plan.lowest--;
	return drops || look;
}

bool det_preempts(void)
{
	bool preempts = true;

	if (__builtin_expect(++plan.points < plan.next, 1))
		return false;
	if (plan.strategy != SIM_STRATEGY_RANDOM)
		preempts = ordered_preempts();
	plan_next();
	return preempts;
}

void det_schedule_chosen(unsigned cpu)
{
	plan.ran_at[cpu] = plan.points;
}

void det_schedule_ready(unsigned cpu)
{
	plan.ran_at[cpu] = plan.points;
	if (plan.strategy == SIM_STRATEGY_PCT && det_cpus[cpu].priority > det_cpus[sim_self()->id].priority &&
	    plan.next > plan.points + 1) {
		plan.next = plan.points + 1;
		plan.look = true;
	}
}

void det_schedule_spins(unsigned cpu)
{
	if (plan.strategy == SIM_STRATEGY_PCT)
		det_cpus[cpu].priority = plan.lowest--;
}

/* ---- choosing ---- */

/* In an interrupt's handler it works, whatever it was at before. */
static bool waiting(unsigned cpu, bool spins)
{
	return det_cpus[cpu].state == DET_READY && (det_cpus[cpu].spins && !sim_vcpus[cpu].in_irq) == spins;
}

static unsigned choose_random(unsigned self, bool spins)
{
	unsigned ready[SIM_CPU_MAX], count = 0;

	for (unsigned cpu = 0; cpu < sim_machine.cpus; cpu++)
		if (cpu != self && waiting(cpu, spins))
			ready[count++] = cpu;
	if (count < 2)
		return count ? ready[0] : SIM_CPU_MAX;
	return ready[sim_draw_below(SIM_STREAM_SCHEDULE, count)];
}

static unsigned choose_next(unsigned self, bool spins)
{
	for (unsigned i = 1; i < sim_machine.cpus; i++) {
		unsigned cpu = (self + i) % sim_machine.cpus;

		if (waiting(cpu, spins))
			return cpu;
	}
	return SIM_CPU_MAX;
}

static unsigned choose_highest(unsigned self)
{
	unsigned best = SIM_CPU_MAX;

	for (unsigned cpu = 0; cpu < sim_machine.cpus; cpu++)
		if (det_cpus[cpu].state == DET_READY &&
		    (best == SIM_CPU_MAX || det_cpus[cpu].priority > det_cpus[best].priority))
			best = cpu;
	return best == self ? SIM_CPU_MAX : best;
}

unsigned det_choose_other(unsigned cpu)
{
	unsigned other;

	if (plan.strategy == SIM_STRATEGY_PCT)
		return choose_highest(cpu);
	other = waited_too_long(cpu); /* perhaps one that spins, while the others neither spin nor wait */
	if (other != SIM_CPU_MAX)
		return other;
	other = plan.strategy == SIM_STRATEGY_RANDOM ? choose_random(cpu, false) : choose_next(cpu, false);
	if (other == SIM_CPU_MAX && (det_cpus[cpu].spins || det_cpus[cpu].state != DET_READY))
		other = plan.strategy == SIM_STRATEGY_RANDOM ? choose_random(cpu, true) : choose_next(cpu, true);
	return other;
}
