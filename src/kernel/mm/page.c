/* SPDX-License-Identifier: MIT */
/*
 * Pages: a binary buddy allocator (Knuth, The Art of Computer Programming, volume 1, section 2.5) with a cache of single pages per CPU.
 *
 * Each page of RAM has a struct page; the array covers [page_first, page_last) with holes. A block of 2^order pages starts at a page
 * number that is a multiple of 2^order; its first struct page says what it is:
 *
 *   RESERVED   not ours: a hole, the kernel image, the array itself, the initramfs until it is unpacked
 *   FREE       on free_area[order] (single pages in a CPU's cache are not FREE: they look allocated to their buddy)
 *   otherwise  allocated, with a reference count
 *
 * I1: a FREE block is on exactly one list. I2: two free buddies of the same order do not exist below PAGE_ORDER_MAX (they are one block).
 * Locking: page_lock (RANK_PAGE) guards lists and FREE blocks; a CPU's cache is its own, with interrupts off.
 */
#define LOG_SUBSYSTEM "mm"
#include <cloudos/lock.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/percpu.h>
#include <cloudos/string.h>

#define CACHE_MAX     64 /* single pages a CPU keeps */
#define CACHE_BATCH   16 /* moved at a time between a CPU and the free lists */
#define RESERVE_PAGES 64 /* left to PAGE_ALLOC_RESERVE; fewer on small machines */
#define LOW_SHARE     64 /* of memory, above what programs never get: below that it is taken back, until there is twice as much */

struct page_cache {
	uint32_t count;
	struct page *pages[CACHE_MAX];
	int64_t kinds[8]; /* this CPU's part of the number of pages by kind */
};
static DEFINE_PER_CPU(struct page_cache, page_cache);

struct page *page_table_base;
uint64_t page_first, page_last;

static struct spinlock page_lock = SPINLOCK_INIT(RANK_PAGE);
static struct list free_area[PAGE_ORDER_MAX + 1];
static uint64_t free_pages, total_pages, ram_pages, reserve_pages; /* free_pages is read without the lock */

void (*page_watcher)(struct page *p);
void (*page_uncharger)(struct page *p);
struct mm_marks mm_marks;
bool mm_pressed;

static void list_block(struct page *p, unsigned order)
{
	WRITE_ONCE(p->kind, PAGE_FREE);
	p->order = (uint8_t)order;
	list_add(&free_area[order], &p->link);
}

static void unlist_block(struct page *p)
{
	list_del(&p->link);
	WRITE_ONCE(p->kind, PAGE_RESERVED);
}

/* Number of the page that p is, on the scale on which blocks are aligned. */
static uint64_t number_of(const struct page *p)
{
	return (uint64_t)(p - page_table_base) + page_first;
}

static void free_locked(struct page *p, unsigned order)
{
	uint64_t number = number_of(p);

	ADD_ONCE(free_pages, UINT64_C(1) << order);
	for (; order < PAGE_ORDER_MAX; order++) {
		uint64_t buddy_number = number ^ (UINT64_C(1) << order);
		struct page *buddy;

		if (buddy_number < page_first || buddy_number + (UINT64_C(1) << order) > page_last)
			break;
		buddy = &page_table_base[buddy_number - page_first];
		/* One that is not FREE may be in use: its owner writes `kind` meanwhile, but never makes it FREE. */
		if (READ_ONCE(buddy->kind) != PAGE_FREE || buddy->order != order)
			break;
		unlist_block(buddy);
		number &= buddy_number;
	}
	list_block(&page_table_base[number - page_first], order);
}

/* Free pages that an allocation with these flags may not touch. */
static uint64_t kept_back(unsigned flags)
{
	return flags & PAGE_ALLOC_RESERVE ? 0 : flags & PAGE_ALLOC_USER ? mm_marks.user : reserve_pages;
}

/* An allocation has changed the number of free pages, or failed. */
static void look_at_marks_locked(void)
{
	if (unlikely(free_pages < mm_marks.low))
		WRITE_ONCE(mm_pressed, true);
}

static struct page *alloc_locked(unsigned order, uint64_t keep)
{
	unsigned have = order;
	struct page *p;

	if (free_pages < (UINT64_C(1) << order) + keep)
		return NULL;
	while (have <= PAGE_ORDER_MAX && list_empty(&free_area[have]))
		have++;
	if (have > PAGE_ORDER_MAX)
		return NULL;
	p = list_first(&free_area[have], struct page, link);
	unlist_block(p);
	while (have > order) {
		have--;
		list_block(p + (UINT64_C(1) << have), have);
	}
	ADD_ONCE(free_pages, -(UINT64_C(1) << order));
	return p;
}

/* A CPU's cache: interrupts are off. Other CPUs look at `count` for the figures. */

static void cache_push(struct page_cache *c, struct page *p)
{
	c->pages[c->count] = p;
	ADD_ONCE(c->count, 1);
}

static struct page *cache_pop(struct page_cache *c)
{
	ADD_ONCE(c->count, -1);
	return c->pages[c->count];
}

static void cache_refill(struct page_cache *c, unsigned flags)
{
	uint64_t keep = kept_back(flags);

	spin_lock(&page_lock);
	while (c->count < CACHE_BATCH) {
		struct page *p = alloc_locked(0, keep);

		if (!p)
			break;
		cache_push(c, p);
	}
	look_at_marks_locked();
	spin_unlock(&page_lock);
}

static void cache_drain(struct page_cache *c, uint32_t keep)
{
	spin_lock(&page_lock);
	while (c->count > keep)
		free_locked(cache_pop(c), 0);
	spin_unlock(&page_lock);
}

static struct page *cache_alloc(struct page_cache *c, unsigned flags)
{
	if (unlikely(c->count == 0))
		cache_refill(c, flags);
	return likely(c->count > 0) ? cache_pop(c) : NULL;
}

static struct page *block_alloc(struct page_cache *c, unsigned order, unsigned flags)
{
	struct page *p;

	spin_lock(&page_lock);
	p = alloc_locked(order, kept_back(flags));
	look_at_marks_locked();
	spin_unlock(&page_lock);
	if (!p && c->count > 0) { /* what this CPU keeps may complete a block */
		cache_drain(c, 0);
		spin_lock(&page_lock);
		p = alloc_locked(order, kept_back(flags));
		look_at_marks_locked();
		spin_unlock(&page_lock);
	}
	return p;
}

struct page *page_alloc_as(enum page_kind kind, unsigned order, unsigned flags)
{
	struct page_cache *c;
	unsigned long irq;
	struct page *p;

	if (order > PAGE_ORDER_MAX || hal_fault("page_alloc"))
		return NULL;
	irq = hal_irq_save();
	c = &this_cpu(page_cache);
	p = order == 0 ? cache_alloc(c, flags) : block_alloc(c, order, flags);
	if (likely(p))
		ADD_ONCE(c->kinds[kind], INT64_C(1) << order);
	hal_irq_restore(irq);
	if (unlikely(!p))
		return NULL;
	refcount_init(&p->refs, 1);
	p->order = (uint8_t)order;
	WRITE_ONCE(p->kind, (uint8_t)kind);
	p->flags = 0;
	if (flags & PAGE_ALLOC_ZERO)
		memset(page_virt(p), 0, PAGE_SIZE << order);
	return p;
}

void page_free(struct page *p)
{
	struct page_cache *c;
	unsigned long irq;

	if (unlikely(READ_ONCE(p->flags) & (PAGE_WATCHED | PAGE_CHARGED))) {
		if (p->flags & PAGE_WATCHED)
			page_watcher(p);
		if (p->flags & PAGE_CHARGED)
			page_uncharger(p);
	}
	irq = hal_irq_save();
	c = &this_cpu(page_cache);
	ASSERT(p->kind > PAGE_FREE);
	ADD_ONCE(c->kinds[p->kind], -(INT64_C(1) << p->order));
	if (likely(p->order == 0)) {
		if (unlikely(c->count == CACHE_MAX))
			cache_drain(c, CACHE_MAX - CACHE_BATCH);
		WRITE_ONCE(p->kind, PAGE_RESERVED);
		cache_push(c, p);
	} else {
		spin_lock(&page_lock);
		free_locked(p, p->order);
		spin_unlock(&page_lock);
	}
	hal_irq_restore(irq);
}

void page_set_kind(struct page *p, enum page_kind kind)
{
	unsigned long irq = hal_irq_save();
	struct page_cache *c = &this_cpu(page_cache);

	ADD_ONCE(c->kinds[p->kind], -(INT64_C(1) << p->order));
	ADD_ONCE(c->kinds[kind], INT64_C(1) << p->order);
	WRITE_ONCE(p->kind, (uint8_t)kind);
	hal_irq_restore(irq);
}

uint64_t mm_free_pages(void)
{
	return READ_ONCE(free_pages);
}

bool page_is_ram(paddr_t pa)
{
	const struct hal_mem_range *r;
	size_t n = hal_mem_ranges(&r);

	for (size_t i = 0; i < n; i++)
		if (pa >= r[i].base && pa - r[i].base < r[i].size)
			return true;
	return false;
}

void mm_get_stats(struct mm_stats *ret)
{
	unsigned long irq = spin_lock_irq(&page_lock);

	*ret = (struct mm_stats){ .total_pages = total_pages, .free_pages = free_pages, .ram_pages = ram_pages };
	spin_unlock_irq(&page_lock, irq);
	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++) {
		const struct page_cache *c = &per_cpu(page_cache, cpu);

		if (cpu > 0 && !percpu_base[cpu])
			continue;
		ret->free_pages += READ_ONCE(c->count);
		for (size_t k = 0; k < ARRAY_SIZE(ret->kind_pages); k++)
			ret->kind_pages[k] += (uint64_t)READ_ONCE(c->kinds[k]);
	}
}

/* ---- boot ---- */

/* Gives the pages [first, last) to the free lists, in blocks as large as they go. */
static void add_range(uint64_t first, uint64_t last)
{
	unsigned long irq = spin_lock_irq(&page_lock);

	total_pages += last - first;
	while (first < last) {
		unsigned order = first ? (unsigned)__builtin_ctzll(first) : PAGE_ORDER_MAX;

		order = min(order, (unsigned)PAGE_ORDER_MAX);
		while (first + (UINT64_C(1) << order) > last)
			order--;
		free_locked(&page_table_base[first - page_first], order);
		first += UINT64_C(1) << order;
	}
	spin_unlock_irq(&page_lock, irq);
}

/* Room for the array of struct page: at the end of the last free range that holds it. */
static paddr_t place_array(const struct hal_mem_range *r, size_t n, uint64_t bytes)
{
	while (n-- > 0)
		if (r[n].kind == HAL_MEM_FREE && r[n].size > bytes)
			return r[n].base + r[n].size - bytes;
	panic("no room for %lu bytes of page descriptors", (unsigned long)bytes);
}

static paddr_t machine_page_alloc(void)
{
	struct page *p = page_alloc(0, PAGE_ALLOC_ZERO | PAGE_ALLOC_RESERVE);

	if (!p)
		return 0;
	page_set_kind(p, PAGE_TABLE);
	return page_phys(p);
}

static void machine_page_free(paddr_t pa)
{
	page_put(page_of_phys(pa));
}

void mm_init(void)
{
	const struct hal_mem_range *r;
	size_t n = hal_mem_ranges(&r);
	uint64_t bytes;
	paddr_t array;

	ASSERT(n > 0);
	for (size_t i = 0; i <= PAGE_ORDER_MAX; i++)
		list_init(&free_area[i]);
	page_first = r[0].base >> PAGE_SHIFT;
	page_last = (r[n - 1].base + r[n - 1].size) >> PAGE_SHIFT;
	bytes = align_up((page_last - page_first) * sizeof(struct page), PAGE_SIZE);
	array = place_array(r, n, bytes);
	page_table_base = hal_phys_to_virt(array);
	hal_ram_clear(array, bytes); /* PAGE_RESERVED everywhere */
	for (size_t i = 0; i < n; i++) {
		uint64_t end = r[i].base + r[i].size;

		ram_pages += r[i].size >> PAGE_SHIFT;
		if (r[i].kind != HAL_MEM_FREE)
			continue;
		if (array >= r[i].base && array < end)
			end = array;
		add_range(r[i].base >> PAGE_SHIFT, end >> PAGE_SHIFT);
	}
	reserve_pages = min((uint64_t)RESERVE_PAGES, total_pages / 64);
	mm_marks.user = 2 * reserve_pages;
	mm_marks.low = mm_marks.user + total_pages / LOW_SHARE;
	mm_marks.high = mm_marks.low + total_pages / LOW_SHARE;
	hal_upcalls.page_alloc = machine_page_alloc;
	hal_upcalls.page_free = machine_page_free;
}

void mm_free_initrd(void)
{
	const struct hal_mem_range *r;
	size_t n = hal_mem_ranges(&r);

	for (size_t i = 0; i < n; i++)
		if (r[i].kind == HAL_MEM_INITRD)
			add_range(r[i].base >> PAGE_SHIFT, (r[i].base + r[i].size) >> PAGE_SHIFT);
}
