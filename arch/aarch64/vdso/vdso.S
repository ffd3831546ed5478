/* SPDX-License-Identifier: MIT */
/*
 * The vDSO: what a program can find out without entering the kernel. Names, version and registers are Linux's (vdso(7)).
 *
 * The data page lies one page before the image (vdso_data.h). All of it but the wall clock's offset is constant, and that is
 * one word, which is read and written whole; so there is nothing to retry. Calls that this code does not know are passed on.
 */
#include "vdso_data.h"

#define SYS_rt_sigreturn  139
#define SYS_clock_gettime 113
#define SYS_gettimeofday  169
#define SYS_clock_getres  114

#define CLOCKS_WALL 0x0021	/* REALTIME, REALTIME_COARSE */
#define CLOCKS_MONO 0x00d2	/* MONOTONIC, MONOTONIC_RAW, MONOTONIC_COARSE, BOOTTIME */

	.text

.macro FUNCTION name
	.globl \name
	.type \name, %function
	.balign 16
\name:
	.cfi_startproc
.endm

.macro END_FUNCTION name
	.cfi_endproc
	.size \name, . - \name
.endm

/*
 * First in the text, at VDSO_SIGRETURN. A debugger knows the two instructions, an unwinder the frame: the registers are in
 * the ucontext that begins 128 bytes above sp, behind the siginfo.
 */
	.section .text.sigreturn, "ax"
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa sp, 0
	.cfi_offset x29, 128 + 176 + 8 + 29 * 8
	.cfi_offset x30, 128 + 176 + 8 + 30 * 8
	nop					/* unwinders look one instruction before the return address */
	.globl __kernel_rt_sigreturn
	.type __kernel_rt_sigreturn, %function
__kernel_rt_sigreturn:
	mov x8, #SYS_rt_sigreturn
	svc #0
	.cfi_endproc
	.size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn

	.text

/* x3 = ns since boot, x2 = the data page. Clobbers x4, x5. */
.macro NOW
	adr x2, vdso_data
	isb
	mrs x3, cntvct_el0
	ldp x4, x5, [x2, #VDSO_BASE]		/* and VDSO_MULT */
	sub x3, x3, x4
	mul x4, x3, x5
	umulh x3, x3, x5
	extr x3, x3, x4, #32
.endm

/* x5 = x3 / 10^9, x4 = x3 % 10^9, by multiplication: 10^9 = 2^9 * 5^9. Clobbers x6. */
.macro SPLIT
	ldp x5, x6, [x2, #VDSO_RECIPROCAL]	/* and VDSO_SECOND */
	lsr x4, x3, #9
	umulh x4, x4, x5
	lsr x5, x4, #11
	msub x4, x5, x6, x3
.endm

/* int __kernel_clock_gettime(clockid_t, struct timespec *) */
FUNCTION __kernel_clock_gettime
	cmp w0, #7
	b.hi 2f
	mov w7, #1
	lsl w7, w7, w0
	mov w8, #CLOCKS_MONO
	tst w7, w8
	b.eq 1f
	NOW
	SPLIT
	stp x5, x4, [x1]
	mov w0, #0
	ret
1:	mov w8, #CLOCKS_WALL
	tst w7, w8
	b.eq 2f
	NOW
	ldr x4, [x2, #VDSO_WALL]
	add x3, x3, x4
	SPLIT
	stp x5, x4, [x1]
	mov w0, #0
	ret
2:	mov x8, #SYS_clock_gettime
	svc #0
	ret
END_FUNCTION __kernel_clock_gettime

/* int __kernel_gettimeofday(struct timeval *, struct timezone *): either may be null; there is no time zone. */
FUNCTION __kernel_gettimeofday
	cbz x0, 1f
	mov x7, x1
	NOW
	ldr x4, [x2, #VDSO_WALL]
	add x3, x3, x4
	SPLIT
	mov x6, #1000
	udiv x4, x4, x6
	stp x5, x4, [x0]
	mov x1, x7
1:	cbz x1, 2f
	str xzr, [x1]
2:	mov w0, #0
	ret
END_FUNCTION __kernel_gettimeofday

/* int __kernel_clock_getres(clockid_t, struct timespec *): one nanosecond for the clocks above. */
FUNCTION __kernel_clock_getres
	cmp w0, #7
	b.hi 2f
	mov w7, #1
	lsl w7, w7, w0
	mov w8, #(CLOCKS_MONO | CLOCKS_WALL)
	tst w7, w8
	b.eq 2f
	cbz x1, 1f
	mov x2, #1
	stp xzr, x2, [x1]
1:	mov w0, #0
	ret
2:	mov x8, #SYS_clock_getres
	svc #0
	ret
END_FUNCTION __kernel_clock_getres
