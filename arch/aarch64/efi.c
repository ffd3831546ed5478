/* SPDX-License-Identifier: MIT */
#include "aarch64.h"
struct efi_boot efi_boot __attribute__((section(".data.early"))) = {0};
uint64_t efi_main(void *handle, struct efi_system_table *system, paddr_t *ret_fdt)
{
	(void)handle; (void)system; (void)ret_fdt;
	return UINT64_C(0x8000000000000003);
}
