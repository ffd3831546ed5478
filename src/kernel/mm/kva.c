/* SPDX-License-Identifier: MIT */
/*
 * The kernel virtual area: a bitmap of its pages in use, searched next-fit. Each area is followed by a page that stays unmapped, and the
 * first page of the area is never given out, so that running over either end of an area faults. A second bitmap marks each area's
 * last page, which is how kva_free() knows the size.
 *
 * Locking: kva_lock (RANK_KVA, interrupts on) guards the bitmaps and the machine's page tables of the area. It is not taken in interrupts.
 */
#include <cloudos/bitmap.h>
#include <cloudos/errno.h>
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include "mm_internal.h"

#define KVA_PAGES_MAX 65536 /* 256 MiB of address space */

static struct spinlock kva_lock = SPINLOCK_INIT(RANK_KVA);
static uint64_t used[BITMAP_WORDS(KVA_PAGES_MAX)], last[BITMAP_WORDS(KVA_PAGES_MAX)];
static uintptr_t kva_start;
static size_t kva_pages, kva_next;

static void init_locked(void)
{
	uintptr_t end;

	hal_kva_range(&kva_start, &end);
	kva_pages = min((size_t)((end - kva_start) >> PAGE_SHIFT), (size_t)KVA_PAGES_MAX);
	bitmap_set(used, 0);
	kva_next = 1;
}

/* The first of n + 1 free pages in a row in [from, to), or `to`. */
static size_t find_run(size_t n, size_t from, size_t to)
{
	while (from < to) {
		size_t first = bitmap_find_clear(used, to, from);
		size_t end = bitmap_find_set(used, to, first);

		if (end - first > n)
			return first;
		from = end;
	}
	return to;
}

int kva_reserve(size_t pages, uintptr_t *ret)
{
	size_t at;

	spin_lock(&kva_lock);
	if (!kva_pages)
		init_locked();
	at = find_run(pages, kva_next, kva_pages);
	if (at == kva_pages)
		at = find_run(pages, 1, kva_pages);
	if (at != kva_pages) {
		bitmap_set_range(used, at, pages + 1); /* with the guard page behind */
		bitmap_set(last, at + pages - 1);
		kva_next = at + pages + 1;
	}
	spin_unlock(&kva_lock);
	if (at == kva_pages)
		return -ENOMEM;
	*ret = kva_start + (at << PAGE_SHIFT);
	return 0;
}

void kva_release(uintptr_t va, size_t pages)
{
	size_t at = (va - kva_start) >> PAGE_SHIFT;

	spin_lock(&kva_lock);
	bitmap_clear_range(used, at, pages + 1);
	bitmap_clear(last, at + pages - 1);
	spin_unlock(&kva_lock);
}

static void put_run(const paddr_t *run, size_t n)
{
	for (size_t i = 0; i < n; i++)
		page_put(page_of_phys(run[i]));
}

static int populate_run(uintptr_t va, size_t n, unsigned flags)
{
	paddr_t run[HAL_KVA_RUN_MAX];
	int err;

	for (size_t i = 0; i < n; i++) {
		struct page *p = page_alloc(0, flags);

		if (!p) {
			put_run(run, i);
			return -ENOMEM;
		}
		run[i] = page_phys(p);
	}
	spin_lock(&kva_lock);
	err = hal_kva_map(va, run, n);
	spin_unlock(&kva_lock);
	if (err)
		put_run(run, n);
	return err;
}

int kva_populate(uintptr_t va, size_t pages, unsigned flags)
{
	for (size_t i = 0; i < pages; i += HAL_KVA_RUN_MAX) {
		int err = populate_run(va + (i << PAGE_SHIFT), min(pages - i, (size_t)HAL_KVA_RUN_MAX), flags);

		if (err) {
			kva_depopulate(va, i);
			return err;
		}
	}
	return 0;
}

void kva_depopulate(uintptr_t va, size_t pages)
{
	for (size_t i = 0; i < pages; i += HAL_KVA_RUN_MAX) {
		paddr_t run[HAL_KVA_RUN_MAX];
		size_t n = min(pages - i, (size_t)HAL_KVA_RUN_MAX);

		spin_lock(&kva_lock);
		hal_kva_unmap(va + (i << PAGE_SHIFT), n, run);
		spin_unlock(&kva_lock);
		put_run(run, n);
	}
}

void *kva_alloc(size_t size)
{
	size_t pages = (size + PAGE_SIZE - 1) >> PAGE_SHIFT;
	uintptr_t va;

	if (pages == 0 || pages > KVA_PAGES_MAX || hal_fault("kva_alloc") || kva_reserve(pages, &va))
		return NULL;
	if (kva_populate(va, pages, PAGE_ALLOC_ZERO)) {
		kva_release(va, pages);
		return NULL;
	}
	return (void *)va;
}

void kva_free(void *p)
{
	size_t at = ((uintptr_t)p - kva_start) >> PAGE_SHIFT;
	size_t pages;

	if (!p)
		return;
	pages = bitmap_find_set(last, kva_pages, at) - at + 1;
	kva_depopulate((uintptr_t)p, pages);
	kva_release((uintptr_t)p, pages);
}
