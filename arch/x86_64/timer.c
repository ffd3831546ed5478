/* SPDX-License-Identifier: MIT */
/*
 * The one-shot timer of each CPU: the local APIC's, counting down or, where there is such a mode, waiting for
 * a value of the time-stamp counter.
 *
 * Writing the timer is slow (a register of a device, in a virtual machine an exit), and deadlines are mostly
 * put off: so a later deadline than the one the hardware waits for is only noted, and looked at when that one
 * comes. All fields belong to this CPU, with interrupts off.
 */
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/percpu.h>
#include <x86/timer.h>
#include <x86/trap.h>

#define CPUID_TSC_DEADLINE (1u << 24)
#define STRETCH_MAX_NS	   UINT64_C(1000000000) /* longer waits are several */

static bool by_tsc;

void x86_timer_enable(void)
{
	by_tsc = (cpuid(1, 0).ecx & CPUID_TSC_DEADLINE) != 0;
	x86_apic_write(APIC_TIMER_DIVIDE, 0xb);
	x86_apic_write(APIC_TIMER_COUNT, 0);
	x86_apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (by_tsc ? APIC_LVT_TSC_DEADLINE : 0));
	if (by_tsc)
		__asm__ volatile("mfence"
				 :
				 :
				 : "memory"); /* Intel SDM 3A 10.5.4.1: the mode before the first deadline */
	this_cpu()->timer_deadline = HAL_TIMER_NEVER;
	this_cpu()->timer_hardware = HAL_TIMER_NEVER;
}

static void hardware_arm(struct cpu *c, uint64_t deadline_ns)
{
	uint64_t now = hal_clock_ns();
	uint64_t wait = deadline_ns > now ? deadline_ns - now : 0;
	uint64_t ticks;

	if (wait > STRETCH_MAX_NS)
		wait = STRETCH_MAX_NS;
	c->timer_hardware = now + wait;
	if (by_tsc) {
		wrmsr(MSR_TSC_DEADLINE, x86_tsc_of_ns(now + wait) + 1);
		return;
	}
	ticks = (uint64_t)((unsigned __int128)wait * x86_apic_ticks_per_ns32() >> 32) + 1;
	x86_apic_write(APIC_TIMER_COUNT, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

void hal_timer_arm(uint64_t deadline_ns)
{
	struct cpu *c = this_cpu();

	c->timer_deadline = deadline_ns;
	if (deadline_ns < c->timer_hardware)
		hardware_arm(c, deadline_ns);
}

void x86_timer_interrupt(void)
{
	struct cpu *c = this_cpu();

	c->timer_hardware = HAL_TIMER_NEVER;
	if (c->timer_deadline == HAL_TIMER_NEVER)
		return;
	if (hal_clock_ns() < c->timer_deadline) {
		hardware_arm(c, c->timer_deadline);
		return;
	}
	c->timer_deadline = HAL_TIMER_NEVER;
	if (hal_upcalls.timer != NULL)
		hal_upcalls.timer();
}
