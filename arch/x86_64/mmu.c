/* SPDX-License-Identifier: MIT */
/*
 * User address spaces, the kernel virtual area, and the translation caches (Intel SDM volume 3A, chapter 4).
 *
 * A user address space is its root table: the lower half is the kernel vm's, the upper half a copy of the
 * kernel's top-level entries. Without process-context identifiers, changing CR3 drops all translations that
 * are not global, so an address space that is not active on a CPU has none there, and hal_tlb_flush_*() of
 * one that is not active has nothing to do. With them, pcid.c knows what a CPU may keep.
 *
 * A page that leaves the kernel virtual area must be forgotten by every CPU before its address is used again.
 * An ordinary interrupt would not do: the CPU that waits may hold a lock for which another spins with
 * interrupts off. So the request goes by NMI (trap.c). flush_lock is held from the request to the last
 * answer; flush_va and flush_count belong to its holder.
 */
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/features.h>
#include <x86/mmu.h>
#include <x86/paging.h>
#include <x86/percpu.h>
#include <arch/pt_format.h>
#include <linux/errno.h>

#define ROOT_KERNEL_HALF 256u
#define FLUSH_PAGES_MAX	 32u	    /* above that, dropping everything is cheaper */
#define CR3_KEEP	 (UINT64_C(1) << 63)
#define FLUSH_SPINS_MAX	 100000000u /* a CPU that does not answer for so long is dead */

static struct arch_spin flush_lock;
static uintptr_t flush_va;
static size_t flush_count; /* pages from there */

/* ---- user address spaces ---- */

int hal_aspace_init(struct hal_aspace *as, void *root)
{
	const uint64_t *kernel = hal_phys_to_virt(x86_kernel_root);
	uint64_t *entry = root;

	as->root = hal_virt_to_phys(root);
	pcid_space_init(&as->pcid);
	for (unsigned i = ROOT_KERNEL_HALF; kernel[i] != 0; i++)
		entry[i] = kernel[i]; /* the direct map */
	entry[X86_ROOT_INDEX(X86_KVA_BASE)] = kernel[X86_ROOT_INDEX(X86_KVA_BASE)];
	entry[X86_ROOT_INDEX(X86_MMIO_BASE)] = kernel[X86_ROOT_INDEX(X86_MMIO_BASE)];
	entry[X86_ROOT_INDEX(X86_KERNEL_BASE)] = kernel[X86_ROOT_INDEX(X86_KERNEL_BASE)];
	return 0;
}

/* What is cached under an identifier goes when that is given to another. */
void hal_aspace_fini(struct hal_aspace *as)
{
	as->root = 0;
}

/* CR3 gets the identifier, and whether to keep what that holds. Not inline: it would cost CPUs without a frame. */
static __attribute__((noinline)) void load_with_pcid(struct cpu *c, const struct hal_aspace *as, paddr_t root)
{
	bool keep;
	uint32_t pcid = pcid_activate(&c->pcid, as ? &as->pcid : NULL, &keep);

	write_cr3(root | pcid | (keep ? CR3_KEEP : 0));
}

void hal_aspace_activate(struct hal_aspace *as)
{
	struct cpu *c = this_cpu();
	paddr_t root = as == NULL ? x86_kernel_root : as->root;

	if (c->aspace_root == root)
		return;
	c->aspace_root = root;
	if (x86_features.pcid)
		load_with_pcid(c, as, root);
	else
		write_cr3(root);
}

/* Entries of `as` were changed: is there something to drop here? Interrupts are off. */
static bool flush_begin(struct hal_aspace *as)
{
	if (x86_features.pcid)
		pcid_flush(&this_cpu()->pcid, &as->pcid);
	return this_cpu()->aspace_root == as->root;
}

/* All of the active one, which is `as`. */
static void drop_all(const struct hal_aspace *as)
{
	write_cr3(as->root | this_cpu()->pcid.active);
}

void hal_tlb_flush_page(struct hal_aspace *as, uaddr_t addr)
{
	if (flush_begin(as))
		invlpg(addr);
}

void hal_tlb_flush_range(struct hal_aspace *as, uaddr_t start, uaddr_t end)
{
	if (!flush_begin(as))
		return;
	if (end - start > FLUSH_PAGES_MAX * PAGE_SIZE) {
		drop_all(as);
		return;
	}
	for (uaddr_t at = start; at < end; at += PAGE_SIZE)
		invlpg(at);
}

void hal_tlb_flush_all(struct hal_aspace *as)
{
	if (flush_begin(as))
		drop_all(as);
}

/* ---- the kernel virtual area ---- */

void hal_kva_range(uintptr_t *ret_start, uintptr_t *ret_end)
{
	*ret_start = X86_KVA_BASE;
	*ret_end = X86_KVA_BASE + X86_KVA_SIZE;
}

int hal_kva_map(uintptr_t va, const paddr_t *pages, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t *slot = ptmap_slot(&x86_kernel_tables, va + (i << PAGE_SHIFT), true);

		if (slot == NULL) {
			paddr_t mapped[HAL_KVA_RUN_MAX];

			hal_kva_unmap(va, i, mapped);
			return -ENOMEM;
		}
		hal_pte_set(slot, pt_leaf(pages[i], 0, PTMAP_WRITE));
	}
	return 0;
}

static bool must_answer(const struct cpu *c)
{
	return c != NULL && c != this_cpu() && __atomic_load_n(&c->online, __ATOMIC_ACQUIRE);
}

static void forget_pages(uintptr_t va, size_t count)
{
	for (size_t i = 0; i < count; i++)
		invlpg(va + (i << PAGE_SHIFT));
}

static void flush_everywhere(uintptr_t va, size_t count)
{
	unsigned long irq = arch_spin_lock(&flush_lock);

	flush_va = va;
	flush_count = count;
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
	forget_pages(flush_va, flush_count);
	__atomic_store_n(&c->flush_pending, 0, __ATOMIC_RELEASE);
	return true;
}

void hal_kva_unmap(uintptr_t va, size_t count, paddr_t *ret_pages)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t *slot = ptmap_slot(&x86_kernel_tables, va + (i << PAGE_SHIFT), false);

		ret_pages[i] = hal_pte_paddr(*slot);
		hal_pte_set(slot, 0);
	}
	forget_pages(va, count);
	if (count > 0 && x86_cpu_count > 1)
		flush_everywhere(va, count);
}
