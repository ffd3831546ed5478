/* SPDX-License-Identifier: MIT */
/*
 * Ways into and out of user mode, traps in the kernel, and the switch between kernel contexts.
 *
 * hal_user_run() leaves the kernel and, in the C caller's eyes, returns when user code is interrupted by anything. It
 * keeps the frame pointer (the compiler has saved what else it needs: <hal/arch.h>), remembers the stack pointer in the
 * struct hal_user, and lets TSS.rsp0 point behind that struct's registers. Whatever comes next finds its way back:
 *
 *   syscall         stores the user's registers into the struct itself, takes the kernel's stack, returns "system call".
 *                   rcx and r11 are not stored (they are rip and rflags): regs_partial says so, and allows `sysret`.
 *   interrupt,      the CPU pushes its frame onto TSS.rsp0, that is, into the struct; the stub pushes the rest there;
 *   fault, trap     then the same way back, by x86_trap_user().
 *
 * Interrupts are off from hal_user_run() to user mode and from there to x86_trap_user(), so only NMI, machine check and
 * double fault can come in between; these have stacks of their own and find their struct cpu without GS.
 *
 * The selectors in the struct are constant: user code cannot load others (there is no 32-bit code segment).
 */
#include <x86/percpu_offsets.h>
#include <x86/asm.h>

/* A user register, seen from the end of the registers, where rsp is in syscall_entry. */
#define REG(name) (USER_##name - USER_REGS_END)(%rsp)

	.text
/* hal_user_run(): rdi = struct hal_user, rsi = struct hal_exit; eax = enum hal_exit_kind; all but rsp, rbp change */
	.global x86_user_run
	.type x86_user_run, @function
x86_user_run:
	pushq %rbp
	movq %rsp, USER_KERNEL_SP(%rdi)
	movq %rsi, USER_EXIT(%rdi)
	leaq USER_REGS_END(%rdi), %rax
	movq %rax, %gs:CPU_RSP0
	cmpb $0, USER_REGS_PARTIAL(%rdi)
	je run_full

	/* rip came from `syscall`, at most two bytes back: canonical. */
	movq USER_RIP(%rdi), %rcx
	movq USER_RFLAGS(%rdi), %r11
	movq USER_R15(%rdi), %r15
	movq USER_R14(%rdi), %r14
	movq USER_R13(%rdi), %r13
	movq USER_R12(%rdi), %r12
	movq USER_RBP(%rdi), %rbp
	movq USER_RBX(%rdi), %rbx
	movq USER_R10(%rdi), %r10
	movq USER_R9(%rdi), %r9
	movq USER_R8(%rdi), %r8
	movq USER_RAX(%rdi), %rax
	movq USER_RDX(%rdi), %rdx
	movq USER_RSI(%rdi), %rsi
	movq USER_RSP(%rdi), %rsp
	movq USER_RDI(%rdi), %rdi
	swapgs
	sysretq

run_full:
	movq USER_RIP(%rdi), %rax
	shrq $47, %rax
	jnz run_bad_rip /* `iret` would fault in the kernel */
	leaq USER_R15(%rdi), %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rax
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	addq $8, %rsp /* orig_rax */
	swapgs
	iretq

run_bad_rip:
	movq %rdi, %rsi
	movq $0, USER_ORIG_RAX(%rsi) /* the error code */
	movl $13, %edi
	jmp leave_user

	.balign 16
	.global x86_syscall_entry
x86_syscall_entry:
	swapgs
	movq %rsp, %gs:CPU_SCRATCH
	movq %gs:CPU_RSP0, %rsp
	movq %rax, REG(ORIG_RAX)
	movq %rdi, REG(RDI)
	movq %rsi, REG(RSI)
	movq %rdx, REG(RDX)
	movq %r10, REG(R10)
	movq %r8, REG(R8)
	movq %r9, REG(R9)
	movq %rbx, REG(RBX)
	movq %rbp, REG(RBP)
	movq %r12, REG(R12)
	movq %r13, REG(R13)
	movq %r14, REG(R14)
	movq %r15, REG(R15)
	movq %rcx, REG(RIP)
	movq %r11, REG(RFLAGS)
	movq %gs:CPU_SCRATCH, %rcx
	movq %rcx, REG(RSP)
	movb $1, REG(REGS_PARTIAL)
	movq REG(KERNEL_SP), %rsp
	sti
	xorl %eax, %eax /* HAL_EXIT_SYSCALL */
	popq %rbp
	ret

/* ---- traps and interrupts ---- */

	.macro SAVE_ALL_BUT_RDI
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %rax
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	.endm

	.macro RESTORE_ALL_AND_RETURN
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rax
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	addq $8, %rsp /* the error code */
	iretq
	.endm

/* One stub a vector, 16 bytes each; the vector ends up in edi, in a frame that lies as struct hal_regs does. */
	.balign 16
	.global x86_trap_stubs
x86_trap_stubs:
	vector = 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	pushq $0
	.endif
	pushq %rdi
	movl $vector, %edi
	.if vector == 2 || vector == 8 || vector == 18
	jmp trap_own_stack
	.else
	jmp trap_common
	.endif
	vector = vector + 1
	.endr

	.balign 16
trap_common:
	testb $3, 24(%rsp) /* cs */
	jz trap_kernel
	swapgs
	SAVE_ALL_BUT_RDI
	leaq -USER_R15(%rsp), %rsi
leave_user:
	CLAC
	cld
	movb $0, USER_REGS_PARTIAL(%rsi)
	movq USER_EXIT(%rsi), %rdx
	movq USER_KERNEL_SP(%rsi), %rsp
	movq %rsp, %rbp /* a frame like any other, for backtraces */
	andq $-16, %rsp
	call x86_trap_user /* (vector, u, exit) -> enum hal_exit_kind, interrupts on again */
	movq %rbp, %rsp
	popq %rbp
	ret

trap_kernel:
	SAVE_ALL_BUT_RDI
	CLAC
	cld
	movq %rsp, %rsi
	subq $8, %rsp
	call x86_trap_kernel /* (vector, frame) */
	addq $8, %rsp
	RESTORE_ALL_AND_RETURN

/*
 * NMI, machine check, double fault: they come at any instruction, so GS may be either side's. The stack's last eight
 * bytes point to the struct cpu.
 */
trap_own_stack:
	SAVE_ALL_BUT_RDI
	CLAC
	cld
	movl $0xc0000101, %ecx /* GS_BASE */
	rdmsr
	movl %eax, %r12d
	movl %edx, %r13d
	movq %rsp, %rbx
	orq $0xfff, %rbx
	movq -7(%rbx), %rax
	movq %rax, %rdx
	shrq $32, %rdx
	wrmsr
	movq %rsp, %rsi
	subq $8, %rsp
	call x86_trap_own_stack /* (vector, frame) */
	addq $8, %rsp
	movl $0xc0000101, %ecx
	movl %r12d, %eax
	movl %r13d, %edx
	wrmsr
	RESTORE_ALL_AND_RETURN

/*
 * void hal_cpu_idle(void): `sti` holds interrupts back for one more instruction, so that none comes between it and `hlt`.
 * An NMI may, though, and behind it the interrupt that should have ended the wait: x86_trap_own_stack() therefore
 * steps over the `hlt`.
 */
	.balign 16
	.global hal_cpu_idle, x86_idle_halt
	.type hal_cpu_idle, @function
hal_cpu_idle:
	sti
x86_idle_halt:
	hlt
	cli
	ret

/* ---- kernel contexts ---- */

/* void hal_context_switch(struct hal_context *from, struct hal_context *to) */
	.balign 16
	.global hal_context_switch
	.type hal_context_switch, @function
hal_context_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq (%rsi), %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

/* Where a new context begins: hal_context_init() left the function in r12 and its argument in r13. */
	.global x86_context_start
	.type x86_context_start, @function
x86_context_start:
	movq %r13, %rdi
	xorl %ebp, %ebp
	call *%r12
	ud2

/* _Noreturn void x86_call_on_stack(void *stack_top, void (*fn)(void *), void *arg) */
	.global x86_call_on_stack
	.type x86_call_on_stack, @function
x86_call_on_stack:
	movq %rdi, %rsp
	movq %rdx, %rdi
	xorl %ebp, %ebp
	call *%rsi
	ud2
	.section .note.GNU-stack, "", @progbits
