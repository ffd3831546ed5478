/* SPDX-License-Identifier: MIT */
/* The frame around models (model.h): boots the kernel, runs one with faults armed, looks for what was left over. */
#include "model.h"

#include <cloudos/format.h>
#include <cloudos/panic.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/wait.h>
#include <sim/host.h>
#include <sim/scenario.h>
#include <sim/trace.h>
#include <sim/verdict.h>
#include <sim/world.h>
#include "explore.h"
#include "model_host.h"
#include "../unit/usage.h"

#define WORKERS_MAX 16
#define TEXT_MAX    200

extern const struct model __start_cloudos_models[], __stop_cloudos_models[];

static const struct model *chosen;
static bool recovered; /* the liveness phase has begun */

const struct model *model_find(const char *name)
{
	for (const struct model *m = __start_cloudos_models; m < __stop_cloudos_models; m++)
		if (str_equal(m->name, name))
			return m;
	return NULL;
}

const struct model *model_number(unsigned i)
{
	const struct model *m = __start_cloudos_models + i;

	return m < __stop_cloudos_models ? m : NULL;
}

const char *model_name(const struct model *m)
{
	return m->name;
}

const char *model_what(const struct model *m)
{
	return m->what;
}

const char *model_faulty(const struct model *m)
{
	return m->faulty ? m->faulty : "";
}

unsigned model_cpus(const struct model *m)
{
	return m->cpus ? m->cpus : 1;
}

unsigned model_cpus_min(const struct model *m)
{
	return m->cpus_min ? m->cpus_min : 1;
}

unsigned model_memory(const struct model *m)
{
	return m->memory_mib;
}

uint64_t model_operation_count(const struct model *m)
{
	return m->operations;
}

/* ---- operations ---- */

uint64_t model_operations(void)
{
	return sim_scenario.operations ? sim_scenario.operations : chosen->operations;
}

bool model_next(struct model_op *op)
{
	if (!op->count)
		op->count = model_operations();
	for (; op->index < op->count; op->index++) {
		op->number = op->worker << MODEL_WORKER_SHIFT | op->index;
		if (sim_operation_skipped(op->number))
			continue;
		op->index++;
		op->draws = sim_generator(sim_scenario.seed, op->number);
		sim_trace(SIM_TRACE_OPERATION, op->number, 0);
		return true;
	}
	return false;
}

uint64_t model_draw(struct model_op *op)
{
	return sim_generate(&op->draws);
}

uint64_t model_below(struct model_op *op, uint64_t n)
{
	return sim_generate_below(&op->draws, n);
}

/* ---- workers ---- */

struct worker {
	struct thread thread;
	unsigned number;
	void (*fn)(unsigned worker);
};

static struct worker workers[WORKERS_MAX];
static uint32_t working;
static struct wait_queue worker_ended = WAIT_QUEUE_INIT(worker_ended);

static void work(void *arg)
{
	struct worker *w = arg;

	w->fn(w->number);
}

static void released(struct thread *t)
{
	(void)t;
	__atomic_fetch_sub(&working, 1, __ATOMIC_RELEASE);
	wake_all(&worker_ended);
}

/*
 * Where a worker may run. Left to itself the scheduler keeps threads that talk to each other on one CPU, where they never run at the
 * same time; so in most runs each is bound to a CPU of its own, as far as there are enough, or to a random one.
 */
uint64_t model_affinity(unsigned worker)
{
	struct sim_generator g = sim_generator(sim_scenario.seed, 0x706c616365); /* "place" */
	uint64_t how = sim_generate_below(&g, 4);

	if (how == 0)
		return UINT64_MAX;
	if (how < 3)
		return UINT64_C(1) << worker % cpus_online_count();
	for (unsigned i = 0; i < worker; i++)
		sim_generate(&g);
	return UINT64_C(1) << sim_generate_below(&g, cpus_online_count());
}

void model_workers(unsigned n, void (*fn)(unsigned worker))
{
	ASSERT(n <= WORKERS_MAX);
	__atomic_store_n(&working, n, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < n; i++) {
		char name[16];
		bool armed = sim_faults_armed();

		fmt_string(name, sizeof(name), "worker/%u", i);
		workers[i].number = i;
		workers[i].fn = fn;
		sim_faults_arm(false); /* the frame's own thread is not what is tried */
		if (thread_init(&workers[i].thread, name, work, &workers[i]))
			model_failed(__FILE__, __LINE__, "no memory for worker %u", i);
		sim_faults_arm(armed);
		workers[i].thread.release = released;
		if ((workers[i].thread.affinity & cpus_online) == cpus_online) /* else they stay where who starts them is bound */
			workers[i].thread.affinity = model_affinity(i);
		thread_start(&workers[i].thread);
	}
	wait_event(&worker_ended, __atomic_load_n(&working, __ATOMIC_ACQUIRE) == 0);
}

void model_compute(uint64_t ns)
{
	sim_spend(ns);
	sched_point();
}

/* ---- checking ---- */

void model_failed(const char *file, int line, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, format);
	fmt_vstring(text, sizeof(text), format, args);
	va_end(args);
	sim_verdict("model", "%s (%s:%d)", text, file, line);
}

void model_recover(void)
{
	sim_faults_arm(false);
	recovered = true;
	sim_note("liveness phase");
}

/* Not whether faults are armed at this moment: what failed may have done so before somebody else disarmed them for a while. */
bool model_may_fail(void)
{
	return !recovered &&
	       (sim_fault_rate(SIM_FAULT_MEMORY_ALLOC) || sim_scenario.fail_allocation || sim_fault_rate(SIM_FAULT_MEMORY_PRESSURE));
}

/* ---- running ---- */

static void run_chosen(void *arg)
{
	static struct usage before;
	char message[128];

	(void)arg;
	while (cpus_online_count() < hal_cpu_count())
		thread_delay(NSEC_PER_MSEC);
	for (size_t size = 16; size <= 2048; size += 16) /* the allocator makes its caches when they are first needed */
		kfree(kmalloc(size));
	usage_warm_up(0);
	if (chosen->prepare)
		chosen->prepare();
	usage_measure(&before);
	sim_schedule_restart();
	sim_note("safety phase: %s", chosen->name);
	sim_faults_arm(true);
	chosen->run();
	sim_faults_arm(false);
	if (!usage_returned(&before, message, sizeof(message)))
		sim_verdict("leak", "%s", message);
	explore_finished();
	hal_power_off();
}

/* Instead of kernel_main(). The boot thread ends, as it does in a boot, so that it is no special case for models. */
void model_main(void)
{
	chosen = model_find(sim_scenario.target);
	if (chosen->machine)
		chosen->machine();
	kernel_boot();
	if (thread_spawn(chosen->name, run_chosen, NULL))
		panic("no memory for the model's thread");
	thread_exit();
}
