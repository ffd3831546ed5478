/* SPDX-License-Identifier: MIT */
/*
 * The simulator's part of the seam: the types and the hot inline functions of <hal/...>. A vCPU is whatever
 * thread of the host runs it; its state is found through one thread-local pointer (sim/vcpu.h).
 */
#ifndef HAL_ARCH_H
#define HAL_ARCH_H

#include <stdatomic.h>

#include <hal/exit.h>
#include <hal/mmu.h>
#include <hal/point.h>
#include <hal/regs.h>
#include <sim/sanitizer.h>
#include <sim/vcpu.h>

/* ---- CPUs ---- */

#define HAL_CPU_MAX SIM_CPU_MAX

static inline unsigned hal_cpu_id(void)
{
	return sim_self()->id;
}

static inline void *hal_cpu_area(void)
{
	return sim_self()->area;
}

static inline void hal_cpu_set_area(void *area)
{
	sim_self()->area = area;
}

static inline void *hal_current(void)
{
	return sim_self()->current;
}

static inline void hal_set_current(void *current)
{
	sim_self()->current = current;
}

static inline void hal_cpu_refetch(void)
{
	uint32_t a = 0, c = 0;

	__asm__ volatile("cpuid" : "+a"(a), "+c"(c) : : "ebx", "edx", "memory");
}
void hal_cpu_relax(void);

/* ---- scheduling points and faults: the deterministic world's ---- */

extern bool sim_points; /* the deterministic world runs: points count */
void sim_point(enum hal_point kind, const volatile void *object);
bool sim_fault_at(const char *site);

static inline void hal_point(enum hal_point kind, const volatile void *object)
{
	if (__builtin_expect(sim_points, 0))
		sim_point(kind, object);
}

static inline bool hal_fault(const char *site)
{
	return __builtin_expect(sim_points, 0) && sim_fault_at(site);
}

/* ---- interrupts: a flag; what is pending is delivered where it is raised ---- */

static inline unsigned long hal_irq_save(void)
{
	struct sim_vcpu *v = sim_self();
	unsigned long state = v->irq_on;

	v->irq_on = false;
	atomic_signal_fence(memory_order_seq_cst);
	return state;
}

static inline void hal_irq_disable(void)
{
	hal_irq_save();
}

static inline void hal_irq_enable(void)
{
	struct sim_vcpu *v = sim_self();

	atomic_signal_fence(memory_order_seq_cst);
	v->irq_on = true;
	if (__builtin_expect(atomic_load_explicit(&v->pending, memory_order_relaxed) != 0, 0))
		sim_irq_deliver();
}

static inline void hal_irq_restore(unsigned long state)
{
	if (state)
		hal_irq_enable();
	else
		hal_irq_disable();
}

static inline bool hal_irq_enabled(void)
{
	return sim_self()->irq_on;
}

/* ---- contexts ---- */

/* The C library's calls need more than a kernel of its own does, and sanitizers' frames more than that. */
#define HAL_KSTACK_SIZE ((SIM_SANITIZED ? 16 : 8) * PAGE_SIZE)

struct hal_context {
	void *sp;
	const void *stack; /* lowest byte, and bytes; for the sanitizers */
	size_t size;
	void *fiber; /* the sanitizer's own word */
	void (*entry)(void *);
	void *arg;
	struct hal_context *previous, *next; /* the deterministic world's list of those that are alive */
	struct hal_context *thread; /* null, or the kernel's own context that a script runs for */
};

void hal_context_fini(struct hal_context *c);

/* ---- memory ---- */

#define HAL_PT_LEVELS	  4
#define HAL_USER_MIN	  UINT64_C(0x10000)
#define HAL_MAP_LOW	  0x40u /* mmap's flag for addresses in the lowest two GiB (MAP_32BIT); 0: there is none */
#define HAL_NO_KEY_ERROR  EINVAL
#define HAL_USER_TOP	  UINT64_C(0x7fff00000000) /* above it lie the pages of a stub (sim/stub.h) */
#define HAL_TLB_BROADCAST 0
#define HAL_ASPACE_KEEPS                                                                                     \
	0 /* a stub that missed a flush while its address space was not active forgets everything */

/*
 * Where RAM and the kernel's virtual area are mapped: fixed, so that the direct map costs an addition, and in
 * the part of the address space that AddressSanitizer and ThreadSanitizer both leave to the program.
 */
#define SIM_DIRECT_MAP UINT64_C(0x7e9000000000)
#define SIM_RAM_MAX    (UINT64_C(64) << 30)
#define SIM_KVA_START  UINT64_C(0x7ec000000000)
#define SIM_KVA_SIZE   (UINT64_C(1) << 30)
#define SIM_BOOT_STACK (SIM_KVA_START + SIM_KVA_SIZE + (UINT64_C(1) << 20))
_Static_assert(SIM_DIRECT_MAP + SIM_RAM_MAX <= SIM_KVA_START,
	       "the direct map ends before the kernel's virtual area");

static inline void *hal_phys_to_virt(paddr_t pa)
{
	return (void *)(uintptr_t)(SIM_DIRECT_MAP + pa);
}

static inline paddr_t hal_virt_to_phys(const void *va)
{
	return (uint64_t)(uintptr_t)va - SIM_DIRECT_MAP;
}

void hal_ram_clear(paddr_t from, uint64_t size);

/*
 * Page-table entries, our own encoding: present 0, HAL_PROT_* 1..3, user leaf 4, accessed 5, dirty 6,
 * address 12..51. A soft entry keeps bit 0 clear and its value above it.
 */
typedef uint64_t hal_pte_t;

#define SIM_PTE_PRESENT	   UINT64_C(0x01)
#define SIM_PTE_PROT_SHIFT 1
#define SIM_PTE_READ	   ((uint64_t)HAL_PROT_READ << SIM_PTE_PROT_SHIFT)
#define SIM_PTE_WRITE	   ((uint64_t)HAL_PROT_WRITE << SIM_PTE_PROT_SHIFT)
#define SIM_PTE_EXEC	   ((uint64_t)HAL_PROT_EXEC << SIM_PTE_PROT_SHIFT)
#define SIM_PTE_LEAF	   UINT64_C(0x10)
#define SIM_PTE_ACCESSED   UINT64_C(0x20)
#define SIM_PTE_DIRTY	   UINT64_C(0x40)
#define SIM_PTE_ADDRESS	   UINT64_C(0x000ffffffffff000)

static inline hal_pte_t hal_pte_leaf(paddr_t pa, unsigned prot)
{
	return pa | SIM_PTE_PRESENT | SIM_PTE_LEAF | (uint64_t)prot << SIM_PTE_PROT_SHIFT;
}

static inline hal_pte_t hal_pte_table(paddr_t pa)
{
	return pa | SIM_PTE_PRESENT;
}

static inline hal_pte_t hal_pte_soft(uint64_t value)
{
	return value << 1;
}

static inline uint64_t hal_pte_soft_value(hal_pte_t pte)
{
	return pte >> 1;
}

static inline bool hal_pte_present(hal_pte_t pte)
{
	return pte & SIM_PTE_PRESENT;
}

static inline bool hal_pte_writable(hal_pte_t pte)
{
	return pte & SIM_PTE_WRITE;
}

static inline paddr_t hal_pte_paddr(hal_pte_t pte)
{
	return pte & SIM_PTE_ADDRESS;
}

static inline unsigned hal_pte_prot(hal_pte_t pte)
{
	return pte >> SIM_PTE_PROT_SHIFT & (HAL_PROT_READ | HAL_PROT_WRITE | HAL_PROT_EXEC);
}

static inline bool hal_pte_accessed(hal_pte_t pte)
{
	return pte & SIM_PTE_ACCESSED;
}

static inline bool hal_pte_dirty(hal_pte_t pte)
{
	return pte & SIM_PTE_DIRTY;
}

static inline hal_pte_t hal_pte_clear_accessed(hal_pte_t pte)
{
	return pte & ~SIM_PTE_ACCESSED;
}

/* Instruction fetch sees stores by itself. */
static inline void hal_exec_sync(paddr_t page)
{
	(void)page;
}

static inline void hal_pte_set(hal_pte_t *slot, hal_pte_t pte)
{
	__atomic_store_n(slot, pte, __ATOMIC_RELEASE);
}

/* The stubs that may hold translations of this address space: at most one a vCPU (user/tlb.c). */
struct hal_aspace {
	uint64_t *root;
	_Atomic uint64_t flushes;    /* that were due so far, on whatever vCPU               */
	uint64_t seen[HAL_CPU_MAX];  /* each vCPU's own: it has done those up to this one    */
	bool missed[HAL_CPU_MAX];    /* each vCPU's own: not all when it was activated there */
	uint8_t stub[HAL_CPU_MAX];   /* 1 + index of its stub on that vCPU, or 0; a hint     */
};

static inline uint64_t hal_tlb_change(struct hal_aspace *as)
{
	return atomic_fetch_add(&as->flushes, 1) + 1;
}

/* Only if it has done all those before: one that it missed must not be forgotten over this one. */
static inline void hal_tlb_caught_up(struct hal_aspace *as, uint64_t number)
{
	uint64_t *seen = &as->seen[sim_self()->id];

	if (*seen + 1 == number)
		*seen = number;
}

/* ---- devices: register addresses are cookies that lead to the models (sim/device/pci.c) ---- */

uint64_t sim_mmio_read(const volatile void *at, unsigned width);
void sim_mmio_write(volatile void *at, unsigned width, uint64_t value);

#define SIM_MMIO_ACCESS(width)                                                                               \
	static inline uint##width##_t hal_mmio_read##width(const volatile void *at)                          \
	{                                                                                                    \
		return (uint##width##_t)sim_mmio_read(at, width / 8);                                        \
	}                                                                                                    \
	static inline void hal_mmio_write##width(volatile void *at, uint##width##_t value)                   \
	{                                                                                                    \
		sim_mmio_write(at, width / 8, value);                                                        \
	}
SIM_MMIO_ACCESS(8)
SIM_MMIO_ACCESS(16)
SIM_MMIO_ACCESS(32)
SIM_MMIO_ACCESS(64)
#undef SIM_MMIO_ACCESS

static inline uint64_t hal_dma_addr(const void *va)
{
	return hal_virt_to_phys(va);
}

static inline void hal_dma_wmb(void)
{
	atomic_thread_fence(memory_order_release);
}

static inline void hal_dma_rmb(void)
{
	atomic_thread_fence(memory_order_acquire);
}

static inline void hal_dma_mb(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

/* ---- user mode ---- */

/* The registers as ptrace hands them over: struct hal_regs, then the four data segment selectors. */
struct hal_user {
	struct hal_regs regs;
	uint64_t selectors[4];
	struct x86_state x86;
	const struct sim_stub *fpu_stub; /* whose FPU holds this thread's state, if that stub agrees */
	bool fpu_live;			 /* and it is newer there than in memory                     */
	bool regs_partial; /* in a system call, with all registers that it does not pass left in that stub */
};

enum hal_exit_kind hal_user_run(struct hal_user *u, struct hal_exit *ret);

#endif
