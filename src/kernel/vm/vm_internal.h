/* SPDX-License-Identifier: MIT */
/* What the files of vm share. Lock order: space->lock, object->lock, space->table_lock; then what mm takes. */
#ifndef VM_INTERNAL_H
#define VM_INTERNAL_H

#include <cloudos/mm.h>
#include <cloudos/vm.h>
#include <cloudos/wait.h>
#include "memory_internal.h"

#define VM_MIN_ADDR	 UINT64_C(65536) /* nothing is mapped below: null pointers with an offset fault */
#define VM_GUARD_GAP	 (UINT64_C(256) << PAGE_SHIFT) /* kept free below a stack */
#define VM_PROT_ANY	 (HAL_PROT_READ | HAL_PROT_WRITE | HAL_PROT_EXEC)
#define PT_SHIFT	 9
#define PT_ENTRIES	 (1u << PT_SHIFT)

/* ---- tlb.c: translations that CPUs may have cached, and pages that must outlive them ---- */

#define TLB_BATCH_PAGES 64

struct tlb_batch {
	struct vm_space *space;
	uaddr_t start, end; /* what to flush; empty: nothing */
	bool unused;	    /* the space runs nowhere and never will: pages are freed at once, nothing is flushed */
	uint32_t count;
	struct page *pages[TLB_BATCH_PAGES];
};

static inline void tlb_batch_init(struct tlb_batch *b, struct vm_space *s)
{
	b->space = s;
	b->start = UINT64_MAX;
	b->end = 0;
	b->unused = false;
	b->count = 0;
}

static inline void tlb_batch_range(struct tlb_batch *b, uaddr_t start, uaddr_t end)
{
	b->start = min(b->start, start);
	b->end = max(b->end, end);
}

void tlb_batch_finish(struct tlb_batch *b);

/* An empty table that no CPU can reach any more. */
void pagetable_recycle(struct page *table);

/* Gives up what an entry pointed to: a page, or a table. */
static inline void tlb_release_page(struct page *p)
{
	if (p->kind == PAGE_TABLE)
		pagetable_recycle(p);
	else
		page_put(p);
}

/* Drops a reference on a page whose entries were cleared, once no CPU can reach it any more. Any lock but a page's may be held. */
static inline void tlb_batch_page(struct tlb_batch *b, struct page *p)
{
	if (b->unused) {
		tlb_release_page(p);
		return;
	}
	if (unlikely(b->count == TLB_BATCH_PAGES))
		tlb_batch_finish(b);
	b->pages[b->count++] = p;
}

void tlb_flush(struct vm_space *s, uaddr_t start, uaddr_t end);
void tlb_flush_page_here(struct vm_space *s, uaddr_t addr);

/* ---- pagetable.c ---- */

/*
 * A visit of the entries of [start, end), in runs: `run` is called for each stretch of n slots of one last-level table, the first of
 * which maps addr. Where no table is, there is no call. With `reap`, tables that are empty after the run go there.
 */
struct pt_visit {
	struct vm_space *space;
	void (*run)(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr);
	struct tlb_batch *reap;
};

void pagetable_visit(struct pt_visit *v, uaddr_t start, uaddr_t end);

/* The slot of an address, or null if there is no table for it. Space lock or table lock held. */
hal_pte_t *pagetable_find(const struct vm_space *s, uaddr_t addr);

/* The first address of [start, end) that a last-level table is for, or `end`: what has no tables costs nothing. Likewise. */
uaddr_t pagetable_next(const struct vm_space *s, uaddr_t start, uaddr_t end);

/* As pagetable_find(), making tables; null when out of memory. Table lock held. */
hal_pte_t *pagetable_make(struct vm_space *s, uaddr_t addr);

int pagetable_init(struct vm_space *s);
void pagetable_fini(struct vm_space *s); /* nothing is mapped any more */

/* Each table counts its entries that are not 0, in its struct page. */
static inline struct page *pagetable_page(const hal_pte_t *slot)
{
	return page_of_virt(slot);
}

/* An entry that others (machines that set its accessed bit, threads that fault) may change at the same time. */
static inline hal_pte_t pte_read(const hal_pte_t *slot)
{
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

/* Fills an empty slot. Table lock held. */
static inline void pagetable_fill(hal_pte_t *slot, hal_pte_t pte)
{
	hal_pte_set(slot, pte);
	pagetable_page(slot)->index++;
}

/* What an entry of an area may allow: any access at all makes it readable, as on Linux. */
static inline unsigned pte_prot(uint32_t prot)
{
	return prot & VM_PROT_ANY ? (prot & VM_PROT_ANY) | HAL_PROT_READ : 0;
}

static inline struct page *pte_page(hal_pte_t pte)
{
	return page_of_phys(hal_pte_paddr(pte));
}

/* An entry that stands for a page in a swap area; hal_pte_soft_value() is its name there (swap.c). */
static inline bool pte_is_swapped(hal_pte_t pte)
{
	return pte && !hal_pte_present(pte);
}

/* page->flags: instruction fetch sees what the page holds. Whoever writes to it through the direct map afterwards clears this. */
#define VM_PAGE_FETCHABLE 1

static inline void page_written(struct page *page)
{
	if (unlikely(READ_ONCE(page->flags) & VM_PAGE_FETCHABLE))
		__atomic_fetch_and(&page->flags, (uint16_t)~VM_PAGE_FETCHABLE, __ATOMIC_RELAXED);
}

/* The entry that maps the page. */
static inline hal_pte_t page_pte(struct page *page, unsigned prot)
{
	if (unlikely(prot & HAL_PROT_EXEC) && !(READ_ONCE(page->flags) & VM_PAGE_FETCHABLE)) {
		hal_exec_sync(page_phys(page));
		__atomic_fetch_or(&page->flags, VM_PAGE_FETCHABLE, __ATOMIC_RELAXED);
	}
	return hal_pte_leaf(page_phys(page), prot);
}

/* The page of zeros that reads of untouched anonymous memory see; it is mapped without being counted, nor counted as resident. */
extern paddr_t vm_zero_pa;

static inline bool pte_is_zero_page(hal_pte_t pte)
{
	return hal_pte_paddr(pte) == vm_zero_pa;
}

/* ---- zap.c: taking mapped pages away ---- */

enum zap_what { ZAP_ALL, ZAP_CACHE_PAGES /* leave private copies alone */ };

/* Clears [start, end). Space lock held for writing (then `tables`: empty tables are freed), or the lock of the object mapped there. */
void zap_range(struct vm_space *s, uaddr_t start, uaddr_t end, enum zap_what what, bool tables);

/* The end of a space that runs nowhere. */
void zap_unused(struct vm_space *s, uaddr_t start, uaddr_t end);

/* ---- area.c ---- */

/*
 * The space's lock for writing. Areas with a file that were removed are freed after it is released: giving up a file may take locks
 * that rank before it.
 */
static inline void space_lock(struct vm_space *s)
{
	rwlock_write(&s->lock);
}
void space_unlock(struct vm_space *s);

int area_cache_init(void);
void area_tree_init(struct vm_space *s);

/* The first area that ends above addr, or null: it may begin above addr too. Space lock held. */
struct vm_area *area_find(struct vm_space *s, uaddr_t addr);

static inline struct vm_area *area_next(const struct vm_area *a)
{
	return a->link.next == &a->space->area_list ? NULL : list_entry(a->link.next, struct vm_area, link);
}

static inline struct vm_area *area_prev(const struct vm_area *a)
{
	return a->link.prev == &a->space->area_list ? NULL : list_entry(a->link.prev, struct vm_area, link);
}

static inline uint64_t area_pages(const struct vm_area *a)
{
	return (a->end - a->start) >> PAGE_SHIFT;
}

/* Page of the object at an address of the area. */
static inline uint64_t area_object_page(const struct vm_area *a, uaddr_t addr)
{
	return a->object_page + ((addr - a->start) >> PAGE_SHIFT);
}

static inline bool area_is_private(const struct vm_area *a)
{
	return !(a->flags & VM_SHARED);
}

/* May a mapping with these VM_* and this may_prot, which both never change, write to its object? */
static inline bool area_writes_object(uint32_t flags, uint32_t may_prot)
{
	return (flags & VM_SHARED) && (may_prot & HAL_PROT_WRITE);
}

/* Space lock held for writing in all that follow. */

/* Maps [start, end) as r says, by extending a neighbour if one fits. -ENOMEM, -EPERM (sealed): nothing changed. The range is free. */
int area_create(struct vm_space *s, const struct vm_map_request *r, uaddr_t start, uaddr_t end);
/* The next area_create() finds its memory and its place in the count: it cannot fail, even behind an area_split(). 0 or -ENOMEM. */
int area_reserve(struct vm_space *s);
/* A copy of `from` in another space, at its highest end so far. Null: out of memory. */
struct vm_area *area_copy(struct vm_space *to, const struct vm_area *from);
void area_remove(struct vm_area *a);
/* The end of a space: takes all areas off their objects' lists; then frees an area without tidying the tree. */
void areas_hide(struct vm_space *s);
void area_discard(struct vm_area *a);
/* Cuts in two at `at`; a keeps the lower part. -ENOMEM: nothing changed. */
int area_split(struct vm_area *a, uaddr_t at);
/* Moves the ends of an area over free space, or inwards. */
void area_resize(struct vm_area *a, uaddr_t start, uaddr_t end);
void area_set_prot(struct vm_area *a, uint32_t prot);
void area_set_flags(struct vm_area *a, uint32_t flags);
/* Splits as needed so that areas begin and end at start and end. -ENOMEM; some may be split then, to no effect. */
int area_isolate(struct vm_space *s, uaddr_t start, uaddr_t end);
/* Joins neighbours that became alike, from the one before start to the one behind end. */
void area_merge_range(struct vm_space *s, uaddr_t start, uaddr_t end);
/* True if areas cover [start, end) without a hole. */
bool area_covers(struct vm_space *s, uaddr_t start, uaddr_t end);
/* True if nothing lies in [start, end), nor in the gap below a stack. */
bool area_range_free(struct vm_space *s, uaddr_t start, uaddr_t end);
/* The highest free range of len bytes that ends at or below top. False: none. */
bool area_find_free(struct vm_space *s, uint64_t len, uaddr_t top, uaddr_t *ret);

/* For each area that overlaps [start, end), in order; the body may not remove areas. */
#define area_for_each(a, s, start_, end_) \
	for ((a) = area_find((s), (start_)); (a) && (a)->start < (end_); (a) = area_next(a))

/* ---- map.c ---- */

int unmap_locked(struct vm_space *s, uaddr_t start, uaddr_t end);
/* May the space grow by so many pages, with these PROT_* and VM_*? 0 or -ENOMEM. */
int map_check_limits(const struct vm_space *s, uint64_t pages, uint32_t prot, uint32_t flags);
/* Where to map, by the request's address, flags and length (whole pages). 0, -ENOMEM, -EINVAL, -EEXIST, -EPERM. */
int map_place(struct vm_space *s, const struct vm_map_request *r, uint64_t len, uaddr_t *ret);

/* Checks a range given by a user: page-aligned start, len rounded up. 0 or -EINVAL / -ENOMEM for what lies outside user space. */
int range_check(uaddr_t start, uint64_t len, uaddr_t *ret_end);

/* ---- fault.c ---- */

/* Makes addr of the area accessible. Space lock held (reading is enough). 0, -ENOMEM, -EFAULT (SIGBUS), or what reading the file gave. */
int fault_area(struct vm_area *a, uaddr_t addr, enum hal_access access);

/* ---- swap_io.c: the page of an entry that is swapped out. Space lock held. 0, -ENOMEM, -EIO; the entry may be another one already. ---- */

int fault_swapped(struct vm_area *a, hal_pte_t *slot, hal_pte_t pte);

/* ---- swap.c: what fork and zap do with entries (swap_internal.h has the rest) ---- */

void swap_dup(uint64_t entry);
void swap_free(uint64_t entry);
bool swap_leave_slot(struct page *page);

/* Under the table lock: nobody else has the page, which is mapped there, nor finds it by a slot of a swap area from now on. */
static inline bool page_is_alone(struct page *page)
{
	if (!refcount_is_one(&page->refs))
		return false;
	return likely(!(READ_ONCE(page->flags) & PAGE_WATCHED)) || swap_leave_slot(page);
}

/* ---- spaces.c ---- */

void spaces_enter(struct vm_space *s); /* it is complete; may sleep */
void spaces_leave(struct vm_space *s); /* may sleep */
void space_emptied(struct vm_space *s); /* it has no pages any more */

/* ---- reclaim.c ---- */

enum reclaim_how {
	RECLAIM_AGED,	 /* what has not been used for long */
	RECLAIM_PRESSED, /* whatever can be taken */
	RECLAIM_NOW,	 /* whatever nobody else has (MADV_PAGEOUT) */
	RECLAIM_COLD,	 /* nothing, but what nobody else has is old from now on (MADV_COLD) */
};

/* Pages of the private areas of [start, end) that is whole pages. May sleep. */
void reclaim_range(struct vm_space *s, uaddr_t start, uaddr_t end, enum reclaim_how how);

extern struct wait_queue reclaim_freed; /* who waits for memory */

/* Memory is short: somebody should look. Any thread. */
void reclaim_kick(void);

struct page *reclaim_last_page(enum page_kind kind, unsigned flags);

/* A page for a program, charged to nobody, or null: then reclaim_wait() helps, once no lock is held. */
static inline struct page *vm_page_alloc(enum page_kind kind, unsigned flags)
{
	struct page *p = page_alloc_as(kind, 0, flags | PAGE_ALLOC_USER);

	if (unlikely(READ_ONCE(mm_pressed)))
		reclaim_kick();
	return likely(p) ? p : reclaim_last_page(kind, flags);
}

/* One for a private area of the space. */
static inline struct page *user_page_alloc(struct vm_space *s, unsigned flags)
{
	struct page *p = vm_page_alloc(PAGE_USER, flags);

	return unlikely(READ_ONCE(s->group)) && p ? memory_charge_page(s, p, MEMORY_ANON) : p;
}

/* One that is to come into an object: the running program's. */
static inline struct page *object_page_alloc(unsigned flags)
{
	struct page *p = vm_page_alloc(PAGE_KERNEL, flags);
	struct vm_space *s = thread_current()->vm;

	return s && unlikely(READ_ONCE(s->group)) && p ? memory_charge_page(s, p, MEMORY_SHARED) : p;
}

/* ---- object.c, object_unmap.c ---- */

int object_cache_init(void);

/* The page, made if it is a hole. Object lock held; no reference is taken. */
int object_page_locked(struct vm_object *o, uint64_t index, bool create, struct page **ret);
/* Takes pages [first, last] away from everybody who maps them. Object lock held. */
void object_unmap_locked(struct vm_object *o, uint64_t first, uint64_t last, enum zap_what what);

/* ---- page_map.c: the lock of the object is held ---- */

struct page *page_map_get(const struct vm_page_map *m, uint64_t index);
int page_map_set(struct vm_page_map *m, uint64_t index, struct page *page); /* was empty; -ENOMEM */
struct page *page_map_remove(struct vm_page_map *m, uint64_t index);	    /* null: was empty */
/* The pages of indices [index, index + n), null for holes. */
void page_map_get_run(const struct vm_page_map *m, uint64_t index, unsigned n, struct page *ret[]);
/* The first page at or after *index, which becomes its index; null: none. */
struct page *page_map_next(const struct vm_page_map *m, uint64_t *index);
int page_map_cache_init(void);

/* ---- layout.c ---- */

void layout_init(void);
uaddr_t layout_map_top(uint64_t stack_limit);

/* ---- space.c ---- */

/* The service's start; unit tests call it too. */
int vm_start(void);

/* A space without a layout. */
struct vm_space *space_create(void);

/* The fields that exec set, and the program's file. */
void space_copy_program(struct vm_space *to, const struct vm_space *from);

#endif
