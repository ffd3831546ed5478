/* SPDX-License-Identifier: MIT */
/* Macros for assembly files. */
#ifndef X86_ASM_H
#define X86_ASM_H
/* clang-format off */

/*
 * STAC opens user memory to the kernel and CLAC closes it, on a CPU with SMAP. They are assembled as three-byte nops
 * and listed; x86_smap_enable() writes the instructions over them.
 */
	.macro SMAP_SITE last_byte
773:
	.byte 0x0f, 0x1f, 0x00
	.pushsection .smap_sites, "a"
	.quad 773b
	.quad \last_byte
	.popsection
	.endm

	.macro STAC
	SMAP_SITE 0xcb
	.endm

	.macro CLAC
	SMAP_SITE 0xca
	.endm

/* If the instruction at `from` faults on user memory and the fault cannot be mended, go on at `to`. */
	.macro EX_TABLE from, to
	.pushsection .ex_table, "a"
	.quad \from, \to
	.popsection
	.endm

#endif
