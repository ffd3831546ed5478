/* SPDX-License-Identifier: MIT */
/*
 * Memory of any size: small requests come from a slab cache of the next size class, larger ones are blocks of pages. kfree() tells the
 * two apart by the page's kind. The caches are made when first needed.
 */
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include "mm_internal.h"

#define CLASS_SIZE_MAX 2048

static const struct {
	uint16_t size;
	const char *name;
} classes[] = {
	{ 16, "kmalloc-16" },	{ 32, "kmalloc-32" },	{ 48, "kmalloc-48" },	{ 64, "kmalloc-64" },
	{ 96, "kmalloc-96" },	{ 128, "kmalloc-128" }, { 192, "kmalloc-192" }, { 256, "kmalloc-256" },
	{ 384, "kmalloc-384" }, { 512, "kmalloc-512" }, { 768, "kmalloc-768" }, { 1024, "kmalloc-1k" },
	{ 2048, "kmalloc-2k" },
};

static struct slab_cache *caches[ARRAY_SIZE(classes)];
static uint8_t class_of[CLASS_SIZE_MAX / 16 + 1]; /* by size in units of 16 bytes, plus 1; 0: not filled in yet */

static unsigned find_class(size_t size)
{
	size_t units = (size + 15) / 16;
	unsigned known = READ_ONCE(class_of[units]), i = 0;

	if (likely(known))
		return known - 1;
	while (classes[i].size < size)
		i++;
	WRITE_ONCE(class_of[units], (uint8_t)(i + 1));
	return i;
}

/* The first to need a class makes its cache; of two at once one gives way. */
static struct slab_cache *make_cache(unsigned i)
{
	struct slab_cache *c = slab_cache_create(classes[i].name, classes[i].size, 16), *other = NULL;

	if (!c)
		return NULL;
	if (__atomic_compare_exchange_n(&caches[i], &other, c, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return c;
	slab_cache_destroy(c);
	return other;
}

static void *alloc_pages(size_t size)
{
	struct page *p;

	if (size > PAGE_SIZE << PAGE_ORDER_MAX)
		return NULL;
	p = page_alloc(size > PAGE_SIZE ? 64u - (unsigned)__builtin_clzll((size - 1) >> PAGE_SHIFT) : 0, 0);
	return p ? page_virt(p) : NULL;
}

void *kmalloc(size_t size)
{
	struct slab_cache *c;
	unsigned i;

	if (unlikely(size > CLASS_SIZE_MAX))
		return alloc_pages(size);
	i = find_class(size ? size : 1);
	c = __atomic_load_n(&caches[i], __ATOMIC_ACQUIRE);
	if (unlikely(!c) && !(c = make_cache(i)))
		return NULL;
	return slab_alloc(c);
}

size_t kmalloc_size(size_t size)
{
	unsigned order = 0;

	if (size <= CLASS_SIZE_MAX)
		return classes[find_class(size ? size : 1)].size;
	while (PAGE_SIZE << order < size)
		order++;
	return PAGE_SIZE << order;
}

void *kzalloc(size_t size)
{
	void *p = kmalloc(size);

	if (p)
		memset(p, 0, size);
	return p;
}

void *kcalloc(size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : kzalloc(bytes);
}

void kfree(const void *object)
{
	void *p = (void *)(uintptr_t)object;
	struct page *page;

	if (!p)
		return;
	page = page_of_virt(p);
	if (page->kind == PAGE_SLAB)
		slab_free_any(p, page);
	else
		page_put(page);
}

char *kstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = kmalloc(n);

	if (copy)
		memcpy(copy, s, n);
	return copy;
}

void kfree_secret(void *p, size_t size)
{
	if (!p)
		return;
	memset(p, 0, size);
	__asm__ volatile("" : : "r"(p) : "memory");
	kfree(p);
}
