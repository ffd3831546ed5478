/* SPDX-License-Identifier: MIT */
/*
 * Assembly of the stubs: their own code, and the call that makes them.
 *
 * The code of a stub process is copied into an ELF image of one page (host_stub.c). It runs from
 * SIM_STUB_CODE, has no data and no stack, and does nothing but make the system calls that it is told to.
 */
	.section .rodata

	.globl	host_stub_code, host_stub_code_end
	.hidden	host_stub_code, host_stub_code_end
	.balign	16
host_stub_code:
	/* One call, in the registers: only to map the page from which the others come. */
	syscall
	int3
	/*
	 * host_stub_code + 3: calls (number and six arguments) from rbx up to r15; ends in a breakpoint when
	 * all were made, in an invalid instruction when one failed.
	 */
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
	jae	3f
	addq	$56, %rbx
	jmp	1b
2:	int3
3:	ud2
host_stub_code_end:

/*
 * int host_clone_vfork(int (*fn)(void *), void *arg, void *stack_top): a child that shares our memory and
 * lets us wait until it has executed another program or ended. The C library's clone() would do, but
 * ThreadSanitizer takes it for a fork of its own runtime.
 */
	.text
	.globl	host_clone_vfork
	.hidden	host_clone_vfork
	.type	host_clone_vfork, @function
	.balign	16
host_clone_vfork:
	movq	%rdi, -16(%rdx)
	movq	%rsi, -8(%rdx)
	leaq	-16(%rdx), %rsi
	movl	$0x4111, %edi		/* CLONE_VFORK | CLONE_VM | SIGCHLD */
	xorl	%edx, %edx
	xorl	%r10d, %r10d
	xorl	%r8d, %r8d
	movl	$56, %eax		/* clone */
	syscall
	testl	%eax, %eax
	jz	4f
	ret
4:	xorl	%ebp, %ebp
	popq	%rax
	popq	%rdi
	call	*%rax
	movl	%eax, %edi
	movl	$60, %eax		/* exit */
	syscall
	hlt
	.size	host_clone_vfork, . - host_clone_vfork

	.section .note.GNU-stack, "", @progbits
