/* SPDX-License-Identifier: MIT */
/* Accesses that may fault, beside those of <hal/mmu.h>. */
#ifndef X86_USERCOPY_H
#define X86_USERCOPY_H

#include <hal/types.h>

/* The FPU registers to and from user memory, `states` as in XCR0 (the last two take no notice of it): 0 or -EFAULT. */
int x86_xsave_user(uaddr_t dst, uint64_t states);
int x86_xrstor_user(uaddr_t src, uint64_t states);
int x86_fxsave_user(uaddr_t dst, uint64_t states);
int x86_fxrstor_user(uaddr_t src, uint64_t states);

/* Reads eight bytes of kernel memory that may not be mapped; false then. Any context. */
bool x86_read_kernel(uintptr_t addr, uint64_t *ret);

#endif
