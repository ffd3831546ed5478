/* SPDX-License-Identifier: MIT */
/* The page before the vDSO's image, and where in the image the signal trampoline is. */
#ifndef AARCH64_VDSO_DATA_H
#define AARCH64_VDSO_DATA_H

#define VDSO_SIGRETURN 0x804 /* vdso.ld asserts it */

#define VDSO_BASE	0  /* counter at the clock's 0                             */
#define VDSO_MULT	8  /* ns = (counter - base) * mult / 2^32                  */
#define VDSO_RECIPROCAL 16 /* (n / 2^9) * reciprocal / 2^64 / 2^11 = n / 10^9      */
#define VDSO_SECOND	24 /* 10^9                                                 */
#define VDSO_WALL	32 /* nanoseconds from 1970 to the clock's 0               */

#endif
