/* SPDX-License-Identifier: MIT */
/*
 * Devices: memory-mapped registers, memory that devices reach by themselves (DMA), and PCI configuration space (ECAM, or ports
 * 0xcf8/0xcfc). In <hal/arch.h>, inline:
 *
 *   uint8_t hal_mmio_read8(const volatile void *), ..._read16, _read32, _read64
 *   void hal_mmio_write8(volatile void *, uint8_t), ..._write16, _write32, _write64
 *           Registers that hal_mmio_map() gave, naturally aligned, in the machine's byte order (little endian). Accesses to one device stay
 *           in order. A write comes after all earlier stores to memory that a device may look at; what is loaded from memory after
 *           a read is not older than the read. An address is dereferenced by nothing else: in the simulator it is a cookie.
 *   uint64_t hal_dma_addr(const void *)        what a device must be told to reach this address of the direct map
 *   void hal_dma_wmb(void)     stores to memory before it are seen by devices before stores after it
 *   void hal_dma_rmb(void)     loads of what devices wrote: those before it come before those after it
 *   void hal_dma_mb(void)      both, and stores before loads
 *
 * Devices see and keep the CPUs' caches: there is nothing to flush.
 */
#ifndef HAL_DEVICE_H
#define HAL_DEVICE_H

#include <hal/types.h>

/* Maps device registers uncached into kernel space, for ever; null when out of space, or where no device is. May sleep. */
volatile void *hal_mmio_map(paddr_t base, size_t len);

/* PCI Local Bus 3.0 section 6.1; `bdf` is bus << 8 | device << 3 | function; width 1, 2 or 4; all ones where nothing is. */
bool hal_pci_present(void);
uint32_t hal_pci_read(unsigned bdf, unsigned offset, unsigned width);
void hal_pci_write(unsigned bdf, unsigned offset, unsigned width, uint32_t value);

/* The interrupt line (for hal_irq_attach) of a function's INTx pin 1..4, or -ENOENT. */
int hal_pci_intx_line(unsigned bdf, unsigned pin);

#endif
