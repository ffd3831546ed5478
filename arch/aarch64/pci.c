/* SPDX-License-Identifier: MIT */
#include "aarch64.h"
#include <linux/errno.h>
bool hal_pci_present(void) { return false; }
uint32_t hal_pci_read(unsigned bdf, unsigned offset, unsigned width) { (void)bdf; (void)offset; (void)width; return ~0u; }
void hal_pci_write(unsigned bdf, unsigned offset, unsigned width, uint32_t value) { (void)bdf; (void)offset; (void)width; (void)value; }
int hal_pci_intx_line(unsigned bdf, unsigned pin) { (void)bdf; (void)pin; return -ENOENT; }
