/* SPDX-License-Identifier: MIT */
/* The device tree: whatever the bytes say, nothing outside them is read, and every walk ends. */
#include "../arch/aarch64/dt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dt_machine machine;
	struct fdt fdt;

	if (fdt_open(data, size, &fdt) == 0)
		(void)dt_decode(&fdt, &machine);
	return 0;
}
