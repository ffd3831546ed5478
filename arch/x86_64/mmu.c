/* SPDX-License-Identifier: MIT */
/*
 * User address spaces, the kernel virtual area, and the translation caches (Intel SDM volume 3A, chapter 4).
 *
 * A user address space is its root table: the lower half is the kernel vm's, the upper half a copy of the
 * kernel's top-level entries. No process-context identifiers are used: changing CR3 drops all translations
 * that are not global, so an address space that is not active on a CPU has none there, and hal_tlb_flush_*()
 * of one that is not active has nothing to do.
 *
 * A page that leaves the kernel virtual area must be forgotten by every CPU before its address is used again.
 * An ordinary interrupt would not do: the CPU that waits may hold a lock for which another spins with
 * interrupts off. So the request goes by NMI (trap.c). flush_lock is held from the request to the last
 * answer; flush_va belongs to its holder.
 */
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/mmu.h>
#include <x86/paging.h>
#include <x86/percpu.h>
#include <arch/pt_format.h>
#include <linux/errno.h>

#define ROOT_KERNEL_HALF 256u
#define FLUSH_PAGES_MAX	 32u	    /* above that, dropping everything is cheaper */
#define FLUSH_SPINS_MAX	 100000000u /* a CPU that does not answer for so long is dead */

static struct arch_spin flush_lock;
static uintptr_t flush_va;

/* ---- user address spaces ---- */

int hal_aspace_init(struct hal_aspace *as, void *root)
{
	const uint64_t *kernel = hal_phys_to_virt(x86_kernel_root);
	uint64_t *entry = root;

	as->root = hal_virt_to_phys(root);
	for (unsigned i = ROOT_KERNEL_HALF; kernel[i] != 0; i++)
		entry[i] = kernel[i]; /* the direct map */
	entry[X86_ROOT_INDEX(X86_KVA_BASE)] = kernel[X86_ROOT_INDEX(X86_KVA_BASE)];
	entry[X86_ROOT_INDEX(X86_MMIO_BASE)] = kernel[X86_ROOT_INDEX(X86_MMIO_BASE)];
	entry[X86_ROOT_INDEX(X86_KERNEL_BASE)] = kernel[X86_ROOT_INDEX(X86_KERNEL_BASE)];
	return 0;
}

/* Nothing is cached of an address space that is active nowhere. */
void hal_aspace_fini(struct hal_aspace *as)
{
	as->root = 0;
}

void hal_aspace_activate(struct hal_aspace *as)
{
	struct cpu *c = this_cpu();
	paddr_t root = as == NULL ? x86_kernel_root : as->root;

	if (c->aspace_root == root)
		return;
	c->aspace_root = root;
	write_cr3(root);
}

static bool active_here(const struct hal_aspace *as)
{
	return this_cpu()->aspace_root == as->root;
}

void hal_tlb_flush_page(struct hal_aspace *as, uaddr_t addr)
{
	if (active_here(as))
		invlpg(addr);
}

void hal_tlb_flush_range(struct hal_aspace *as, uaddr_t start, uaddr_t end)
{
	if (!active_here(as))
		return;
	if (end - start > FLUSH_PAGES_MAX * PAGE_SIZE) {
		write_cr3(as->root);
		return;
	}
	for (uaddr_t at = start; at < end; at += PAGE_SIZE)
		invlpg(at);
}

void hal_tlb_flush_all(struct hal_aspace *as)
{
	if (active_here(as))
		write_cr3(as->root);
}

/* ---- the kernel virtual area ---- */

void hal_kva_range(uintptr_t *ret_start, uintptr_t *ret_end)
{
	*ret_start = X86_KVA_BASE;
	*ret_end = X86_KVA_BASE + X86_KVA_SIZE;
}

int hal_kva_map(uintptr_t va, paddr_t pa)
{
	uint64_t *slot = ptmap_slot(&x86_kernel_tables, va, true);

	if (slot == NULL)
		return -ENOMEM;
	if (*slot != 0)
		return -EEXIST;
	hal_pte_set(slot, pt_leaf(pa, 0, PTMAP_WRITE));
	return 0;
}

static bool must_answer(const struct cpu *c)
{
	return c != NULL && c != this_cpu() && __atomic_load_n(&c->online, __ATOMIC_ACQUIRE);
}

static void flush_everywhere(uintptr_t va)
{
	unsigned long irq = arch_spin_lock(&flush_lock);

	flush_va = va;
	for (unsigned i = 0; i < x86_cpu_count; i++) {
		if (!must_answer(x86_cpus[i]))
			continue;
		__atomic_store_n(&x86_cpus[i]->flush_pending, 1, __ATOMIC_RELEASE);
		x86_apic_send_nmi(x86_cpus[i]->apic_id);
	}
	for (unsigned i = 0; i < x86_cpu_count; i++) {
		if (!must_answer(x86_cpus[i]))
			continue;
		for (unsigned n = 0; n < FLUSH_SPINS_MAX; n++) {
			if (!__atomic_load_n(&x86_cpus[i]->flush_pending, __ATOMIC_ACQUIRE))
				break;
			hal_cpu_relax();
		}
	}
	arch_spin_unlock(&flush_lock, irq);
}

bool x86_flush_requested(void)
{
	struct cpu *c = this_cpu();

	if (!__atomic_load_n(&c->flush_pending, __ATOMIC_ACQUIRE))
		return false;
	invlpg(flush_va);
	__atomic_store_n(&c->flush_pending, 0, __ATOMIC_RELEASE);
	return true;
}

paddr_t hal_kva_unmap(uintptr_t va)
{
	uint64_t *slot = ptmap_slot(&x86_kernel_tables, va, false);
	paddr_t pa;

	if (slot == NULL || *slot == 0)
		return 0;
	pa = hal_pte_paddr(*slot);
	hal_pte_set(slot, 0);
	invlpg(va);
	if (x86_cpu_count > 1)
		flush_everywhere(va);
	return pa;
}
