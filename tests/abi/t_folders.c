/* SPDX-License-Identifier: MIT */
/* Reading folders: every entry once, in small pieces, while others come and go; and what /proc says of the program itself. */
#include <dirent.h>
#include <sys/syscall.h>
#include "cases.h"
#include "scratch.h"

#define FILES 500

struct entry {
	unsigned long long ino;
	long long next;
	unsigned short len;
	unsigned char type;
	char name[];
};

static int touch(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0644);

	return fd < 0 ? -1 : close(fd);
}

static char name_buf[32];
static const char *nth(int i)
{
	snprintf(name_buf, sizeof name_buf, "d/entry%04d", i);
	return name_buf;
}

/* Reads the folder with a buffer of `size`; counts each entry; -1 on an error. Removes every file it sees if told so. */
static int list(int fd, size_t size, int seen[FILES], int remove)
{
	char buf[4096] __attribute__((aligned(8)));
	int n = 0;
	long got;

	while ((got = syscall(SYS_getdents64, fd, buf, size)) > 0)
		for (long at = 0; at < got; n++) {
			struct entry *e = (struct entry *)(buf + at);
			int i;

			if (sscanf(e->name, "entry%d", &i) == 1 && i < FILES) {
				seen[i]++;
				if (e->type != DT_REG && e->type != DT_DIR)
					return -1;
				if (remove)
					unlink(nth(i));
			}
			at += e->len;
		}
	return got < 0 ? -1 : n;
}

static int each_once(const int seen[FILES])
{
	for (int i = 0; i < FILES; i++)
		if (seen[i] != 1)
			return 0;
	return 1;
}

static void every_entry_once(void)
{
	int seen[FILES] = { 0 }, again[FILES] = { 0 }, fd;

	EXPECT(mkdir("d", 0755) == 0);
	for (int i = 0; i < FILES; i++)
		EXPECT(i % 7 ? touch(nth(i)) == 0 : mkdir(nth(i), 0755) == 0);
	fd = open("d", O_RDONLY | O_DIRECTORY);
	EXPECT(list(fd, 4096, seen, 0) == FILES + 2 && each_once(seen));
	EXPECT(lseek(fd, 0, SEEK_SET) == 0);
	EXPECT(list(fd, 64, again, 0) == FILES + 2 && each_once(again));
	EXPECT(lseek(fd, 0, SEEK_SET) == 0);
	EXPECT_ERRNO(syscall(SYS_getdents64, fd, name_buf, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_getdents64, fd, (void *)16, 4096), EFAULT);
	EXPECT_ERRNO(syscall(SYS_getdents64, 99, name_buf, 32), EBADF);
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	EXPECT_ERRNO(syscall(SYS_getdents64, fd, name_buf, 32), ENOTDIR);
	close(fd);
}

static void while_they_vanish(void)
{
	int seen[FILES] = { 0 }, fd = open("d", O_RDONLY | O_DIRECTORY), after[FILES] = { 0 };

	EXPECT(list(fd, 200, seen, 1) == FILES + 2 && each_once(seen));
	EXPECT(lseek(fd, 0, SEEK_SET) == 0);
	EXPECT(list(fd, 4096, after, 0) == 2 + (FILES + 6) / 7);
	close(fd);
}

static void position_and_back(void)
{
	DIR *d = opendir("d");
	struct dirent *e;
	char name[256];
	long at;

	EXPECT(readdir(d) && readdir(d) && readdir(d));
	at = telldir(d);
	e = readdir(d);
	snprintf(name, sizeof name, "%s", e->d_name);
	EXPECT(readdir(d) != NULL);
	seekdir(d, at);
	e = readdir(d);
	EXPECT(e && !strcmp(e->d_name, name));
	closedir(d);
}

static void removed_folder(void)
{
	int seen[FILES], fd;

	EXPECT(mkdir("gone", 0755) == 0);
	fd = open("gone", O_RDONLY | O_DIRECTORY);
	EXPECT(rmdir("gone") == 0);
	EXPECT_ERRNO(list(fd, 4096, seen, 0), ENOENT);
	close(fd);
}

static int link_says(const char *link, const char *text)
{
	char buf[512];
	ssize_t n = readlink(link, buf, sizeof buf);

	return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}

static void proc_about_self(void)
{
	char want[128], path[64], pid[16];
	int fd = open("plain", O_RDWR | O_CREAT, 0644), again;

	snprintf(pid, sizeof pid, "%d", getpid());
	EXPECT(link_says("/proc/self", pid));
	EXPECT(link_says("/proc/self/cwd", scratch_path));
	EXPECT(link_says("/proc/self/root", "/"));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	snprintf(want, sizeof want, "%s/plain", scratch_path);
	EXPECT(link_says(path, want));
	EXPECT(write(fd, "hello", 5) == 5);
	again = open(path, O_RDONLY);
	EXPECT(again >= 0 && read(again, want, 5) == 5 && !memcmp(want, "hello", 5));
	close(again);
	EXPECT(unlink("plain") == 0);
	snprintf(want, sizeof want, "%s/plain (deleted)", scratch_path);
	EXPECT(link_says(path, want));
	again = open(path, O_RDONLY);
	EXPECT(again >= 0 && read(again, want, 5) == 5 && !memcmp(want, "hello", 5));
	close(again);
	close(fd);
	EXPECT_ERRNO(readlink(path, want, sizeof want), ENOENT);
	EXPECT_ERRNO(open("/proc/self/nothing", O_RDONLY), ENOENT);
	EXPECT_ERRNO(open("/proc/999999", O_RDONLY), ENOENT);
	EXPECT_ERRNO(mkdir("/proc/x", 0700) - (access("/proc/x", F_OK) == 0), ENOENT);
	EXPECT(access("/proc/self/mounts", R_OK) == 0 && access("/proc/mounts", R_OK) == 0);
}

static void proc_pipe(void)
{
	int p[2], again;
	char path[64], byte = 0;

	EXPECT(pipe(p) == 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
	again = open(path, O_RDONLY);
	EXPECT(again >= 0 && write(p[1], "x", 1) == 1 && read(again, &byte, 1) == 1 && byte == 'x');
	EXPECT(access(path, R_OK) == 0);
	EXPECT_ERRNO(access(path, X_OK), EACCES);
	close(again);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	if (scratch_enter("folders"))
		return 1;
	CASE(every_entry_once);
	CASE(while_they_vanish);
	CASE(position_and_back);
	CASE(removed_folder);
	CASE(proc_about_self);
	CASE(proc_pipe);
	scratch_leave();
	return abi_result();
}
