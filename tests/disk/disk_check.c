/* SPDX-License-Identifier: MIT */
/*
 * Writes and reads a disk of 1 MiB or more, in every way that a block device's node has. Runs in a guest as `disk_check /dev/vda`; the
 * host then looks whether the image holds what IMAGE below says (tools/cloudos/suite_machines.py knows it too). Prints "not ok LINE: ..." for
 * what is wrong, and ends with 1 then.
 *
 * The image in the end: sector s below PATTERNED is filled with the bytes (s * 13 + i * 7 + s / 256) mod 256, but for bytes 1001 to 5999,
 * which the threads wrote: byte i is 'A' + i mod THREADS; the last sector is zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR	  512
#define PATTERNED 1024 /* sectors */
#define THREADS	  5
#define FIRST	  1000
#define LAST	  6000

static int failures;

#define CHECK(condition)                                                                            \
	do {                                                                                        \
		if (!(condition)) {                                                                 \
			printf("not ok %d: %s (errno %d)\n", __LINE__, #condition, errno);          \
			failures++;                                                                 \
		}                                                                                   \
	} while (0)

static const char *node;
static int disk;
static uint64_t size;
static uint8_t image[PATTERNED * SECTOR], back[PATTERNED * SECTOR];

static void *volatile nowhere = (void *)16; /* an address that is none */

static uint8_t pattern(unsigned sector, unsigned i)
{
	return (uint8_t)(sector * 13 + i * 7 + sector / 256);
}

static void make_image(void)
{
	for (unsigned s = 0; s < PATTERNED; s++)
		for (unsigned i = 0; i < SECTOR; i++)
			image[s * SECTOR + i] = pattern(s, i);
}

static void ask(void)
{
	unsigned long sectors = 0;
	int block = 0, read_only = -1;
	unsigned physical = 0;
	struct stat st;

	CHECK(ioctl(disk, BLKGETSIZE64, &size) == 0 && size >= 2 * sizeof(image));
	CHECK(ioctl(disk, BLKGETSIZE, &sectors) == 0 && sectors == size / SECTOR);
	CHECK(ioctl(disk, BLKSSZGET, &block) == 0 && block == SECTOR);
	CHECK(ioctl(disk, BLKPBSZGET, &physical) == 0 && physical >= SECTOR);
	CHECK(ioctl(disk, BLKROGET, &read_only) == 0 && read_only == 0);
	CHECK(ioctl(disk, BLKFLSBUF, 0) == 0);
	CHECK(ioctl(disk, _IO('?', 1), 0) < 0 && errno == ENOTTY);
	CHECK(fstat(disk, &st) == 0 && S_ISBLK(st.st_mode) && st.st_size == 0);
}

static void positions(void)
{
	CHECK(lseek(disk, 0, SEEK_END) == (off_t)size);
	CHECK(lseek(disk, -1, SEEK_END) == (off_t)size - 1);
	CHECK(lseek(disk, (off_t)size + 1, SEEK_SET) < 0 && errno == EINVAL);
	CHECK(lseek(disk, -1, SEEK_SET) < 0 && errno == EINVAL);
	CHECK(lseek(disk, 0, SEEK_CUR) == (off_t)size - 1);
	CHECK(lseek(disk, 0, SEEK_SET) == 0);
}

/* One large write, and reads in pieces of many lengths. */
static void aligned(void)
{
	CHECK(write(disk, image, sizeof(image)) == (ssize_t)sizeof(image));
	CHECK(lseek(disk, 0, SEEK_CUR) == (off_t)sizeof(image));
	CHECK(pread(disk, back, sizeof(back), 0) == (ssize_t)sizeof(back));
	CHECK(memcmp(image, back, sizeof(image)) == 0);
}

static void unaligned(void)
{
	static const size_t lengths[] = { 1, 3, 511, 512, 513, 1000, 4095, 4097, 70000 };

	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (off_t at = 0; at < 1100; at += 217) {
			CHECK(pread(disk, back, lengths[i], at) == (ssize_t)lengths[i]);
			CHECK(memcmp(image + at, back, lengths[i]) == 0);
			CHECK(pwrite(disk, image + at, lengths[i], at) == (ssize_t)lengths[i]);
		}
	CHECK(pread(disk, back, sizeof(back), 0) == (ssize_t)sizeof(back));
	CHECK(memcmp(image, back, sizeof(image)) == 0);
}

static void vectors(void)
{
	struct iovec in[3] = { { back, 100 }, { back + 100, 1 }, { back + 101, 9000 } };
	struct iovec out[2] = { { image + 700, 33 }, { image + 733, 2000 } };

	CHECK(pwritev(disk, out, 2, 700) == 2033);
	CHECK(preadv(disk, in, 3, 77) == 9101);
	CHECK(memcmp(back, image + 77, 9101) == 0);
}

static void the_end(void)
{
	uint8_t zero[SECTOR] = { 0 }, eight[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	CHECK(pread(disk, back, 10, (off_t)size) == 0);
	CHECK(pread(disk, back, 10, (off_t)size + 100) == 0);
	CHECK(pread(disk, back, 10, (off_t)size - 4) == 4);
	CHECK(pwrite(disk, eight, 8, (off_t)size) < 0 && errno == ENOSPC);
	CHECK(pwrite(disk, eight, 0, (off_t)size) == 0);
	CHECK(pwrite(disk, eight, 8, (off_t)size - 3) == 3);
	CHECK(pread(disk, back, 8, (off_t)size - 4) == 4 && memcmp(back + 1, eight, 3) == 0);
	CHECK(pwrite(disk, zero, SECTOR, (off_t)size - SECTOR) == SECTOR);
	CHECK(pread(disk, nowhere, 10, 0) < 0 && errno == EFAULT);
	CHECK(pwrite(disk, nowhere, 10, 0) < 0 && errno == EFAULT);
}

static void synchronous(void)
{
	int f = open(node, O_RDWR | O_SYNC), g = open(node, O_RDWR | O_DSYNC);

	CHECK(f >= 0 && g >= 0);
	CHECK(pwrite(f, image + 5000, 3000, 5000) == 3000);
	CHECK(pwrite(g, image + 512, 512, 512) == 512);
	CHECK(fsync(disk) == 0 && fdatasync(disk) == 0);
	close(f);
	close(g);
}

static void direct(void)
{
	void *buffer = NULL;
	int f = open(node, O_RDWR | O_DIRECT);

	CHECK(f >= 0 && posix_memalign(&buffer, 4096, 65536) == 0);
	CHECK(pread(f, buffer, 65536, 512) == 65536 && memcmp(buffer, image + 512, 65536) == 0);
	CHECK(pwrite(f, buffer, 65536, 512) == 65536);
	CHECK(pread(f, buffer, 100, 0) < 0 && errno == EINVAL);
	CHECK(pread(f, buffer, 512, 100) < 0 && errno == EINVAL);
	CHECK(pwrite(f, (char *)buffer + 1, 512, 0) < 0 && errno == EINVAL);
	close(f);
	free(buffer);
}

/* Each thread has every THREADS-th byte for itself, and writes one at a time. */
static void *write_own_bytes(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;
	int f = open(node, O_RDWR);

	for (unsigned at = FIRST + self + 1; at < LAST; at += THREADS) {
		char c = (char)('A' + at % THREADS);

		if (pwrite(f, &c, 1, at) != 1)
			return image; /* anything but null */
	}
	close(f);
	return NULL;
}

static void concurrent(void)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, write_own_bytes, (void *)i) == 0);
	for (unsigned i = 0; i < THREADS; i++) {
		void *failed;

		CHECK(pthread_join(threads[i], &failed) == 0 && !failed);
	}
	for (unsigned at = FIRST + 1; at < LAST; at++)
		image[at] = (uint8_t)('A' + at % THREADS);
	CHECK(pread(disk, back, sizeof(back), 0) == (ssize_t)sizeof(back));
	CHECK(memcmp(image, back, sizeof(image)) == 0);
}

/* The first number of /proc/diskstats' line of this disk that counts flushes, and the size in /sys. */
static void figures(void)
{
	char path[64], text[256] = "";
	const char *name = strrchr(node, '/') + 1;
	unsigned long reads = 0, writes = 0, flushes = 0;
	FILE *f = fopen("/proc/diskstats", "r");

	while (f && fgets(text, sizeof(text), f)) {
		char which[32];

		if (sscanf(text, "%*u %*u %31s %lu %*u %*u %*u %lu %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu", which, &reads, &writes,
			   &flushes) == 4 && strcmp(which, name) == 0)
			break;
		reads = 0;
	}
	if (f)
		fclose(f);
	CHECK(reads > 100 && writes > 100 && flushes >= 5);
	snprintf(path, sizeof(path), "/sys/block/%s/size", name);
	f = fopen(path, "r");
	CHECK(f && fgets(text, sizeof(text), f) && strtoull(text, NULL, 10) == size / SECTOR);
	if (f)
		fclose(f);
}

int main(int argc, char **argv)
{
	node = argc > 1 ? argv[1] : "/dev/vda";
	disk = open(node, O_RDWR);
	if (disk < 0) {
		printf("not ok: %s: %s\n", node, strerror(errno));
		return 1;
	}
	make_image();
	ask();
	positions();
	aligned();
	unaligned();
	vectors();
	the_end();
	synchronous();
	direct();
	concurrent();
	CHECK(fsync(disk) == 0);
	figures();
	if (!failures)
		printf("ok\n");
	return failures != 0;
}
