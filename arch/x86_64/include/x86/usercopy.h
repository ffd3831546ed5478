/* SPDX-License-Identifier: MIT */
/* Reads eight bytes of kernel memory that may not be mapped; false then. Any context. */
#ifndef X86_USERCOPY_H
#define X86_USERCOPY_H

#include <hal/types.h>

bool x86_read_kernel(uintptr_t addr, uint64_t *ret);

#endif
