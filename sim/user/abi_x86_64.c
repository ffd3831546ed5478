/* SPDX-License-Identifier: MIT */
/*
 * The vDSO: there is none, programs make the calls.
 */
#include <hal/hal.h>

const void *hal_vdso_image(size_t *ret_len)
{
	*ret_len = 0;
	return NULL;
}

paddr_t hal_vdso_data(void)
{
	return 0;
}
