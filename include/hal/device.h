/* SPDX-License-Identifier: MIT */
/* Devices: memory-mapped registers and PCI configuration space (ECAM, or ports 0xcf8/0xcfc). */
#ifndef HAL_DEVICE_H
#define HAL_DEVICE_H

#include <hal/types.h>

/* Maps device registers uncached into kernel space, for ever; null when out of space. May sleep. */
volatile void *hal_mmio_map(paddr_t base, size_t len);

/* PCI Local Bus 3.0 section 6.1; `bdf` is bus << 8 | device << 3 | function; width 1, 2 or 4; all ones where nothing is. */
bool hal_pci_present(void);
uint32_t hal_pci_read(unsigned bdf, unsigned offset, unsigned width);
void hal_pci_write(unsigned bdf, unsigned offset, unsigned width, uint32_t value);

/* The interrupt line (for hal_irq_attach) of a function's INTx pin 1..4, or -ENOENT. */
int hal_pci_intx_line(unsigned bdf, unsigned pin);

#endif
