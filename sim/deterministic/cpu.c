/* SPDX-License-Identifier: MIT */
/*
 * vCPUs as coroutines of one host thread. A vCPU is wherever its kernel is: on the stack of some kernel context. At a
 * scheduling point it may be parked there, registers on that stack, and another one continued; the kernel's own
 * switches between contexts happen within a vCPU and are none of this file's business.
 *
 * I1  Exactly one vCPU runs; sim_self() is that one. I2  A vCPU is parked only in det_run_cpu(), so that a parked one is
 * always at a scheduling point, in a spin loop, idle, or about to enter user mode. I3  An idle vCPU becomes ready when
 * something is pending for it.
 *
 * In front of user code, and at each point with interrupts on, what is pending is delivered: there it would arrive on
 * metal, too.
 */
#include <asm/errno.h>

#include <sim/context.h>
#include <sim/event.h>
#include <sim/host.h>
#include <sim/sanitizer.h>
#include "deterministic.h"

#define POINT_NS     20
#define RELAX_NS     100
#define USER_NS	     500 /* and up to as much again */
#define KICK_LATE_NS 200000
#define STALL_NS     1000000
#define TURNS_MAX    2000000 /* of a spin loop with nothing else on that vCPU: it will not end */

void sim_switch(void **save_sp, void *load_sp); /* switch_x86_64.S */

struct det_cpu det_cpus[SIM_CPU_MAX];
uint64_t det_points[HAL_POINT_WAIT + 1];
bool sim_points;

/* ---- switching ---- */

SIM_NO_TSAN void det_run_cpu(unsigned cpu)
{
	struct sim_vcpu *from = sim_self(), *to = &sim_vcpus[cpu];
	struct hal_context *here = &det_cpus[from->id].parked, *there = &det_cpus[cpu].parked;
	const void *left_stack;
	size_t left_size;

	if (from == to)
		return;
	sim_trace(SIM_TRACE_SWITCH, cpu, 0);
	det_schedule_chosen(from->id); /* it waits from now on */
	here->stack = from->running->stack;
	here->size = from->running->size;
	to->left = here;
	sim_fiber_leave(&here->fiber, there->fiber, there->stack, there->size);
	sim_self_pointer = to;
	sim_switch(&here->sp, there->sp);
	sim_fiber_arrived(here->fiber, &left_stack, &left_size);
}

int det_cpu_start(struct sim_vcpu *v)
{
	struct det_cpu *c = &det_cpus[v->id];

	v->irq_on = false;
	v->deadline = HAL_TIMER_NEVER;
	v->running = &c->parked;
	sim_context_prepare(&c->parked, (char *)v->stack_top - HAL_KSTACK_SIZE, HAL_KSTACK_SIZE, v->entry, v->arg);
	c->state = DET_READY;
	atomic_store(&v->online, 1);
	det_schedule_ready(v->id);
	return 0;
}

/* Gives way to another ready vCPU, if there is one. */
static void give_way(struct sim_vcpu *v)
{
	unsigned next = det_choose_other(v->id);

	if (next != SIM_CPU_MAX)
		det_run_cpu(next);
}

/* ---- points ---- */

/* The vCPU did something else than to spin; what handlers do does not count. */
static void moved_on(struct sim_vcpu *v)
{
	if (v->in_irq)
		return;
	det_cpus[v->id].spins = false;
	det_cpus[v->id].turns = 0;
}

static void pass(struct sim_vcpu *v, uint64_t ns)
{
	det_pass(ns * det_cpus[v->id].slowness);
}

static void deliver(struct sim_vcpu *v)
{
	if (v->irq_on && __builtin_expect(atomic_load_explicit(&v->pending, memory_order_relaxed) != 0, 0))
		sim_irq_deliver();
}

void sim_point(enum hal_point kind, const volatile void *object)
{
	struct sim_vcpu *v = sim_self();

	sim_trace_at(SIM_TRACE_POINT, kind, (uintptr_t)object, (uintptr_t)__builtin_return_address(0));
	det_points[kind]++;
	moved_on(v);
	pass(v, POINT_NS);
	if (sim_fault(SIM_FAULT_CPU_STALL))
		det_pass(sim_fault_draw(SIM_FAULT_CPU_STALL, STALL_NS));
	if (det_preempts())
		give_way(v);
	deliver(v);
}

void sim_spend(uint64_t ns)
{
	struct sim_vcpu *v = sim_self();
	uint64_t end = det_now_ns + ns;

	sim_trace(SIM_TRACE_USER, 0, ns);
	moved_on(v);
	while (det_now_ns < end) {
		uint64_t next = sim_event_next_ns();

		det_pass(next > det_now_ns && next < end ? next - det_now_ns : next >= end ? end - det_now_ns : 1);
		if (det_preempts())
			give_way(v);
		deliver(v);
	}
}

/*
 * Every basic block of the kernel, in builds that call back (-Dpoints=true). What happens at each costs every instruction of the
 * kernel its time, so it is little: a counter of its own decides how often a block is a point.
 */
__attribute__((weak)) void __sanitizer_cov_trace_pc(void); /* libFuzzer has one too, which goes before */
void __sanitizer_cov_trace_pc(void)
{
	struct sim_vcpu *v;

	if (!sim_points)
		return;
	v = sim_self();
	det_now_ns++;
	if (det_preempts()) {
		sim_trace_at(SIM_TRACE_POINT, HAL_POINT_ATOMIC, 0, (uintptr_t)__builtin_return_address(0));
		det_pass(0);
		give_way(v);
	}
	deliver(v);
}

void det_relax(struct sim_vcpu *v)
{
	struct det_cpu *c = &det_cpus[v->id];

	if (!sim_points)
		return;
	c->spins = true;
	if (++c->turns == TURNS_MAX)
		sim_verdict("livelock", "CPU %u spins and nothing ends it", v->id);
	det_schedule_spins(v->id);
	pass(v, RELAX_NS);
	give_way(v);
}

/* ---- interrupts ---- */

void det_pend(unsigned cpu, uint32_t bits)
{
	struct det_cpu *c = &det_cpus[cpu];

	atomic_fetch_or(&sim_vcpus[cpu].pending, bits);
	if (bits & SIM_IRQ_HALT)
		c->state = DET_HALTED;
	if (c->state == DET_IDLE) {
		c->state = DET_READY;
		det_schedule_ready(cpu);
	}
}

struct late_kick {
	struct sim_event event;
	uint32_t bits;
};

static struct late_kick late[SIM_CPU_MAX];

static void late_arrives(struct sim_event *e)
{
	struct late_kick *k = (struct late_kick *)e;
	uint32_t bits = k->bits;

	k->bits = 0;
	det_pend((unsigned)(k - late), bits);
}

void det_kick(struct sim_vcpu *v, uint32_t bits)
{
	struct late_kick *k = &late[v->id];

	sim_trace(SIM_TRACE_KICK, v->id, bits);
	if (bits == SIM_IRQ_IPI && sim_points && sim_fault(SIM_FAULT_IPI_LATE)) {
		k->bits |= bits;
		k->event.fn = late_arrives;
		if (!k->event.slot)
			sim_event_arm(&k->event, det_now_ns + sim_fault_draw(SIM_FAULT_IPI_LATE, KICK_LATE_NS));
		return;
	}
	det_pend(v->id, bits);
}

__attribute__((noreturn)) void det_halt(struct sim_vcpu *v)
{
	det_cpus[v->id].state = DET_HALTED;
	for (;;)
		give_way(v);
}

/* ---- idle and user mode ---- */

void det_idle(struct sim_vcpu *v)
{
	struct det_cpu *c = &det_cpus[v->id];

	sim_trace(SIM_TRACE_IDLE, 0, 0);
	moved_on(v);
	while (!atomic_load(&v->pending)) {
		unsigned next;

		c->state = DET_IDLE;
		next = det_choose_other(v->id);
		if (next != SIM_CPU_MAX)
			det_run_cpu(next);
		else if (!det_jump() && !det_console_wait())
			det_stuck();
	}
	c->state = DET_READY;
}

/*
 * User code runs at the host's speed and is not interrupted by the virtual clock: each stay is given a length. A point comes
 * before it, since what other CPUs do to its memory may come before or after.
 */
void det_user_enter(struct sim_vcpu *v)
{
	static bool entered;

	if (!entered)
		host_trace_user();
	entered = true;
	moved_on(v);
	pass(v, sim_draw_between(SIM_STREAM_TIME, USER_NS, 2 * USER_NS));
	if (det_preempts())
		give_way(v);
}
