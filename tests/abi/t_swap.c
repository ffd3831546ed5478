/* SPDX-License-Identifier: MIT */
/*
 * Swap as any program sees it: who may turn it on and off, what advice about pages leaves them with, and the files that tell of it. What happens
 * with an area that is on is tests/disk/swap_check.c's matter, which needs a disk.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <time.h>
#include "check.h"

#define PAGE  4096
#define PAGES 64

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static void calls_of_others(void *arg)
{
	(void)arg;
	if (setgid(65534) || setuid(65534))
		_exit(1);
	CHECK_ERRNO("swapon of somebody without rights", swapon("/", 0), EPERM);
	CHECK_ERRNO("swapon of nothing without rights", swapon("/does/not/exist", 0), EPERM);
	CHECK_ERRNO("swapon with unknown flags", swapon("/", 0x100000), EINVAL);
	CHECK_ERRNO("swapoff of somebody without rights", swapoff("/"), EPERM);
	fflush(stdout);
	_exit(checks_failed);
}

/* True if the file has a line that begins so. */
static bool has_line(const char *path, const char *start)
{
	char line[512];
	bool found = false;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		found |= strncmp(line, start, strlen(start)) == 0;
	if (f)
		fclose(f);
	return found;
}

static void files(void)
{
	struct sysinfo info;

	CHECK("/proc/swaps has its heading", has_line("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"));
	CHECK("/proc/meminfo tells of swap", has_line("/proc/meminfo", "SwapTotal: ") && has_line("/proc/meminfo", "SwapFree: ") &&
						     has_line("/proc/meminfo", "SwapCached: "));
	CHECK("/proc/vmstat tells of swap", has_line("/proc/vmstat", "pswpin ") && has_line("/proc/vmstat", "pswpout "));
	CHECK("/proc/vmstat tells of deaths", has_line("/proc/vmstat", "oom_kill "));
	CHECK("/proc/self/status tells of swap", has_line("/proc/self/status", "VmSwap:\t"));
	CHECK("/proc/self/smaps tells of swap", has_line("/proc/self/smaps", "Swap: ") && has_line("/proc/self/smaps", "SwapPss: "));
	CHECK("vm.swappiness can be read", has_line("/proc/sys/vm/swappiness", ""));
	CHECK("sysinfo's free swap is a part of all", sysinfo(&info) == 0 && info.freeswap <= info.totalswap);
}

static void fill(unsigned char *at)
{
	for (unsigned i = 0; i < PAGES; i++)
		memset(at + i * PAGE, (int)(i + 1), PAGE);
}

static bool is_filled(const unsigned char *at)
{
	for (unsigned i = 0; i < PAGES; i++)
		for (unsigned j = 0; j < PAGE; j += 511)
			if (at[i * PAGE + j] != i + 1)
				return false;
	return true;
}

static void write_all(void *at)
{
	memset(at, 0xee, PAGES * PAGE);
}

static void advice(void)
{
	unsigned char *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *shared = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK("mappings", at != MAP_FAILED && shared != MAP_FAILED);
	fill(at);
	fill(shared);
	CHECK("pages are cold", madvise(at, PAGES * PAGE, MADV_COLD) == 0 && is_filled(at));
	CHECK("pages are put out", madvise(at, PAGES * PAGE, MADV_PAGEOUT) == 0 && is_filled(at));
	CHECK("shared pages are cold", madvise(shared, PAGES * PAGE, MADV_COLD) == 0 && is_filled(shared));
	CHECK("shared pages are put out", madvise(shared, PAGES * PAGE, MADV_PAGEOUT) == 0 && is_filled(shared));
	CHECK("a child writes to pages that were put out",
	      madvise(at, PAGES * PAGE, MADV_PAGEOUT) == 0 && check_in_child(write_all, at) == 0 && is_filled(at));
	CHECK("pages that nobody may touch are put out",
	      mprotect(at, PAGES * PAGE, PROT_NONE) == 0 && madvise(at, PAGES * PAGE, MADV_PAGEOUT) == 0 &&
		      mprotect(at, PAGES * PAGE, PROT_READ | PROT_WRITE) == 0 && is_filled(at));
	CHECK("a page is locked", mlock(at + PAGE, PAGE) == 0);
	CHECK_ERRNO("a locked page is not put out", madvise(at, 3 * PAGE, MADV_PAGEOUT), EINVAL);
	CHECK_ERRNO("a locked page is not cold", madvise(at, 3 * PAGE, MADV_COLD), EINVAL);
	CHECK("it is unlocked", munlock(at + PAGE, PAGE) == 0 && madvise(at, 3 * PAGE, MADV_PAGEOUT) == 0);
	CHECK("a hole", munmap(at + 4 * PAGE, PAGE) == 0);
	CHECK_ERRNO("pages around a hole are put out", madvise(at, 8 * PAGE, MADV_PAGEOUT), ENOMEM);
}

static double cpu_seconds(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Memory that is reserved and not there is not looked through. */
static void reserved(void)
{
	size_t len = (size_t)64 << 40, middle = len / 2 + 5 * PAGE;
	unsigned char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	double from = cpu_seconds();

	if (at == MAP_FAILED) {
		printf("skipped: there is no room for 64 TiB\n");
		return;
	}
	at[middle] = 7;
	CHECK("64 TiB are cold, and put out", madvise(at, len, MADV_COLD) == 0 && madvise(at, len, MADV_PAGEOUT) == 0);
	CHECK("what was there is", at[middle] == 7 && at[0] == 0 && at[len - 1] == 0);
	CHECK("64 TiB are added up", has_line("/proc/self/smaps_rollup", "Rss: "));
	CHECK("that takes no time", cpu_seconds() - from < 1);
	CHECK("64 TiB go", munmap(at, len) == 0);
}

int main(void)
{
	int status = check_in_child(calls_of_others, NULL);

	CHECK("somebody without rights", status == 0);
	files();
	advice();
	reserved();
	return checks_failed;
}
