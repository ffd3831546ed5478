/* SPDX-License-Identifier: MIT */
/*
 * aarch64's half of the seam: the types whose layout is the machine's, and the inline functions of hot paths.
 *
 * The kernel half of the address space (TTBR1, 48 bits) is fixed:
 *
 *   0xffff_0000_0000_0000   direct map: physical address + DIRECT_MAP
 *   0xffff_8000_0000_0000   the kernel's image, wherever it was loaded
 *   0xffff_8000_4000_0000   device registers
 *   0xffff_8010_0000_0000   kernel virtual area
 *
 * x18 is reserved in the whole kernel (-ffixed-x18) and points to this CPU's struct hal_cpu, so that the
 * running thread and the CPU's data are one load away. User code has its own x18; entry and exit swap them.
 */
#ifndef HAL_ARCH_H
#define HAL_ARCH_H

#include <hal/exit.h>
#include <hal/point.h>
#include <hal/types.h>
#include <hal/regs.h>

#define HAL_CPU_MAX	  64
#define HAL_KSTACK_SIZE	  16384
#define HAL_PT_LEVELS	  4
#define HAL_USER_MIN	  UINT64_C(0x10000)
#define HAL_MAP_LOW	  0u /* mmap's flag for addresses in the lowest two GiB (MAP_32BIT); 0: there is none */
#define HAL_NO_KEY_ERROR  ENOSPC /* pkey_alloc(2) on a processor without protection keys */
#define HAL_USER_TOP	  (UINT64_C(1) << 48)
#define HAL_TLB_BROADCAST 1
#define HAL_ASPACE_KEEPS  0 /* ASIDs do keep translations, but a broadcast reaches them wherever they are */
#define HAL_USER_ALIGN	  16

#define AARCH64_DIRECT_MAP UINT64_C(0xffff000000000000)

/* ---- CPUs ---- */

/* What x18 points to. The offsets are known to assembly: asm_offsets.h. */
struct hal_cpu {
	void *area;
	void *current;
	struct hal_user *fpu_live; /* whose FPU state the registers hold; it is newer than memory        */
	struct hal_user *fpu_last; /* whose FPU state the registers hold too, equal to memory (fpu_cpu)  */
	uint32_t id;
	uint32_t gic_target; /* GICv2: this CPU's interface bit */
	uint64_t mpidr;
	bool stepping; /* MDSCR_EL1.SS is set */
	void *gic_redistributor; /* GICv3: its SGI frame */
	const uintptr_t *interrupted; /* frame record of kernel code, while an interrupt of it is handled; else null */
} __attribute__((aligned(64)));	 /* a cache line of its own */

struct hal_context {
	uint64_t x19_x28[10], fp, pc, sp;
};

static inline void hal_context_fini(struct hal_context *c)
{
	(void)c;
}

/* The asm statements are volatile: what they read changes at a context switch. */
static inline void *hal_current(void)
{
	void *p;

	__asm__ volatile("ldr %0, [x18, #8]" : "=r"(p));
	return p;
}

static inline void hal_set_current(void *p)
{
	__asm__ volatile("str %0, [x18, #8]" ::"r"(p) : "memory");
}

static inline void *hal_cpu_area(void)
{
	void *p;

	__asm__ volatile("ldr %0, [x18]" : "=r"(p));
	return p;
}

static inline void hal_cpu_set_area(void *p)
{
	__asm__ volatile("str %0, [x18]" ::"r"(p) : "memory");
}

static inline unsigned hal_cpu_id(void)
{
	unsigned id;

	__asm__ volatile("ldr %w0, [x18, #32]" : "=r"(id));
	return id;
}

/* Scheduling points and injected faults are the simulator's. */
static inline void hal_point(enum hal_point kind, const volatile void *object)
{
	(void)kind;
	(void)object;
}

static inline bool hal_fault(const char *site)
{
	(void)site;
	return false;
}

static inline void hal_cpu_refetch(void)
{
	__asm__ volatile("isb" ::: "memory");
}

static inline void hal_cpu_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

/* ---- interrupts: PSTATE.I ---- */

#define AARCH64_DAIF_I (1ul << 7)

static inline unsigned long hal_irq_save(void)
{
	unsigned long state;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(state)::"memory");
	return state;
}

static inline void hal_irq_restore(unsigned long state)
{
	__asm__ volatile("msr daif, %0" ::"r"(state) : "memory");
}

static inline void hal_irq_enable(void)
{
	__asm__ volatile("msr daifclr, #2" ::: "memory");
}

static inline void hal_irq_disable(void)
{
	__asm__ volatile("msr daifset, #2" ::: "memory");
}

static inline bool hal_irq_enabled(void)
{
	unsigned long state;

	__asm__ volatile("mrs %0, daif" : "=r"(state)::"memory");
	return (state & AARCH64_DAIF_I) == 0;
}

/* ---- memory ---- */

static inline void *hal_phys_to_virt(paddr_t pa)
{
	return (void *)(pa | AARCH64_DIRECT_MAP);
}

static inline paddr_t hal_virt_to_phys(const void *v)
{
	return (uint64_t)v & ~AARCH64_DIRECT_MAP;
}

/*
 * Entries: VMSAv8-64, 4 KiB granule (Arm ARM D8.3). Two kinds have bit 0 clear and are nothing to the MMU:
 * PROT_NONE pages (bit 61 set; else as a leaf, so that they keep their address) and the kernel's own values,
 * in bits 1 to 60.
 */
typedef uint64_t hal_pte_t;

#define PTE_VALID     (UINT64_C(1) << 0)
#define PTE_TABLE     (UINT64_C(1) << 1) /* a table; at the last level: a page */
#define PTE_ATTR(n)   ((uint64_t)(n) << 2)
#define PTE_USER      (UINT64_C(1) << 6)
#define PTE_READONLY  (UINT64_C(1) << 7)
#define PTE_SHARED    (UINT64_C(3) << 8) /* inner shareable */
#define PTE_ACCESSED  (UINT64_C(1) << 10)
#define PTE_NOTGLOBAL (UINT64_C(1) << 11)
#define PTE_PXN	      (UINT64_C(1) << 53)
#define PTE_UXN	      (UINT64_C(1) << 54)
#define PTE_NONE      (UINT64_C(1) << 61)
#define PTE_ADDR      UINT64_C(0x0000fffffffff000)

/* indices into MAIR_EL1 */
enum {
	AARCH64_MEM_DEVICE = 0,
	AARCH64_MEM_NORMAL = 1,
};

static inline hal_pte_t hal_pte_leaf(paddr_t pa, unsigned prot)
{
	hal_pte_t pte = pa | PTE_TABLE | PTE_ATTR(AARCH64_MEM_NORMAL) | PTE_SHARED | PTE_ACCESSED |
			PTE_NOTGLOBAL | PTE_PXN;

	pte |= (prot & 7) != 0 ? PTE_VALID | PTE_USER : PTE_NONE;
	if ((prot & 2) == 0)
		pte |= PTE_READONLY;
	if ((prot & 4) == 0)
		pte |= PTE_UXN;
	return pte;
}

static inline hal_pte_t hal_pte_table(paddr_t pa)
{
	return pa | PTE_TABLE | PTE_VALID;
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
	return (pte & (PTE_VALID | PTE_NONE)) != 0;
}

static inline bool hal_pte_writable(hal_pte_t pte)
{
	return (pte & PTE_READONLY) == 0 && (pte & PTE_VALID) != 0;
}

static inline paddr_t hal_pte_paddr(hal_pte_t pte)
{
	return pte & PTE_ADDR;
}

static inline unsigned hal_pte_prot(hal_pte_t pte)
{
	if ((pte & PTE_VALID) == 0)
		return 0;
	return 1u | ((pte & PTE_READONLY) == 0 ? 2u : 0u) | ((pte & PTE_UXN) == 0 ? 4u : 0u);
}

static inline bool hal_pte_accessed(hal_pte_t pte)
{
	return (pte & PTE_ACCESSED) != 0;
}

/* The MMU is not asked to keep a dirty bit: what may be written counts as written. */
static inline bool hal_pte_dirty(hal_pte_t pte)
{
	return hal_pte_writable(pte);
}

static inline hal_pte_t hal_pte_clear_accessed(hal_pte_t pte)
{
	return pte & ~PTE_ACCESSED;
}

/*
 * A release: whoever walks to the entry sees the page's contents. There is no DSB: an access of this CPU that
 * comes before its own store is walkable faults once more, and the kernel then finds the page mapped and goes
 * on.
 */
static inline void hal_pte_set(hal_pte_t *slot, hal_pte_t pte)
{
	__atomic_store_n(slot, pte, __ATOMIC_RELEASE);
}

/* True on CPUs whose instruction fetch does not see stores by itself (CTR_EL0.DIC or IDC clear). */
extern bool aarch64_icache_apart;
void aarch64_icache_sync(paddr_t page);

static inline void hal_exec_sync(paddr_t page)
{
	if (aarch64_icache_apart)
		aarch64_icache_sync(page);
}

/* The ASID belongs to the address space from init to fini; ASID_SHARED is for those beyond the CPU's supply
 * (aspace.c). */
struct hal_aspace {
	uint64_t ttbr; /* TTBR0_EL1: ASID in the top 16 bits */
};

/*
 * ---- devices ----
 * One plain load or store each: an access that the compiler may split or combine with an update of its
 * address cannot be emulated by a hypervisor. The barriers order them with memory (Arm ARM B2.3.12).
 */

#define AARCH64_MMIO_ACCESS(width, suffix, reg)                                                              \
	static inline uint##width##_t hal_mmio_read##width(const volatile void *at)                          \
	{                                                                                                    \
		uint##width##_t value;                                                                       \
                                                                                                             \
		__asm__ volatile("ldr" suffix " %" reg "0, [%1]\n\tdmb oshld" : "=r"(value) : "r"(at) : "memory"); \
		return value;                                                                                \
	}                                                                                                    \
	static inline void hal_mmio_write##width(volatile void *at, uint##width##_t value)                   \
	{                                                                                                    \
		__asm__ volatile("dmb oshst\n\tstr" suffix " %" reg "0, [%1]" : : "r"(value), "r"(at) : "memory"); \
	}
AARCH64_MMIO_ACCESS(8, "b", "w")
AARCH64_MMIO_ACCESS(16, "h", "w")
AARCH64_MMIO_ACCESS(32, "", "w")
AARCH64_MMIO_ACCESS(64, "", "x")
#undef AARCH64_MMIO_ACCESS

static inline void hal_dma_wmb(void)
{
	__asm__ volatile("dmb oshst" ::: "memory");
}

static inline void hal_dma_rmb(void)
{
	__asm__ volatile("dmb oshld" ::: "memory");
}

static inline void hal_dma_mb(void)
{
	__asm__ volatile("dmb osh" ::: "memory");
}

/* ---- user mode ---- */

/* FPU area: as a signal frame has it (struct fpsimd_context), so that it goes there and back in one copy. */
struct aarch64_fpu {
	uint32_t magic, size;
	uint32_t fpsr, fpcr;
	unsigned char v[32][16];
} __attribute__((aligned(16)));

struct hal_user {
	struct hal_regs regs;
	struct aarch64_fpu *fpu;
	uint64_t tpidr;	  /* thread pointer, as of the last save              */
	uint32_t fpu_cpu; /* CPU whose registers may equal *fpu, or UINT32_MAX */
	bool step;	    /* a debugger wants a step */
	uint64_t fault_esr; /* of the last fault or trap: a signal frame tells   */
	uint64_t fault_addr;
};

/*
 * exception.S gives back sp, x29 and x18 alone. The caller, a loop that has little in registers, is told that
 * all others change.
 */
static inline enum hal_exit_kind hal_user_run(struct hal_user *u, struct hal_exit *ret)
{
	register uint64_t x0 __asm__("x0") = (uint64_t)u;
	register uint64_t x1 __asm__("x1") = (uint64_t)ret;

	__asm__ volatile("bl aarch64_user_run"
			 : "+r"(x0), "+r"(x1)
			 :
			 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
			   "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
			   "x28", "x30", "memory", "cc");
	return (enum hal_exit_kind)x0;
}

#include <arch/metal.h>

#endif
