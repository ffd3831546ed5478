/* SPDX-License-Identifier: MIT */
/* The x86_64 machine's types and inline functions: the contract is in the other headers of <hal/>. */
#ifndef HAL_ARCH_H
#define HAL_ARCH_H

#include <hal/exit.h>
#include <hal/point.h>
#include <hal/types.h>
#include <hal/regs.h>
#include <x86/pcid.h>
#include <x86/percpu_offsets.h>

/* ---- CPUs: GS points to this CPU's struct cpu while the kernel runs ---- */

#define HAL_CPU_MAX 64

static inline unsigned hal_cpu_id(void)
{
	unsigned id;

	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(id) : "i"(CPU_ID));
	return id;
}

static inline void *hal_cpu_area(void)
{
	void *p;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(p) : "i"(CPU_AREA));
	return p;
}

static inline void hal_cpu_set_area(void *p)
{
	__asm__ volatile("movq %0, %%gs:%c1" : : "r"(p), "i"(CPU_AREA) : "memory");
}

static inline void *hal_current(void)
{
	void *p;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(p) : "i"(CPU_CURRENT));
	return p;
}

static inline void hal_set_current(void *p)
{
	__asm__ volatile("movq %0, %%gs:%c1" : : "r"(p), "i"(CPU_CURRENT) : "memory");
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
	uint32_t a = 0, c = 0;

	__asm__ volatile("cpuid" : "+a"(a), "+c"(c) : : "ebx", "edx", "memory");
}

static inline void hal_cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* ---- interrupts ---- */

static inline void hal_irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void hal_irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline unsigned long hal_irq_save(void)
{
	unsigned long state;

	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=r"(state) : : "memory");
	return state;
}

static inline bool hal_irq_enabled(void)
{
	unsigned long state;

	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(state) : : "memory");
	return (state & X86_FLAG_IF) != 0;
}

static inline void hal_irq_restore(unsigned long state)
{
	if (state & X86_FLAG_IF)
		hal_irq_enable();
}

/* ---- contexts ---- */

#define HAL_KSTACK_SIZE 16384u

struct hal_context {
	uint64_t sp; /* the callee-saved registers and the return address lie there */
};

static inline void hal_context_fini(struct hal_context *c)
{
	(void)c;
}

/* ---- memory ---- */

#define HAL_PT_LEVELS 4
#define HAL_USER_MIN  UINT64_C(0x1000)
#define HAL_MAP_LOW	  0x40u /* mmap's flag for addresses in the lowest two GiB (MAP_32BIT); 0: there is none */
#define HAL_NO_KEY_ERROR EINVAL /* pkey_alloc(2) on a processor without protection keys */
#define HAL_USER_TOP                                                                                         \
	UINT64_C(                                                                                            \
	    0x00007ffffffff000) /* a page short of the hole: `syscall` there returns to a canonical rip */
#define HAL_TLB_BROADCAST 0
#define HAL_ASPACE_KEEPS  0 /* PCIDs do keep translations, but not past a flush on whatever CPU (x86/pcid.h) */
#define X86_DIRECT_BASE	  UINT64_C(0xffff800000000000)

static inline void *hal_phys_to_virt(paddr_t pa)
{
	return (void *)(uintptr_t)(pa + X86_DIRECT_BASE);
}

static inline paddr_t hal_virt_to_phys(const void *va)
{
	return (uintptr_t)va - X86_DIRECT_BASE;
}

/*
 * Page-table entries (Intel SDM volume 3, 4.5). An entry of the user's half is one of
 *   0                          nothing
 *   P set, U set               a table or a page
 *   P clear, U set             a page that nobody may access (prot 0)
 *   P and U clear, soft bit    the kernel's own value, from bit 4 on
 */
typedef uint64_t hal_pte_t;

#define X86_PTE_P	 (UINT64_C(1) << 0)
#define X86_PTE_W	 (UINT64_C(1) << 1)
#define X86_PTE_U	 (UINT64_C(1) << 2)
#define X86_PTE_PWT	 (UINT64_C(1) << 3)
#define X86_PTE_PCD	 (UINT64_C(1) << 4)
#define X86_PTE_A	 (UINT64_C(1) << 5)
#define X86_PTE_D	 (UINT64_C(1) << 6)
#define X86_PTE_PS	 (UINT64_C(1) << 7)
#define X86_PTE_G	 (UINT64_C(1) << 8)
#define X86_PTE_ADDR	 UINT64_C(0x000ffffffffff000)
#define X86_PTE_SOFT	 X86_PTE_W
#define X86_PTE_SOFT_POS 4

extern uint64_t x86_pte_nx; /* bit 63 where the CPU has it, else 0 */

static inline hal_pte_t hal_pte_leaf(paddr_t pa, unsigned prot)
{
	hal_pte_t e = pa | X86_PTE_U;

	if (prot & 7)
		e |= X86_PTE_P;
	if (prot & 2)
		e |= X86_PTE_W;
	if (!(prot & 4))
		e |= x86_pte_nx;
	return e;
}

static inline hal_pte_t hal_pte_table(paddr_t pa)
{
	return pa | X86_PTE_P | X86_PTE_W | X86_PTE_U;
}

static inline hal_pte_t hal_pte_soft(uint64_t value)
{
	return value << X86_PTE_SOFT_POS | X86_PTE_SOFT;
}

static inline uint64_t hal_pte_soft_value(hal_pte_t e)
{
	return e >> X86_PTE_SOFT_POS;
}

static inline bool hal_pte_present(hal_pte_t e)
{
	return (e & X86_PTE_U) != 0;
}

static inline bool hal_pte_writable(hal_pte_t e)
{
	return (e & X86_PTE_W) != 0;
}

static inline paddr_t hal_pte_paddr(hal_pte_t e)
{
	return e & X86_PTE_ADDR;
}

static inline unsigned hal_pte_prot(hal_pte_t e)
{
	unsigned prot = 1;

	if (!(e & X86_PTE_P))
		return 0;
	if (e & X86_PTE_W)
		prot |= 2;
	if (!(e >> 63))
		prot |= 4;
	return prot;
}

static inline bool hal_pte_accessed(hal_pte_t e)
{
	return (e & X86_PTE_A) != 0;
}

static inline bool hal_pte_dirty(hal_pte_t e)
{
	return (e & X86_PTE_D) != 0;
}

static inline hal_pte_t hal_pte_clear_accessed(hal_pte_t e)
{
	return e & ~X86_PTE_A;
}

/* Instruction fetch sees stores by itself. */
static inline void hal_exec_sync(paddr_t page)
{
	(void)page;
}

/* Stores are seen in order by the page walkers of all CPUs: no barrier but the compiler's. */
static inline void hal_pte_set(hal_pte_t *slot, hal_pte_t e)
{
	__atomic_store_n(slot, e, __ATOMIC_RELEASE);
}

struct hal_aspace {
	paddr_t root;
	struct pcid_space pcid;
};

/* ---- devices: uncached accesses are in order, and stores are seen in order ---- */

#define X86_MMIO_ACCESS(width)                                                                               \
	static inline uint##width##_t hal_mmio_read##width(const volatile void *at)                          \
	{                                                                                                    \
		uint##width##_t value = *(const volatile uint##width##_t *)at;                               \
                                                                                                             \
		__asm__ volatile("" : : : "memory");                                                         \
		return value;                                                                                \
	}                                                                                                    \
	static inline void hal_mmio_write##width(volatile void *at, uint##width##_t value)                   \
	{                                                                                                    \
		__asm__ volatile("" : : : "memory");                                                         \
		*(volatile uint##width##_t *)at = value;                                                     \
	}
X86_MMIO_ACCESS(8)
X86_MMIO_ACCESS(16)
X86_MMIO_ACCESS(32)
X86_MMIO_ACCESS(64)
#undef X86_MMIO_ACCESS

static inline void hal_dma_wmb(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline void hal_dma_rmb(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline void hal_dma_mb(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

/* ---- user mode ---- */

/*
 * A trap in user mode pushes its frame straight into regs: TSS.rsp0 points behind regs.ss, and the CPU rounds
 * that down to 16 bytes, hence the padding in front.
 */
struct hal_user {
	uint64_t pad;
	struct hal_regs regs;
	struct x86_state x86;
	uint32_t live_cpu;     /* the CPU whose registers hold the FPU and segment bases, if it agrees; or
				  X86_CPU_NONE */
	uint64_t kernel_sp;    /* while user code runs: where the kernel goes on */
	struct hal_exit *exit; /* and what it wants filled */
} __attribute__((aligned(16)));

#define X86_CPU_NONE UINT32_MAX

/*
 * entry.S gives back the stack and the frame pointer alone. The caller, a loop that has little in registers, is told
 * that all others change.
 */
static inline enum hal_exit_kind hal_user_run(struct hal_user *u, struct hal_exit *ret)
{
	enum hal_exit_kind kind;

	__asm__ volatile("call x86_user_run"
			 : "=a"(kind), "+D"(u), "+S"(ret)
			 :
			 : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	return kind;
}

#include <arch/metal.h>

#endif
