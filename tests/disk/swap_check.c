/* SPDX-License-Identifier: MIT */
/*
 * Swap at work. Runs in a guest with little memory as `swap_check /dev/vda MIB`, the disk being empty: touches MIB of memory, about twice what
 * there is, with swap on zram and on the disk; forks over pages that are out; turns areas off while threads use them. Prints "not ok LINE: ..." for
 * what is wrong, and ends with 1 then; else "ok".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	 4096
#define THREADS	 3
#define FORKED	 256 /* pages */
#define ZRAM	 "/dev/zram0"
#define ZRAM_SYS "/sys/block/zram0/"

static int failures;

#define CHECK(condition)                                                                            \
	do {                                                                                        \
		if (!(condition)) {                                                                 \
			printf("not ok %d: %s (errno %d)\n", __LINE__, #condition, errno);          \
			failures++;                                                                 \
		}                                                                                   \
	} while (0)

/* ---- areas ---- */

/* What mkswap(8) writes. */
static void make_area(const char *node)
{
	uint8_t page[PAGE] = { 0 };
	uint32_t *words = (uint32_t *)(page + 1024);
	int fd = open(node, O_RDWR);
	off_t size = lseek(fd, 0, SEEK_END);

	CHECK(fd >= 0 && size > 2 * PAGE);
	words[0] = 1;
	words[1] = (uint32_t)(size / PAGE - 1);
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	CHECK(pwrite(fd, page, PAGE, 0) == PAGE && fsync(fd) == 0);
	close(fd);
}

static bool put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	close(fd);
	errno = error;
	return good;
}

/* The number behind `name` in a file; -1: there is none. */
static long figure(const char *path, const char *name)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			sscanf(line + strlen(name), "%ld", &value);
	if (f)
		fclose(f);
	return value;
}

static void errors(const char *disk)
{
	CHECK(swapon("/does/not/exist", 0) < 0 && errno == ENOENT);
	CHECK(swapon("/dev/null", 0) < 0 && errno == EINVAL);
	CHECK(swapon(disk, 0) < 0 && errno == EINVAL); /* nothing is written there */
	CHECK(swapoff(disk) < 0 && errno == EINVAL);
	make_area(disk);
	CHECK(swapon(disk, SWAP_FLAG_PREFER | 5) == 0);
	CHECK(swapon(disk, 0) < 0 && errno == EBUSY);
	CHECK(figure("/proc/meminfo", "SwapTotal:") > 0);
	CHECK(figure("/proc/meminfo", "SwapTotal:") == figure("/proc/meminfo", "SwapFree:"));
	CHECK(swapoff(disk) == 0 && figure("/proc/meminfo", "SwapTotal:") == 0);
	CHECK(swapoff(disk) < 0 && errno == EINVAL);
}

static void zram_files(void)
{
	CHECK(figure(ZRAM_SYS "initstate", "") == 0 && figure(ZRAM_SYS "disksize", "") == 0);
	CHECK(!put_text(ZRAM_SYS "disksize", "none\n") && errno == EINVAL);
	CHECK(!put_text(ZRAM_SYS "comp_algorithm", "none\n") && errno == EINVAL);
	CHECK(put_text(ZRAM_SYS "comp_algorithm", "lz4\n"));
	CHECK(put_text(ZRAM_SYS "disksize", "24M\n") && figure(ZRAM_SYS "disksize", "") == 24 << 20);
	CHECK(!put_text(ZRAM_SYS "disksize", "24M\n") && errno == EBUSY);
	CHECK(figure(ZRAM_SYS "initstate", "") == 1);
}

/* ---- memory ---- */

static uint64_t pattern(size_t page, unsigned word)
{
	return (page * 512 + word) * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(uint64_t *at, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		for (unsigned j = 0; j < PAGE / 8; j++)
			at[i * (PAGE / 8) + j] = j % 4 ? i : pattern(i, j); /* so that it can be compressed */
}

static bool is_filled(const uint64_t *at, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		for (unsigned j = 0; j < PAGE / 8; j++)
			if (at[i * (PAGE / 8) + j] != (j % 4 ? i : pattern(i, j)))
				return false;
	return true;
}

static void *get(size_t pages)
{
	void *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

static void twice_the_memory(size_t pages)
{
	uint64_t *at = get(pages);

	fill(at, pages);
	CHECK(figure("/proc/vmstat", "pswpout ") > (long)pages / 4);
	CHECK(figure("/proc/self/status", "VmSwap:") > (long)pages);
	CHECK(is_filled(at, pages));
	CHECK(figure("/proc/vmstat", "pswpin ") > 0 && figure("/proc/vmstat", "oom_kill ") == 0);
	CHECK(figure(ZRAM_SYS "mm_stat", "") > 0);
	munmap(at, pages * PAGE);
	CHECK(figure("/proc/self/status", "VmSwap:") < 1024);
}

static void fork_over_swapped(void)
{
	uint64_t *at = get(FORKED);
	pid_t children[4];
	int status;

	fill(at, FORKED);
	CHECK(madvise(at, FORKED * PAGE, MADV_PAGEOUT) == 0);
	CHECK(figure("/proc/self/status", "VmSwap:") >= FORKED * 4);
	for (unsigned i = 0; i < 4; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			bool good = is_filled(at, FORKED);

			memset(at, (int)i, FORKED / 2 * PAGE);
			madvise(at, FORKED * PAGE, MADV_PAGEOUT);
			for (size_t j = 0; j < FORKED / 2 * PAGE; j++)
				good &= ((uint8_t *)at)[j] == i;
			_exit(good ? 0 : 1);
		}
	}
	CHECK(is_filled(at, FORKED));
	for (unsigned i = 0; i < 4; i++)
		CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
	CHECK(is_filled(at, FORKED));
	munmap(at, FORKED * PAGE);
}

static void locked_stays(void)
{
	uint64_t *at = get(16);
	unsigned char in[16];
	unsigned there = 0;

	fill(at, 16);
	CHECK(mlock(at, 8 * PAGE) == 0);
	CHECK(madvise(at + 8 * (PAGE / 8), 8 * PAGE, MADV_PAGEOUT) == 0 && mincore(at, 16 * PAGE, in) == 0);
	for (unsigned i = 0; i < 16; i++)
		there += in[i] & 1;
	CHECK(there == 8 && is_filled(at, 16));
	munmap(at, 16 * PAGE);
}

static volatile bool stop;

static void *use(void *arg)
{
	uint64_t *at = get(FORKED);

	(void)arg;
	fill(at, FORKED);
	while (!stop) {
		madvise(at, FORKED * PAGE, MADV_PAGEOUT);
		if (!is_filled(at, FORKED))
			return at;
	}
	munmap(at, FORKED * PAGE);
	return NULL;
}

static void off_under_load(const char *disk)
{
	pthread_t threads[THREADS];
	void *wrong;

	for (unsigned i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, use, NULL) == 0);
	for (unsigned i = 0; i < 4; i++) {
		CHECK(swapoff(i % 2 ? ZRAM : disk) == 0);
		CHECK(swapon(i % 2 ? ZRAM : disk, i % 2 ? SWAP_FLAG_PREFER | 10 : 0) == 0);
	}
	stop = true;
	for (unsigned i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], &wrong) == 0 && !wrong);
}

int main(int argc, char **argv)
{
	const char *disk = argc > 1 ? argv[1] : "/dev/vda";
	size_t pages = (size_t)(argc > 2 ? atoi(argv[2]) : 64) << 8;

	errors(disk);
	zram_files();
	make_area(ZRAM);
	CHECK(swapon(ZRAM, SWAP_FLAG_PREFER | 10) == 0 && swapon(disk, 0) == 0);
	CHECK(!put_text(ZRAM_SYS "reset", "1\n") && errno == EBUSY);
	twice_the_memory(pages);
	fork_over_swapped();
	locked_stays();
	off_under_load(disk);
	CHECK(swapoff(disk) == 0 && swapoff(ZRAM) == 0);
	CHECK(put_text(ZRAM_SYS "reset", "1\n") && figure(ZRAM_SYS "disksize", "") == 0);
	if (!failures)
		puts("ok");
	return failures ? 1 : 0;
}
