/* SPDX-License-Identifier: MIT */
/*
 * Exceptions, and hal_user_run(), which is one half of them.
 *
 * hal_user_run(u, ret) (<hal/arch.h>) has the compiler save what it needs, keeps frame pointer, return address and x18 on the
 * thread's kernel stack, loads the user's registers from *u and leaves. SP_EL1 keeps pointing at that frame while the user runs,
 * so that an exception from user mode finds `u` there, saves the user's registers straight into it, takes the frame off again
 * and thereby returns from hal_user_run(). Nothing of the user's is ever on the kernel stack; a null system call costs 27
 * instructions out and 34 in.
 *
 *   frame: x29 x30 | u x18 | ret - | scratch for x0 x1
 *
 * Exceptions in the kernel build a struct trap_frame (faults) or save what C may clobber (interrupts) on the stack they hit. A
 * fault may sleep and continue on another CPU, so that x18 is not restored from it. Before a fault touches the stack it asks
 * the MMU whether the stack is there: an overflow hits the guard page, and goes on on a stack of its own to say so.
 */
#include "asm.h"

#define RUN_FRAME   64
#define RUN_USER    16
#define RUN_X18	    24
#define RUN_RET	    32
#define RUN_SCRATCH 48

	.text

.macro VECTOR target
	.balign 128
	b \target
.endm

	.balign 2048
	.globl vectors
	.hidden vectors
vectors:
	VECTOR bad_vector		/* EL1 on SP_EL0 */
	VECTOR bad_vector
	VECTOR bad_vector
	VECTOR bad_vector
	VECTOR kernel_sync		/* EL1 */
	VECTOR kernel_irq
	VECTOR bad_vector
	VECTOR bad_vector		/* SError */
	VECTOR user_sync		/* EL0, AArch64 */
	VECTOR user_irq
	VECTOR user_bad
	VECTOR user_bad			/* SError */
	VECTOR user_bad			/* EL0, AArch32 */
	VECTOR user_bad
	VECTOR user_bad
	VECTOR user_bad

/* ---- user mode ---- */

FUNCTION aarch64_user_run
	stp x29, x30, [sp, #-RUN_FRAME]!
	stp x0, x18, [sp, #RUN_USER]
	str x1, [sp, #RUN_RET]
	ldr x2, [x18, #CPU_FPU_LIVE]
	cmp x2, x0
	b.ne 2f
1:	ldp x2, x3, [x0, #USER_PC]
	msr elr_el1, x2
	msr spsr_el1, x3
	ldp x30, x4, [x0, #USER_X(30)]
	msr sp_el0, x4
	ldp x28, x29, [x0, #USER_X(28)]
	ldp x26, x27, [x0, #USER_X(26)]
	ldp x24, x25, [x0, #USER_X(24)]
	ldp x22, x23, [x0, #USER_X(22)]
	ldp x20, x21, [x0, #USER_X(20)]
	ldp x18, x19, [x0, #USER_X(18)]
	ldp x16, x17, [x0, #USER_X(16)]
	ldp x14, x15, [x0, #USER_X(14)]
	ldp x12, x13, [x0, #USER_X(12)]
	ldp x10, x11, [x0, #USER_X(10)]
	ldp x8, x9, [x0, #USER_X(8)]
	ldp x6, x7, [x0, #USER_X(6)]
	ldp x4, x5, [x0, #USER_X(4)]
	ldp x2, x3, [x0, #USER_X(2)]
	ldp x0, x1, [x0, #USER_X(0)]
	eret
2:	bl user_fpu_arrive
	ldr x0, [sp, #RUN_USER]
	b 1b
END_FUNCTION aarch64_user_run

/* The user's registers into *x0 = u; x2-x6 are free after it. */
.macro USER_SAVE
	stp x0, x1, [sp, #RUN_SCRATCH]
	ldr x0, [sp, #RUN_USER]
	stp x2, x3, [x0, #USER_X(2)]
	stp x4, x5, [x0, #USER_X(4)]
	stp x6, x7, [x0, #USER_X(6)]
	stp x8, x9, [x0, #USER_X(8)]
	stp x10, x11, [x0, #USER_X(10)]
	stp x12, x13, [x0, #USER_X(12)]
	stp x14, x15, [x0, #USER_X(14)]
	stp x16, x17, [x0, #USER_X(16)]
	stp x18, x19, [x0, #USER_X(18)]
	stp x20, x21, [x0, #USER_X(20)]
	stp x22, x23, [x0, #USER_X(22)]
	stp x24, x25, [x0, #USER_X(24)]
	stp x26, x27, [x0, #USER_X(26)]
	stp x28, x29, [x0, #USER_X(28)]
	ldp x2, x3, [sp, #RUN_SCRATCH]
	stp x2, x3, [x0, #USER_X(0)]
	mrs x4, sp_el0
	stp x30, x4, [x0, #USER_X(30)]
	mrs x5, elr_el1
	mrs x6, spsr_el1
	stp x5, x6, [x0, #USER_PC]
.endm

/* Takes hal_user_run()'s frame off: x30 is where it returns to. */
.macro USER_RETURN
	ldr x18, [sp, #RUN_X18]
	ldp x29, x30, [sp], #RUN_FRAME
.endm

user_sync:
	USER_SAVE
	mrs x4, esr_el1
	lsr x5, x4, #26
	cmp x5, #EC_SVC64
	b.ne user_fault
	str x2, [x0, #USER_ORIG_X0]
	USER_RETURN
	mov w0, #EXIT_SYSCALL
	msr daifclr, #6				/* interrupts and SError */
	ret

user_fault:
	mov x2, x4
	mrs x3, far_el1
	ldr x1, [sp, #RUN_RET]
	USER_RETURN
	b exception_user			/* and from there to hal_user_run()'s caller */

user_irq:
	USER_SAVE
	USER_RETURN
	stp x29, x30, [sp, #-16]!
	mov x29, sp
	mov x0, xzr
	bl gic_handle
	ldp x29, x30, [sp], #16
	mov w0, #EXIT_INTERRUPT
	msr daifclr, #6
	ret

/* SError, FIQ, AArch32: the machine is not what it should be. */
user_bad:
	USER_SAVE
	USER_RETURN
	b bad_vector

/* ---- kernel mode ---- */

.macro TRAP_SAVE
	sub sp, sp, #TRAP_SIZE
	stp x0, x1, [sp, #TRAP_X(0)]
	stp x2, x3, [sp, #TRAP_X(2)]
	stp x4, x5, [sp, #TRAP_X(4)]
	stp x6, x7, [sp, #TRAP_X(6)]
	stp x8, x9, [sp, #TRAP_X(8)]
	stp x10, x11, [sp, #TRAP_X(10)]
	stp x12, x13, [sp, #TRAP_X(12)]
	stp x14, x15, [sp, #TRAP_X(14)]
	stp x16, x17, [sp, #TRAP_X(16)]
	stp x18, x19, [sp, #TRAP_X(18)]
	stp x20, x21, [sp, #TRAP_X(20)]
	stp x22, x23, [sp, #TRAP_X(22)]
	stp x24, x25, [sp, #TRAP_X(24)]
	stp x26, x27, [sp, #TRAP_X(26)]
	stp x28, x29, [sp, #TRAP_X(28)]
	add x0, sp, #TRAP_SIZE
	stp x30, x0, [sp, #TRAP_X(30)]
	mrs x0, elr_el1
	mrs x1, spsr_el1
	stp x0, x1, [sp, #TRAP_PC]
	mov x0, sp
	mrs x1, esr_el1
	mrs x2, far_el1
.endm

kernel_sync:
	msr tpidrro_el0, x0			/* the one free register */
	sub x0, sp, #TRAP_SIZE
	at s1e1w, x0
	isb
	mrs x0, par_el1
	tbnz x0, #0, stack_overflow
	mrs x0, tpidrro_el0
	msr tpidrro_el0, xzr
	TRAP_SAVE
	bl exception_kernel
	ldp x0, x1, [sp, #TRAP_PC]
	msr elr_el1, x0
	msr spsr_el1, x1
	ldp x2, x3, [sp, #TRAP_X(2)]
	ldp x4, x5, [sp, #TRAP_X(4)]
	ldp x6, x7, [sp, #TRAP_X(6)]
	ldp x8, x9, [sp, #TRAP_X(8)]
	ldp x10, x11, [sp, #TRAP_X(10)]
	ldp x12, x13, [sp, #TRAP_X(12)]
	ldp x14, x15, [sp, #TRAP_X(14)]
	ldp x16, x17, [sp, #TRAP_X(16)]
	ldr x19, [sp, #TRAP_X(19)]		/* x18 is this CPU's, which may be another now */
	ldp x20, x21, [sp, #TRAP_X(20)]
	ldp x22, x23, [sp, #TRAP_X(22)]
	ldp x24, x25, [sp, #TRAP_X(24)]
	ldp x26, x27, [sp, #TRAP_X(26)]
	ldp x28, x29, [sp, #TRAP_X(28)]
	ldr x30, [sp, #TRAP_X(30)]
	ldp x0, x1, [sp, #TRAP_X(0)]
	add sp, sp, #TRAP_SIZE
	eret

/* The frame record { x29, pc } lets a backtrace pass through. */
kernel_irq:
	sub sp, sp, #192
	stp x0, x1, [sp, #0]
	stp x2, x3, [sp, #16]
	stp x4, x5, [sp, #32]
	stp x6, x7, [sp, #48]
	stp x8, x9, [sp, #64]
	stp x10, x11, [sp, #80]
	stp x12, x13, [sp, #96]
	stp x14, x15, [sp, #112]
	stp x16, x17, [sp, #128]
	mrs x0, elr_el1
	mrs x1, spsr_el1
	stp x29, x0, [sp, #144]
	stp x30, x1, [sp, #160]
	add x29, sp, #144
	mov x0, x29
	bl gic_handle
	ldp x29, x0, [sp, #144]
	ldp x30, x1, [sp, #160]
	msr elr_el1, x0
	msr spsr_el1, x1
	ldp x16, x17, [sp, #128]
	ldp x14, x15, [sp, #112]
	ldp x12, x13, [sp, #96]
	ldp x10, x11, [sp, #80]
	ldp x8, x9, [sp, #64]
	ldp x6, x7, [sp, #48]
	ldp x4, x5, [sp, #32]
	ldp x2, x3, [sp, #16]
	ldp x0, x1, [sp, #0]
	add sp, sp, #192
	eret

bad_vector:
	TRAP_SAVE
	bl exception_bad_vector

/* The first CPU here gets the stack; another one waits for the end that is coming anyway. */
stack_overflow:
	ldr x0, =overflow_taken
1:	ldaxr w18, [x0]
	cbnz w18, 2f
	stxr w18, w0, [x0]			/* any number but 0 */
	cbnz w18, 1b
	mov x18, sp
	ldr x0, =overflow_stack_top
	mov sp, x0
	mrs x0, tpidrro_el0
	TRAP_SAVE
	str x18, [sp, #TRAP_SP]
	mrs x18, tpidr_el1
	bl exception_stack_overflow
2:	wfe
	b 2b

	.bss
	.balign 16
overflow_taken:
	.quad 0, 0
	.skip 8192
overflow_stack_top:

	.text

/* ---- kernel contexts ---- */

FUNCTION hal_context_switch
	mov x9, sp
	stp x19, x20, [x0, #0]
	stp x21, x22, [x0, #16]
	stp x23, x24, [x0, #32]
	stp x25, x26, [x0, #48]
	stp x27, x28, [x0, #64]
	stp x29, x30, [x0, #80]
	str x9, [x0, #CONTEXT_SP]
	ldr x9, [x1, #CONTEXT_SP]
	ldp x19, x20, [x1, #0]
	ldp x21, x22, [x1, #16]
	ldp x23, x24, [x1, #32]
	ldp x25, x26, [x1, #48]
	ldp x27, x28, [x1, #64]
	ldp x29, x30, [x1, #80]
	mov sp, x9
	ret
END_FUNCTION hal_context_switch

/* The first instructions of a context: x19 = entry, x20 = its argument. */
FUNCTION context_start
	mov x0, x20
	mov x30, xzr
	br x19
END_FUNCTION context_start
