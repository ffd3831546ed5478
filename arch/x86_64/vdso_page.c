/* SPDX-License-Identifier: MIT */
/* The kernel's side of the vDSO: its image, and the data page, which has one writer at a time. */
#include <x86/mmu.h>
#include <x86/vdso_data.h>
#include <arch/spin.h>

extern const char vdso_image[], vdso_image_end[]; /* page aligned, whole pages */

static union {
	struct x86_vdso_data data;
	uint8_t page[PAGE_SIZE];
} page __attribute__((aligned(4096)));

static struct arch_spin lock;

static void write_begin(struct x86_vdso_data *d)
{
	__atomic_store_n(&d->sequence, d->sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void write_end(struct x86_vdso_data *d)
{
	__atomic_store_n(&d->sequence, d->sequence + 1, __ATOMIC_RELEASE);
}

void x86_vdso_set_clock(uint64_t tsc_base, uint64_t multiplier)
{
	unsigned long irq = arch_spin_lock(&lock);

	write_begin(&page.data);
	page.data.tsc_base = tsc_base;
	page.data.multiplier = multiplier;
	write_end(&page.data);
	arch_spin_unlock(&lock, irq);
}

void x86_vdso_set_wall(uint64_t offset_ns)
{
	unsigned long irq = arch_spin_lock(&lock);

	write_begin(&page.data);
	page.data.wall_offset_ns = offset_ns;
	write_end(&page.data);
	arch_spin_unlock(&lock, irq);
}

/* By the direct map, where the kernel finds pages' addresses. */
const void *hal_vdso_image(size_t *ret_len)
{
	*ret_len = (uintptr_t)vdso_image_end - (uintptr_t)vdso_image;
	return hal_phys_to_virt(x86_image_paddr(vdso_image));
}

paddr_t hal_vdso_data(void)
{
	return x86_image_paddr(&page);
}
