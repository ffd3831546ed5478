/* SPDX-License-Identifier: MIT */
/*
 * Types shared by the kernel and the machine below it. Only the compiler's own headers are included, so that
 * this file also serves the simulator's hosted half.
 */
#ifndef HAL_TYPES_H
#define HAL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t paddr_t; /* physical address */
typedef uint64_t uaddr_t; /* user virtual address: never dereferenced by the kernel */

#define PAGE_SHIFT 12
#define PAGE_SIZE  (UINT64_C(1) << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#endif
