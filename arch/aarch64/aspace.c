/* SPDX-License-Identifier: MIT */
/*
 * User address spaces: ASIDs, TTBR0, and invalidation by broadcast.
 *
 * An address space owns its ASID from init to fini, which forgets it on every CPU before the number is given
 * out again; so there are no generations and no rollover. A CPU with 8-bit ASIDs may run out: the spaces
 * beyond share ASID_SHARED, of which a CPU's TLB holds one space at a time, for activation then drops what
 * the last one left.
 *
 * ASID 0 is the kernel's, with an empty lower half.
 */
#include "aarch64.h"
#include <arch/spin.h>

#define ASID_SHARED 1u
#define ASID_FIRST  2u
#define ASIDS_MAX   65536
#define RANGE_MAX   64 /* pages: beyond, the whole address space is dropped */
#define ASID_SHIFT  48

static struct arch_spin lock;
static uint64_t used[ASIDS_MAX / 64];		/* by lock */
static unsigned asids = 256, next = ASID_FIRST; /* by lock */
static uint64_t none_ttbr;

void aspace_init(void)
{
	if (id_field(read_sysreg(id_aa64mmfr0_el1), 4) == 2)
		asids = ASIDS_MAX;
	used[0] = (1 << ASID_FIRST) - 1;
	none_ttbr = mmu_image_phys(empty_table);
}

/* The next free number after the last one given, so that one is not soon used again; ASID_SHARED if none is.
 */
static unsigned asid_take(void)
{
	unsigned long irq = arch_spin_lock(&lock);
	unsigned found = ASID_SHARED;

	for (unsigned i = 0, word = next / 64; i <= asids / 64; i++, word = (word + 1) % (asids / 64)) {
		uint64_t free = ~used[word];

		if (i == 0)
			free &= ~UINT64_C(0) << next % 64;
		if (free == 0)
			continue;
		found = word * 64 + (unsigned)__builtin_ctzll(free);
		used[word] |= UINT64_C(1) << found % 64;
		next = (found + 1) % asids;
		break;
	}
	arch_spin_unlock(&lock, irq);
	return found;
}

static void asid_give(unsigned asid)
{
	unsigned long irq = arch_spin_lock(&lock);

	used[asid / 64] &= ~(UINT64_C(1) << asid % 64);
	arch_spin_unlock(&lock, irq);
}

int hal_aspace_init(struct hal_aspace *as, void *root)
{
	as->ttbr = hal_virt_to_phys(root) | (uint64_t)asid_take() << ASID_SHIFT;
	return 0;
}

void hal_aspace_fini(struct hal_aspace *as)
{
	hal_tlb_flush_all(as);
	if (as->ttbr >> ASID_SHIFT != ASID_SHARED)
		asid_give((unsigned)(as->ttbr >> ASID_SHIFT));
	as->ttbr = 0;
}

void hal_aspace_activate(struct hal_aspace *as)
{
	write_sysreg(ttbr0_el1, as != NULL ? as->ttbr : none_ttbr);
	isb();
	if (as == NULL || as->ttbr >> ASID_SHIFT != ASID_SHARED)
		return;
	__asm__ volatile("tlbi aside1, %0" ::"r"((uint64_t)ASID_SHARED << ASID_SHIFT) : "memory");
	dsb(nsh);
	isb();
}

/* ---- invalidation: entries changed before (DSB), all CPUs have forgotten them after ---- */

static inline void forget_page(uint64_t asid_bits, uaddr_t addr)
{
	__asm__ volatile("tlbi vae1is, %0" ::"r"(asid_bits | (addr >> PAGE_SHIFT & UINT64_C(0xfffffffffff)))
			 : "memory");
}

static inline uint64_t asid_bits(const struct hal_aspace *as)
{
	return as->ttbr & ~((UINT64_C(1) << ASID_SHIFT) - 1);
}

void hal_tlb_flush_page(struct hal_aspace *as, uaddr_t addr)
{
	dsb(ishst);
	forget_page(asid_bits(as), addr);
	dsb(ish);
	isb();
}

void hal_tlb_flush_range(struct hal_aspace *as, uaddr_t start, uaddr_t end)
{
	if (end - start > RANGE_MAX * PAGE_SIZE) {
		hal_tlb_flush_all(as);
		return;
	}
	dsb(ishst);
	for (uaddr_t addr = start & PAGE_MASK; addr < end; addr += PAGE_SIZE)
		forget_page(asid_bits(as), addr);
	dsb(ish);
	isb();
}

void hal_tlb_flush_all(struct hal_aspace *as)
{
	dsb(ishst);
	__asm__ volatile("tlbi aside1is, %0" ::"r"(asid_bits(as)) : "memory");
	dsb(ish);
	isb();
}

/*
 * Sets the access flag of the active address space's entry for addr, on CPUs that do not do so themselves.
 * Runs with interrupts off or in the thread that faulted; tables of the active space are not freed meanwhile.
 */
bool aspace_mark_accessed(uaddr_t addr)
{
	uint64_t *table = hal_phys_to_virt(read_sysreg(ttbr0_el1) & PTE_ADDR);

	for (unsigned level = HAL_PT_LEVELS - 1;; level--) {
		uint64_t *entry = &table[addr >> (PAGE_SHIFT + 9 * level) & 511];
		uint64_t pte = __atomic_load_n(entry, __ATOMIC_ACQUIRE);

		if ((pte & PTE_VALID) == 0)
			return false;
		if (level == 0)
			return __atomic_compare_exchange_n(entry, &pte, pte | PTE_ACCESSED, false,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED) ||
			       hal_pte_present(pte);
		table = hal_phys_to_virt(hal_pte_paddr(pte));
	}
}

/* ---- instruction fetch ---- */

bool aarch64_icache_apart;

/* Four steps of `operation` a turn; a step that is shorter than a line is still right. */
#define FOR_LINES(operation, start, size, line)                                                              \
	do {                                                                                                 \
		uint64_t step = (line) < 1024 ? (line) : 1024;                                               \
		for (uintptr_t at = (start), end = at + (size); at != end;) {                                \
			__asm__ volatile(operation ", %0" ::"r"(at) : "memory");                             \
			at += step;                                                                          \
			__asm__ volatile(operation ", %0" ::"r"(at) : "memory");                             \
			at += step;                                                                          \
			__asm__ volatile(operation ", %0" ::"r"(at) : "memory");                             \
			at += step;                                                                          \
			__asm__ volatile(operation ", %0" ::"r"(at) : "memory");                             \
			at += step;                                                                          \
		}                                                                                            \
	} while (0)

/* Arm ARM B2.4.4: data to the point of unification, then instructions forgotten. */
void aarch64_icache_sync(paddr_t page)
{
	uintptr_t start = (uintptr_t)hal_phys_to_virt(page);
	uint64_t ctr = read_sysreg(ctr_el0);

	FOR_LINES("dc cvau", start, PAGE_SIZE, UINT64_C(4) << (ctr >> 16 & 15));
	dsb(ish);
	FOR_LINES("ic ivau", start, PAGE_SIZE, UINT64_C(4) << (ctr & 15));
	dsb(ish);
}
