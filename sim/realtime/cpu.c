/* SPDX-License-Identifier: MIT */
/* vCPUs as threads of the host: starting, sleeping, spinning, stopping. */
#include <asm/errno.h>

#include <hal/hal.h>
#include <sim/host.h>
#include <sim/world.h>

#define START_TIMEOUT_NS UINT64_C(5000000000)
#define YIELD_EVERY	 64 /* calls of hal_cpu_relax(): the vCPU that is waited for may need this host CPU */

/* The context of the host thread itself, on which a vCPU begins; never continued. */
static struct hal_context thread_context[SIM_CPU_MAX];

/* Nobody ever comes back to `from`: the vCPU goes on in `entry` on the given stack. */
static _Noreturn void enter(struct sim_vcpu *v, void *stack_top, void (*entry)(void *), void *arg)
{
	static struct hal_context first[SIM_CPU_MAX];

	hal_context_init(&first[v->id], (char *)stack_top - HAL_KSTACK_SIZE, HAL_KSTACK_SIZE, entry, arg);
	hal_context_switch(&thread_context[v->id], &first[v->id]);
	host_fatal("vCPU %u came back to its thread", v->id);
}

void sim_vcpu_adopt(unsigned cpu)
{
	struct sim_vcpu *v = &sim_vcpus[cpu];

	v->id = cpu;
	v->irq_on = false;
	v->area = NULL;
	v->current = NULL;
	v->deadline = HAL_TIMER_NEVER;
	atomic_store(&v->watched, HAL_TIMER_NEVER);
	sim_self_pointer = v;
}

static void run(struct sim_vcpu *v)
{
	sim_vcpu_adopt((unsigned)(v - sim_vcpus));
	atomic_store(&v->online, 1);
	host_wake(&v->online);
	enter(v, v->stack_top, v->entry, v->arg);
}

int hal_cpu_start(unsigned cpu, void *stack_top, void (*entry)(void *), void *arg)
{
	struct sim_vcpu *v = &sim_vcpus[cpu];

	v->stack_top = stack_top;
	v->entry = entry;
	v->arg = arg;
	if (host_thread_start(v, run) < 0)
		return -EIO;
	host_wait(&v->online, 0, host_clock_ns() + START_TIMEOUT_NS);
	return atomic_load(&v->online) ? 0 : -EIO;
}

static void boot(void *arg)
{
	(void)arg;
	kernel_main();
}

void sim_start(void)
{
	char *stack = host_stack_create(HAL_KSTACK_SIZE);

	if (!stack)
		host_fatal("no memory for the boot stack");
	sim_vcpu_adopt(0);
	enter(sim_self(), stack + HAL_KSTACK_SIZE, boot, NULL);
}

void hal_cpu_idle(void)
{
	struct sim_vcpu *v = sim_self();

	hal_clock_ns();
	while (!atomic_load(&v->pending)) {
		uint64_t deadline = v->deadline;

		if (deadline != HAL_TIMER_NEVER)
			deadline += sim_machine.boot_ns;
		atomic_store(&v->sleeping, 1);
		host_wait(&v->pending, 0, deadline);
		atomic_store(&v->sleeping, 0);
		hal_clock_ns();
	}
	hal_irq_enable();
	hal_irq_disable();
}

void hal_cpu_relax(void)
{
	struct sim_vcpu *v = sim_self();

	__builtin_ia32_pause();
	if (++v->relaxed % YIELD_EVERY == 0) {
		hal_clock_ns();
		host_yield();
	}
	if (v->irq_on)
		hal_irq_enable();
}

void hal_cpu_stop_others(void)
{
	struct sim_vcpu *self = sim_self();

	sim_panicking = true;
	for (unsigned i = 0; i < sim_machine.cpus; i++) {
		if (self != &sim_vcpus[i])
			sim_kick(&sim_vcpus[i], SIM_IRQ_HALT);
	}
}
