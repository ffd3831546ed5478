/* SPDX-License-Identifier: MIT */
/*
 * User memory from the kernel. The caller has checked the range; here PAN is lifted for the instructions that touch it, and
 * each of those has an entry in the exception table. What a page fault cannot mend goes to the fixup.
 *
 * The copies move 128 bytes a turn, in pieces after each of which the pointer on the user's side, and only it, is exact: its last
 * access moves it. So the fixup knows from it how much is left, and goes on byte by byte up to the one that faults.
 */
#include "asm.h"

.macro PAN value
	.pushsection .rodata.pan_sites, "a"
	.balign 4
	.long 9999f - .
	.popsection
9999:	.inst 0xd500409f | (\value) << 8	/* msr pan, #value; early.c removes it where the CPU has no PAN */
.endm

/* An instruction that may fault: goes on at \fixup. */
.macro USER fixup, insn:vararg
9998:	\insn
	EXTABLE 9998b, \fixup
.endm

	.text

/* 64 bytes; [x1] or [x0] is the user's, which moves with the last access to it. */
.macro FROM_USER_64
	USER .Lfrom_slow, ldp x6, x7, [x1, #16]
	USER .Lfrom_slow, ldp x8, x9, [x1, #32]
	USER .Lfrom_slow, ldp x10, x11, [x1, #48]
	USER .Lfrom_slow, ldp x4, x5, [x1], #64
	stp x4, x5, [x0], #64
	stp x6, x7, [x0, #-48]
	stp x8, x9, [x0, #-32]
	stp x10, x11, [x0, #-16]
.endm

.macro TO_USER_64
	ldp x4, x5, [x1], #64
	ldp x6, x7, [x1, #-48]
	ldp x8, x9, [x1, #-32]
	ldp x10, x11, [x1, #-16]
	USER .Lto_slow, stp x6, x7, [x0, #16]
	USER .Lto_slow, stp x8, x9, [x0, #32]
	USER .Lto_slow, stp x10, x11, [x0, #48]
	USER .Lto_slow, stp x4, x5, [x0], #64
.endm

/* size_t hal_copy_from_user(void *dst, uaddr_t src, size_t len) */
FUNCTION hal_copy_from_user
	PAN 0
	add x3, x1, x2				/* the user's end */
	cmp x2, #16
	b.lo 5f
	subs x12, x2, #128
	b.lo 2f
1:	FROM_USER_64
	FROM_USER_64
	subs x12, x12, #128
	b.hs 1b
2:	tbz x2, #6, 3f
	FROM_USER_64
3:	tbz x2, #5, 4f
	USER .Lfrom_slow, ldp x6, x7, [x1, #16]
	USER .Lfrom_slow, ldp x4, x5, [x1], #32
	stp x4, x5, [x0], #32
	stp x6, x7, [x0, #-16]
4:	tbz x2, #4, 5f
	USER .Lfrom_slow, ldp x4, x5, [x1], #16
	stp x4, x5, [x0], #16
5:	tbz x2, #3, 6f
	USER .Lfrom_slow, ldr x4, [x1], #8
	str x4, [x0], #8
6:	tbz x2, #2, 7f
	USER .Lfrom_slow, ldr w4, [x1], #4
	str w4, [x0], #4
7:	tst x2, #3
	b.eq 9f
.Lfrom_slow:
	sub x2, x3, x1
8:	USER 10f, ldrb w4, [x1], #1
	strb w4, [x0], #1
	subs x2, x2, #1
	b.ne 8b
9:	PAN 1
	mov x0, #0
	ret
10:	PAN 1
	mov x0, x2
	ret
END_FUNCTION hal_copy_from_user

/* size_t hal_copy_to_user(uaddr_t dst, const void *src, size_t len) */
FUNCTION hal_copy_to_user
	PAN 0
	add x3, x0, x2				/* the user's end */
	add x13, x1, x2				/* the kernel's */
	cmp x2, #16
	b.lo 5f
	subs x12, x2, #128
	b.lo 2f
1:	TO_USER_64
	TO_USER_64
	subs x12, x12, #128
	b.hs 1b
2:	tbz x2, #6, 3f
	TO_USER_64
3:	tbz x2, #5, 4f
	ldp x4, x5, [x1], #32
	ldp x6, x7, [x1, #-16]
	USER .Lto_slow, stp x6, x7, [x0, #16]
	USER .Lto_slow, stp x4, x5, [x0], #32
4:	tbz x2, #4, 5f
	ldp x4, x5, [x1], #16
	USER .Lto_slow, stp x4, x5, [x0], #16
5:	tbz x2, #3, 6f
	ldr x4, [x1], #8
	USER .Lto_slow, str x4, [x0], #8
6:	tbz x2, #2, 7f
	ldr w4, [x1], #4
	USER .Lto_slow, str w4, [x0], #4
7:	tst x2, #3
	b.eq 9f
.Lto_slow:
	sub x2, x3, x0
	sub x1, x13, x2
8:	ldrb w4, [x1], #1
	USER 10f, strb w4, [x0], #1
	subs x2, x2, #1
	b.ne 8b
9:	PAN 1
	mov x0, #0
	ret
10:	PAN 1
	mov x0, x2
	ret
END_FUNCTION hal_copy_to_user

/* size_t hal_clear_user(uaddr_t dst, size_t len) */
FUNCTION hal_clear_user
	PAN 0
	subs x3, x1, #64
	b.lo 2f
1:	USER .Lclear_slow, stp xzr, xzr, [x0]
	USER .Lclear_slow, stp xzr, xzr, [x0, #16]
	USER .Lclear_slow, stp xzr, xzr, [x0, #32]
	USER .Lclear_slow, stp xzr, xzr, [x0, #48]
	add x0, x0, #64
	mov x1, x3
	subs x3, x3, #64
	b.hs 1b
2:	subs x3, x1, #8
	b.lo .Lclear_slow
	USER .Lclear_slow, str xzr, [x0], #8
	mov x1, x3
	b 2b
.Lclear_slow:
3:	cbz x1, 4f
	USER 4f, strb wzr, [x0], #1
	sub x1, x1, #1
	b 3b
4:	PAN 1
	mov x0, x1
	ret
END_FUNCTION hal_clear_user

/*
 * int64_t hal_strncpy_from_user(char *dst, uaddr_t src, size_t size): eight bytes a turn from the first aligned source address
 * on (an aligned word lies in one page); a word with a zero byte has a bit in (w - 0x01..01) & ~w & 0x80..80.
 */
FUNCTION hal_strncpy_from_user
	PAN 0
	mov x3, x0
	add x4, x0, x2				/* end of dst */
1:	tst x1, #7
	b.eq 3f
2:	cmp x3, x4
	b.hs 7f
	USER 8f, ldrb w5, [x1], #1
	strb w5, [x3], #1
	cbz w5, 6f
	tst x1, #7
	b.ne 2b
3:	mov x6, #0x0101010101010101
4:	sub x7, x4, x3
	cmp x7, #8
	b.lo 9f
	USER 8f, ldr x5, [x1], #8
	sub x8, x5, x6
	bic x8, x8, x5
	ands x8, x8, #0x8080808080808080
	b.ne 5f
	str x5, [x3], #8
	b 4b
5:	strb w5, [x3], #1			/* the bytes of the word up to the zero */
	ands w8, w5, #0xff
	lsr x5, x5, #8
	b.ne 5b
6:	sub x0, x3, x0
	sub x0, x0, #1
	PAN 1
	ret
7:	mov x0, x2
	PAN 1
	ret
8:	mov x0, #-14				/* -EFAULT */
	PAN 1
	ret
9:	cmp x3, x4				/* fewer than eight bytes of room */
	b.hs 7b
	USER 8b, ldrb w5, [x1], #1
	strb w5, [x3], #1
	cbz w5, 6b
	b 9b
END_FUNCTION hal_strncpy_from_user

/* int hal_user_load32(uaddr_t addr, uint32_t *ret) */
FUNCTION hal_user_load32
	PAN 0
	USER .Luser_word_fault, ldar w2, [x0]
	PAN 1
	str w2, [x1]
	mov w0, #0
	ret
END_FUNCTION hal_user_load32

/* int hal_user_store32(uaddr_t addr, uint32_t value) */
FUNCTION hal_user_store32
	PAN 0
	USER .Luser_word_fault, stlr w1, [x0]
	PAN 1
	mov w0, #0
	ret
END_FUNCTION hal_user_store32

/* int hal_user_cmpxchg32(uaddr_t addr, uint32_t expected, uint32_t desired, uint32_t *ret_previous) */
FUNCTION hal_user_cmpxchg32
	PAN 0
1:	USER .Luser_word_fault, ldaxr w4, [x0]
	cmp w4, w1
	b.ne 2f
	USER .Luser_word_fault, stlxr w5, w2, [x0]
	cbnz w5, 1b
	dmb ish
2:	PAN 1
	str w4, [x3]
	mov w0, #0
	ret
END_FUNCTION hal_user_cmpxchg32

.Luser_word_fault:
	PAN 1
	mov w0, #-14				/* -EFAULT */
	ret
