/* SPDX-License-Identifier: MIT */
/*
 * The code of a stub process, copied into an ELF image of one page (host_stub.c). It runs from SIM_STUB_CODE, has no data and no
 * stack, and does nothing but make the system calls that it is told to.
 */
	.section .rodata

	.globl	host_stub_code, host_stub_code_end
	.hidden	host_stub_code, host_stub_code_end
	.balign	16
host_stub_code:
	/* One call, in the registers: only to map the page from which the others come. */
	syscall
	int3
	/* host_stub_code + 3: calls (number and six arguments) from rbx up to r15, until one fails; rax is then the error. */
1:	cmpq	%r15, %rbx
	je	2f
	movq	0(%rbx), %rax
	movq	8(%rbx), %rdi
	movq	16(%rbx), %rsi
	movq	24(%rbx), %rdx
	movq	32(%rbx), %r10
	movq	40(%rbx), %r8
	movq	48(%rbx), %r9
	syscall
	cmpq	$-4095, %rax
	jae	2f
	addq	$56, %rbx
	jmp	1b
2:	int3
host_stub_code_end:

	.section .note.GNU-stack, "", @progbits
