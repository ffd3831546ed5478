/* SPDX-License-Identifier: MIT */
/* The figures of /proc that monitors read: what they count goes up when it happens. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include "cases.h"

/* The n-th number (from 0) of the line of a file that begins with `name` and a blank; -1: none. */
static long long figure(const char *path, const char *name, int n)
{
	FILE *file = fopen(path, "r");
	size_t len = strlen(name);
	long long value = -1;
	char line[512];

	while (file && value < 0 && fgets(line, sizeof(line), file)) {
		char *at = line + len;

		if (strncmp(line, name, len) != 0 || *at != ' ')
			continue;
		for (int i = 0; i <= n && at; i++)
			value = strtoll(at, &at, 10);
	}
	if (file)
		fclose(file);
	return value;
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void busy_time_is_counted(void)
{
	long long before = figure("/proc/stat", "cpu", 0) + figure("/proc/stat", "cpu", 2), after;
	double until = seconds(CLOCK_PROCESS_CPUTIME_ID) + 0.3;

	while (seconds(CLOCK_PROCESS_CPUTIME_ID) < until)
		;
	after = figure("/proc/stat", "cpu", 0) + figure("/proc/stat", "cpu", 2);
	EXPECT(before >= 0 && after - before >= 20); /* of 30 ticks, with room for roundings and samples */
}

static void processes_are_counted(void)
{
	long long before = figure("/proc/stat", "processes", 0), after;

	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		EXPECT(waitpid(pid, NULL, 0) == pid);
	}
	after = figure("/proc/stat", "processes", 0);
	EXPECT(before > 0 && after - before >= 5);
}

static void memory_is_told(void)
{
	EXPECT(figure("/proc/vmstat", "nr_free_pages", 0) > 0 && figure("/proc/vmstat", "nr_anon_pages", 0) > 0);
	EXPECT(figure("/proc/vmstat", "pswpin", 0) >= 0);
}

/* In the form that slabtop(1) reads. Root's alone on Linux. */
static void slabs_are_told(void)
{
	FILE *file = fopen("/proc/slabinfo", "r");
	char line[512], name[128];
	unsigned n[7];
	int lines = 0, good = 1;

	if (!file && errno == EACCES)
		return;
	EXPECT(file && fgets(line, sizeof(line), file) && strcmp(line, "slabinfo - version: 2.1\n") == 0);
	EXPECT(file && fgets(line, sizeof(line), file) && line[0] == '#');
	for (; file && fgets(line, sizeof(line), file); lines++)
		good = good && sscanf(line, "%127s %u %u %u %u %u : tunables %*u %*u %*u : slabdata %u %u %*u", name, &n[0], &n[1],
				      &n[2], &n[3], &n[4], &n[5], &n[6]) == 8;
	EXPECT(good && lines > 5);
	if (file)
		fclose(file);
}

/* The first line of a file; "" if there is none. */
static const char *first_line(const char *path)
{
	static char line[256];
	FILE *file = fopen(path, "r");

	if (!file || !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return line;
}

#define CPUS "/sys/devices/system/cpu/"

static void cpus_are_told(void)
{
	EXPECT(strtol(first_line(CPUS "kernel_max"), NULL, 10) >= sysconf(_SC_NPROCESSORS_CONF) - 1);
	EXPECT(strcmp(first_line(CPUS "present"), first_line(CPUS "online")) == 0 && first_line(CPUS "online")[0] == '0');
	EXPECT(first_line(CPUS "cpu0/topology/core_id")[0] >= '0');
	EXPECT(first_line(CPUS "cpu0/topology/core_cpus_list")[0] == '0');
	EXPECT(strtoul(first_line(CPUS "cpu0/topology/thread_siblings"), NULL, 16) & 1);
}

/* One process's own: calls and bytes, whatever the kind of file. */
static void transfers_are_counted(void)
{
	long long chars = figure("/proc/self/io", "rchar:", 0), calls = figure("/proc/self/io", "syscr:", 0), after;
	long long written = figure("/proc/self/io", "wchar:", 0), write_calls = figure("/proc/self/io", "syscw:", 0);
	char buf[1000] = "";
	int fds[2];

	EXPECT(chars >= 0 && pipe(fds) == 0);
	for (int i = 0; i < 10; i++)
		EXPECT(write(fds[1], buf, 1000) == 1000 && read(fds[0], buf, 1000) == 1000);
	after = figure("/proc/self/io", "rchar:", 0);
	EXPECT(after - chars >= 10000 && after - chars < 20000);
	EXPECT(figure("/proc/self/io", "wchar:", 0) - written == 10000);
	EXPECT(figure("/proc/self/io", "syscr:", 0) - calls >= 10 && figure("/proc/self/io", "syscw:", 0) - write_calls == 10);
	close(fds[0]), close(fds[1]);
}

int main(void)
{
	if (access(CPUS "kernel_max", R_OK) != 0) { /* a chroot, perhaps */
		printf("skipped: no /sys here\n");
		return 0;
	}
	CASE(busy_time_is_counted);
	CASE(processes_are_counted);
	CASE(memory_is_told);
	CASE(slabs_are_told);
	CASE(cpus_are_told);
	CASE(transfers_are_counted);
	return abi_result();
}
