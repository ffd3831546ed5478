/* SPDX-License-Identifier: MIT */
/*
 * CPUs: who is there, starting them, and stopping all. Number 0 is the CPU that booted; the others follow in
 * the device tree's order. A CPU that starts takes its stack and entry from `start`, of which there is one:
 * they are started one by one.
 */
#include "aarch64.h"
#include <arch/note.h>
#include <linux/errno.h>

#define MPIDR_AFFINITY UINT64_C(0xff00ffffff)
_Static_assert(DT_CPUS_MAX == HAL_CPU_MAX, "a machine has room for as many");

#define START_TIMEOUT_NS UINT64_C(1000000000)

/* Read by head.S. */
struct secondary_start {
	struct hal_cpu *cpu;
	void *stack_top;
	void (*entry)(void *);
	void *arg;
	uint32_t online; /* set by the CPU when it has taken off */
};

static struct hal_cpu others[HAL_CPU_MAX - 1];
static unsigned count = 1;
static struct secondary_start start;

void smp_init(const struct dt_machine *m)
{
	boot_cpu.mpidr = read_sysreg(mpidr_el1) & MPIDR_AFFINITY;
	boot_cpu.id = 0;
	for (unsigned i = 0; i < m->cpu_count && count < HAL_CPU_MAX; i++) {
		if ((m->mpidr[i] & MPIDR_AFFINITY) == boot_cpu.mpidr)
			continue;
		others[count - 1].mpidr = m->mpidr[i] & MPIDR_AFFINITY;
		others[count - 1].id = count;
		count++;
	}
}

const struct hal_cpu *smp_cpu(unsigned id)
{
	return id == 0 ? &boot_cpu : &others[id - 1];
}

unsigned hal_cpu_count(void)
{
	return count;
}

int hal_cpu_start(unsigned cpu, void *stack_top, void (*entry)(void *), void *arg)
{
	if (cpu == 0 || cpu >= count)
		return -EINVAL;
	start = (struct secondary_start){&others[cpu - 1], stack_top, entry, arg, 0};
	dsb(ish);
	uint64_t give_up = hal_clock_ns() + START_TIMEOUT_NS;
	int error = psci_cpu_on(others[cpu - 1].mpidr, mmu_image_phys((const void *)secondary_entry),
				mmu_image_phys(&start));
	while (error == 0 && __atomic_load_n(&start.online, __ATOMIC_ACQUIRE) == 0) {
		if (hal_clock_ns() > give_up)
			error = -EIO;
		hal_cpu_relax();
	}
	return error;
}

/* A started CPU's first C code: its stack, x18 and vectors are set. */
void secondary_main(void (*entry)(void *), void *arg)
{
	struct hal_cpu *cpu = this_hal_cpu();

	if (!cpu_like_boot_cpu())
		smp_park();
	if (gic_init_cpu(cpu) != 0)
		smp_park();
	timer_init_cpu();
	__atomic_store_n(&start.online, 1, __ATOMIC_RELEASE);
	entry(arg);
	smp_park();
}

void smp_park(void)
{
	hal_irq_disable();
	for (;;)
		__asm__ volatile("wfi");
}

/*
 * An interrupt that is pending ends WFI though it is masked; it is taken when the mask is lifted.
 */
void hal_cpu_idle(void)
{
	dsb(sy);
	__asm__ volatile("wfi\n\tmsr daifclr, #2\n\tisb\n\tmsr daifset, #2" ::: "memory");
}
