/* SPDX-License-Identifier: MIT */
/* /proc/PID/maps, smaps and smaps_rollup: the areas of an address space, and what their pages cost, as proc(5) has them. */
#include "procfs.h"
#include <asm-generic/mman-common.h>
#include <linux/limits.h>

struct maps {
	struct text_out *out;
	bool usage;	       /* smaps: figures behind each line */
	struct vm_usage total; /* smaps_rollup */
	uaddr_t start, end;
	char path[PATH_MAX];
};

static const char *area_name(const struct vm_area *a, struct maps *m)
{
	int n;

	if (a->file) {
		n = vm_file_ops->path(a->file, m->path, sizeof(m->path));
		return n < 0 ? "" : m->path;
	}
	if (a->name)
		return a->name;
	if (a->flags & VM_STACK)
		return "[stack]";
	return a->flags & VM_HEAP ? "[heap]" : "";
}

static void show_line(const struct vm_area *a, struct maps *m)
{
	const char *name = area_name(a, m);
	uint64_t dev = 0, ino = 0;

	if (a->file)
		vm_file_ops->identity(a->file, &dev, &ino);
	out_printf(m->out, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu", a->start, a->end, a->prot & PROT_READ ? 'r' : '-',
		   a->prot & PROT_WRITE ? 'w' : '-', a->prot & PROT_EXEC ? 'x' : '-', a->flags & VM_SHARED ? 's' : 'p',
		   a->file ? a->object_page * PAGE_SIZE : 0, (unsigned)(dev >> 8 & 0xfff), (unsigned)(dev & 0xff), ino);
	out_printf(m->out, *name ? " %26s%s\n" : "\n", "", name);
}

/* ---- smaps ---- */

static void show_kib(struct text_out *o, const char *name, uint64_t bytes)
{
	out_printf(o, "%-16s%8lu kB\n", name, bytes >> 10);
}

static void show_usage(struct text_out *o, const struct vm_usage *u)
{
	show_kib(o, "Rss:", u->resident);
	show_kib(o, "Pss:", u->pss >> VM_PSS_SHIFT);
	show_kib(o, "Pss_Dirty:", u->pss_dirty >> VM_PSS_SHIFT);
	show_kib(o, "Shared_Clean:", u->pages[VM_USAGE_SHARED][false]);
	show_kib(o, "Shared_Dirty:", u->pages[VM_USAGE_SHARED][true]);
	show_kib(o, "Private_Clean:", u->pages[VM_USAGE_PRIVATE][false]);
	show_kib(o, "Private_Dirty:", u->pages[VM_USAGE_PRIVATE][true]);
	show_kib(o, "Referenced:", u->referenced);
	show_kib(o, "Anonymous:", u->anonymous);
	/* There are no lazily freed and no huge pages. */
	static const char *const absent[] = { "LazyFree:",	 "AnonHugePages:",   "ShmemPmdMapped:", "FilePmdMapped:",
					      "Shared_Hugetlb:", "Private_Hugetlb:" };

	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		show_kib(o, absent[i], 0);
	show_kib(o, "Swap:", u->swapped);
	show_kib(o, "SwapPss:", u->pss_swapped >> VM_PSS_SHIFT);
	show_kib(o, "Locked:", u->pss_locked >> VM_PSS_SHIFT);
}

static void show_flags(struct text_out *o, const struct vm_area *a)
{
	const struct {
		bool set;
		const char *name;
	} flags[] = {
		{ a->prot & PROT_READ, "rd" },	   { a->prot & PROT_WRITE, "wr" },     { a->prot & PROT_EXEC, "ex" },
		{ a->flags & VM_SHARED, "sh" },	   { a->may_prot & PROT_READ, "mr" },  { a->may_prot & PROT_WRITE, "mw" },
		{ a->may_prot & PROT_EXEC, "me" }, { a->flags & VM_SHARED, "ms" },     { a->flags & VM_GROWSDOWN, "gd" },
		{ a->flags & VM_LOCKED, "lo" },	   { a->flags & VM_DONTFORK, "dc" },   { a->flags & VM_NORESERVE, "nr" },
		{ a->flags & VM_WIPEONFORK, "wf" }, { a->flags & VM_DONTDUMP, "dd" },
	};

	out_printf(o, "VmFlags:");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].set)
			out_printf(o, " %s", flags[i].name);
	out_printf(o, " \n");
}

static int show_area(struct vm_area *a, void *arg)
{
	struct maps *m = arg;
	struct vm_usage usage = { 0 };

	show_line(a, m);
	if (!m->usage)
		return 0;
	vm_area_usage(a, &usage);
	show_kib(m->out, "Size:", usage.size);
	show_kib(m->out, "KernelPageSize:", PAGE_SIZE);
	show_kib(m->out, "MMUPageSize:", PAGE_SIZE);
	show_usage(m->out, &usage);
	out_printf(m->out, "THPeligible:    0\n");
	show_flags(m->out, a);
	return 0;
}

static int add_area(struct vm_area *a, void *arg)
{
	struct maps *m = arg;

	if (!m->end)
		m->start = a->start;
	m->end = a->end;
	vm_area_usage(a, &m->total);
	return 0;
}

/* ---- the files ---- */

static int show(struct vm_space *s, struct text_out *o, bool usage)
{
	struct maps *m = kmalloc(sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->out = o;
	m->usage = usage;
	err = vm_for_each_area(s, show_area, m);
	kfree(m);
	return err;
}

int procfs_maps(struct vm_space *s, struct text_out *o)
{
	return show(s, o, false);
}

int procfs_smaps(struct vm_space *s, struct text_out *o)
{
	return show(s, o, true);
}

int procfs_smaps_rollup(struct vm_space *s, struct text_out *o)
{
	struct maps *m = kzalloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	vm_for_each_area(s, add_area, m);
	out_printf(o, "%08lx-%08lx ---p 00000000 00:00 0 %26s[rollup]\n", m->start, m->end, "");
	show_usage(o, &m->total);
	kfree(m);
	return 0;
}
