/* SPDX-License-Identifier: MIT */
/*
 * Places in struct cpu (<x86/percpu.h>) and struct hal_user (<hal/arch.h>) that assembly uses; asserted in
 * percpu.c.
 */
#ifndef X86_PERCPU_OFFSETS_H
#define X86_PERCPU_OFFSETS_H

#define CPU_SELF    0
#define CPU_AREA    8
#define CPU_CURRENT 16
#define CPU_ID	    24
#define CPU_SCRATCH 40
#define CPU_TSS	    60 /* so that rsp0 is aligned */
#define CPU_RSP0    (CPU_TSS + 4)

#define USER_R15	  8
#define USER_R14	  16
#define USER_R13	  24
#define USER_R12	  32
#define USER_RBP	  40
#define USER_RBX	  48
#define USER_R11	  56
#define USER_R10	  64
#define USER_R9		  72
#define USER_R8		  80
#define USER_RAX	  88
#define USER_RCX	  96
#define USER_RDX	  104
#define USER_RSI	  112
#define USER_RDI	  120
#define USER_ORIG_RAX	  128
#define USER_RIP	  136
#define USER_CS		  144
#define USER_RFLAGS	  152
#define USER_RSP	  160
#define USER_SS		  168
#define USER_REGS_END	  176 /* where the CPU begins to push when a trap leaves user mode */
#define USER_REGS_PARTIAL 200
#define USER_KERNEL_SP	  240
#define USER_EXIT	  248

#endif
