/* SPDX-License-Identifier: MIT */
/* Numbers that assembly shares with C; asm_offsets.c asserts each of them. */
#ifndef AARCH64_ASM_OFFSETS_H
#define AARCH64_ASM_OFFSETS_H

/* struct hal_cpu */
#define CPU_AREA     0
#define CPU_CURRENT  8
#define CPU_FPU_LIVE 16
#define CPU_ID	     32

/* struct hal_user */
#define USER_X(n)    ((n)*8)
#define USER_PC	     256
#define USER_ORIG_X0 272

/* struct hal_context */
#define CONTEXT_PC 88
#define CONTEXT_SP 96

/* struct trap_frame: x0..x30, sp, pc, pstate */
#define TRAP_X(n) ((n)*8)
#define TRAP_SP	  248
#define TRAP_PC	  256
#define TRAP_SIZE 272

/* enum hal_exit_kind */
#define EXIT_SYSCALL   0
#define EXIT_INTERRUPT 3

/* Virtual addresses: <hal/arch.h> */
#define KERNEL_VA   0xffff800000000000
#define KSTACK_SIZE 16384

/* ESR_EL1.EC of `svc` in AArch64 */
#define EC_SVC64 0x15

#endif
