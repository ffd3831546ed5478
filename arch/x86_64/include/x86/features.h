/* SPDX-License-Identifier: MIT */
/* What the CPUs can do, and turning it on. */
#ifndef X86_FEATURES_H
#define X86_FEATURES_H

#include <hal/types.h>

struct x86_features {
	bool pcid, smep, smap, umip, fsgsbase, xsave, xsaveopt, rdrand, rdseed;
	uint64_t xcr0; /* extended states that programs get */
};
extern struct x86_features x86_features;

/*
 * Boot CPU, while the kernel's text can still be written: looks, and writes STAC and CLAC in if there is
 * SMAP.
 */
void x86_features_detect(void);

/* Each CPU: control registers, `syscall`, extended states. */
void x86_features_enable(void);

#endif
