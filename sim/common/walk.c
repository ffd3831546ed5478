/* SPDX-License-Identifier: MIT */
/*
 * The page-table walk in software.
 *
 * It races with the kernel's changes on other vCPUs just as a hardware walker does: an entry read here may be
 * replaced the next moment. What makes that safe is the shootdown: whoever replaces an entry waits until each
 * vCPU that has the address space active has answered, and a vCPU answers only where interrupts are
 * delivered, never between a walk and the access that it is for.
 */
#include <sim/walk.h>

static unsigned index_of(uaddr_t addr, unsigned level)
{
	return addr >> (PAGE_SHIFT + 9 * level) & (SIM_PT_ENTRIES - 1);
}

hal_pte_t *sim_walk_slot(const struct hal_aspace *as, uaddr_t addr)
{
	hal_pte_t *table = as->root;

	if (addr >= HAL_USER_TOP)
		return NULL;
	for (unsigned level = HAL_PT_LEVELS - 1; level > 0; level--) {
		hal_pte_t pte = __atomic_load_n(&table[index_of(addr, level)], __ATOMIC_ACQUIRE);

		if (!hal_pte_present(pte))
			return NULL;
		table = hal_phys_to_virt(hal_pte_paddr(pte));
	}
	return &table[index_of(addr, 0)];
}

hal_pte_t sim_pte_touch(hal_pte_t *slot, uint64_t bits)
{
	hal_pte_t pte = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

	while (hal_pte_present(pte) && (pte & bits) != bits) {
		if (__atomic_compare_exchange_n(slot, &pte, pte | bits, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return pte | bits;
	}
	return hal_pte_present(pte) ? pte : 0;
}

/* What an entry must allow for an access. Writing and executing imply reading, as on x86. */
static uint64_t needed(enum hal_access access)
{
	uint64_t bits = 0;

	if (access & HAL_ACCESS_WRITE)
		bits |= SIM_PTE_WRITE;
	if (access & HAL_ACCESS_EXEC)
		bits |= SIM_PTE_EXEC;
	return bits;
}

hal_pte_t sim_walk_access(const struct hal_aspace *as, uaddr_t addr, enum hal_access access)
{
	hal_pte_t *slot = sim_walk_slot(as, addr);
	uint64_t bits = SIM_PTE_ACCESSED | (access & HAL_ACCESS_WRITE ? SIM_PTE_DIRTY : 0);
	hal_pte_t pte = slot ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : 0;

	if (!hal_pte_present(pte) || (pte & needed(access)) != needed(access) || !hal_pte_prot(pte))
		return 0;
	if ((pte & bits) == bits)
		return pte;
	pte = sim_pte_touch(slot, bits);
	return (pte & needed(access)) == needed(access) ? pte : 0;
}

void *sim_walk_pointer(const struct hal_aspace *as, uaddr_t addr, enum hal_access access)
{
	hal_pte_t pte = sim_walk_access(as, addr, access);

	return pte ? (char *)hal_phys_to_virt(hal_pte_paddr(pte)) + (addr & ~PAGE_MASK) : NULL;
}
