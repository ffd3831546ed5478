/* SPDX-License-Identifier: MIT */
/*
 * The simulator's TLB: what is mapped in stub processes.
 *
 * A stub holds the translations of one address space for one vCPU, like the entries under one ASID of a
 * hardware TLB. It is made when a vCPU first runs user code of an address space, filled by faults, and
 * recycled (all unmapped) when the address space dies or the vCPU has too many. Changes are queued in the
 * stub and done before it next runs.
 *
 * I1  A translation in a stub is never less strict than the entry that it was filled from; writing needs the
 * entry to be dirty. I2  hal_tlb_flush_* on the vCPU itself takes effect before its stub runs again. I3  Flushes that others ask
 * for are numbered (hal_tlb_change). A vCPU on which the address space is active is the kernel's business, by IPI, as
 * HAL_TLB_BROADCAST is 0. Any other one compares the numbers when the space is activated on it next, and forgets everything if it has
 * not caught up. The number moves before the kernel looks who is active, and the kernel calls a vCPU active before it activates
 * the space there: so one of them sees the other, also when a vCPU leaves the space between the two looks.
 */
#include <asm/errno.h>

#include <sim/host.h>
#include <sim/soft.h>
#include <sim/user.h>
#include <sim/walk.h>

#define WINDOW_PAGES 16 /* neighbours mapped with a page: one aligned window of this size */

static struct {
	struct sim_stub stub[SIM_STUBS_MAX];
	uint64_t selections;
} stubs[SIM_CPU_MAX];

/* ---- address spaces ---- */

int hal_aspace_init(struct hal_aspace *as, void *root)
{
	*as = (struct hal_aspace){.root = root};
	return 0;
}

void hal_aspace_fini(struct hal_aspace *as)
{
	for (unsigned cpu = 0; cpu < SIM_CPU_MAX; cpu++) {
		struct hal_aspace *expected = as;

		if (as->stub[cpu])
			atomic_compare_exchange_strong(&stubs[cpu].stub[as->stub[cpu] - 1].owner, &expected,
						       NULL);
	}
	if (sim_soft_used)
		sim_soft_end(as);
}

void hal_aspace_activate(struct hal_aspace *as)
{
	struct sim_vcpu *v = sim_self();
	uint64_t flushes;

	if (v->aspace == as)
		return;
	v->aspace = as;
	if (!as)
		return;
	flushes = atomic_load(&as->flushes);
	as->missed[v->id] |= as->seen[v->id] != flushes;
	as->seen[v->id] = flushes;
}

/* ---- flushing ---- */

static void forget_all(struct sim_stub *stub)
{
	if (!stub->empty)
		host_stub_unmap(stub->host, 0, HAL_USER_TOP);
	stub->empty = true;
}

/* The stub of `as` on the calling vCPU, or null. */
static struct sim_stub *own_stub(struct sim_vcpu *v, struct hal_aspace *as)
{
	unsigned i = as->stub[v->id];

	if (!i || atomic_load_explicit(&stubs[v->id].stub[i - 1].owner, memory_order_relaxed) != as)
		return NULL;
	return &stubs[v->id].stub[i - 1];
}

void hal_tlb_flush_range(struct hal_aspace *as, uaddr_t start, uaddr_t end)
{
	struct sim_vcpu *v = sim_self();
	struct sim_stub *stub = own_stub(v, as);

	if (stub && start == 0 && end == HAL_USER_TOP)
		forget_all(stub);
	else if (stub && !stub->empty)
		host_stub_unmap(stub->host, start, end - start);
	if (sim_soft_used)
		sim_soft_flush(as, start, end);
}

void hal_tlb_flush_page(struct hal_aspace *as, uaddr_t addr)
{
	addr &= PAGE_MASK;
	hal_tlb_flush_range(as, addr, addr + PAGE_SIZE);
}

void hal_tlb_flush_all(struct hal_aspace *as)
{
	hal_tlb_flush_range(as, 0, HAL_USER_TOP);
}

/* ---- choosing a stub ---- */

/* A stub that nobody owns, a new one, or the one that was used longest ago. */
static struct sim_stub *stub_claim(struct sim_vcpu *v)
{
	struct sim_stub *all = stubs[v->id].stub, *oldest = NULL;
	unsigned i;

	for (i = 0; i < SIM_STUBS_MAX && all[i].host; i++) {
		if (!atomic_load(&all[i].owner))
			return &all[i];
		if (!oldest || all[i].last_run < oldest->last_run)
			oldest = &all[i];
	}
	if (i < SIM_STUBS_MAX) {
		if (i == 0)
			host_thread_bind(v->id);
		all[i].host = host_stub_create();
		if (all[i].host) {
			all[i].empty = true;
			return &all[i];
		}
	}
	if (!oldest)
		host_fatal("the host lets us make no process to run user programs in");
	return oldest;
}

static struct sim_stub *stub_adopt(struct sim_vcpu *v, struct hal_aspace *as)
{
	struct sim_stub *stub = stub_claim(v);

	forget_all(stub);
	atomic_store(&stub->owner, as);
	as->stub[v->id] = (uint8_t)(1 + (stub - stubs[v->id].stub));
	return stub;
}

void sim_stub_revive(struct sim_stub *stub)
{
	host_stub_revive(stub->host);
	stub->empty = true;
	stub->fpu_user = NULL;
}

bool sim_tlb_missed(struct sim_vcpu *v)
{
	bool missed = v->aspace->missed[v->id];

	v->aspace->missed[v->id] = false;
	return missed;
}

struct sim_stub *sim_stub_select(struct sim_vcpu *v)
{
	struct hal_aspace *as = v->aspace;
	struct sim_stub *stub = own_stub(v, as);
	bool missed = sim_tlb_missed(v);

	if (!stub)
		stub = stub_adopt(v, as);
	else if (missed)
		forget_all(stub);
	if (host_stub_is_lost(stub->host))
		sim_stub_revive(stub);
	stub->last_run = ++stubs[v->id].selections;
	return stub;
}

/* ---- filling ---- */

/*
 * What the stub may do with a page: writing only when the entry is dirty already, since the stub will not
 * tell (I1).
 */
static unsigned stub_prot(hal_pte_t pte)
{
	unsigned prot = hal_pte_prot(pte);

	return hal_pte_dirty(pte) ? prot : prot & ~(unsigned)HAL_PROT_WRITE;
}

/* One run of pages that are neighbours in user space and in RAM, and alike. */
struct run {
	uaddr_t addr;
	size_t len;
	paddr_t pa;
	unsigned prot;
};

static void run_flush(struct sim_stub *stub, struct run *run)
{
	if (run->len)
		host_stub_map(stub->host, run->addr, run->len, run->pa, run->prot);
	run->len = 0;
}

static void run_add(struct sim_stub *stub, struct run *run, uaddr_t addr, hal_pte_t pte)
{
	paddr_t pa = hal_pte_paddr(pte);

	if (run->len &&
	    (run->addr + run->len != addr || run->pa + run->len != pa || run->prot != stub_prot(pte)))
		run_flush(stub, run);
	if (!run->len)
		*run = (struct run){.addr = addr, .pa = pa, .prot = stub_prot(pte)};
	run->len += PAGE_SIZE;
}

void sim_tlb_fill(struct sim_stub *stub, struct hal_aspace *as, uaddr_t addr, enum sim_fill what)
{
	hal_pte_t *slot = sim_walk_slot(as, addr);
	unsigned before = addr >> PAGE_SHIFT & (WINDOW_PAGES - 1);
	uaddr_t start = (addr & PAGE_MASK) - before * PAGE_SIZE;
	struct run run = {.len = 0};

	if (!slot)
		return;
	for (unsigned i = 0; i < WINDOW_PAGES; i++) {
		hal_pte_t *neighbour = slot - before + i, pte = __atomic_load_n(neighbour, __ATOMIC_ACQUIRE);

		if (what == SIM_FILL_NEW && i != before && hal_pte_accessed(pte))
			continue;
		pte = sim_pte_touch(neighbour, SIM_PTE_ACCESSED);
		if (pte && hal_pte_prot(pte))
			run_add(stub, &run, start + i * PAGE_SIZE, pte);
	}
	run_flush(stub, &run);
	stub->empty = false;
}
