/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices: vectors. A vector that is raised for a vCPU sets a bit there and kicks it; sim_vectors_deliver() calls the
 * handlers. The first SIM_LINES vectors are lines, level triggered, of vCPU 0: as long as a source holds a line and it is not masked, its
 * vector is raised again.
 *
 * Handlers are added under the bus lock and never taken away; they are read without.
 */
#include <asm/errno.h>

#include <sim/device.h>
#include <sim/event.h>
#include <sim/fault.h>
#include <sim/host.h>
#include <sim/trace.h>
#include <sim/world.h>

#define LATE_MAX    32	    /* interrupts that are late at a time; one more is in time */
#define LATE_MAX_NS 5000000 /* how late */
#define VECTORS	    (SIM_VECTORS / 64)

struct handler {
	hal_irq_handler fn; /* null: none */
	void *ctx;
};

static struct handler handlers[SIM_VECTORS][SIM_LINE_SHARE_MAX];
static unsigned next_vector = SIM_LINES;
static _Atomic uint32_t held[SIM_LINES]; /* sources that hold a line */
static _Atomic uint32_t masked;		 /* lines */
static uint64_t lost;

/* ---- raising ---- */

static void raise_now(unsigned cpu, unsigned vector)
{
	struct sim_vcpu *v = &sim_vcpus[cpu];

	atomic_fetch_or(&v->vectors[vector / 64], UINT64_C(1) << vector % 64);
	sim_world->kick(v, SIM_IRQ_DEVICE);
}

struct late {
	struct sim_event event;
	unsigned cpu, vector;
};
static struct late late[LATE_MAX];

static void arrives(struct sim_event *e)
{
	struct late *l = (struct late *)(void *)e; /* the event is its first member */

	raise_now(l->cpu, l->vector);
}
_Static_assert(offsetof(struct late, event) == 0, "see arrives()");

/* True if it will come by itself, later. */
static bool comes_late(unsigned cpu, unsigned vector)
{
	if (!sim_trace_running() || !sim_fault(SIM_FAULT_IRQ_LATE))
		return false;
	for (unsigned i = 0; i < LATE_MAX; i++) {
		struct late *l = &late[i];
		struct sim_trace_sum now;

		if (l->event.slot)
			continue;
		sim_trace_sum(&now);
		*l = (struct late){.cpu = cpu, .vector = vector};
		l->event.fn = arrives;
		sim_event_arm(&l->event, now.time_ns + sim_fault_draw(SIM_FAULT_IRQ_LATE, LATE_MAX_NS));
		return true;
	}
	return false;
}

void sim_vector_raise(unsigned cpu, unsigned vector)
{
	if (vector >= SIM_VECTORS || cpu >= sim_machine.cpus)
		return;
	if (sim_fault(SIM_FAULT_IRQ_LOST))
		lost++;
	else if (!comes_late(cpu, vector))
		raise_now(cpu, vector);
}

/* ---- lines ---- */

static bool line_wants(unsigned line)
{
	return atomic_load(&held[line]) && !(atomic_load(&masked) >> line & 1);
}

void sim_line_set(unsigned line, unsigned source, bool level)
{
	uint32_t bit = UINT32_C(1) << source;
	bool was = level ? atomic_fetch_or(&held[line], bit) & bit : atomic_fetch_and(&held[line], ~bit) & bit;

	if (level && !was && line_wants(line))
		sim_vector_raise(0, line);
}

void hal_irq_mask(unsigned line)
{
	if (line < SIM_LINES)
		atomic_fetch_or(&masked, UINT32_C(1) << line);
}

void hal_irq_unmask(unsigned line)
{
	if (line >= SIM_LINES)
		return;
	atomic_fetch_and(&masked, ~(UINT32_C(1) << line));
	if (line_wants(line))
		raise_now(0, line);
}

/* ---- handlers ---- */

/* Bus lock held. */
static int add(unsigned vector, hal_irq_handler fn, void *ctx)
{
	for (unsigned i = 0; i < SIM_LINE_SHARE_MAX; i++) {
		struct handler *h = &handlers[vector][i];

		if (h->fn)
			continue;
		h->ctx = ctx;
		__atomic_store_n(&h->fn, fn, __ATOMIC_RELEASE);
		return 0;
	}
	return -EBUSY;
}

int hal_irq_attach(unsigned line, hal_irq_handler fn, void *ctx)
{
	bool irq;
	int error;

	if (line >= SIM_LINES)
		return -ENODEV;
	irq = sim_bus_lock();
	error = add(line, fn, ctx);
	sim_bus_unlock(irq);
	if (!error && line_wants(line))
		raise_now(0, line);
	return error;
}

int hal_msi_alloc(hal_irq_handler fn, void *ctx, struct hal_msi *ret)
{
	unsigned cpu = hal_cpu_id(), vector;
	bool irq = sim_bus_lock();

	vector = next_vector < SIM_VECTORS ? next_vector++ : SIM_VECTORS;
	if (vector < SIM_VECTORS)
		add(vector, fn, ctx);
	sim_bus_unlock(irq);
	if (vector == SIM_VECTORS)
		return -ENOSPC;
	*ret = (struct hal_msi){SIM_MSI_BASE | (uint64_t)cpu << 12, vector};
	return 0;
}

static void run(unsigned vector)
{
	for (unsigned i = 0; i < SIM_LINE_SHARE_MAX; i++) {
		hal_irq_handler fn = __atomic_load_n(&handlers[vector][i].fn, __ATOMIC_ACQUIRE);

		if (fn)
			fn(handlers[vector][i].ctx);
	}
	if (vector < SIM_LINES && line_wants(vector))
		raise_now(0, vector);
}

void sim_vectors_deliver(struct sim_vcpu *v)
{
	for (unsigned i = 0; i < VECTORS; i++) {
		uint64_t bits = atomic_exchange(&v->vectors[i], 0);

		for (; bits; bits &= bits - 1)
			run(i * 64 + (unsigned)__builtin_ctzll(bits));
	}
}
