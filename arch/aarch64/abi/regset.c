/* SPDX-License-Identifier: MIT */
/*
 * A thread's registers as ptrace(2) and core files show them (asm/ptrace.h, elf.h's NT_*), single steps, and the holding still of a thread
 * whose registers others look at.
 *
 * A single step (Arm ARM D2.12): MDSCR_EL1.SS is set while the thread is on a CPU, and PSTATE.SS says that one instruction is still to be
 * done; when it is clear, the step exception comes before the next one. Neither is shown.
 */
#include "../aarch64.h"
#include <cloudos/string.h>
#include <asm/ptrace.h>
#include <linux/elf.h>
#include <linux/errno.h>

#define DEBUG_ARCH    6 /* of NT_ARM_HW_*: Armv8, and no register that could be used */
#define HW_INFO_WORDS 2

_Static_assert(sizeof(struct user_pt_regs) == offsetof(struct hal_regs, orig_x0), "a prefix of ours");
_Static_assert(sizeof(struct user_fpsimd_state) == 528, "NT_PRFPREG");

void hal_user_lend(struct hal_user *u)
{
	hal_user_sync(u);
	user_fpu_abandon(u);
}

void hal_user_reclaim(struct hal_user *u)
{
	unsigned long irq = hal_irq_save();

	hal_user_load(u);
	hal_irq_restore(irq);
}

void hal_abi_step(struct hal_user *u, bool on)
{
	u->step = on;
	if (on)
		u->regs.pstate |= AARCH64_PSTATE_SS;
	else
		u->regs.pstate &= ~AARCH64_PSTATE_SS;
}

bool hal_abi_stepping(const struct hal_user *u)
{
	return u->step;
}

/* ---- sets ---- */

size_t hal_abi_regset_size(unsigned type)
{
	switch (type) {
	case NT_PRSTATUS:
		return sizeof(struct user_pt_regs);
	case NT_PRFPREG:
		return sizeof(struct user_fpsimd_state);
	case NT_ARM_TLS:
		return sizeof(uint64_t);
	case NT_ARM_SYSTEM_CALL:
		return sizeof(int);
	case NT_ARM_HW_BREAK:
	case NT_ARM_HW_WATCH:
		return HW_INFO_WORDS * sizeof(uint32_t);
	default:
		return 0;
	}
}

unsigned hal_abi_core_set(unsigned n)
{
	static const unsigned sets[] = {NT_PRFPREG, NT_ARM_TLS, NT_ARM_HW_BREAK, NT_ARM_HW_WATCH, NT_ARM_SYSTEM_CALL};

	return n < sizeof(sets) / sizeof(sets[0]) ? sets[n] : 0;
}

static void get_general(const struct hal_user *u, struct user_pt_regs *ret)
{
	memcpy(ret, &u->regs, sizeof(*ret));
	ret->pstate &= ~AARCH64_PSTATE_SS;
}

static void get_fpu(const struct aarch64_fpu *fpu, struct user_fpsimd_state *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->vregs, fpu->v, sizeof(ret->vregs));
	ret->fpsr = fpu->fpsr;
	ret->fpcr = fpu->fpcr;
}

void hal_abi_regset_get(const struct hal_user *u, unsigned type, void *ret)
{
	const uint32_t hw_info[HW_INFO_WORDS] = {DEBUG_ARCH << 8};
	int number = (int)u->regs.reserved;

	switch (type) {
	case NT_PRSTATUS:
		get_general(u, ret);
		break;
	case NT_PRFPREG:
		get_fpu(u->fpu, ret);
		break;
	case NT_ARM_TLS:
		memcpy(ret, &u->tpidr, sizeof(u->tpidr));
		break;
	case NT_ARM_SYSTEM_CALL:
		memcpy(ret, &number, sizeof(number));
		break;
	case NT_ARM_HW_BREAK:
	case NT_ARM_HW_WATCH:
		memcpy(ret, hw_info, sizeof(hw_info));
		break;
	}
}

/* PSTATE goes by way of a local: at no time may *u hold one that has not been cut to what is a program's. */
static int set_general(struct hal_user *u, const void *data, size_t len)
{
	struct user_pt_regs regs;

	get_general(u, &regs);
	memcpy(&regs, data, len);
	if (regs.pstate & AARCH64_PSTATE_FORBIDDEN)
		return -EINVAL;
	regs.pstate &= AARCH64_PSTATE_USER;
	regs.pstate |= u->regs.pstate & AARCH64_PSTATE_SS;
	memcpy(&u->regs, &regs, sizeof(regs));
	return 0;
}

static void set_fpu(struct aarch64_fpu *fpu, const void *data, size_t len)
{
	struct user_fpsimd_state state;

	get_fpu(fpu, &state);
	memcpy(&state, data, len);
	memcpy(fpu->v, state.vregs, sizeof(fpu->v));
	fpu->fpsr = state.fpsr;
	fpu->fpcr = state.fpcr;
}

int hal_abi_regset_set(struct hal_user *u, unsigned type, const void *data, size_t len)
{
	int number;

	switch (type) {
	case NT_PRSTATUS:
		return set_general(u, data, len);
	case NT_PRFPREG:
		set_fpu(u->fpu, data, len);
		return 0;
	case NT_ARM_TLS:
		memcpy(&u->tpidr, data, len);
		return 0;
	case NT_ARM_SYSTEM_CALL:
		if (len != sizeof(number))
			return -EINVAL;
		memcpy(&number, data, sizeof(number));
		u->regs.reserved = (uint64_t)(int64_t)number;
		return 0;
	default:
		return -EINVAL;
	}
}

bool hal_abi_regset_request(unsigned long request, unsigned *ret_type, bool *ret_set)
{
	(void)request;
	(void)ret_type;
	(void)ret_set;
	return false;
}

int hal_abi_user_peek(const struct hal_user *u, uint64_t at, uint64_t *ret)
{
	(void)u;
	(void)at;
	(void)ret;
	return -EIO;
}

int hal_abi_user_poke(struct hal_user *u, uint64_t at, uint64_t value)
{
	(void)u;
	(void)at;
	(void)value;
	return -EIO;
}

/* ---- stops of system calls: the number has a set of its own, the first argument is what x0 holds ---- */

void hal_abi_call_stop(struct hal_regs *r)
{
	r->reserved = r->x[8];
}

uint64_t hal_abi_call_stopped(struct hal_regs *r)
{
	r->orig_x0 = r->x[0];
	return r->reserved;
}
