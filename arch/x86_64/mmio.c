/* SPDX-License-Identifier: MIT */
/*
 * Device registers: addresses are handed out upwards and never taken back, uncached. A large area is placed
 * so that 2 MiB pages fit.
 */
#include <x86/mmu.h>
#include <x86/paging.h>

#define LARGE (UINT64_C(2) << 20)

static struct arch_spin lock;
static uintptr_t next = X86_MMIO_BASE;

/* The lowest address at or above `next` that lies in its large page as `base` does. */
static uintptr_t place(paddr_t base, uint64_t len)
{
	uintptr_t va = next;

	if (len >= LARGE)
		va += ((base % LARGE) + LARGE - va % LARGE) % LARGE;
	return va;
}

volatile void *hal_mmio_map(paddr_t base, size_t len)
{
	paddr_t first = base & PAGE_MASK;
	uint64_t size = ((base + len + PAGE_SIZE - 1) & PAGE_MASK) - first;
	uintptr_t va;
	unsigned long irq;
	int err = -1;

	if (len == 0 || base + len < base || size > X86_MMIO_SIZE)
		return NULL;
	irq = arch_spin_lock(&lock);
	va = place(first, size);
	if (size <= X86_MMIO_BASE + X86_MMIO_SIZE - va) {
		err = ptmap_map(&x86_kernel_tables, va, first, size, PTMAP_WRITE | PTMAP_DEVICE);
		next = va + size;
	}
	arch_spin_unlock(&lock, irq);
	return err == 0 ? (volatile void *)(va + (base - first)) : NULL;
}
