/* SPDX-License-Identifier: MIT */
/*
 * Boots the lower floors of the kernel in the order of kernel_main(), and measures what is in use. Kernel
 * stacks and slabs are cached by their allocators: stacks are warmed up here, and of slabs the objects count,
 * not the pages.
 */
#include "boot.h"

#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/panic.h>
#include <cloudos/percpu.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <sim/host.h>
#include <sim/host_machine.h>
#include <sim/world.h>

#define WARM_STACKS  32
#define SETTLE_NS    (20 * NSEC_PER_MSEC)
#define SETTLE_TRIES 100

static void warm_stacks(void)
{
	void *stacks[WARM_STACKS];

	for (size_t i = 0; i < WARM_STACKS; i++)
		stacks[i] = kstack_alloc();
	for (size_t i = 0; i < WARM_STACKS; i++)
		kstack_free(stacks[i]);
}

void unit_boot(const struct unit_machine *machine)
{
	const struct host_options options = {
	    .append = machine->cmdline ? machine->cmdline : "",
	    .cpus = machine->cpus,
	    .memory_mib = machine->memory_mib,
	    .test = true,
	};

	host_machine_create(&options);
	sim_vcpu_adopt(0);
	hal_upcalls.kernel_fault = panic_kernel_fault;
	percpu_init_boot();
	mm_init();
	sched_init();
	hal_irq_enable();
	sched_start_cpus();
	while (cpus_online_count() < machine->cpus)
		hal_cpu_relax();
	thread_set_affinity(thread_current(), 1);
	warm_stacks();
	slab_cache_destroy(slab_cache_create("warm-up", 16, 0)); /* the page of descriptors stays */
}

void unit_usage(struct unit_usage *ret)
{
	struct mm_stats mm;
	struct slab_stats slab;

	memset(ret, 0, sizeof(*ret));
	mm_get_stats(&mm);
	memcpy(ret->pages, mm.kind_pages, sizeof(ret->pages));
	while (ret->cache_count < UNIT_CACHES_MAX && slab_get_stats(ret->cache_count, &slab)) {
		ret->caches[ret->cache_count].name = slab.name;
		ret->caches[ret->cache_count++].objects = slab.objects_in_use;
	}
	ret->runnable = sched_runnable();
}

static size_t objects_of(const struct unit_usage *usage, const char *name)
{
	for (size_t i = 0; i < usage->cache_count; i++)
		if (str_equal(usage->caches[i].name, name))
			return usage->caches[i].objects;
	return 0;
}

/* True if `now` has no more than `before`; else says what. */
static bool no_more(const struct unit_usage *before, const struct unit_usage *now, char *message, size_t size)
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

bool unit_usage_returned(const struct unit_usage *before, char *ret_message, size_t size)
{
	struct unit_usage now;

	for (int i = 0; i < SETTLE_TRIES; i++) {
		unit_usage(&now);
		if (no_more(before, &now, ret_message, size))
			return true;
		thread_delay(SETTLE_NS);
	}
	return false;
}
