/* SPDX-License-Identifier: MIT */
/*
 * Slabs: objects of one size, cut from blocks of pages (Bonwick, The Slab Allocator, USENIX 1994; per-CPU lists after Bonwick and Adams,
 * Magazines and Vmem, 2001).
 *
 * A free object holds the link to the next free one in its first word. Each CPU has a list of free objects of its own, touched with
 * interrupts off and no lock; when it is empty, a batch comes from the slabs; when it is long, a batch goes back.
 *
 *   slab    a block of 2^order pages; its first struct page: owner = the cache, index = list of free objects, flags = objects out
 *           (in use, or on some CPU's list), link = on cache->partial, or alone when it has none free
 *   tail    the block's other pages: owner = the first struct page, kind PAGE_SLAB, flags = SLAB_TAIL
 *
 * I1: a slab is on cache->partial if and only if it has a free object. I2: flags = objects per slab minus length of the list at index.
 * Locking: cache->lock (RANK_SLAB) for slabs and counts; caches_lock (RANK_SLAB) for the list of caches.
 */
#define LOG_SUBSYSTEM "mm"
#include <cloudos/lock.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "mm_internal.h"

#define SLAB_TAIL	UINT16_MAX
#define SLAB_ORDER_MAX	3
#define SLAB_OBJECTS	8 /* at least so many a slab, up to SLAB_ORDER_MAX */
#define CPU_LIST_MAX	64
#define CPU_BATCH	16
#define SLAB_SIZE_MAX	(PAGE_SIZE << SLAB_ORDER_MAX)

struct slab_cpu {
	void *first;
	uint32_t count;
} __attribute__((aligned(64)));

struct slab_cache {
	struct spinlock lock;
	uint32_t size; /* of an object, with what alignment adds */
	uint16_t order, per_slab;
	struct list partial;
	uint64_t slabs;
	const char *name;
	struct list link;
	struct slab_cpu cpu[]; /* hal_cpu_count() */
};

static struct list caches = LIST_INIT(caches);
static struct spinlock caches_lock = SPINLOCK_INIT(RANK_SLAB_LIST);

/* Descriptors of caches are all of one size: cut from pages, kept when their cache goes. Guarded by caches_lock. */
static struct list free_descriptors = LIST_INIT(free_descriptors);
static char *descriptor_page;
static size_t descriptor_room;

static void *next_of(void *object)
{
	return *(void **)object;
}

static void set_next(void *object, void *next)
{
	*(void **)object = next;
}

/* No lock: the count in a first page's flags may change, but is never SLAB_TAIL. */
static bool is_tail(const struct page *p)
{
	return READ_ONCE(p->flags) == SLAB_TAIL;
}

static struct page *slab_of(const void *object)
{
	struct page *p = page_of_virt(object);

	return is_tail(p) ? p->owner : p;
}

static void slab_mark(struct slab_cache *c, struct page *p)
{
	page_set_kind(p, PAGE_SLAB);
	p->owner = c;
	WRITE_ONCE(p->flags, 0);
	for (unsigned i = 1; i < 1u << c->order; i++) {
		p[i].kind = PAGE_SLAB;
		WRITE_ONCE(p[i].flags, SLAB_TAIL);
		p[i].owner = p;
	}
}

/* A new slab, all free, on the partial list. */
static bool slab_grow_locked(struct slab_cache *c)
{
	struct page *p = page_alloc(c->order, 0);
	char *base;
	void *list = NULL;

	if (!p)
		return false;
	slab_mark(c, p);
	base = page_virt(p);
	for (unsigned i = c->per_slab; i-- > 0;) {
		set_next(base + (size_t)i * c->size, list);
		list = base + (size_t)i * c->size;
	}
	p->index = (uintptr_t)list;
	list_add(&c->partial, &p->link);
	c->slabs++;
	return true;
}

static void slab_release_locked(struct slab_cache *c, struct page *p)
{
	list_del(&p->link);
	for (unsigned i = 1; i < 1u << c->order; i++) {
		p[i].kind = PAGE_RESERVED;
		WRITE_ONCE(p[i].flags, 0);
	}
	c->slabs--;
	page_put(p);
}

static void *take_locked(struct slab_cache *c)
{
	struct page *p;
	void *object;

	if (list_empty(&c->partial) && !slab_grow_locked(c))
		return NULL;
	p = list_first(&c->partial, struct page, link);
	object = (void *)(uintptr_t)p->index;
	p->index = (uintptr_t)next_of(object);
	ADD_ONCE(p->flags, 1);
	if (!p->index)
		list_del(&p->link);
	return object;
}

static void give_locked(struct slab_cache *c, void *object)
{
	struct page *p = slab_of(object);

	ASSERT(p->owner == c && p->flags > 0);
	if (!p->index)
		list_add(&c->partial, &p->link);
	set_next(object, (void *)(uintptr_t)p->index);
	p->index = (uintptr_t)object;
	ADD_ONCE(p->flags, -1);
	/* Keep one empty slab when it is all there is, so that a lone object does not drag pages back and forth. */
	if (p->flags == 0 && c->partial.next != c->partial.prev)
		slab_release_locked(c, p);
}

/* Interrupts are off. */
static void cpu_refill(struct slab_cache *c, struct slab_cpu *cpu)
{
	spin_lock(&c->lock);
	while (cpu->count < CPU_BATCH) {
		void *object = take_locked(c);

		if (!object)
			break;
		set_next(object, cpu->first);
		cpu->first = object;
		ADD_ONCE(cpu->count, 1);
	}
	spin_unlock(&c->lock);
}

static void cpu_drain(struct slab_cache *c, struct slab_cpu *cpu, uint32_t keep)
{
	spin_lock(&c->lock);
	while (cpu->count > keep) {
		void *object = cpu->first;

		cpu->first = next_of(object);
		ADD_ONCE(cpu->count, -1);
		give_locked(c, object);
	}
	spin_unlock(&c->lock);
}

void *slab_alloc(struct slab_cache *c)
{
	unsigned long irq;
	struct slab_cpu *cpu;
	void *object;

	if (hal_fault("slab_alloc"))
		return NULL;
	irq = hal_irq_save();
	cpu = &c->cpu[hal_cpu_id()];
	if (unlikely(!cpu->first))
		cpu_refill(c, cpu);
	object = cpu->first;
	if (likely(object)) {
		cpu->first = next_of(object);
		ADD_ONCE(cpu->count, -1);
	}
	hal_irq_restore(irq);
	return object;
}

void *slab_zalloc(struct slab_cache *c)
{
	void *object = slab_alloc(c);

	if (object)
		memset(object, 0, c->size);
	return object;
}

void slab_free(struct slab_cache *c, void *object)
{
	unsigned long irq;
	struct slab_cpu *cpu;

	if (!object)
		return;
	irq = hal_irq_save();
	cpu = &c->cpu[hal_cpu_id()];
	if (unlikely(cpu->count >= CPU_LIST_MAX))
		cpu_drain(c, cpu, CPU_LIST_MAX - CPU_BATCH);
	set_next(object, cpu->first);
	cpu->first = object;
	ADD_ONCE(cpu->count, 1);
	hal_irq_restore(irq);
}

void slab_free_any(void *object, struct page *p)
{
	if (is_tail(p))
		p = p->owner;
	slab_free(p->owner, object);
}

size_t slab_object_size(const struct page *p)
{
	const struct slab_cache *c = is_tail(p) ? ((struct page *)p->owner)->owner : p->owner;

	return c->size;
}

static unsigned order_for(size_t size)
{
	unsigned order = 0;

	while (order < SLAB_ORDER_MAX && (PAGE_SIZE << order) / size < SLAB_OBJECTS)
		order++;
	return order;
}

static struct slab_cache *descriptor_alloc_locked(void)
{
	size_t size = sizeof(struct slab_cache) + hal_cpu_count() * sizeof(struct slab_cpu);
	struct slab_cache *c;

	if (!list_empty(&free_descriptors)) {
		c = list_first(&free_descriptors, struct slab_cache, link);
		list_del(&c->link);
		return c;
	}
	if (descriptor_room < size) {
		unsigned order = size > PAGE_SIZE ? 1 : 0; /* two pages hold HAL_CPU_MAX of them */
		struct page *p = page_alloc(order, 0);

		if (!p)
			return NULL;
		descriptor_page = page_virt(p);
		descriptor_room = PAGE_SIZE << order;
	}
	c = (struct slab_cache *)(void *)descriptor_page;
	descriptor_page += size;
	descriptor_room -= size;
	return c;
}
_Static_assert(sizeof(struct slab_cache) + HAL_CPU_MAX * sizeof(struct slab_cpu) <= 2 * PAGE_SIZE, "a descriptor fits");

struct slab_cache *slab_cache_create(const char *name, size_t size, size_t align)
{
	struct slab_cache *c;
	unsigned long irq;

	align = align ? align : 16;
	size = align_up(max(size, sizeof(void *)), align);
	ASSERT(size <= SLAB_SIZE_MAX && is_aligned(PAGE_SIZE, align));
	irq = spin_lock_irq(&caches_lock);
	c = descriptor_alloc_locked();
	if (c) {
		memset(c, 0, sizeof(*c) + hal_cpu_count() * sizeof(struct slab_cpu));
		c->name = name;
		c->size = (uint32_t)size;
		c->order = (uint16_t)order_for(size);
		c->per_slab = (uint16_t)((PAGE_SIZE << c->order) / size);
		spin_init(&c->lock, RANK_SLAB);
		list_init(&c->partial);
		list_add_tail(&caches, &c->link);
	}
	spin_unlock_irq(&caches_lock, irq);
	return c;
}

void slab_cache_destroy(struct slab_cache *c)
{
	unsigned long irq = spin_lock_irq(&caches_lock);
	struct page *p, *tmp;

	for (unsigned i = 0; i < hal_cpu_count(); i++)
		cpu_drain(c, &c->cpu[i], 0);
	list_for_each_safe(p, tmp, &c->partial, link) {
		ASSERT(p->flags == 0);
		slab_release_locked(c, p);
	}
	ASSERT(c->slabs == 0);
	list_del(&c->link);
	list_add(&free_descriptors, &c->link);
	spin_unlock_irq(&caches_lock, irq);
}

bool slab_get_stats(size_t i, struct slab_stats *ret)
{
	unsigned long irq = spin_lock_irq(&caches_lock);
	struct slab_cache *c;
	bool found = false;

	list_for_each(c, &caches, link) {
		struct page *p;
		size_t free = 0;

		if (i-- > 0)
			continue;
		spin_lock(&c->lock);
		list_for_each(p, &c->partial, link)
			free += c->per_slab - p->flags;
		for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++)
			free += READ_ONCE(c->cpu[cpu].count);
		*ret = (struct slab_stats){ .name = c->name, .object_size = c->size, .objects = c->slabs * c->per_slab,
					    .pages = c->slabs << c->order };
		ret->objects_in_use = ret->objects - min(free, ret->objects);
		spin_unlock(&c->lock);
		found = true;
		break;
	}
	spin_unlock_irq(&caches_lock, irq);
	return found;
}
