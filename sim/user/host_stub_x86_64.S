/* SPDX-License-Identifier: MIT */
/*
 * Assembly of the stubs: their own code, and the call that makes them.
 *
 * The code of a stub process is copied into an ELF image of one page (host_stub.c). It runs from
 * SIM_STUB_CODE, has no data of its own and no stack, and does nothing but make the system calls that it is
 * told to. The offsets into the data page are struct stub_page's; calls are a number and six arguments.
 */
#define PAGE_END	0	/* behind the last call */
#define PAGE_FRAME	8
#define PAGE_BASES	16
#define PAGE_FS		24
#define PAGE_GS		32
#define PAGE_CALLS	64
#define DATA		0x7fff00001000	/* SIM_STUB_DATA */
#define DATA_SIZE	0x8000		/* SIM_STUB_DATA_SIZE */
#define STOP		1000		/* STUB_STOP: a number that no system call has */

	.macro	load_call from
	movq	0(\from), %rax
	movq	8(\from), %rdi
	movq	16(\from), %rsi
	movq	24(\from), %rdx
	movq	32(\from), %r10
	movq	40(\from), %r8
	movq	48(\from), %r9
	.endm

	.section .rodata
	.globl	host_stub_code, host_stub_code_end, host_stub_traced, host_stub_batch, host_stub_handler
	.globl	host_stub_stopped
	.hidden	host_stub_code, host_stub_code_end, host_stub_traced, host_stub_batch, host_stub_handler
	.hidden	host_stub_stopped
	.balign	16
/*
 * The back end by seccomp. A start: asks for the place of its data page, maps that, and goes on as if it were
 * told to continue, with no frame to return to.
 */
host_stub_code:
	movl	$STOP, %eax
	syscall
	movl	%eax, %r8d
	andl	$4095, %r8d		/* the descriptor */
	movq	%rax, %r9
	andq	$-4096, %r9
	movabsq	$DATA, %rdi
	movl	$DATA_SIZE, %esi
	movl	$3, %edx		/* PROT_READ | PROT_WRITE */
	movl	$0x11, %r10d		/* MAP_SHARED | MAP_FIXED */
	movl	$9, %eax		/* mmap */
	syscall
	xorl	%eax, %eax
	jmp	1f

/*
 * The handler of all signals: (number, siginfo, ucontext). Tells the simulator, which answers with the
 * secret in rax. From there on nothing is believed that was in a register or in memory before: the simulator
 * has written what is read here while we waited.
 */
host_stub_handler:
	rdfsbase %r10
	rdgsbase %r8
	movl	$STOP, %eax
	syscall
host_stub_stopped:
1:	movabsq	$DATA, %rbx
	movq	%rax, %r12		/* the halves of the secret, where calls shall carry them */
	movq	%rax, %r13
	shrq	$32, %r12
	shlq	$32, %r12
	shlq	$32, %r13
	cmpq	$0, PAGE_BASES(%rbx)
	je	2f
	movq	PAGE_FS(%rbx), %rax
	wrfsbase %rax
	movq	PAGE_GS(%rbx), %rax
	wrgsbase %rax
2:	leaq	PAGE_CALLS(%rbx), %rbp
	movq	PAGE_END(%rbx), %r15
3:	cmpq	%r15, %rbp
	je	4f
	load_call %rbp
	orq	%r12, %r10
	orq	%r13, %r8
	syscall
	cmpq	$-4095, %rax
	jae	5f
	addq	$56, %rbp
	jmp	3b
4:	movq	PAGE_FRAME(%rbx), %rsp
	testq	%rsp, %rsp
	jz	6f
	movl	$15, %eax		/* rt_sigreturn, which sets all registers */
	movq	%r12, %r10
	movq	%r13, %r8
	syscall
6:	ud2
5:	xorl	%edi, %edi		/* no signal: a call failed, as the secret proves */
	movq	%r12, %rsi
	movq	%r13, %rdx
	jmp	host_stub_handler

/* The back end by ptrace. One call, in the registers: only to map the page from which the others come. */
host_stub_traced:
	syscall
	int3
/* Calls from rbx up to r15; ends in a breakpoint when all were made, in an invalid instruction when one failed. */
host_stub_batch:
	cmpq	%r15, %rbx
	je	7f
	load_call %rbx
	syscall
	cmpq	$-4095, %rax
	jae	8f
	addq	$56, %rbx
	jmp	host_stub_batch
7:	int3
8:	ud2
host_stub_code_end:

/*
 * int host_clone_vfork(int (*fn)(void *), void *arg, void *stack_top, int more_flags): a child that shares our
 * memory and lets us wait until it has executed another program or ended. The C library's clone() would do,
 * but ThreadSanitizer takes it for a fork of its own runtime.
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
	movl	%ecx, %edi
	orl	$0x4111, %edi		/* CLONE_VFORK | CLONE_VM | SIGCHLD */
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
