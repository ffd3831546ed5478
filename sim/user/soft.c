/* SPDX-License-Identifier: MIT */
/*
 * The software TLB of scripted programs. It stands where the stubs' mappings stand for real programs (tlb.c) and keeps the same
 * rules: I1 to I3 there.
 *
 * Each vCPU has one set of entries, tagged with their address space, as a TLB with ASIDs. An entry remembers the
 * page-table entry that it was filled from. An access that it allows goes to its page, whatever the page table says by
 * now: that is the point. One that it does not allow is a fault at once, as on metal, though the page table may allow
 * it by now; the fault forgets the entry. A write to a page that is not yet dirty walks again.
 *
 * Entries go by flushes, by others that need their place, when the vCPU has missed a flush of the address space, and, where a
 * scenario says so (tlb.evict), for no reason.
 */
#include <sim/fault.h>
#include <sim/soft.h>
#include <sim/user.h>
#include <sim/walk.h>

#define ENTRIES 64 /* a vCPU; one place for each page */

struct entry {
	const struct hal_aspace *owner; /* null: empty */
	uaddr_t page;
	hal_pte_t pte;
};

static struct entry entries[SIM_CPU_MAX][ENTRIES];
bool sim_soft_used;

void sim_soft_start(void)
{
	sim_soft_used = true;
}

/* ---- forgetting ---- */

void sim_soft_flush(struct hal_aspace *as, uaddr_t start, uaddr_t end)
{
	struct entry *own = entries[hal_cpu_id()];

	for (unsigned i = 0; i < ENTRIES; i++)
		if (own[i].owner == as && own[i].page >= start && own[i].page < end)
			own[i].owner = NULL;
}

void sim_soft_end(struct hal_aspace *as)
{
	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++)
		for (unsigned i = 0; i < ENTRIES; i++)
			if (entries[cpu][i].owner == as)
				entries[cpu][i].owner = NULL;
}

void sim_soft_enter(void)
{
	struct sim_vcpu *v = sim_self();

	if (sim_tlb_missed(v))
		sim_soft_flush(v->aspace, 0, HAL_USER_TOP);
}

/* ---- looking up ---- */

static bool allows(hal_pte_t pte, enum hal_access access)
{
	return hal_pte_prot(pte) && (!(access & HAL_ACCESS_WRITE) || pte & SIM_PTE_WRITE) &&
	       (!(access & HAL_ACCESS_EXEC) || pte & SIM_PTE_EXEC);
}

/* The entry with which the access may be made, or 0. */
static hal_pte_t translate(const struct hal_aspace *as, uaddr_t addr, enum hal_access access)
{
	uaddr_t page = addr & PAGE_MASK;
	struct entry *e = &entries[hal_cpu_id()][page >> PAGE_SHIFT & (ENTRIES - 1)];

	if (e->owner == as && e->page == page) {
		if (sim_fault(SIM_FAULT_TLB_EVICT)) {
			e->owner = NULL;
		} else if (!allows(e->pte, access)) {
			e->owner = NULL;
			return 0;
		} else if (!(access & HAL_ACCESS_WRITE) || hal_pte_dirty(e->pte)) {
			return e->pte;
		}
	}
	*e = (struct entry){.owner = as, .page = page, .pte = sim_walk_access(as, addr, access)};
	if (!e->pte)
		e->owner = NULL;
	return e->pte;
}

static void refuse(struct hal_user *u, uaddr_t addr, enum hal_access access, struct hal_exit *ret)
{
	hal_pte_t *slot = sim_walk_slot(sim_self()->aspace, addr);

	*ret = (struct hal_exit){.addr = addr, .access = access};
	x86_trap_note(u, HAL_EXIT_FAULT, ret, slot && hal_pte_present(*slot));
}

void *sim_soft_access(struct hal_user *u, uaddr_t addr, enum hal_access access, enum hal_exit_kind *ret_kind,
		      struct hal_exit *ret)
{
	hal_pte_t pte;

	hal_point(HAL_POINT_ATOMIC, (void *)addr);
	*ret_kind = HAL_EXIT_INTERRUPT;
	if (atomic_load_explicit(&sim_self()->pending, memory_order_relaxed))
		return NULL;
	pte = translate(sim_self()->aspace, addr, access);
	if (pte)
		return (char *)hal_phys_to_virt(hal_pte_paddr(pte)) + (addr & ~PAGE_MASK);
	*ret_kind = HAL_EXIT_FAULT;
	refuse(u, addr, access, ret);
	return NULL;
}
