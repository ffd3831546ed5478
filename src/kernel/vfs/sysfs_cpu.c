/* SPDX-License-Identifier: MIT */
/*
 * /sys/devices/system/cpu: which CPUs there are, and how they belong together. Every CPU is a core of its own, of one package: the machines that this runs
 * on show no more, and nothing here would use it.
 */
#include <cloudos/format.h>
#include <cloudos/thread.h>
#include <hal/hal.h>
#include "vfs_internal.h"

#define CPU_FOLDER "devices/system/cpu"
#define NAME_SIZE  64

static uint64_t all_cpus(void)
{
	unsigned n = hal_cpu_count();

	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/* A mask of CPUs as "0-3,5". */
static int show_list(struct text_out *o, uint64_t mask)
{
	const char *comma = "";

	for (unsigned cpu = 0; cpu < 64; cpu++) {
		unsigned first = cpu;

		if (!(mask >> cpu & 1))
			continue;
		while (cpu < 63 && (mask >> (cpu + 1) & 1))
			cpu++;
		out_printf(o, first == cpu ? "%s%u" : "%s%u-%u", comma, first, cpu);
		comma = ",";
	}
	out_printf(o, "\n");
	return 0;
}

/* The same as hexadecimal digits, as many as the machine's CPUs take, in words of 32 bits. */
static int show_mask(struct text_out *o, uint64_t mask)
{
	for (int digit = (int)(hal_cpu_count() + 3) / 4 - 1; digit >= 0; digit--)
		out_printf(o, digit && digit % 8 == 0 ? "%x," : "%x", (unsigned)(mask >> (digit * 4) & 15));
	out_printf(o, "\n");
	return 0;
}

/* ---- of all ---- */

static int show_online(struct text_out *o, void *arg)
{
	(void)arg;
	return show_list(o, READ_ONCE(cpus_online));
}

static int show_possible(struct text_out *o, void *arg)
{
	(void)arg;
	return show_list(o, all_cpus());
}

static int show_offline(struct text_out *o, void *arg)
{
	(void)arg;
	return show_list(o, all_cpus() & ~READ_ONCE(cpus_online));
}

static int show_number(struct text_out *o, void *arg)
{
	out_printf(o, "%lu\n", (unsigned long)(uintptr_t)arg);
	return 0;
}

static int show_text(struct text_out *o, void *arg)
{
	out_printf(o, "%s\n", (const char *)arg);
	return 0;
}

static int add_all(void)
{
	static const struct {
		const char *name;
		int (*show)(struct text_out *o, void *arg);
		const void *arg;
	} files[] = {
		{ CPU_FOLDER "/online", show_online, NULL },	   { CPU_FOLDER "/possible", show_possible, NULL },
		{ CPU_FOLDER "/present", show_possible, NULL },	   { CPU_FOLDER "/offline", show_offline, NULL },
		{ CPU_FOLDER "/isolated", show_text, "" },	   { CPU_FOLDER "/kernel_max", show_number, (const void *)63 },
		{ CPU_FOLDER "/smt/active", show_number, NULL },   { CPU_FOLDER "/smt/control", show_text, "notsupported" },
	};
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files) && !error; i++)
		error = sysfs_add(files[i].name, 0444, files[i].show, NULL, (void *)files[i].arg);
	return error;
}

/* ---- of one: the argument is its number ---- */

static int show_own_list(struct text_out *o, void *arg)
{
	return show_list(o, UINT64_C(1) << (uintptr_t)arg);
}

static int show_own_mask(struct text_out *o, void *arg)
{
	return show_mask(o, UINT64_C(1) << (uintptr_t)arg);
}

static int show_package_list(struct text_out *o, void *arg)
{
	(void)arg;
	return show_list(o, all_cpus());
}

static int show_package_mask(struct text_out *o, void *arg)
{
	(void)arg;
	return show_mask(o, all_cpus());
}

static int show_package(struct text_out *o, void *arg)
{
	(void)arg;
	return show_number(o, NULL);
}

static int add_one(uintptr_t cpu)
{
	static const struct {
		const char *name;
		int (*show)(struct text_out *o, void *arg);
	} files[] = {
		{ "core_id", show_number },		     { "physical_package_id", show_package },
		{ "die_id", show_package },		     { "core_cpus", show_own_mask },
		{ "core_cpus_list", show_own_list },	     { "thread_siblings", show_own_mask },
		{ "thread_siblings_list", show_own_list },   { "core_siblings", show_package_mask },
		{ "core_siblings_list", show_package_list }, { "package_cpus", show_package_mask },
		{ "package_cpus_list", show_package_list },
	};
	char name[NAME_SIZE];
	int error = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files) && !error; i++) {
		fmt_string(name, sizeof(name), CPU_FOLDER "/cpu%u/topology/%s", (unsigned)cpu, files[i].name);
		error = sysfs_add(name, 0444, files[i].show, NULL, (void *)cpu);
	}
	return error;
}

int sysfs_cpu_init(void)
{
	int error = add_all();

	for (unsigned cpu = 0; cpu < hal_cpu_count() && !error; cpu++)
		error = add_one(cpu);
	return error;
}
