/* SPDX-License-Identifier: MIT */
/*
 * Memory: pages, slabs, kernel virtual areas. Nothing here sleeps; everything may be called in any context, unless it says
 * otherwise. Out of memory is a null or -ENOMEM, and the caller's to handle.
 */
#ifndef CLOUDOS_MM_H
#define CLOUDOS_MM_H

#include <cloudos/list.h>
#include <cloudos/refcount.h>
#include <cloudos/types.h>
#include <hal/hal.h>

#define PAGE_ORDER_MAX 10 /* largest block: 4 MiB */

enum page_kind { PAGE_RESERVED, PAGE_FREE, PAGE_KERNEL, PAGE_SLAB, PAGE_USER, PAGE_CACHE, PAGE_TABLE, PAGE_SPARE };

struct memory_group;

/*
 * One for each page of RAM. What `link`, `owner` and `index` mean is up to the owner, by kind: free lists of the allocator;
 * slab lists; the cache object and page index of a PAGE_CACHE page; nothing for an anonymous PAGE_USER page. A PAGE_SPARE page
 * is kept by its owner for the next use.
 */
struct page {
	struct refcount refs; /* references to an allocated page (or to the block's first page) */
	uint8_t order;	      /* of the block that starts here                                  */
	uint8_t kind;	      /* enum page_kind                                                 */
	uint16_t flags;	      /* the owner's, but for PAGE_WATCHED and PAGE_CHARGED            */
	union {
		struct list link;
		struct memory_group *group; /* of a page that is PAGE_CHARGED: who pays for it */
	};
	void *owner;
	uint64_t index;
};
_Static_assert(sizeof(struct page) == 40, "struct page is paid for 256 times a MiB");

enum page_flags {
	PAGE_ALLOC_ZERO = 1,	/* cleared                                                    */
	PAGE_ALLOC_RESERVE = 2, /* may dig into the reserve: for what frees memory soon       */
	PAGE_ALLOC_USER = 4,	/* leaves twice the reserve: what programs hold can be taken from them, what the kernel holds cannot */
};

/* A block of 2^order pages with one reference, of the given kind, or null. */
struct page *page_alloc_as(enum page_kind kind, unsigned order, unsigned flags);

static inline struct page *page_alloc(unsigned order, unsigned flags)
{
	return page_alloc_as(PAGE_KERNEL, order, flags);
}

/*
 * In page->flags, of an order 0 page: before it is freed somebody hears of it, its owner by page_watcher(), which clears the mark, or the group that it
 * is charged to, by page_uncharger(). Any context in which such a page is given up; no lock of the allocator is held.
 */
#define PAGE_WATCHED 0x8000
#define PAGE_CHARGED 0x4000
extern void (*page_watcher)(struct page *p);
extern void (*page_uncharger)(struct page *p);

/* References. The last page_put() frees the block. */
static inline void page_get(struct page *p)
{
	refcount_get(&p->refs);
}
void page_free(struct page *p); /* frees a block whose count has dropped to 0 */
static inline void page_put(struct page *p)
{
	if (refcount_put(&p->refs))
		page_free(p);
}

extern struct page *page_table_base; /* struct page of physical page page_first */
extern uint64_t page_first, page_last; /* physical page numbers covered: [first, last) */

static inline struct page *page_of_phys(paddr_t pa)
{
	return &page_table_base[(pa >> PAGE_SHIFT) - page_first];
}

static inline paddr_t page_phys(const struct page *p)
{
	return (paddr_t)((uint64_t)(p - page_table_base) + page_first) << PAGE_SHIFT;
}

static inline void *page_virt(const struct page *p)
{
	return hal_phys_to_virt(page_phys(p));
}

static inline struct page *page_of_virt(const void *v)
{
	return page_of_phys(hal_virt_to_phys(v));
}

/* True if `pa` is RAM with a struct page. */
bool page_is_ram(paddr_t pa);

/* ---- slabs: objects of one size ---- */

struct slab_cache;

/* `name` stays referenced; size up to 32 KiB; align a power of two up to 4096 (0: 16). Null when out of memory. May not be called in interrupts. */
struct slab_cache *slab_cache_create(const char *name, size_t size, size_t align);
void slab_cache_destroy(struct slab_cache *c); /* all objects must be free: asserts */
void *slab_alloc(struct slab_cache *c);	       /* not cleared */
void *slab_zalloc(struct slab_cache *c);       /* cleared */
void slab_free(struct slab_cache *c, void *object); /* null: nothing */

/* Any size up to 4 MiB, 16-byte aligned (page aligned above 2 KiB). kfree(NULL) does nothing. */
void *kmalloc(size_t size);
void *kzalloc(size_t size);
void *kcalloc(size_t n, size_t size); /* cleared; null on overflow too */
void kfree(const void *p);
size_t kmalloc_size(size_t size); /* what a request of so many bytes takes */
char *kstrdup(const char *s);
/* Clears before freeing, so that the compiler cannot leave it out: for secrets. */
void kfree_secret(void *p, size_t size);

/* ---- kernel virtual areas ---- */

/* Virtually contiguous, cleared memory with an unmapped guard page on either side; size is rounded up to pages. May sleep. */
void *kva_alloc(size_t size);
void kva_free(void *p);

/* Kernel stacks of HAL_KSTACK_SIZE with a guard page below, cached. */
void *kstack_alloc(void);
void kstack_free(void *stack);
size_t kstack_kept_pages(void); /* of stacks that nobody uses, kept for the next */

/* ---- pressure ---- */

/*
 * Marks of free pages, in pages. Below `low` somebody should take memory back (reclaim, in vm) until there are `high`; at `user` programs get
 * none. `pressed` is set when an allocation finds fewer than `low`, and cleared by who takes memory back. Free pages that CPUs keep to
 * themselves do not count.
 */
struct mm_marks {
	uint64_t user, low, high;
};
extern struct mm_marks mm_marks; /* constant after mm_init() */
extern bool mm_pressed;		 /* atomic */
uint64_t mm_free_pages(void);	 /* now; any context */

/* ---- figures ---- */

struct mm_stats {
	uint64_t total_pages;	 /* managed by the allocator, all told (RAM minus kernel image and struct pages) */
	uint64_t free_pages;
	uint64_t kind_pages[8];	 /* by enum page_kind                                                         */
	uint64_t ram_pages;	 /* RAM of the machine                                                        */
};
void mm_get_stats(struct mm_stats *ret);

/* The i-th slab cache, for /proc/slabinfo; false at the end. */
struct slab_stats {
	const char *name;
	size_t object_size, objects_in_use, objects, pages;
};
bool slab_get_stats(size_t i, struct slab_stats *ret);

/* Changes what a page counts as in mm_stats. */
void page_set_kind(struct page *p, enum page_kind kind);

/* Boot: takes over hal_mem_ranges(). Then, once the initramfs is unpacked, its pages come free. */
void mm_init(void);
void mm_free_initrd(void);

#endif
