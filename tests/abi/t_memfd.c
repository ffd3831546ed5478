/* SPDX-License-Identifier: MIT */
/* memfd_create and seals: what the file is, what each seal forbids and what is in its way, and a program executed from one. */
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "cases.h"

#define PAGE 4096
#define RW (PROT_READ | PROT_WRITE)
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static int make(size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd >= 0 && ftruncate(fd, (off_t)size) == 0 ? fd : -1;
}

static char *map(int fd, int prot, int type)
{
	return mmap(NULL, PAGE, prot, type, fd, 0);
}

static void names_and_flags(void)
{
	char name[252];

	memset(name, 'x', sizeof(name));
	name[250] = 0;
	EXPECT_ERRNO(memfd_create(name, 0), EINVAL);
	name[249] = 0;
	EXPECT(close(memfd_create(name, 0)) == 0);
	EXPECT(close(memfd_create("", 0)) == 0);
	EXPECT(close(memfd_create("with/slash", 0)) == 0);
	EXPECT_ERRNO(memfd_create("x", 0x40000000u), EINVAL);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++)
		EXPECT_ERRNO(syscall(SYS_memfd_create, abi_bad_addresses[i], 0), EFAULT);
}

static void what_it_is(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC), plain = memfd_create("plain", 0);
	char link[64], text[64] = "";
	struct stat st;

	EXPECT(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0777);
	EXPECT(st.st_nlink == 0 && st.st_size == 0);
	EXPECT((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR && fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(plain, F_GETFD) == 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	EXPECT(readlink(link, text, sizeof(text) - 1) > 0 && strcmp(text, "/memfd:test (deleted)") == 0);
	EXPECT(write(fd, "hello", 5) == 5 && lseek(fd, 0, SEEK_END) == 5 && pread(fd, text, 9, 1) == 4);
	EXPECT(memcmp(text, "ello", 4) == 0);
	close(fd);
	close(plain);
}

/* It is one file, however it is opened. */
static void opened_again(void)
{
	int fd = make(10), other;
	char link[64], text[2];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	other = open(link, O_RDONLY);
	EXPECT(other >= 0 && pwrite(fd, "ab", 2, 4) == 2 && pread(other, text, 2, 4) == 2 && memcmp(text, "ab", 2) == 0);
	EXPECT_ERRNO(write(other, "x", 1), EBADF);
	EXPECT_ERRNO(fcntl(other, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 && fcntl(other, F_GET_SEALS) == F_SEAL_SHRINK);
	EXPECT_ERRNO(open(link, O_RDWR | O_TRUNC), EPERM);
	close(other);
	close(fd);
}

static void who_keeps_seals(void)
{
	int fd = memfd_create("sealed", 0), ends[2];

	EXPECT(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	close(fd);
	fd = make(0);
	EXPECT(fcntl(fd, F_GET_SEALS) == 0);
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, 0x8000), EINVAL);
	EXPECT(fcntl(fd, F_ADD_SEALS, 0) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) == 0);
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, 0), EPERM);
	close(fd);
	EXPECT(pipe(ends) == 0);
	EXPECT_ERRNO(fcntl(ends[1], F_GET_SEALS), EINVAL);
	EXPECT_ERRNO(fcntl(ends[1], F_ADD_SEALS, F_SEAL_GROW), EINVAL);
	EXPECT_ERRNO(fcntl(ends[0], F_ADD_SEALS, F_SEAL_GROW), EPERM);
	close(ends[0]);
	close(ends[1]);
}

static void shrink_and_grow(void)
{
	int fd = make(PAGE + 100);
	static char buf[2 * PAGE];

	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	EXPECT_ERRNO(ftruncate(fd, 10), EPERM);
	EXPECT(ftruncate(fd, PAGE + 100) == 0 && ftruncate(fd, PAGE + 200) == 0);
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0 && fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW));
	EXPECT_ERRNO(ftruncate(fd, PAGE + 201), EPERM);
	EXPECT_ERRNO(fallocate(fd, 0, 0, 2 * PAGE), EPERM);
	EXPECT_ERRNO(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 2 * PAGE), EPERM);
	EXPECT(fallocate(fd, 0, 0, PAGE) == 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE) == 0);
	EXPECT(pwrite(fd, buf, 200, PAGE) == 200);
	EXPECT_ERRNO(pwrite(fd, buf, 201, PAGE), EPERM);
	EXPECT(pwrite(fd, buf, 2 * PAGE, 0) == PAGE);
	EXPECT_ERRNO(pwrite(fd, buf, 1, 3 * PAGE), EPERM);
	close(fd);
}

static void write_seal(void)
{
	int fd = make(PAGE);
	char *p = map(fd, RW, MAP_SHARED), *q;

	p[0] = 'a';
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	EXPECT(mprotect(p, PAGE, PROT_READ) == 0);
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	EXPECT(munmap(p, PAGE) == 0);
	q = map(fd, RW, MAP_PRIVATE);
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	q[0] = 'b';
	EXPECT_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
	EXPECT_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
	EXPECT_ERRNO((long)map(fd, RW, MAP_SHARED), EPERM);
	p = map(fd, RW, MAP_PRIVATE);
	EXPECT(p != MAP_FAILED && p[0] == 'a');
	p[0] = 'c';
	EXPECT(pread(fd, q, 1, 0) == 1 && q[0] == 'a' && p[0] == 'c');
	EXPECT(ftruncate(fd, 2 * PAGE) == 0);
	munmap(p, PAGE);
	munmap(q, PAGE);
	close(fd);
}

static void future_write_seal(void)
{
	int fd = make(PAGE);
	char *before = map(fd, RW, MAP_SHARED), *after, c;

	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
	before[0] = 'z';
	EXPECT(pread(fd, &c, 1, 0) == 1 && c == 'z');
	EXPECT_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
	EXPECT_ERRNO((long)map(fd, RW, MAP_SHARED), EPERM);
	after = map(fd, PROT_READ, MAP_SHARED);
	EXPECT(after != MAP_FAILED && after[0] == 'z');
	EXPECT_ERRNO(mprotect(after, PAGE, RW), EACCES);
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	munmap(before, PAGE);
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	munmap(after, PAGE);
	close(fd);
}

/* The child's copy of a writable mapping is in the way of the parent's seal, as its own is. */
static void a_childs_mapping_counts(void)
{
	int fd = make(PAGE), ends[2], status;
	char *p = map(fd, RW, MAP_SHARED), c;
	pid_t pid;

	EXPECT(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		_exit(read(ends[0], &c, 1) == 0 ? 0 : 1);
	}
	munmap(p, PAGE);
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	close(ends[1]);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	close(ends[0]);
	close(fd);
}

static void execute(int fd)
{
	char *const argv[] = {"again", "executed", NULL}, *const envp[] = {NULL};

	syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
	_exit(99);
}

/* This very program, from memory, while it is still open for writing. */
static void executed_from_memory(void)
{
	int from = open("/proc/self/exe", O_RDONLY), fd = memfd_create("program", MFD_CLOEXEC), status;
	static char buf[65536];
	ssize_t n;
	pid_t pid;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		EXPECT(write(fd, buf, (size_t)n) == n);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		execute(fd);
	EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42);
	close(from);
	close(fd);
}

int main(int argc, char **argv)
{
	char path[64] = "";

	if (argc == 2 && strcmp(argv[1], "executed") == 0)
		return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 && strcmp(path, "/memfd:program (deleted)") == 0 ? 42 : 1;
	CASE(names_and_flags);
	CASE(what_it_is);
	CASE(opened_again);
	CASE(who_keeps_seals);
	CASE(shrink_and_grow);
	CASE(write_seal);
	CASE(future_write_seal);
	CASE(a_childs_mapping_counts);
	CASE(executed_from_memory);
	return abi_result();
}
