/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share. They are compiled for the kernel and for the simulator: unprivileged
 * code alone.
 */
#ifndef X86_ABI_INTERNAL_H
#define X86_ABI_INTERNAL_H

#include <hal/hal.h>

#define FXSAVE_SIZE   512u
#define XSAVE_HEADER  512u /* where XSTATE_BV and XCOMP_BV are, in an area with extended states */
#define XSAVE_MINIMUM 576u
#define FXSAVE_CWD    0u
#define FXSAVE_MXCSR  24u
#define FXSAVE_SW     464u /* 48 bytes for software's own use */

#define STATE_X87    (UINT64_C(1) << 0)
#define STATE_SSE    (UINT64_C(1) << 1)
#define STATE_LEGACY (STATE_X87 | STATE_SSE)

#define X87_INITIAL_CONTROL 0x37fu
#define MXCSR_INITIAL	    0x1f80u

/* The bits of MXCSR that this CPU has: loading another would fault. */
uint32_t x86_mxcsr_mask(void);

#endif
