/* SPDX-License-Identifier: MIT */
/*
 * Switching stacks on an x86_64 host: the System V ABI's callee-saved registers go on the old stack and come
 * from the new one. The vector registers are the caller's business, and nobody changes the floating-point
 * modes.
 */
	.text

/* void sim_switch(void **save_sp, void *load_sp) */
	.globl	sim_switch
	.hidden	sim_switch
	.type	sim_switch, @function
	.balign	16
sim_switch:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	sim_switch, . - sim_switch

/* Where a new context begins: r12 is its struct hal_context (hal_context_init). */
	.globl	sim_context_first
	.hidden	sim_context_first
	.type	sim_context_first, @function
	.balign	16
sim_context_first:
	xorl	%ebp, %ebp
	movq	%r12, %rdi
	call	sim_context_begin
	ud2
	.size	sim_context_first, . - sim_context_first

	.section .note.GNU-stack, "", @progbits
