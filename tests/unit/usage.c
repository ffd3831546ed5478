/* SPDX-License-Identifier: MIT */
/* Measures what is in use. Of slabs the objects count, not the pages, which their allocator keeps. */
#include "usage.h"

#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>

#define SETTLE_NS    (20 * NSEC_PER_MSEC)
#define SETTLE_TRIES 100
#define STACKS_MAX   64

void usage_warm_up(unsigned stacks)
{
	void *all[STACKS_MAX];

	for (unsigned i = 0; i < stacks; i++)
		all[i] = kstack_alloc();
	for (unsigned i = 0; i < stacks; i++)
		kstack_free(all[i]);
	slab_cache_destroy(slab_cache_create("warm-up", 16, 0)); /* the page of descriptors stays */
}

void usage_measure(struct usage *ret)
{
	struct mm_stats mm;
	struct slab_stats slab;

	memset(ret, 0, sizeof(*ret));
	mm_get_stats(&mm);
	memcpy(ret->pages, mm.kind_pages, sizeof(ret->pages));
	ret->pages[PAGE_KERNEL] -= kstack_kept_pages();
	while (ret->cache_count < USAGE_CACHES_MAX && slab_get_stats(ret->cache_count, &slab)) {
		ret->caches[ret->cache_count].name = slab.name;
		ret->caches[ret->cache_count++].objects = slab.objects_in_use;
	}
	ret->runnable = sched_runnable();
}

static size_t objects_of(const struct usage *usage, const char *name)
{
	for (size_t i = 0; i < usage->cache_count; i++)
		if (str_equal(usage->caches[i].name, name))
			return usage->caches[i].objects;
	return 0;
}

/* True if `now` has no more than `before`; else says what. */
static bool no_more(const struct usage *before, const struct usage *now, char *message, size_t size)
{
	static const char *const kinds[] = {"reserved", "free",	      "kernel",	    "slab",
					    "user",	"page cache", "page table", "?"};
	static const enum page_kind counted[] = {PAGE_KERNEL, PAGE_USER, PAGE_CACHE, PAGE_TABLE};

	for (size_t i = 0; i < ARRAY_SIZE(counted); i++) {
		enum page_kind kind = counted[i];

		if ((int64_t)now->pages[kind] <= (int64_t)before->pages[kind])
			continue;
		fmt_string(message, size, "%ld %s pages left over",
			   (long)(now->pages[kind] - before->pages[kind]), kinds[kind]);
		return false;
	}
	for (size_t i = 0; i < now->cache_count; i++) {
		size_t had = objects_of(before, now->caches[i].name), has = now->caches[i].objects;

		if (has <= had)
			continue;
		fmt_string(message, size, "%zu objects left over in slab cache %s", has - had,
			   now->caches[i].name);
		return false;
	}
	if (now->runnable > before->runnable) {
		fmt_string(message, size, "%u more threads are runnable", now->runnable - before->runnable);
		return false;
	}
	return true;
}

bool usage_returned(const struct usage *before, char *ret_message, size_t size)
{
	static struct usage now; /* too large for a kernel stack */

	for (int i = 0; i < SETTLE_TRIES; i++) {
		usage_measure(&now);
		if (no_more(before, &now, ret_message, size))
			return true;
		thread_delay(SETTLE_NS);
	}
	return false;
}
