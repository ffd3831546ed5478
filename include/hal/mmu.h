/* SPDX-License-Identifier: MIT */
/*
 * Memory: the direct map, the kernel's virtual area, and the encoding of user page tables.
 *
 * User page tables are radix trees of HAL_PT_LEVELS levels of 512 eight-byte entries on every machine; the kernel's vm
 * builds and walks them (src/kernel/vm/pagetable.c), in pages of the direct map. The machine says how an entry
 * is encoded, and looks translations up: x86_64 and aarch64 by their MMU, the simulator by walking the tree on a stub's fault
 * and mapping the page into the stub (the stubs' mappings are its TLB, and stale until flushed, as on metal).
 *
 * In <hal/arch.h>, inline:
 *
 *   HAL_PT_LEVELS (4), HAL_USER_MIN (lowest mappable user address), HAL_USER_TOP (first address above user space), HAL_MAP_LOW (see there)
 *   HAL_TLB_BROADCAST                 1: hal_tlb_flush_* reach every CPU by themselves; 0: this CPU only
 *   HAL_ASPACE_KEEPS                  1: translations stay cached on a CPU after it has activated another address space (PCIDs, the
 *                                     simulator's stubs), so that later flushes must reach it too; 0: activation drops them
 *   void *hal_phys_to_virt(paddr_t)   direct map; all RAM of hal_mem_ranges(), writable, not executable
 *   paddr_t hal_virt_to_phys(const void *)     of a direct-map address
 *   void hal_ram_clear(paddr_t, uint64_t size)     whole pages of RAM that nobody uses yet read as zero
 *   hal_pte_t                          an entry; 0 = nothing there
 *   hal_pte_t hal_pte_leaf(paddr_t, unsigned prot)     a present user page, prot of HAL_PROT_*
 *   hal_pte_t hal_pte_table(paddr_t)                   a present pointer to the next level
 *   hal_pte_t hal_pte_soft(uint64_t value)             not present; `value` < 2^60 and != 0 is the kernel's own
 *   uint64_t hal_pte_soft_value(hal_pte_t)
 *   bool hal_pte_present(hal_pte_t), bool hal_pte_writable(hal_pte_t)
 *   paddr_t hal_pte_paddr(hal_pte_t), unsigned hal_pte_prot(hal_pte_t)
 *   bool hal_pte_accessed(hal_pte_t), hal_pte_dirty(hal_pte_t), hal_pte_t hal_pte_clear_accessed(hal_pte_t)
 *   void hal_pte_set(hal_pte_t *slot, hal_pte_t)       stores an entry with the barriers that the machine needs
 *   void hal_exec_sync(paddr_t page)   after the page was written and before it is mapped executable: instruction fetch sees what
 *                                      was stored; nothing where it does so by itself
 *
 *   struct hal_aspace                 what the machine keeps of one user address space
 */
#ifndef HAL_MMU_H
#define HAL_MMU_H

#include <hal/types.h>

enum {
	HAL_PROT_READ = 1,
	HAL_PROT_WRITE = 2,
	HAL_PROT_EXEC = 4,
};

struct hal_aspace;

/* `root` is a zeroed page of the direct map; the machine may fill in its own (kernel) entries. 0 or -ENOMEM. */
int hal_aspace_init(struct hal_aspace *as, void *root);

/* Forgets the address space on every CPU; afterwards its tables and pages may be freed. It is active nowhere. */
void hal_aspace_fini(struct hal_aspace *as);

/* Makes `as` this CPU's user address space; null: none. Interrupts off. */
void hal_aspace_activate(struct hal_aspace *as);

/*
 * Where a CPU may keep translations of an address space while another one is active on it (and HAL_ASPACE_KEEPS is 0 all the same),
 * flushes are numbered, in <hal/arch.h>, inline; nothing elsewhere:
 *
 *   uint64_t hal_tlb_change(struct hal_aspace *as)         entries were taken away or made stricter: the number of the flush that
 *                                                          is due, before anybody looks on which CPUs the space is active
 *   void hal_tlb_caught_up(struct hal_aspace *as, uint64_t number)     this CPU has done that flush. Interrupts off.
 *
 * A CPU that has not caught up when the space is next activated on it forgets everything first.
 */

/* Drop cached translations of [start, end) of `as`, on this CPU or (HAL_TLB_BROADCAST) on all. Interrupts off. */
void hal_tlb_flush_page(struct hal_aspace *as, uaddr_t addr);
void hal_tlb_flush_range(struct hal_aspace *as, uaddr_t start, uaddr_t end);
void hal_tlb_flush_all(struct hal_aspace *as);

/*
 * The kernel's virtual area [*ret_start, *ret_end): page aligned, 64 MiB or more, for stacks and large allocations.
 * hal_kva_map maps `count` (1 to HAL_KVA_RUN_MAX) pages of RAM read-write there in a row (never executable); -ENOMEM, with none
 * mapped, when a table page is wanting. hal_kva_unmap removes a row of mapped pages, on every CPU, and says what they were, so that
 * a row costs the other CPUs one interruption. Any CPU; the caller serialises.
 */
#define HAL_KVA_RUN_MAX 16

void hal_kva_range(uintptr_t *ret_start, uintptr_t *ret_end);
int hal_kva_map(uintptr_t va, const paddr_t *pages, size_t count);
void hal_kva_unmap(uintptr_t va, size_t count, paddr_t *ret_pages);

/*
 * User memory of the address space that is active on this CPU. The caller has checked that [addr, addr+len) lies below
 * HAL_USER_TOP. A page fault inside calls hal_upcalls.user_fault() (interrupts on: these may sleep) and goes on when that
 * returns 0. The copies return the number of bytes NOT copied.
 */
size_t hal_copy_from_user(void *dst, uaddr_t src, size_t len);
size_t hal_copy_to_user(uaddr_t dst, const void *src, size_t len);
size_t hal_clear_user(uaddr_t dst, size_t len);

/* Copies a string with its NUL, at most size bytes; returns its length without the NUL, `size` if there was none, -EFAULT. */
int64_t hal_strncpy_from_user(char *dst, uaddr_t src, size_t size);

/* Atomic operations on an aligned 32-bit word of user memory (futexes): 0 or -EFAULT. */
int hal_user_load32(uaddr_t addr, uint32_t *ret);
int hal_user_store32(uaddr_t addr, uint32_t value);
int hal_user_cmpxchg32(uaddr_t addr, uint32_t expected, uint32_t desired, uint32_t *ret_previous);

#endif
