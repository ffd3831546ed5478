/* SPDX-License-Identifier: MIT */
/*
 * User memory. Everything here lies in .text.usercopy: a page fault inside is offered to the kernel's vm, and when that
 * cannot mend it the exception table says where to go on. Between STAC and CLAC nothing but the access itself happens.
 *
 * Copies go by `rep movsq`, which every 64-bit CPU runs in large units, and the last bytes by `rep movsb`.
 */
#include <x86/asm.h>

#define EFAULT 14

	.macro FUNCTION name
	.balign 16
	.global \name
	.type \name, @function
\name:
	.endm

	.section .text.usercopy, "ax"

/* size_t hal_copy_from_user(void *dst, uaddr_t src, size_t len); hal_copy_to_user(uaddr_t dst, const void *src, len) */
FUNCTION hal_copy_from_user
FUNCTION hal_copy_to_user
	movq %rdx, %rcx
	shrq $3, %rcx
	STAC
1:	rep movsq
	andl $7, %edx
	jz 3f
	movl %edx, %ecx
2:	rep movsb
3:	CLAC
	xorl %eax, %eax
	ret
4:	andl $7, %edx /* eight bytes that begin in a good page and end in a bad one: bytewise to the border */
	leaq (%rdx, %rcx, 8), %rcx
	jmp 2b
5:	CLAC
	movq %rcx, %rax
	ret
	EX_TABLE 1b, 4b
	EX_TABLE 2b, 5b

/* size_t hal_clear_user(uaddr_t dst, size_t len) */
FUNCTION hal_clear_user
	xorl %eax, %eax
	movq %rsi, %rcx
	shrq $3, %rcx
	STAC
1:	rep stosq
	andl $7, %esi
	jz 3f
	movl %esi, %ecx
2:	rep stosb
3:	CLAC
	ret
4:	andl $7, %esi
	leaq (%rsi, %rcx, 8), %rcx
	jmp 2b
5:	CLAC
	movq %rcx, %rax
	ret
	EX_TABLE 1b, 4b
	EX_TABLE 2b, 5b

/*
 * int64_t hal_strncpy_from_user(char *dst, uaddr_t src, size_t size)
 *
 * Eight bytes at a time while none of them is NUL, they fit, and they lie in one page (the next need not exist).
 * rcx counts the bytes done, r9 those left.
 */
FUNCTION hal_strncpy_from_user
	xorl %ecx, %ecx
	movq %rdx, %r9
	movabsq $0x0101010101010101, %r10
	movabsq $0x8080808080808080, %r11
	STAC
1:	cmpq $8, %r9
	jb 4f
	leal (%rsi, %rcx), %eax
	andl $0xfff, %eax
	cmpl $0xff8, %eax
	ja 4f
2:	movq (%rsi, %rcx), %rax
	movq %rax, %r8
	notq %r8
	movq %rax, %rdx
	subq %r10, %rdx
	andq %r8, %rdx
	andq %r11, %rdx
	jnz 4f
	movq %rax, (%rdi, %rcx)
	addq $8, %rcx
	subq $8, %r9
	jmp 1b
4:	testq %r9, %r9
	jz 6f
5:	movb (%rsi, %rcx), %al
	movb %al, (%rdi, %rcx)
	testb %al, %al
	jz 6f
	incq %rcx
	decq %r9
	testb $7, %cl /* after a page's end, back to words */
	jnz 4b
	jmp 1b
6:	CLAC
	movq %rcx, %rax
	ret
7:	CLAC
	movq $-EFAULT, %rax
	ret
	EX_TABLE 2b, 7b
	EX_TABLE 5b, 7b

/* int hal_user_load32(uaddr_t addr, uint32_t *ret) */
FUNCTION hal_user_load32
	STAC
1:	movl (%rdi), %eax
	CLAC
	movl %eax, (%rsi)
	xorl %eax, %eax
	ret
	EX_TABLE 1b, user_word_fault

/* int hal_user_store32(uaddr_t addr, uint32_t value) */
FUNCTION hal_user_store32
	STAC
1:	movl %esi, (%rdi)
	CLAC
	xorl %eax, %eax
	ret
	EX_TABLE 1b, user_word_fault

/* int hal_user_cmpxchg32(uaddr_t addr, uint32_t expected, uint32_t desired, uint32_t *ret_previous) */
FUNCTION hal_user_cmpxchg32
	movl %esi, %eax
	STAC
1:	lock cmpxchgl %edx, (%rdi)
	CLAC
	movl %eax, (%rcx)
	xorl %eax, %eax
	ret
	EX_TABLE 1b, user_word_fault

/*
 * int x86_xsave_user(uaddr_t dst, uint64_t states), x86_xrstor_user(uaddr_t src, uint64_t states), and the same without
 * XSAVE: FPU registers to and from a signal frame. What would not load (a foreign header) is a protection fault.
 */
	.macro FPU_USER name instruction
FUNCTION \name
	movl %esi, %eax
	movq %rsi, %rdx
	shrq $32, %rdx
	STAC
1:	\instruction (%rdi)
	CLAC
	xorl %eax, %eax
	ret
	EX_TABLE 1b, user_word_fault
	.endm
	FPU_USER x86_xsave_user xsave64
	FPU_USER x86_xrstor_user xrstor64
	FPU_USER x86_fxsave_user fxsave64
	FPU_USER x86_fxrstor_user fxrstor64

user_word_fault:
	CLAC
	movl $-EFAULT, %eax
	ret

/* bool x86_read_kernel(uintptr_t addr, uint64_t *ret): reads what may not be there, for backtraces */
FUNCTION x86_read_kernel
1:	movq (%rdi), %rax
	movq %rax, (%rsi)
	movl $1, %eax
	ret
2:	xorl %eax, %eax
	ret
	EX_TABLE 1b, 2b
	.section .note.GNU-stack, "", @progbits
