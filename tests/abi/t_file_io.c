/* SPDX-License-Identifier: MIT */
/* Opening files, and moving bytes in and out of them: flags, positions, vectors, holes, sizes, and arguments that are no good. */
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "cases.h"
#include "scratch.h"

static int make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -1;
	return fd;
}

static int reads(int fd, const char *text)
{
	char buf[256];
	ssize_t n = pread(fd, buf, sizeof buf, 0);

	return n == (ssize_t)strlen(text) && !memcmp(buf, text, (size_t)n);
}

static void open_flags(void)
{
	int fd;

	EXPECT_ERRNO(open("absent", O_RDONLY), ENOENT);
	EXPECT_ERRNO(open("absent/x", O_RDWR | O_CREAT, 0600), ENOENT);
	EXPECT_ERRNO(open("", O_RDONLY), ENOENT);
	fd = open("a", O_WRONLY | O_CREAT | O_EXCL, 0600);
	EXPECT(fd >= 0);
	EXPECT(close(fd) == 0);
	EXPECT_ERRNO(open("a", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	EXPECT_ERRNO(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
	EXPECT_ERRNO(open("a/", O_RDONLY), ENOTDIR);
	EXPECT_ERRNO(open("a/b", O_RDONLY), ENOTDIR);
	EXPECT_ERRNO(open("new/", O_RDWR | O_CREAT, 0600), EISDIR);
	EXPECT_ERRNO(open(".", O_RDWR), EISDIR);
	EXPECT_ERRNO(open(".", O_RDONLY | O_CREAT, 0600), EISDIR);
	EXPECT_ERRNO(open(".", O_WRONLY), EISDIR);
	fd = open(".", O_RDONLY);
	EXPECT(fd >= 0);
	EXPECT_ERRNO(read(fd, &fd, 1), EISDIR);
	EXPECT(close(fd) == 0);
}

static void open_links(void)
{
	int fd;

	EXPECT(symlink("target", "link") == 0);
	EXPECT(symlink("link2", "link1") == 0 && symlink("link1", "link2") == 0);
	EXPECT_ERRNO(open("link", O_RDONLY), ENOENT);
	EXPECT_ERRNO(open("link", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	EXPECT_ERRNO(open("link1", O_RDONLY), ELOOP);
	EXPECT_ERRNO(open("link1", O_RDWR | O_CREAT, 0600), ELOOP);
	EXPECT_ERRNO(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	fd = open("link", O_RDWR | O_CREAT, 0600);
	EXPECT(fd >= 0 && access("target", F_OK) == 0);
	close(fd);
	fd = open("link", O_PATH | O_NOFOLLOW);
	EXPECT(fd >= 0);
	EXPECT_ERRNO(read(fd, &fd, 1), EBADF);
	close(fd);
}

static void access_modes(void)
{
	int fd = make("modes", "text"), other;
	char byte;

	other = open("modes", O_RDONLY);
	EXPECT_ERRNO(write(other, "x", 1), EBADF);
	EXPECT(read(other, &byte, 1) == 1 && byte == 't');
	close(other);
	other = open("modes", O_WRONLY);
	EXPECT_ERRNO(read(other, &byte, 1), EBADF);
	EXPECT(write(other, "T", 1) == 1);
	close(other);
	EXPECT(reads(fd, "Text"));
	close(fd);
	EXPECT_ERRNO(read(fd, &byte, 1), EBADF);
	EXPECT_ERRNO(read(-1, &byte, 1), EBADF);
	EXPECT_ERRNO(read(123456, &byte, 1), EBADF);
}

static void positions(void)
{
	int fd = make("positions", "0123456789"), copy;
	char buf[4];

	EXPECT(lseek(fd, 0, SEEK_CUR) == 10);
	EXPECT(lseek(fd, -3, SEEK_END) == 7);
	EXPECT(read(fd, buf, 4) == 3 && buf[0] == '7');
	EXPECT(read(fd, buf, 4) == 0);
	EXPECT(lseek(fd, 2, SEEK_SET) == 2);
	copy = dup(fd);
	EXPECT(read(copy, buf, 2) == 2 && buf[0] == '2');
	EXPECT(lseek(fd, 0, SEEK_CUR) == 4);
	EXPECT(pread(fd, buf, 2, 8) == 2 && buf[1] == '9');
	EXPECT(lseek(fd, 0, SEEK_CUR) == 4);
	EXPECT(pwrite(fd, "AB", 2, 4) == 2);
	EXPECT(read(fd, buf, 2) == 2 && buf[0] == 'A');
	EXPECT_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	EXPECT_ERRNO(lseek(fd, 0, 99), EINVAL);
	EXPECT_ERRNO(pread(fd, buf, 1, -1), EINVAL);
	EXPECT(lseek(fd, 1l << 40, SEEK_SET) == 1l << 40);
	EXPECT(read(fd, buf, 1) == 0);
	EXPECT_ERRNO(pwrite(fd, "x", 1, LONG_MAX), EINVAL);
	close(fd);
	close(copy);
}

static void appending(void)
{
	int fd = make("append", "one"), other = open("append", O_WRONLY | O_APPEND);

	EXPECT(write(other, "two", 3) == 3);
	EXPECT(lseek(other, 0, SEEK_SET) == 0);
	EXPECT(write(other, "three", 5) == 5);
	EXPECT(reads(fd, "onetwothree"));
	EXPECT(fcntl(other, F_SETFL, 0) == 0);
	EXPECT(lseek(other, 0, SEEK_SET) == 0);
	EXPECT(write(other, "ONE", 3) == 3);
	EXPECT(reads(fd, "ONEtwothree"));
	close(fd);
	close(other);
}

static void vectors(void)
{
	int fd = make("vectors", "");
	char a[3] = "ab", b[4] = "cde", c[8] = "";
	struct iovec v[3] = { { a, 2 }, { NULL, 0 }, { b, 3 } }, many[2000];

	EXPECT(writev(fd, v, 3) == 5);
	EXPECT(reads(fd, "abcde"));
	v[0].iov_base = c;
	v[0].iov_len = 4;
	v[1] = (struct iovec){ c + 4, 4 };
	EXPECT(preadv(fd, v, 2, 0) == 5 && !memcmp(c, "abcde", 5));
	EXPECT(pwritev(fd, v, 1, 5) == 4);
	EXPECT(reads(fd, "abcdeabcd"));
	v[0].iov_len = (size_t)-1;
	EXPECT_ERRNO(readv(fd, v, 1), EINVAL);
	EXPECT_ERRNO(syscall(SYS_readv, fd, v, -1), EINVAL);
	EXPECT_ERRNO(readv(fd, many, 2000), EINVAL);
	EXPECT(readv(fd, v, 0) == 0);
	EXPECT_ERRNO(syscall(SYS_readv, fd, 16, 1), EFAULT);
	close(fd);
}

/* One call moves so much and no more. */
static void largest(void)
{
	static char a[16]; /* far from the end of the addresses */
	struct iovec v[3] = { { a, 1 << 30 }, { a, 1 << 30 }, { a, 1 << 30 } };
	int fd = open("/dev/null", O_WRONLY);

	EXPECT(writev(fd, v, 3) == 0x7ffff000 && pwritev(fd, v, 3, 0) == 0x7ffff000);
	close(fd);
}

static volatile sig_atomic_t too_large;

static void on_too_large(int signo)
{
	(void)signo;
	too_large++;
}

static void size_limit(void)
{
	const struct rlimit small = { 100, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
	int fd = make("limited", "0123456789");

	signal(SIGXFSZ, on_too_large);
	EXPECT(setrlimit(RLIMIT_FSIZE, &small) == 0);
	EXPECT(pwrite(fd, "abcd", 4, 98) == 2 && !too_large);
	EXPECT_ERRNO(pwrite(fd, "x", 1, 100), EFBIG);
	EXPECT_ERRNO(ftruncate(fd, 101), EFBIG);
	EXPECT_ERRNO(fallocate(fd, 0, 0, 101), EFBIG);
	EXPECT_ERRNO(fallocate(fd, 0, 100, 1), EFBIG);
	EXPECT(too_large == 4);
	EXPECT(fallocate(fd, 0, 50, 50) == 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 200) == 0 && too_large == 4);
	EXPECT(setrlimit(RLIMIT_FSIZE, &all) == 0);
	signal(SIGXFSZ, SIG_DFL);
	close(fd);
}

static void sizes(void)
{
	int fd = make("sizes", "0123456789");
	struct stat st;
	char buf[16];

	EXPECT(ftruncate(fd, 4) == 0 && reads(fd, "0123"));
	EXPECT(ftruncate(fd, 8) == 0 && pread(fd, buf, 16, 0) == 8 && !memcmp(buf, "0123\0\0\0\0", 8));
	EXPECT(truncate("sizes", 2) == 0 && reads(fd, "01"));
	EXPECT_ERRNO(ftruncate(fd, -1), EINVAL);
	EXPECT_ERRNO(truncate("absent", 0), ENOENT);
	EXPECT_ERRNO(truncate(".", 0), EISDIR);
	EXPECT(pwrite(fd, "x", 1, 1 << 20) == 1);
	EXPECT(fstat(fd, &st) == 0 && st.st_size == (1 << 20) + 1 && st.st_blocks < 100);
	EXPECT(pread(fd, buf, 4, 5000) == 4 && !memcmp(buf, "\0\0\0\0", 4));
	EXPECT(lseek(fd, 4096, SEEK_DATA) == 1 << 20);
	EXPECT(lseek(fd, 0, SEEK_HOLE) == 4096);
	EXPECT_ERRNO(lseek(fd, 2 << 20, SEEK_DATA), ENXIO);
	EXPECT(fallocate(fd, 0, 0, 3 << 20) == 0 && fstat(fd, &st) == 0 && st.st_size == 3 << 20);
	EXPECT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
	EXPECT(pread(fd, buf, 2, 0) == 2 && !memcmp(buf, "\0\0", 2));
	EXPECT_ERRNO(fallocate(fd, 0, -1, 1), EINVAL);
	EXPECT_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	close(fd);
	fd = open("sizes", O_RDONLY);
	EXPECT_ERRNO(ftruncate(fd, 0), EINVAL);
	close(fd);
	EXPECT_ERRNO(open("sizes", O_RDONLY | O_TRUNC | O_DIRECTORY), ENOTDIR);
}

static void copying(void)
{
	int from = make("from", "0123456789"), to = make("to", "");
	off_t at = 3;
	loff_t in = 2, out = 1;

	EXPECT(sendfile(to, from, &at, 4) == 4 && at == 7 && reads(to, "3456"));
	EXPECT(lseek(from, 8, SEEK_SET) == 8);
	EXPECT(sendfile(to, from, NULL, 100) == 2 && reads(to, "345689"));
	EXPECT(copy_file_range(from, &in, to, &out, 2, 0) == 2 && in == 4 && out == 3 && reads(to, "323689"));
	EXPECT_ERRNO(copy_file_range(from, NULL, to, NULL, 2, 1), EINVAL);
	EXPECT_ERRNO(sendfile(to, -1, NULL, 1), EBADF);
	close(from);
	close(to);
}

static void bad_pointers(void)
{
	int fd = make("bad", "0123456789"), dir = open(".", O_RDONLY | O_DIRECTORY);

	EXPECT(symlink("bad", "to_bad") == 0);

	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++) {
		void *p = abi_bad_addresses[i];

		EXPECT_ERRNO(syscall(SYS_pread64, fd, p, 10, 0), EFAULT);
		EXPECT_ERRNO(syscall(SYS_pwrite64, fd, p, 10, 0), EFAULT);
		EXPECT_ERRNO(syscall(SYS_openat, AT_FDCWD, p, O_RDONLY), EFAULT);
		EXPECT_ERRNO(syscall(SYS_newfstatat, AT_FDCWD, p, p, 0), EFAULT);
		EXPECT_ERRNO(syscall(SYS_newfstatat, AT_FDCWD, "bad", p, 0), EFAULT);
		EXPECT_ERRNO(syscall(SYS_fstat, fd, p), EFAULT);
		EXPECT_ERRNO(syscall(SYS_mkdirat, AT_FDCWD, p, 0700), EFAULT);
		EXPECT_ERRNO(syscall(SYS_readlinkat, AT_FDCWD, "to_bad", p, 10), EFAULT);
		EXPECT_ERRNO(syscall(SYS_writev, fd, p, 1), EFAULT);
		EXPECT_ERRNO(syscall(SYS_getdents64, dir, p, 4096), EFAULT);
	}
	EXPECT(reads(fd, "0123456789"));
	EXPECT_ERRNO(syscall(SYS_pread64, fd, 16, -1, 0), EFAULT);
	EXPECT_ERRNO(syscall(SYS_write, fd, 0x10000, LONG_MAX), EFAULT);
	close(dir);
	close(fd);
}

static void deleted_file_lives(void)
{
	int fd = make("gone", "still here");
	struct stat st;

	EXPECT(unlink("gone") == 0);
	EXPECT_ERRNO(open("gone", O_RDONLY), ENOENT);
	EXPECT(fstat(fd, &st) == 0 && st.st_nlink == 0 && reads(fd, "still here"));
	EXPECT(write(fd, "!", 1) == 1 && reads(fd, "still here!"));
	close(fd);
}

static void nameless_file(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	struct stat st;

	EXPECT(fd >= 0);
	EXPECT(write(fd, "abc", 3) == 3 && reads(fd, "abc"));
	EXPECT(fstat(fd, &st) == 0 && st.st_nlink == 0 && S_ISREG(st.st_mode));
	close(fd);
	EXPECT_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
}

int main(void)
{
	if (scratch_enter("file_io"))
		return 1;
	CASE(open_flags);
	CASE(open_links);
	CASE(access_modes);
	CASE(positions);
	CASE(appending);
	CASE(vectors);
	CASE(largest);
	CASE(sizes);
	CASE(size_limit);
	CASE(copying);
	CASE(bad_pointers);
	CASE(deleted_file_lives);
	CASE(nameless_file);
	scratch_leave();
	return abi_result();
}
