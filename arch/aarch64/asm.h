/* SPDX-License-Identifier: MIT */
/* Macros for assembly files. */
#ifndef AARCH64_ASM_H
#define AARCH64_ASM_H

#include "asm_offsets.h"

.macro FUNCTION name
	.globl \name
	.hidden \name
	.type \name, %function
	.balign 16
\name:
.endm

.macro END_FUNCTION name
	.size \name, . - \name
.endm

/* Address of a symbol relative to the program counter: physical with the MMU off, virtual with it on. */
.macro ADR_L reg, symbol
	adrp \reg, \symbol
	add \reg, \reg, :lo12:\symbol
.endm

/* On a fault at the next instruction the program goes on at \fixup (exception.c reads this table). */
.macro EXTABLE at, fixup
	.pushsection .rodata.extable, "a"
	.balign 4
	.long (\at) - ., (\fixup) - .
	.popsection
.endm

#endif
