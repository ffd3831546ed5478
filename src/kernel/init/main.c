/* SPDX-License-Identifier: MIT */
/*
 * The kernel's main function: memory, scheduler, CPUs, then the services in the order of their requirements, the root file system,
 * and process 1. What a boot does beyond that is data: see <cloudos/service.h>.
 */
#define LOG_SUBSYSTEM "kernel"
#include <cloudos/cmdline.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/panic.h>
#include <cloudos/percpu.h>
#include <cloudos/proc.h>
#include <cloudos/service.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include <hal/hal.h>

static void upcall_log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_vwrite(LOG_INFO, "hal", format, args);
	va_end(args);
}

static void set_console_level(void)
{
	if (cmdline_has("quiet"))
		log_set_console_level(LOG_WARNING);
	log_set_console_level((int)cmdline_u64("loglevel", (uint64_t)log_console_level()));
}

static void greet(void)
{
	struct mm_stats mm;

	mm_get_stats(&mm);
	log_info("CloudOS on %s, by %s, %u CPUs, %lu MiB", hal_cpu_model(), hal_boot_path(), hal_cpu_count(),
		 (unsigned long)(mm.ram_pages >> (20 - PAGE_SHIFT)));
	log_info("command line: %s", hal_cmdline());
}

static void start_init(void)
{
	static const char *const candidates[] = { "/init", "/sbin/init", "/bin/init", "/bin/sh" };
	static const char *const envp[] = { "HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", NULL };
	char chosen[256];
	const char *argv[2] = { chosen, NULL };
	int err;

	if (cmdline_get("init", chosen, sizeof(chosen))) {
		err = process_start_init(chosen, argv, envp);
		if (err)
			panic("init=%s cannot be started: error %d", chosen, -err);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		argv[0] = candidates[i];
		err = process_start_init(candidates[i], argv, envp);
		if (!err)
			return;
		if (err != -ENOENT)
			log_err("%s cannot be started: error %d", candidates[i], -err);
	}
	panic("no init: give an initramfs that holds /init, or init= on the command line");
}

void kernel_boot(void)
{
	hal_upcalls.log = upcall_log;
	hal_upcalls.kernel_fault = panic_kernel_fault;
	percpu_init_boot();
	set_console_level();
	mm_init();
	sched_init();
	hal_irq_enable();
	greet();
	sched_start_cpus();
	services_start();
	if (vfs_mount_root())
		panic("the root file system cannot be set up");
	mm_free_initrd();
}

_Noreturn void kernel_main(void)
{
	kernel_boot();
	start_init();
	thread_exit();
}
