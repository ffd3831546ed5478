/* SPDX-License-Identifier: MIT */
/* What vCPUs are in both worlds: their initial state, their first context, their idling and spinning. */
#include <hal/hal.h>
#include <sim/context.h>
#include <sim/device.h>
#include <sim/host.h>
#include <sim/world.h>

struct sim_vcpu sim_vcpus[SIM_CPU_MAX];
__thread struct sim_vcpu *sim_self_pointer;

/* The context of the host thread itself, on which a vCPU begins; never continued. */
static struct hal_context thread_context[SIM_CPU_MAX];

void sim_vcpu_enter(struct sim_vcpu *v, void *stack_top, void (*entry)(void *), void *arg)
{
	static struct hal_context first[SIM_CPU_MAX];

	sim_context_prepare(&first[v->id], (char *)stack_top - HAL_KSTACK_SIZE, HAL_KSTACK_SIZE, entry, arg);
	sim_context_go(&thread_context[v->id], &first[v->id]);
	host_fatal("vCPU %u came back to its thread", v->id);
}

void sim_vcpu_adopt(unsigned cpu)
{
	struct sim_vcpu *v = &sim_vcpus[cpu];

	v->id = cpu;
	v->irq_on = false;
	v->relaxed = 0;
	v->area = NULL;
	v->current = NULL;
	v->deadline = HAL_TIMER_NEVER;
	atomic_store(&v->watched, HAL_TIMER_NEVER);
	sim_self_pointer = v;
}

void (*sim_main)(void) = kernel_main;

static void boot(void *arg)
{
	(void)arg;
	sim_main();
}

void sim_start(void)
{
	char *stack = host_stack_create(SIM_BOOT_STACK, HAL_KSTACK_SIZE);

	if (!stack)
		host_fatal("no memory for the boot stack");
	sim_vcpu_adopt(0);
	sim_devices_create();
	sim_vcpu_enter(sim_self(), stack + HAL_KSTACK_SIZE, boot, NULL);
}

unsigned hal_cpu_count(void)
{
	return sim_machine.cpus;
}

int hal_cpu_start(unsigned cpu, void *stack_top, void (*entry)(void *), void *arg)
{
	struct sim_vcpu *v = &sim_vcpus[cpu];

	v->id = cpu;
	v->stack_top = stack_top;
	v->entry = entry;
	v->arg = arg;
	return sim_world->cpu_start(v);
}

void hal_cpu_idle(void)
{
	sim_world->idle(sim_self());
	hal_irq_enable();
	hal_irq_disable();
}

void hal_cpu_relax(void)
{
	struct sim_vcpu *v = sim_self();

	sim_world->relax(v);
	if (v->irq_on)
		hal_irq_enable();
}

void hal_cpu_stop_others(void)
{
	struct sim_vcpu *self = sim_self();

	sim_panicking = true;
	for (unsigned i = 0; i < sim_machine.cpus; i++) {
		if (self != &sim_vcpus[i])
			sim_world->kick(&sim_vcpus[i], SIM_IRQ_HALT);
	}
}
