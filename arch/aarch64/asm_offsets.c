/* SPDX-License-Identifier: MIT */
/* Asserts what asm_offsets.h says, and the numbers that <hal/arch.h> writes into its asm statements. */
#include "aarch64.h"
#include "asm_offsets.h"

_Static_assert(offsetof(struct hal_cpu, area) == CPU_AREA && CPU_AREA == 0, "hal_cpu_area()");
_Static_assert(offsetof(struct hal_cpu, current) == CPU_CURRENT && CPU_CURRENT == 8, "hal_current()");
_Static_assert(offsetof(struct hal_cpu, fpu_live) == CPU_FPU_LIVE, "hal_user_run()");
_Static_assert(offsetof(struct hal_cpu, id) == CPU_ID && CPU_ID == 32, "hal_cpu_id()");

_Static_assert(offsetof(struct hal_user, regs) == 0 && offsetof(struct hal_regs, x[30]) == USER_X(30),
	       "x30, sp follow");
_Static_assert(offsetof(struct hal_regs, sp) == USER_X(31), "x30, sp");
_Static_assert(offsetof(struct hal_regs, pc) == USER_PC && offsetof(struct hal_regs, pstate) == USER_PC + 8,
	       "pc, pstate");
_Static_assert(offsetof(struct hal_regs, orig_x0) == USER_ORIG_X0, "orig_x0");

_Static_assert(offsetof(struct hal_context, fp) == 80 && offsetof(struct hal_context, pc) == CONTEXT_PC,
	       "x29, x30");
_Static_assert(offsetof(struct hal_context, sp) == CONTEXT_SP, "sp");

_Static_assert(offsetof(struct trap_frame, x[30]) == TRAP_X(30) && offsetof(struct trap_frame, sp) == TRAP_SP,
	       "x30, sp");
_Static_assert(offsetof(struct trap_frame, pc) == TRAP_PC && sizeof(struct trap_frame) == TRAP_SIZE,
	       "pc, pstate");

_Static_assert(HAL_EXIT_SYSCALL == EXIT_SYSCALL && HAL_EXIT_INTERRUPT == EXIT_INTERRUPT,
	       "hal_user_run() returns these");
_Static_assert(HAL_KSTACK_SIZE == KSTACK_SIZE, "linker.ld reserves the boot stack");

_Static_assert(offsetof(struct aarch64_fpu, fpsr) == 8 && offsetof(struct aarch64_fpu, v) == 16,
	       "fpu_save()");
