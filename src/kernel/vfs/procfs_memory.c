/* SPDX-License-Identifier: MIT */
/* The files of /proc that tell of memory and swap, in the formats of proc(5) and swapon(8). */
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/swap.h>
#include "procfs_internal.h"

static unsigned long kib(uint64_t pages)
{
	return (unsigned long)(pages * (PAGE_SIZE / 1024));
}

static int show_meminfo(struct text_out *o, void *arg)
{
	struct swap_figures swap;
	struct mm_stats s;
	uint64_t cache;

	(void)arg;
	mm_get_stats(&s);
	swap_get_figures(&swap);
	cache = s.kind_pages[PAGE_CACHE];
	out_printf(o, "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\n", kib(s.total_pages), kib(s.free_pages),
		   kib(s.free_pages));
	out_printf(o, "Buffers:        %8u kB\nCached:         %8lu kB\nSwapCached:     %8u kB\n", 0, kib(cache), 0);
	out_printf(o, "Active:         %8lu kB\nInactive:       %8u kB\n", kib(cache + s.kind_pages[PAGE_USER]), 0);
	out_printf(o, "SwapTotal:      %8lu kB\nSwapFree:       %8lu kB\n", kib(swap.total_pages), kib(swap.free_pages));
	out_printf(o, "Dirty:          %8u kB\nWriteback:      %8u kB\n", 0, 0);
	out_printf(o, "AnonPages:      %8lu kB\nMapped:         %8lu kB\nShmem:          %8lu kB\n", kib(s.kind_pages[PAGE_USER]), kib(0),
		   kib(cache));
	out_printf(o, "Slab:           %8lu kB\nSReclaimable:   %8u kB\nSUnreclaim:     %8lu kB\n", kib(s.kind_pages[PAGE_SLAB]), 0,
		   kib(s.kind_pages[PAGE_SLAB]));
	out_printf(o, "PageTables:     %8lu kB\nCommitLimit:    %8lu kB\n", kib(s.kind_pages[PAGE_TABLE]),
		   kib(s.total_pages + swap.total_pages));
	return 0;
}

/* Of Linux's figures those that are known here. */
static int show_vmstat(struct text_out *o, void *arg)
{
	struct reclaim_figures reclaim;
	struct swap_figures swap;
	struct mm_stats s;

	(void)arg;
	mm_get_stats(&s);
	swap_get_figures(&swap);
	reclaim_get_figures(&reclaim);
	out_printf(o, "nr_free_pages %lu\nnr_anon_pages %lu\nnr_file_pages %lu\nnr_shmem %lu\n", (unsigned long)s.free_pages,
		   (unsigned long)s.kind_pages[PAGE_USER], (unsigned long)s.kind_pages[PAGE_CACHE],
		   (unsigned long)s.kind_pages[PAGE_CACHE]);
	out_printf(o, "nr_slab_reclaimable 0\nnr_slab_unreclaimable %lu\nnr_page_table_pages %lu\n",
		   (unsigned long)s.kind_pages[PAGE_SLAB], (unsigned long)s.kind_pages[PAGE_TABLE]);
	out_printf(o, "nr_dirty 0\nnr_writeback 0\npswpin %lu\npswpout %lu\n", (unsigned long)swap.pages_in, (unsigned long)swap.pages_out);
	out_printf(o, "pgscan_kswapd %lu\npgsteal_kswapd %lu\noom_kill %lu\n", (unsigned long)reclaim.scanned, (unsigned long)reclaim.taken,
		   (unsigned long)reclaim.oom_kills);
	return 0;
}

static int show_swaps(struct text_out *o, void *arg)
{
	struct swap_area_info a;

	(void)arg;
	out_printf(o, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	for (unsigned i = 0; i < SWAP_AREAS_MAX; i++)
		if (swap_get_area(i, &a))
			out_printf(o, "%-39s partition\t%lu%s\t%lu%s\t%d\n", a.name, kib(a.pages), kib(a.pages) < 10000000 ? "\t" : "",
				   kib(a.used), kib(a.used) < 10000000 ? "\t" : "", a.priority);
	return 0;
}

static int show_swappiness(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "%u\n", READ_ONCE(reclaim_swappiness));
	return 0;
}

static int store_swappiness(const char *text, size_t len, void *arg)
{
	char digits[8] = "";
	uint64_t value;

	(void)arg;
	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (len == 0 || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len);
	if (str_to_u64(digits, 10, &value) || value > RECLAIM_SWAPPINESS_MAX)
		return -EINVAL;
	WRITE_ONCE(reclaim_swappiness, (unsigned)value);
	return 0;
}

int procfs_add_memory(void)
{
	static const struct {
		const char *name;
		uint32_t mode;
		int (*show)(struct text_out *o, void *arg);
		int (*store)(const char *text, size_t len, void *arg);
	} files[] = {
		{ "meminfo", 0444, show_meminfo, NULL },
		{ "vmstat", 0444, show_vmstat, NULL },
		{ "swaps", 0444, show_swaps, NULL },
		{ "sys/vm/swappiness", 0644, show_swappiness, store_swappiness },
	};
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files) && !error; i++)
		error = procfs_add(files[i].name, files[i].mode, files[i].show, files[i].store, NULL);
	return error;
}
