/* SPDX-License-Identifier: MIT */
/*
 * What arch/x86_64/abi/ asks of the machine beyond fpu.c, and the vDSO: there is none, programs make the
 * calls.
 */
#include <hal/hal.h>

uint64_t x86_tsc_khz(void)
{
	return 0;
}

const void *hal_vdso_image(size_t *ret_len)
{
	*ret_len = 0;
	return NULL;
}

paddr_t hal_vdso_data(void)
{
	return 0;
}
