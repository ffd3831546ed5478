/* SPDX-License-Identifier: MIT */
/*
 * Builds the machine: RAM with the initramfs at its end, the clock thread, signals, the calling thread as
 * vCPU 0's (hosted).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hal/hal.h>
#include <sim/disk.h>
#include <sim/host.h>
#include <sim/host_machine.h>
#include <sim/host_private.h>
#include <sim/scenario.h>
#include <sim/stub.h>
#include <sim/trace.h>

static void must(int error, const char *what)
{
	if (error < 0)
		host_fatal("%s: %s", what, strerror(-error));
}

static void read_fully(int fd, const char *name, char *to, size_t len)
{
	while (len) {
		ssize_t n = read(fd, to, len);

		if (n <= 0)
			host_fatal("%s: %s", name,
				   n < 0 ? strerror(errno) : "shorter than it was a moment ago");
		to += n;
		len -= (size_t)n;
	}
}

/* The initramfs goes to the end of RAM, and leaves at least as much for the kernel. */
static void load_initrd(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint64_t pages;

	if (fd < 0 || fstat(fd, &st) < 0)
		host_fatal("%s: %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		host_fatal("%s: not an initramfs (an empty or special file)", name);
	if ((uint64_t)st.st_size > sim_machine.ram_size / 2)
		host_fatal("%s: %lld bytes do not fit in half of %llu MiB of memory (--memory)", name,
			   (long long)st.st_size, (unsigned long long)sim_machine.ram_size >> 20);
	pages = ((uint64_t)st.st_size + PAGE_SIZE - 1) & PAGE_MASK;
	sim_machine.initrd = sim_machine.ram_size - pages;
	sim_machine.initrd_len = (size_t)st.st_size;
	read_fully(fd, name, hal_phys_to_virt(sim_machine.initrd), sim_machine.initrd_len);
	close(fd);
}

static void load_cmdline(const char *text)
{
	size_t len = strlen(text);

	if (len >= HAL_CMDLINE_MAX)
		host_fatal("the kernel command line is longer than %d bytes", HAL_CMDLINE_MAX - 1);
	memcpy(sim_machine.cmdline, text, len + 1);
}

static void open_disks(const struct host_options *options)
{
	for (unsigned i = 0; i < SIM_DISKS_MAX && options->disks[i]; i++) {
		uint64_t bytes;
		bool read_only;
		int number = host_disk_open(options->disks[i], &bytes, &read_only);

		must(number, options->disks[i]);
		sim_machine.disks[i].number = number;
		sim_machine.disks[i].bytes = bytes;
		sim_machine.disks[i].read_only = read_only;
		sim_machine.disk_count = i + 1;
	}
}

void host_machine_create(const struct host_options *options)
{
	sim_machine.cpus = options->cpus;
	sim_machine.ram_size = (uint64_t)options->memory_mib << 20;
	sim_machine.hide_host = options->hide_host || sim_scenario.deterministic;
	sim_machine.hide_cpu = sim_machine.hide_host && host_stub_can_hide_cpu();
	if (options->hide_host && !sim_machine.hide_cpu)
		fputs("cloudos-sim: this host's processor cannot hide itself from programs; its time can\n", stderr);
	sim_machine.boot_ns = host_clock_ns();
	sim_machine.boot_wall_ns = host_wall_ns();
	if (sim_scenario.deterministic)
		host_trace_open(options->record, options->timeline);
	must(host_ram_create(SIM_DIRECT_MAP, sim_machine.ram_size, SIM_KVA_START, SIM_KVA_SIZE),
	     "physical memory");
	load_cmdline(options->append);
	if (options->initrd)
		load_initrd(options->initrd);
	open_disks(options);
	must(host_stub_setup(options->user), "stub processes");
	if (!sim_scenario.deterministic)
		must(host_clock_start(), "clock thread");
	host_thread_adopt();
	if (options->test) {
		host_console_to_stderr();
		return;
	}
	host_crash_setup();
	if (!options->quiet)
		host_terminal_raw();
	if (sim_scenario.deterministic)
		host_watchdog_start();
}

/* "model name" of the host's first CPU. */
void host_cpu_model(char *buf, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(buf, size, "simulated CPU");
	while (file && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) || !colon)
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(buf, size, "%s", colon + 2);
		break;
	}
	if (file)
		fclose(file);
}
