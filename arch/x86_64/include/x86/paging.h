/* SPDX-License-Identifier: MIT */
/*
 * The kernel's page tables, for the files that map into them after boot, each in a top-level entry of its
 * own.
 */
#ifndef X86_PAGING_H
#define X86_PAGING_H

#include <arch/ptmap.h>
#include <arch/spin.h>

extern struct ptmap x86_kernel_tables;

#endif
