/* SPDX-License-Identifier: MIT */
/*
 * The part of a user thread that stays in the CPU while the kernel runs: FPU registers and thread pointer.
 *
 * I1  cpu->fpu_live == u: this CPU's registers hold u's state, and only they do; *u->fpu, u->tpidr are stale.
 *
 * I2  cpu->fpu_last == u and u->fpu_cpu == cpu->id: the registers hold u's state, and memory holds the same.
 *     So a thread that comes back to a CPU that ran no other in between needs no load. When memory changes,
 *     fpu_cpu becomes NO_CPU.
 *
 * I3  hal_user_run() finds I1 or makes it so.
 *
 * A thread that ends may leave its name in fpu_live; the next one that arrives puts its own over it.
 *
 * All with interrupts off: what interrupts could at most do is switch threads, by which the registers change
 * hands.
 */
#include "aarch64.h"
#include <asm/sigcontext.h>

#define NO_CPU	 UINT32_MAX
#define MDSCR_SS 1u /* Arm ARM D19.3.20: single steps of user code */

size_t hal_user_fpu_size(void)
{
	return sizeof(struct aarch64_fpu);
}

void hal_user_init(struct hal_user *u, void *fpu)
{
	*u = (struct hal_user){.fpu = fpu, .fpu_cpu = NO_CPU};
	user_fpu_reset(fpu);
}

/* Memory is as new as the registers, which go on being u's. */
static void write_back(struct hal_user *u)
{
	fpu_save(u->fpu);
	u->tpidr = read_sysreg(tpidr_el0);
}

void hal_user_sync(struct hal_user *u)
{
	unsigned long irq = hal_irq_save();

	if (this_hal_cpu()->fpu_live == u)
		write_back(u);
	hal_irq_restore(irq);
}

void hal_user_fork(struct hal_user *dst, void *fpu, struct hal_user *src)
{
	hal_user_sync(src);
	*dst = *src;
	dst->fpu = fpu;
	dst->fpu_cpu = NO_CPU;
	*dst->fpu = *src->fpu;
}

void hal_user_save(struct hal_user *u)
{
	struct hal_cpu *cpu = this_hal_cpu();

	if (cpu->fpu_live != u)
		return;
	write_back(u);
	cpu->fpu_live = NULL;
	cpu->fpu_last = u;
	u->fpu_cpu = cpu->id;
}

/*
 * hal_user_run() loads what is not there yet; a thread that sleeps again before it gets there costs nothing. MDSCR_EL1.SS is the CPU's, and
 * must be clear for whoever makes no single steps.
 */
void hal_user_load(struct hal_user *u)
{
	struct hal_cpu *cpu = this_hal_cpu();

	if (__builtin_expect(cpu->stepping == u->step, 1))
		return;
	cpu->stepping = u->step;
	write_sysreg(mdscr_el1, u->step ? MDSCR_SS : 0);
	isb();
}

void user_fpu_arrive(struct hal_user *u)
{
	struct hal_cpu *cpu = this_hal_cpu();

	if (cpu->fpu_last != u || u->fpu_cpu != cpu->id) {
		fpu_load(u->fpu);
		write_sysreg(tpidr_el0, u->tpidr);
	}
	cpu->fpu_last = NULL;
	cpu->fpu_live = u;
}

void user_fpu_abandon(struct hal_user *u)
{
	unsigned long irq = hal_irq_save();

	if (this_hal_cpu()->fpu_live == u) {
		u->tpidr = read_sysreg(tpidr_el0);
		this_hal_cpu()->fpu_live = NULL;
	}
	u->fpu_cpu = NO_CPU;
	hal_irq_restore(irq);
}

void user_fpu_reset(struct aarch64_fpu *fpu)
{
	*fpu = (struct aarch64_fpu){.magic = FPSIMD_MAGIC, .size = sizeof(*fpu)};
}
