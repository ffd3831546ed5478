/* SPDX-License-Identifier: MIT */
/*
 * The controller "memory": the files of what vm/memory_group.c counts and vm/memory_limit.c limits. Every group is charged, whether it has the
 * controller or not, so that the figures are right when it comes; a limit holds where it is set.
 */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/vm.h>
#include "cgroup_internal.h"

/* ---- groups, for vm ---- */

static struct cgroup *cgroup_of(struct memory_group *g)
{
	return container_of(g, struct cgroup, memory);
}

static void get(struct memory_group *g)
{
	cgroup_get(cgroup_of(g));
}

static void put(struct memory_group *g)
{
	cgroup_put(cgroup_of(g));
}

static void tell(struct memory_group *g)
{
	cgroup_tell(cgroup_of(g), EVENT_MEMORY);
}

static const struct memory_group_ops ops = { .get = get, .put = put, .tell = tell };

void memory_init(void)
{
	memory_group_ops = &ops;
}

void memory_setup(struct cgroup *cg)
{
	memory_group_init(&cg->memory, cgroup_is_root(cg->parent) ? NULL : &cg->parent->memory);
}

void memory_enter_locked(struct task *t, struct cgroup *cg)
{
	struct vm_space *s = t->gone ? NULL : LOAD_ACQUIRE(t->thread.vm);

	if (s)
		vm_space_set_group(s, cgroup_is_root(cg) ? NULL : &cg->memory);
}

/* ---- amounts ---- */

/* "max", or bytes, with K, M, G, T as factors of 1024: whole pages. -EINVAL. */
static int parse_amount(const char *text, uint64_t *ret_pages)
{
	uint64_t bytes;
	int err = 0;

	if (str_equal(text, "max"))
		*ret_pages = MEMORY_NO_LIMIT;
	else if ((err = str_to_size(text, strlen(text), &bytes)) == 0)
		*ret_pages = bytes >> PAGE_SHIFT;
	return err;
}

static int show_pages(struct text_out *o, uint64_t pages)
{
	cgroup_show_limit(o, pages == MEMORY_NO_LIMIT ? pages : pages << PAGE_SHIFT, MEMORY_NO_LIMIT);
	return 0;
}

/* What CPUs have in stock is nobody's. */
static int show_current(struct cgroup *cg, struct text_out *o)
{
	memory_settle();
	return show_pages(o, READ_ONCE(cg->memory.usage));
}

static int show_peak(struct cgroup *cg, struct text_out *o)
{
	return show_pages(o, READ_ONCE(cg->memory.peak));
}

static int show_swap_current(struct cgroup *cg, struct text_out *o)
{
	return show_pages(o, READ_ONCE(cg->memory.swapped));
}

static int show_swap_peak(struct cgroup *cg, struct text_out *o)
{
	return show_pages(o, READ_ONCE(cg->memory.swap_peak));
}

/* ---- limits ---- */

static int show_max(struct cgroup *cg, struct text_out *o)
{
	return show_pages(o, READ_ONCE(cg->memory.max));
}

static int store_max(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t pages;
	int err = parse_amount(text, &pages);

	(void)f, (void)len;
	if (!err)
		memory_group_set_max(&cg->memory, pages);
	return err;
}

static int show_high(struct cgroup *cg, struct text_out *o)
{
	return show_pages(o, READ_ONCE(cg->memory.high));
}

/* What is above goes if it can. */
static int store_high(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t pages;
	int err = parse_amount(text, &pages);

	(void)f, (void)len;
	if (err)
		return err;
	WRITE_ONCE(cg->memory.high, pages);
	memory_settle();
	if (READ_ONCE(cg->memory.usage) > pages)
		(void)memory_group_shrink(&cg->memory, pages);
	return 0;
}

static int store_kept(struct cgroup *cg, uint64_t *limit, const char *text)
{
	uint64_t pages;
	int err = parse_amount(text, &pages);

	if (!err)
		memory_group_protect(&cg->memory, limit, pages);
	return err;
}

static int show_low(struct cgroup *cg, struct text_out *o)
{
	return show_pages(o, READ_ONCE(cg->memory.low));
}

static int store_low(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	(void)f, (void)len;
	return store_kept(cg, &cg->memory.low, text);
}

static int show_min(struct cgroup *cg, struct text_out *o)
{
	return show_pages(o, READ_ONCE(cg->memory.min));
}

static int store_min(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	(void)f, (void)len;
	return store_kept(cg, &cg->memory.min, text);
}

static int show_swap_max(struct cgroup *cg, struct text_out *o)
{
	return show_pages(o, READ_ONCE(cg->memory.swap_max));
}

static int store_swap_max(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t pages;
	int err = parse_amount(text, &pages);

	(void)f, (void)len;
	if (!err)
		WRITE_ONCE(cg->memory.swap_max, pages);
	return err;
}

static int show_together(struct cgroup *cg, struct text_out *o)
{
	out_printf(o, "%d\n", READ_ONCE(cg->memory.dies_together));
	return 0;
}

static int store_together(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t on;

	(void)f, (void)len;
	if (str_to_u64(text, 10, &on) < 0 || on > 1)
		return -EINVAL;
	WRITE_ONCE(cg->memory.dies_together, on);
	return 0;
}

/* So much is to go, now. */
static int store_reclaim(struct cgroup *cg, struct file *f, const char *text, size_t len)
{
	uint64_t pages, usage;
	int err = parse_amount(text, &pages);

	(void)f, (void)len;
	if (err)
		return err;
	memory_settle();
	usage = READ_ONCE(cg->memory.usage);
	if (memory_group_shrink(&cg->memory, usage - min(usage, pages)))
		return pages > usage ? -EAGAIN : 0;
	return pages ? -EAGAIN : 0;
}

/* ---- figures ---- */

static int show_event_list(struct text_out *o, const uint64_t events[MEMORY_EVENTS])
{
	static const char *const names[MEMORY_EVENTS] = {
		[MEMORY_LOW] = "low", [MEMORY_HIGH] = "high", [MEMORY_MAX] = "max", [MEMORY_OOM] = "oom",
		[MEMORY_OOM_KILL] = "oom_kill", [MEMORY_OOM_GROUP_KILL] = "oom_group_kill",
	};

	for (int i = 0; i < MEMORY_EVENTS; i++)
		out_printf(o, "%s %lu\n", names[i], (unsigned long)READ_ONCE(events[i]));
	return 0;
}

static int show_events(struct cgroup *cg, struct text_out *o)
{
	return show_event_list(o, cg->memory.events);
}

static int show_local_events(struct cgroup *cg, struct text_out *o)
{
	return show_event_list(o, cg->memory.local_events);
}

static int show_swap_events(struct cgroup *cg, struct text_out *o)
{
	out_printf(o, "max %lu\nfail %lu\n", (unsigned long)READ_ONCE(cg->memory.swap_events[MEMORY_SWAP_MAX]),
		   (unsigned long)READ_ONCE(cg->memory.swap_events[MEMORY_SWAP_FAIL]));
	return 0;
}

static void show_bytes(struct text_out *o, const char *name, uint64_t pages)
{
	out_printf(o, "%s %lu\n", name, (unsigned long)(pages << PAGE_SHIFT));
}

/* The root's are the system's. */
static int show_stat(struct cgroup *cg, struct text_out *o)
{
	const struct memory_group *g = &cg->memory;
	struct mm_stats mm;

	memory_settle();
	mm_get_stats(&mm);
	show_bytes(o, "anon", cgroup_is_root(cg) ? mm.kind_pages[PAGE_USER] : READ_ONCE(g->class_pages[MEMORY_ANON]));
	show_bytes(o, "file", cgroup_is_root(cg) ? mm.kind_pages[PAGE_CACHE] : READ_ONCE(g->class_pages[MEMORY_SHARED]));
	show_bytes(o, "shmem", cgroup_is_root(cg) ? mm.kind_pages[PAGE_CACHE] : READ_ONCE(g->class_pages[MEMORY_SHARED]));
	if (cgroup_is_root(cg))
		return 0;
	out_printf(o, "pgfault %lu\npgmajfault %lu\n", (unsigned long)READ_ONCE(g->faults), (unsigned long)READ_ONCE(g->faults_major));
	out_printf(o, "pgscan %lu\npgsteal %lu\n", (unsigned long)READ_ONCE(g->scanned), (unsigned long)READ_ONCE(g->taken));
	return 0;
}

static void memory_stop(struct cgroup *cg)
{
	memory_group_reset(&cg->memory);
}

static const struct cgroup_file files[] = {
	{ "memory.current", 0444, FILE_NOT_ON_ROOT, EVENT_NONE, show_current, NULL },
	{ "memory.events", 0444, FILE_NOT_ON_ROOT, EVENT_MEMORY, show_events, NULL },
	{ "memory.events.local", 0444, FILE_NOT_ON_ROOT, EVENT_MEMORY, show_local_events, NULL },
	{ "memory.high", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_high, store_high },
	{ "memory.low", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_low, store_low },
	{ "memory.max", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_max, store_max },
	{ "memory.min", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_min, store_min },
	{ "memory.oom.group", 0644, FILE_NOT_ON_ROOT | FILE_DELEGATED, EVENT_NONE, show_together, store_together },
	{ "memory.peak", 0444, FILE_NOT_ON_ROOT, EVENT_NONE, show_peak, NULL },
	{ "memory.reclaim", 0200, FILE_NOT_ON_ROOT | FILE_DELEGATED, EVENT_NONE, NULL, store_reclaim },
	{ "memory.stat", 0444, 0, EVENT_NONE, show_stat, NULL },
	{ "memory.swap.current", 0444, FILE_NOT_ON_ROOT, EVENT_NONE, show_swap_current, NULL },
	{ "memory.swap.events", 0444, FILE_NOT_ON_ROOT, EVENT_NONE, show_swap_events, NULL },
	{ "memory.swap.max", 0644, FILE_NOT_ON_ROOT, EVENT_NONE, show_swap_max, store_swap_max },
	{ "memory.swap.peak", 0444, FILE_NOT_ON_ROOT, EVENT_NONE, show_swap_peak, NULL },
};

const struct cgroup_controller cgroup_memory = {
	.name = "memory",
	.bit = CGROUP_MEMORY,
	.files = files,
	.file_count = ARRAY_SIZE(files),
	.stop = memory_stop,
};
