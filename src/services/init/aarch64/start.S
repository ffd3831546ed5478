/* SPDX-License-Identifier: MIT */
/* A process begins here, with the arguments on its stack; init needs none of them. */
	.globl	_start
_start:
	mov	x29, xzr
	mov	x30, xzr
	bl	init_main
	brk	#0
	.section .note.GNU-stack, ""
