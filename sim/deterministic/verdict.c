/* SPDX-License-Identifier: MIT */
/*
 * Verdicts: what is wrong with a run that neither ended nor panicked.
 *
 *   livelock        a vCPU spins and nothing ends it; or (host_watchdog.c) it loops without even relaxing
 *   lost wake-up    everything sleeps, nothing is due, but a sleeper that is woken for no reason finds that what it
 *                   waits for is there: somebody forgot to wake it
 *   deadlock        everything sleeps, nothing is due, and a wake-up changes nothing
 *   no end          more virtual time passed than the scenario allows
 *
 * The trial of sleepers: in the kernel every sleeper looks again at what it waits for when it is woken, so waking one
 * too often is harmless. When all vCPUs idle, det_stuck() wakes one after the other and lets the machine run until it is stuck
 * again. A sleeper that looked once and went back to sleep in the same place had nothing to go on for. One that stands elsewhere,
 * is gone, woke others, or lay down more than once (it went on, and came back to the same place) should have been woken.
 */
#include <stdarg.h>

#include <sim/context.h>
#include <sim/host.h>
#include "deterministic.h"

#define LINE_MAX    256
#define FRAMES_MAX  24
#define THREADS_MAX 64 /* shown, and tried */

/* ---- printing ---- */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	char line[LINE_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = host_format(line, sizeof(line), format, args);
	va_end(args);
	host_error_write(line, n < LINE_MAX ? (size_t)n : LINE_MAX - 1);
}

/* Every sleeper has these at its ends: they say nothing. */
static bool is_common(const char *name)
{
	static const char *const common[] = {"hal_context_switch", "schedule", "thread_sleep", "wait_round", "thread_entry",
					     "sim_context_begin", "sim_context_first", "sim_verdict"};

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		const char *a = name, *b = common[i];

		while (*a && *a == *b)
			a++, b++;
		if (*a == *b)
			return true;
	}
	return false;
}

static void say_frames(const uintptr_t *pcs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *name;
		size_t offset;

		if (!hal_symbol_lookup(pcs[i] - 1, &name, &offset))
			say("    #%zu %#lx\n", i, (unsigned long)pcs[i]);
		else if (!is_common(name))
			say("    #%zu %s+%#zx\n", i, name, offset + 1);
	}
}

static void say_name(const char *before, const struct hal_context *c)
{
	char text[LINE_MAX / 2] = "?";

	if (c && hal_upcalls.describe_context)
		hal_upcalls.describe_context(c, text, sizeof(text), true);
	say("%sthread %s\n", before, text);
}

static void say_context(const struct hal_context *c)
{
	uintptr_t pcs[FRAMES_MAX];

	say_name("  ", c);
	say_frames(pcs, sim_context_backtrace(c, pcs, FRAMES_MAX));
}

/* What the CPU runs, a script as its thread; or null. */
static const struct hal_context *thread_on(unsigned cpu)
{
	const struct hal_context *c = sim_vcpus[cpu].running;

	return c && c->thread ? c->thread : c;
}

static bool runs_somewhere(const struct hal_context *c)
{
	for (unsigned cpu = 0; cpu < sim_machine.cpus; cpu++)
		if (sim_vcpus[cpu].running && (sim_vcpus[cpu].running == c || sim_vcpus[cpu].running->thread == c))
			return true;
	return false;
}

static void say_cpus(void)
{
	static const char *const states[] = {"off", "running", "idle", "halted"};

	for (unsigned cpu = 0; cpu < sim_machine.cpus; cpu++) {
		const struct det_cpu *c = &det_cpus[cpu];
		uintptr_t pcs[FRAMES_MAX];
		size_t count;

		say("  CPU %u: %s%s, interrupts %s, pending %#x\n", cpu, states[c->state], c->spins ? ", spinning" : "",
		    sim_vcpus[cpu].irq_on ? "on" : "off", atomic_load(&sim_vcpus[cpu].pending));
		if (c->state != DET_READY)
			continue;
		say_name("    ", thread_on(cpu));
		count = cpu == sim_self()->id ? hal_backtrace(pcs, FRAMES_MAX)
					      : sim_context_backtrace(&c->parked, pcs, FRAMES_MAX);
		say_frames(pcs, count);
	}
}

static void say_threads(void)
{
	unsigned shown = 0;

	if (!hal_upcalls.describe_context)
		return;
	for (struct hal_context *c = sim_context_next(NULL); c && shown < THREADS_MAX; c = sim_context_next(c)) {
		if (runs_somewhere(c))
			continue;
		say_context(c);
		shown++;
	}
}

void sim_verdict(const char *kind, const char *format, ...)
{
	char line[LINE_MAX];
	va_list args;

	sim_points = false;
	va_start(args, format);
	host_format(line, sizeof(line), format, args);
	va_end(args);
	say("\nverdict: %s: %s\n", kind, line);
	say_cpus();
	say_threads();
	det_end();
	host_exit(SIM_EXIT_VERDICT);
}

/* ---- stuck: deadlock or a lost wake-up ---- */

static struct {
	bool active;
	unsigned next; /* number of the sleeper to try next */
	struct hal_context *tried;
	uintptr_t stood[FRAMES_MAX];
	size_t depth;
	uint64_t sleeps, wakes; /* points of these kinds when it was woken */
	char name[64];
} trial;

static bool stands_where_it_stood(void)
{
	uintptr_t now[FRAMES_MAX];
	struct hal_context *c;
	size_t depth;

	for (c = sim_context_next(NULL); c && c != trial.tried; c = sim_context_next(c))
		;
	if (!c || det_points[HAL_POINT_SLEEP] > trial.sleeps + 1 || det_points[HAL_POINT_WAKE] > trial.wakes + 1)
		return false;
	depth = sim_context_backtrace(c, now, FRAMES_MAX);
	if (depth != trial.depth)
		return false;
	for (size_t i = 0; i < depth; i++)
		if (now[i] != trial.stood[i])
			return false;
	return true;
}

static _Noreturn void convict(void)
{
	trial.active = false;
	say("\nverdict: lost wake-up: %s slept here for ever, though what it waited for was there:\n", trial.name);
	say_frames(trial.stood, trial.depth);
	say("  (woken without a reason, it went on)\n");
	sim_points = false;
	det_end();
	host_exit(SIM_EXIT_VERDICT);
}

/* Wakes the next sleeper; false when all were tried. */
static bool try_next(void)
{
	struct hal_context *c = sim_context_next(NULL);

	for (unsigned i = 0; c && i < trial.next; i++)
		c = sim_context_next(c);
	for (; c && trial.next < THREADS_MAX; c = sim_context_next(c)) {
		trial.next++;
		if (runs_somewhere(c))
			continue;
		trial.depth = sim_context_backtrace(c, trial.stood, FRAMES_MAX);
		hal_upcalls.describe_context(c, trial.name, sizeof(trial.name), false);
		trial.tried = c;
		trial.sleeps = det_points[HAL_POINT_SLEEP];
		trial.wakes = det_points[HAL_POINT_WAKE];
		if (hal_upcalls.wake_context(c))
			return true;
	}
	return false;
}

/* The machine switches itself off: if a sleeper that was tried has brought it that far, it should have been woken. */
void det_off(void)
{
	if (trial.active && !sim_panicking)
		convict();
	det_end();
}

void det_stuck(void)
{
	if (!hal_upcalls.wake_context)
		sim_verdict("deadlock", "every CPU idles and nothing is due, before there are threads");
	if (!trial.active) {
		sim_faults_arm(false);
		trial.active = true;
		trial.next = 0;
		sim_note("stuck: every CPU idles and nothing is due");
	} else if (!stands_where_it_stood()) {
		convict();
	}
	det_cpus[sim_self()->id].state = DET_READY; /* it runs kernel code, with its locks and points; det_idle() has it idle again */
	if (try_next()) /* it may have been put on this CPU's own queue: then only the idle loop sees it */
		det_pend(sim_self()->id, SIM_IRQ_IPI);
	else
		sim_verdict("deadlock", "every CPU idles, nothing is due, and no sleeper finds what it waits for");
}
