/* SPDX-License-Identifier: MIT */
/* memcpy, memmove, memset, memcmp, by the same rules as usercopy.S. */

	.macro FUNCTION name
	.balign 16
	.global \name
	.type \name, @function
\name:
	.endm

	.text
FUNCTION memcpy
	movq %rdi, %rax
forward:
	movq %rdx, %rcx
	shrq $3, %rcx
	rep movsq
	andl $7, %edx
	jz 1f
	movl %edx, %ecx
	rep movsb
1:	ret

/* Upwards unless dst lies in [src, src + n): then downwards, eight bytes at a time. */
FUNCTION memmove
	movq %rdi, %rax
	movq %rdi, %rcx
	subq %rsi, %rcx
	cmpq %rdx, %rcx
	jae forward
1:	cmpq $8, %rdx
	jb 2f
	movq -8(%rsi, %rdx), %rcx
	movq %rcx, -8(%rdi, %rdx)
	subq $8, %rdx
	jmp 1b
2:	testq %rdx, %rdx
	jz 3f
	movb -1(%rsi, %rdx), %cl
	movb %cl, -1(%rdi, %rdx)
	decq %rdx
	jmp 2b
3:	ret

FUNCTION memset
	movq %rdi, %r8
	movzbl %sil, %eax
	movabsq $0x0101010101010101, %rcx
	imulq %rcx, %rax
	movq %rdx, %rcx
	shrq $3, %rcx
	rep stosq
	andl $7, %edx
	jz 1f
	movl %edx, %ecx
	rep stosb
1:	movq %r8, %rax
	ret

/* The first eight bytes that differ are compared as big-endian numbers. */
FUNCTION memcmp
1:	cmpq $8, %rdx
	jb 3f
	movq (%rdi), %rax
	movq (%rsi), %rcx
	cmpq %rcx, %rax
	jne 2f
	addq $8, %rdi
	addq $8, %rsi
	subq $8, %rdx
	jmp 1b
2:	bswapq %rax
	bswapq %rcx
	cmpq %rcx, %rax
	sbbl %eax, %eax
	orl $1, %eax
	ret
3:	testq %rdx, %rdx
	jz 5f
4:	movzbl (%rdi), %eax
	movzbl (%rsi), %ecx
	subl %ecx, %eax
	jne 6f
	incq %rdi
	incq %rsi
	decq %rdx
	jnz 4b
5:	xorl %eax, %eax
6:	ret
	.section .note.GNU-stack, "", @progbits
