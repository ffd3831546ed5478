/* SPDX-License-Identifier: MIT */
/* The files of /proc that tell of the whole system, in the formats of proc(5) that ps, top, free and uptime read. */
#include <cloudos/cmdline.h>
#include <cloudos/mm.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include "procfs_internal.h"

#define TICKS_PER_SEC 100 /* USER_HZ */
#define CPUINFO_MAX   2048

static unsigned long ticks(uint64_t ns)
{
	return (unsigned long)(ns / (NSEC_PER_SEC / TICKS_PER_SEC));
}

static int show_uptime(struct text_out *o, void *arg)
{
	uint64_t up = hal_clock_ns(), idle = 0;
	struct sched_cpu_stats s;

	(void)arg;
	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++) {
		sched_cpu_get_stats(cpu, &s);
		idle += s.idle_ns;
	}
	out_printf(o, "%lu.%02lu %lu.%02lu\n", (unsigned long)(up / NSEC_PER_SEC), (unsigned long)(up / 10000000 % 100),
		   (unsigned long)(idle / NSEC_PER_SEC), (unsigned long)(idle / 10000000 % 100));
	return 0;
}

static int show_loadavg(struct text_out *o, void *arg)
{
	uint64_t load[3];
	unsigned tasks = 0, last = 0;
	int pid, tid;

	(void)arg;
	sched_load(load);
	for (pid = procfs_pid_ops ? procfs_pid_ops->next(procfs_pid_ops->first, 0) : -1; pid > 0; pid = procfs_pid_ops->next(procfs_pid_ops->first, pid)) {
		last = (unsigned)pid;
		for (tid = procfs_pid_ops->next_thread(procfs_pid_ops->first, pid, 0); tid > 0; tid = procfs_pid_ops->next_thread(procfs_pid_ops->first, pid, tid))
			tasks++;
	}
	for (int i = 0; i < 3; i++) {
		uint64_t l = load[i] + 65536 / 200;

		out_printf(o, "%lu.%02lu ", (unsigned long)(l >> 16), (unsigned long)((l & 65535) * 100 >> 16));
	}
	out_printf(o, "%u/%u %u\n", sched_runnable(), tasks, last);
	return 0;
}

static int show_stat(struct text_out *o, void *arg)
{
	struct sched_cpu_stats s, sum = { .switches = 0 };
	unsigned cpus = hal_cpu_count();

	(void)arg;
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		sched_cpu_get_stats(cpu, &s);
		sum.user_ns += s.user_ns;
		sum.system_ns += s.system_ns;
		sum.idle_ns += s.idle_ns;
		sum.switches += s.switches;
		sum.interrupts += s.interrupts;
	}
	out_printf(o, "cpu  %lu 0 %lu %lu 0 0 0 0 0 0\n", ticks(sum.user_ns), ticks(sum.system_ns), ticks(sum.idle_ns));
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		sched_cpu_get_stats(cpu, &s);
		out_printf(o, "cpu%u %lu 0 %lu %lu 0 0 0 0 0 0\n", cpu, ticks(s.user_ns), ticks(s.system_ns), ticks(s.idle_ns));
	}
	out_printf(o, "intr %lu\nctxt %lu\nbtime %lu\nprocesses %lu\nprocs_running %u\nprocs_blocked 0\n", (unsigned long)sum.interrupts,
		   (unsigned long)sum.switches, (unsigned long)((hal_wall_ns() - hal_clock_ns()) / NSEC_PER_SEC),
		   (unsigned long)(procfs_pid_ops ? procfs_pid_ops->started() : 0), sched_runnable());
	return 0;
}

static int show_interrupts(struct text_out *o, void *arg)
{
	struct sched_cpu_stats s;

	(void)arg;
	out_printf(o, "     ");
	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++)
		out_printf(o, "       CPU%u", cpu);
	out_printf(o, "\nALL: ");
	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++) {
		sched_cpu_get_stats(cpu, &s);
		out_printf(o, " %10lu", (unsigned long)s.interrupts);
	}
	out_printf(o, "   All interrupts\n");
	return 0;
}

static int show_cpuinfo(struct text_out *o, void *arg)
{
	char *buf = kmalloc(CPUINFO_MAX);

	(void)arg;
	if (!buf)
		return -ENOMEM;
	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++)
		if (READ_ONCE(cpus_online) >> cpu & 1)
			out_bytes(o, buf, hal_cpuinfo(cpu, buf, CPUINFO_MAX));
	kfree(buf);
	return 0;
}

static int show_filesystems(struct text_out *o, void *arg)
{
	const struct fs_type *type;

	(void)arg;
	for (unsigned i = 0; (type = fs_type_at(i)); i++)
		out_printf(o, "%s\t%s\n", type->needs_device ? "" : "nodev", type->name);
	return 0;
}

static int show_cmdline(struct text_out *o, void *arg)
{
	(void)arg;
	out_printf(o, "%s\n", hal_cmdline());
	return 0;
}

static int show_slabinfo(struct text_out *o, void *arg)
{
	struct slab_stats s;

	(void)arg;
	out_printf(o, "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
		      " : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	for (size_t i = 0; slab_get_stats(i, &s); i++) /* told as if each slab were a page, and nothing can be tuned */
		out_printf(o, "%-17s %6lu %6lu %6lu %4lu %4lu : tunables    0    0    0 : slabdata %6lu %6lu      0\n", s.name,
			   (unsigned long)s.objects_in_use, (unsigned long)s.objects, (unsigned long)s.object_size,
			   (unsigned long)(s.pages ? s.objects / s.pages : 0), 1ul, (unsigned long)s.pages, (unsigned long)s.pages);
	return 0;
}

/* ---- texts that do not change ---- */

static int show_constant(struct text_out *o, void *arg)
{
	out_printf(o, "%s", (const char *)arg);
	return 0;
}

/* ---- CloudOS's own ---- */

static int show_services(struct text_out *o, void *arg)
{
	const struct service *s;
	struct service_status status;

	(void)arg;
	out_printf(o, "%-12s %-9s %5s %12s %12s %6s %s\n", "name", "state", "cpu", "begin_us", "took_us", "error", "health");
	for (size_t i = 0; service_get(i, &s, &status); i++) {
		uint64_t took = status.end_ns > status.begin_ns ? status.end_ns - status.begin_ns : 0;
		const char *health = "-";

		if (s->health && status.state == SERVICE_RUNNING)
			health = s->health() ? "ill" : "well";
		out_printf(o, "%-12s %-9s %5u %12lu %12lu %6d %s\n", s->name, service_state_name(status.state), status.cpu,
			   (unsigned long)(status.begin_ns / NSEC_PER_USEC), (unsigned long)(took / NSEC_PER_USEC), status.error, health);
	}
	return 0;
}

/* A deliberate fault, to see what one looks like. Only there with cloudos.crash on the command line. */
static int store_crash(const char *text, size_t len, void *arg)
{
	volatile uint64_t *nowhere = (volatile uint64_t *)(uintptr_t)0x10;

	(void)text, (void)len, (void)arg;
	if (!cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
		return -EPERM;
	__asm__("" : "+r"(nowhere)); /* the compiler must not know where it points */
	*nowhere = 0xdead;
	return 0;
}

int procfs_add_files(void)
{
	static const struct {
		const char *name;
		int (*show)(struct text_out *o, void *arg);
		const char *arg;
	} files[] = {
		{ "uptime", show_uptime, NULL },
		{ "loadavg", show_loadavg, NULL },
		{ "stat", show_stat, NULL },
		{ "interrupts", show_interrupts, NULL },
		{ "cpuinfo", show_cpuinfo, NULL },
		{ "filesystems", show_filesystems, NULL },
		{ "cmdline", show_cmdline, NULL },
		{ "slabinfo", show_slabinfo, NULL },
		{ "devices", show_constant,
		  "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n254 virtblk\n" },
		{ "modules", show_constant, "" },
		{ "sys/fs/nr_open", show_constant, "1048576\n" },
		{ "sys/vm/overcommit_memory", show_constant, "0\n" },
		{ "sys/vm/max_map_count", show_constant, "65530\n" },
		{ "cloudos/services", show_services, NULL },
	};
	int error = procfs_add_memory();

	for (size_t i = 0; i < ARRAY_SIZE(files) && !error; i++)
		error = procfs_add(files[i].name, 0444, files[i].show, NULL, (void *)(uintptr_t)files[i].arg);
	if (!error && cmdline_flag("cloudos.crash", false))
		error = procfs_add("cloudos/crash", 0200, NULL, store_crash, NULL);
	return error;
}
