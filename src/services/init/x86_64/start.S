/* SPDX-License-Identifier: MIT */
/* A process begins here, with the arguments on its stack; init needs none of them. */
	.globl	_start
_start:
	xor	%ebp, %ebp
	and	$-16, %rsp
	call	init_main
	ud2
	.section .note.GNU-stack, ""
