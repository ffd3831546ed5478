/* SPDX-License-Identifier: MIT */
/*
 * Time: the generic timer's virtual counter and its comparator (Arm ARM D11). The counter runs at one rate on
 * all CPUs, from before boot; the kernel's clock begins at 0 with the kernel's first instruction.
 *
 * ns = ticks * mult / 2^32 and ticks = ns * inverse / 2^32, in 128 bits; the factors are rounded down, so
 * that a deadline is turned into one tick more than the product says, and is never early.
 */
#include "aarch64.h"
#include <arch/note.h>

#define CTL_ENABLE 1

static uint64_t base_ticks;
static uint64_t mult = UINT64_C(1) << 32, inverse = UINT64_C(1) << 32;
static uint64_t wall_at_boot_ns;

static uint64_t scale(uint64_t value, uint64_t factor)
{
	return (uint64_t)((unsigned __int128)value * factor >> 32);
}

static uint64_t ticks_now(void)
{
	isb(); /* not read ahead of what came before */
	return read_sysreg(cntvct_el0) - base_ticks;
}

void timer_init(uint64_t counter_at_boot)
{
	uint64_t frequency = read_sysreg(cntfrq_el0);

	if (frequency == 0 || frequency > UINT32_MAX) {
		arch_note_hex("timer",
			      "the counter's frequency makes no sense, 62.5 MHz assumed:", frequency);
		frequency = 62500000;
	}
	base_ticks = counter_at_boot;
	mult = (uint64_t)(((unsigned __int128)1000000000 << 32) / frequency);
	inverse = (frequency << 32) / 1000000000;
	uint64_t wall = efi_boot.wall_seconds != 0 ? efi_boot.wall_seconds : rtc_read_seconds(&machine.rtc);
	wall_at_boot_ns = wall * UINT64_C(1000000000) - hal_clock_ns();
	vdso_set_clock(base_ticks, mult, wall_at_boot_ns);
}

void timer_init_cpu(void)
{
	write_sysreg(cntv_ctl_el0, 0);
}

uint64_t hal_clock_ns(void)
{
	return scale(ticks_now(), mult);
}

uint64_t hal_wall_ns(void)
{
	return __atomic_load_n(&wall_at_boot_ns, __ATOMIC_RELAXED) + hal_clock_ns();
}

void hal_wall_set(uint64_t wall_ns)
{
	uint64_t offset = wall_ns - hal_clock_ns();

	__atomic_store_n(&wall_at_boot_ns, offset, __ATOMIC_RELAXED);
	vdso_set_wall(offset);
}

uint64_t hal_boot_clock_ns(void)
{
	return 0;
}

/* The timer is level triggered: a deadline that has passed raises the interrupt at once. */
void hal_timer_arm(uint64_t deadline_ns)
{
	if (deadline_ns == HAL_TIMER_NEVER) {
		write_sysreg(cntv_ctl_el0, 0);
		return;
	}
	write_sysreg(cntv_cval_el0, scale(deadline_ns, inverse) + 1 + base_ticks);
	write_sysreg(cntv_ctl_el0, CTL_ENABLE);
	isb();
}

void timer_interrupt(void)
{
	write_sysreg(cntv_ctl_el0, 0); /* or the line stays up */
	isb();
	if (hal_upcalls.timer != NULL)
		hal_upcalls.timer();
}
