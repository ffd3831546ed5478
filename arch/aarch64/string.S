/* SPDX-License-Identifier: MIT */
/*
 * memcpy, memmove, memset and memcmp in general registers. Memory is normal, so that unaligned access works. Up to 64 bytes are
 * moved by loading all before storing any, from both ends, which may overlap; more go 128 bytes a turn, the last 64 of them from the
 * end, some perhaps a second time.
 */
#include "asm.h"

	.text

.macro MOVE_64
	ldp x6, x7, [x1], #64
	ldp x8, x9, [x1, #-48]
	ldp x10, x11, [x1, #-32]
	ldp x12, x13, [x1, #-16]
	stp x6, x7, [x3], #64
	stp x8, x9, [x3, #-48]
	stp x10, x11, [x3, #-32]
	stp x12, x13, [x3, #-16]
.endm

FUNCTION memcpy
	add x4, x1, x2				/* the ends */
	add x5, x0, x2
	cmp x2, #64
	b.hi 5f
.Lsmall:	cmp x2, #16
	b.lo 3f
	ldp x6, x7, [x1]
	ldp x8, x9, [x4, #-16]
	cmp x2, #32
	b.hi 2f
	stp x6, x7, [x0]
	stp x8, x9, [x5, #-16]
	ret
2:	ldp x10, x11, [x1, #16]
	ldp x12, x13, [x4, #-32]
	stp x6, x7, [x0]
	stp x10, x11, [x0, #16]
	stp x12, x13, [x5, #-32]
	stp x8, x9, [x5, #-16]
	ret
3:	tbz x2, #3, 3f
	ldr x6, [x1]
	ldr x7, [x4, #-8]
	str x6, [x0]
	str x7, [x5, #-8]
	ret
3:	tbz x2, #2, 3f
	ldr w6, [x1]
	ldr w7, [x4, #-4]
	str w6, [x0]
	str w7, [x5, #-4]
	ret
3:	cbz x2, 4f				/* 1 to 3: first, middle, last */
	lsr x3, x2, #1
	ldrb w6, [x1]
	ldrb w7, [x1, x3]
	ldrb w8, [x4, #-1]
	strb w6, [x0]
	strb w7, [x0, x3]
	strb w8, [x5, #-1]
4:	ret
5:	mov x3, x0
	subs x2, x2, #128
	b.ls 7f
6:	MOVE_64
	MOVE_64
	subs x2, x2, #128
	b.hi 6b
7:	adds x2, x2, #64			/* more than 64 left: once more */
	b.le 8f
	MOVE_64
8:
	ldp x6, x7, [x4, #-64]
	ldp x8, x9, [x4, #-48]
	ldp x10, x11, [x4, #-32]
	ldp x12, x13, [x4, #-16]
	stp x6, x7, [x5, #-64]
	stp x8, x9, [x5, #-48]
	stp x10, x11, [x5, #-32]
	stp x12, x13, [x5, #-16]
	ret
END_FUNCTION memcpy

FUNCTION memmove
	add x4, x1, x2
	add x5, x0, x2
	cmp x2, #64
	b.ls .Lsmall
	sub x3, x0, x1
	cmp x3, x2
	b.lo 3f					/* dst lies in the source: backward */
	sub x3, x1, x0
	cmp x3, x2
	b.hs memcpy				/* no overlap */
	mov x3, x0
1:	ldp x6, x7, [x1], #16
	stp x6, x7, [x3], #16
	sub x2, x2, #16
	cmp x2, #16
	b.hs 1b
2:	cbz x2, 5f
	ldrb w6, [x1], #1
	strb w6, [x3], #1
	sub x2, x2, #1
	b 2b
3:	ldp x6, x7, [x4, #-16]!
	stp x6, x7, [x5, #-16]!
	sub x2, x2, #16
	cmp x2, #16
	b.hs 3b
4:	cbz x2, 5f
	ldrb w6, [x4, #-1]!
	strb w6, [x5, #-1]!
	sub x2, x2, #1
	b 4b
5:	ret
END_FUNCTION memmove

FUNCTION memset
	and x1, x1, #0xff
	mov x3, #0x0101010101010101
	mul x1, x1, x3
	add x5, x0, x2
	cmp x2, #16
	b.lo 3f
	stp x1, x1, [x0]
	stp x1, x1, [x5, #-16]
	cmp x2, #32
	b.ls 2f
	stp x1, x1, [x0, #16]
	stp x1, x1, [x5, #-32]
	cmp x2, #64
	b.ls 2f
	add x3, x0, #32				/* from the next boundary of 64 after the first 32 to 95 bytes */
	stp x1, x1, [x3]
	stp x1, x1, [x3, #16]
	add x3, x0, #64
	and x3, x3, #~63
	sub x4, x5, x3				/* the last 64 come at the end */
	cbnz x1, 1f
	mrs x6, dczid_el0
	cmp x6, #4				/* blocks of 64 bytes, allowed */
	b.eq 6f
1:	subs x4, x4, #64
	b.lo 4f
5:	stp x1, x1, [x3]
	stp x1, x1, [x3, #16]
	stp x1, x1, [x3, #32]
	stp x1, x1, [x3, #48]
	add x3, x3, #64
	subs x4, x4, #64
	b.hs 5b
4:	cmp x2, #96
	b.lo 2f
	stp x1, x1, [x5, #-64]
	stp x1, x1, [x5, #-48]
2:	ret
6:	subs x4, x4, #256
	b.lo 8f
7:	dc zva, x3
	add x3, x3, #64
	dc zva, x3
	add x3, x3, #64
	dc zva, x3
	add x3, x3, #64
	dc zva, x3
	add x3, x3, #64
	subs x4, x4, #256
	b.hs 7b
8:	add x4, x4, #256
	b 1b
3:	tbz x2, #3, 3f
	str x1, [x0]
	str x1, [x5, #-8]
	ret
3:	tbz x2, #2, 3f
	str w1, [x0]
	str w1, [x5, #-4]
	ret
3:	cbz x2, 4f
	lsr x3, x2, #1
	strb w1, [x0]
	strb w1, [x0, x3]
	strb w1, [x5, #-1]
4:	ret
END_FUNCTION memset

FUNCTION memcmp
1:	subs x2, x2, #16
	b.lo 2f
	ldp x3, x4, [x0], #16
	ldp x5, x6, [x1], #16
	cmp x3, x5
	ccmp x4, x6, #0, eq
	b.eq 1b
	cmp x3, x5
	csel x3, x4, x3, eq
	csel x5, x6, x5, eq
	rev x3, x3
	rev x5, x5
	b 4f
2:	add x2, x2, #16
3:	cbz x2, 5f
	ldrb w3, [x0], #1
	ldrb w5, [x1], #1
	sub x2, x2, #1
	cmp x3, x5
	b.eq 3b
4:	cmp x3, x5
	cset w0, hi
	csinv w0, w0, wzr, hs
	ret
5:	mov w0, #0
	ret
END_FUNCTION memcmp
