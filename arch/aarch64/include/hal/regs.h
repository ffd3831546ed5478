/* SPDX-License-Identifier: MIT */
/* aarch64 user registers and their meaning in the Linux ABI. */
#ifndef HAL_AARCH64_REGS_H
#define HAL_AARCH64_REGS_H

#include <hal/types.h>

/* Linux's struct user_pt_regs, and the first argument as it was when the system call was made. */
struct hal_regs {
	uint64_t x[31];
	uint64_t sp, pc, pstate;
	uint64_t orig_x0;
	uint64_t reserved; /* while a debugger looks at a system call: its number */
};
_Static_assert(sizeof(struct hal_regs) == 36 * 8, "known to assembly");

#define AARCH64_PSTATE_FORBIDDEN UINT64_C(0x3df)	  /* mode, AArch32, DAIF */
#define AARCH64_PSTATE_USER	 UINT64_C(0xf1001000)	  /* NZCV, DIT, SSBS: a program's own */
#define AARCH64_PSTATE_SS	 (UINT64_C(1) << 21)	  /* single step: an instruction is still to be done */

#define HAL_ABI_CLONE_TLS_FOURTH 1
#define HAL_ABI_MACHINE	    "aarch64"
#define HAL_ABI_ELF_MACHINE 183	 /* EM_AARCH64 */
#define HAL_ABI_MINSIGSTKSZ 4720 /* sizeof(struct rt_sigframe) and its frame record: as Linux without SVE */

static inline uint64_t hal_abi_syscall_number(const struct hal_regs *r)
{
	return r->x[8];
}

/* The first argument outlives hal_abi_set_result(). */
static inline uint64_t hal_abi_syscall_arg(const struct hal_regs *r, unsigned n)
{
	return n == 0 ? r->orig_x0 : r->x[n];
}

static inline void hal_abi_set_result(struct hal_regs *r, int64_t value)
{
	r->x[0] = (uint64_t)value;
}

static inline int64_t hal_abi_result(const struct hal_regs *r)
{
	return (int64_t)r->x[0];
}

static inline void hal_abi_restart(struct hal_regs *r)
{
	r->x[0] = r->orig_x0;
	r->pc -= 4;
}

static inline void hal_abi_call_rollback(struct hal_regs *r)
{
	r->x[0] = r->orig_x0;
}

static inline void hal_abi_restart_as(struct hal_regs *r, uint64_t number)
{
	hal_abi_restart(r);
	r->x[8] = number;
}

#define HAL_ABI_RESTART_FIRST 1
#define HAL_ABI_STEP_CODE     0 /* SI_USER */

static inline bool hal_abi_in_call(const struct hal_regs *r)
{
	(void)r;
	return true;
}

static inline uaddr_t hal_abi_behind_call(uaddr_t pc)
{
	return pc + 4;
}

static inline uaddr_t hal_abi_pc(const struct hal_regs *r)
{
	return r->pc;
}

static inline void hal_abi_set_pc(struct hal_regs *r, uaddr_t pc)
{
	r->pc = pc;
}

static inline uaddr_t hal_abi_sp(const struct hal_regs *r)
{
	return r->sp;
}

static inline uaddr_t hal_abi_fp(const struct hal_regs *r)
{
	return r->x[29];
}

#endif
