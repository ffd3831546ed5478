/* SPDX-License-Identifier: MIT */
#ifndef SYSCALL_FILTER_H
#define SYSCALL_FILTER_H

#include <hal/hal.h>
#include <linux/audit.h>

/* AUDIT_ARCH_X86_64 or AUDIT_ARCH_AARCH64: what filters see as the architecture. */
#define FILTER_ARCH ((uint32_t)HAL_ABI_ELF_MACHINE | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)

#endif
