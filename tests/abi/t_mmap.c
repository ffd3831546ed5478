/* SPDX-License-Identifier: MIT */
/* mmap, munmap, mprotect, mremap, brk, madvise, mincore, msync, mlock: what they do, and what bad arguments get. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "check.h"

#define PAGE 4096ul
#define KERNEL_ADDRESS ((void *)0xffff800000000000ul)
#define RW (PROT_READ | PROT_WRITE)

static void *map(size_t pages, int prot, int flags)
{
	return mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

/* A file of n bytes that counts up. */
static int make_file(size_t n)
{
	char path[] = "/tmp/t_mmap.XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	for (size_t i = 0; i < n; i++) {
		unsigned char byte = (unsigned char)(i / 64);

		if (write(fd, &byte, 1) != 1)
			return -1;
	}
	return fd;
}

/* ---- faults ---- */

static sigjmp_buf back;
static volatile int fault_signal, fault_code;
static void *volatile fault_addr;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	(void)context;
	fault_signal = signo;
	fault_code = info->si_code;
	fault_addr = info->si_addr;
	siglongjmp(back, 1);
}

/* What touching *p raises: 0 or a signal. */
static int touch(volatile char *p, bool write_it)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	fault_signal = 0;
	if (!sigsetjmp(back, 1)) {
		if (write_it)
			*p = 1;
		else
			(void)*p;
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return fault_signal;
}

/* ---- the groups ---- */

static void anonymous(void)
{
	char *p = map(8, RW, 0), *q;
	bool zero = true;

	for (size_t i = 0; i < 8 * PAGE; i++)
		zero &= p[i] == 0;
	CHECK("anonymous memory is zero", zero);
	p[3 * PAGE] = 5;
	CHECK("munmap of the middle", munmap(p + 2 * PAGE, PAGE) == 0);
	CHECK("the rest stays", p[3 * PAGE] == 5);
	CHECK("the hole faults", touch(p + 2 * PAGE, false) == SIGSEGV && fault_code == SEGV_MAPERR &&
					 fault_addr == p + 2 * PAGE);
	q = mmap(p + 2 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK("a fixed mapping fills it", q == p + 2 * PAGE && *q == 0);
	CHECK("a hint that is free is taken", munmap(p, PAGE) == 0 && mmap(p, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p);
	CHECK_ERRNO("no replacing", mmap(p, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK("munmap over a hole", munmap(p + PAGE, PAGE) == 0 && munmap(p, 8 * PAGE) == 0);
}

static void bad_arguments(void)
{
	int fd = make_file(100), wr = open("/dev/null", O_WRONLY);
	char *p = map(2, RW, 0);

	CHECK_ERRNO("mmap of nothing", mmap(NULL, 0, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO("mmap of everything", mmap(NULL, -1ul, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	CHECK_ERRNO("mmap of half", mmap(NULL, 1ul << 62, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	CHECK_ERRNO("mmap neither shared nor private", mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO("mmap at an odd place", mmap(p + 1, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
	CHECK_ERRNO("mmap in the kernel", mmap(KERNEL_ADDRESS, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), ENOMEM);
	CHECK_ERRNO("mmap of a bad descriptor", mmap(NULL, PAGE, RW, MAP_PRIVATE, 999, 0), EBADF);
	CHECK_ERRNO("mmap of an odd offset", syscall(SYS_mmap, NULL, PAGE, RW, MAP_PRIVATE, fd, 100), EINVAL);
	CHECK_ERRNO("mmap without read permission", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wr, 0), EACCES);
	CHECK_ERRNO("mmap of an unknown validated flag",
		    mmap(NULL, PAGE, RW, MAP_SHARED_VALIDATE | 0x80000 /* MAP_SYNC */, fd, 0), EOPNOTSUPP);
	CHECK_ERRNO("munmap of nothing", munmap(p, 0), EINVAL);
	CHECK_ERRNO("munmap at an odd place", munmap(p + 1, PAGE), EINVAL);
	CHECK_ERRNO("munmap of the kernel", munmap(KERNEL_ADDRESS, PAGE), EINVAL);
	CHECK_ERRNO("munmap of everything", munmap(NULL, -1ul), EINVAL);
	CHECK_ERRNO("mprotect at an odd place", syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL);
	CHECK_ERRNO("mprotect of a hole", mprotect((void *)0x100000, PAGE, PROT_READ), ENOMEM);
	CHECK_ERRNO("mprotect of the kernel", mprotect(KERNEL_ADDRESS, PAGE, RW), ENOMEM);
	CHECK_ERRNO("mprotect with unknown bits", mprotect(p, PAGE, 0x100), EINVAL);
	CHECK("mprotect of no length", mprotect(p, 0, PROT_READ) == 0);
	close(fd);
	close(wr);
	munmap(p, 2 * PAGE);
}

static void protection(void)
{
	char *p = map(4, RW, 0);

	p[PAGE] = 7;
	CHECK("to read-only", mprotect(p + PAGE, PAGE, PROT_READ) == 0 && p[PAGE] == 7);
	CHECK("a write faults", touch(p + PAGE, true) == SIGSEGV && fault_code == SEGV_ACCERR);
	CHECK("to no access", mprotect(p + PAGE, PAGE, PROT_NONE) == 0);
	CHECK("a read faults", touch(p + PAGE, false) == SIGSEGV && fault_code == SEGV_ACCERR);
	CHECK("back again", mprotect(p, 4 * PAGE, RW) == 0 && p[PAGE] == 7);
	CHECK("writable again", touch(p + PAGE, true) == 0 && touch(p + 3 * PAGE, true) == 0);
	CHECK("copies into read-only memory fail",
	      mprotect(p, PAGE, PROT_READ) == 0 && getcwd(p, PAGE) == NULL && errno == EFAULT);
	munmap(p, 4 * PAGE);
}

static void remapping(void)
{
	char *p = map(5, RW, 0), *guard, *q;

	guard = mmap(p + 4 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	p[0] = 1;
	p[3 * PAGE] = 4;
	CHECK_ERRNO("no room to grow", mremap(p, 4 * PAGE, 8 * PAGE, 0), ENOMEM);
	q = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	CHECK("moved", q != MAP_FAILED && q != p && q[0] == 1 && q[3 * PAGE] == 4 && q[7 * PAGE] == 0);
	CHECK("the old place is gone", touch(p, false) == SIGSEGV);
	CHECK("shrunk", mremap(q, 8 * PAGE, 2 * PAGE, 0) == q && touch(q + 2 * PAGE, false) == SIGSEGV && q[0] == 1);
	p = map(2, RW, 0);
	p[0] = 9;
	CHECK("to a fixed place", mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p && p[0] == 1);
	CHECK_ERRNO("fixed but not movable", mremap(p, PAGE, PAGE, MREMAP_FIXED, q), EINVAL);
	CHECK_ERRNO("onto itself", mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE), EINVAL);
	CHECK_ERRNO("from an odd place", mremap(p + 1, PAGE, PAGE, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO("to nothing", mremap(p, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO("from a hole", mremap((void *)0x100000, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERRNO("unknown flags", mremap(p, PAGE, PAGE, 64), EINVAL);
	CHECK_ERRNO("huge", mremap(p, PAGE, 1ul << 46, MREMAP_MAYMOVE), ENOMEM);
	munmap(guard, PAGE);
	munmap(p, 2 * PAGE);
}

static void files(void)
{
	int fd = make_file(PAGE + 100);
	unsigned char *p = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, 0), *s, byte;

	CHECK("private file", p[64] == 1 && p[PAGE + 64] == 65);
	CHECK("behind the end in its last page is zero", p[PAGE + 100] == 0);
	CHECK("behind its last page is SIGBUS", touch((char *)p + 2 * PAGE, false) == SIGBUS && fault_code == BUS_ADRERR);
	p[64] = 200;
	CHECK("a private write stays private", pread(fd, &byte, 1, 64) == 1 && byte == 1);
	s = mmap(NULL, PAGE, RW, MAP_SHARED, fd, PAGE);
	CHECK("shared, at an offset", s[64] == 65);
	s[64] = 77;
	CHECK("a shared write is seen by read", pread(fd, &byte, 1, PAGE + 64) == 1 && byte == 77);
	byte = 88;
	CHECK("a write is seen in the mapping", pwrite(fd, &byte, 1, PAGE + 65) == 1 && s[65] == 88);
	CHECK("msync", msync(s, PAGE, MS_SYNC) == 0);
	CHECK_ERRNO("msync at an odd place", msync(s + 1, PAGE, MS_SYNC), EINVAL);
	CHECK_ERRNO("msync both ways", msync(s, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_ERRNO("msync of a hole", msync((void *)0x100000, PAGE, MS_SYNC), ENOMEM);
	CHECK("truncation takes the page away", ftruncate(fd, PAGE) == 0 && touch((char *)s, false) == SIGBUS);
	CHECK("and growth brings zeros", ftruncate(fd, 2 * PAGE) == 0 && s[64] == 0);
	CHECK("the mapping outlives the descriptor", close(fd) == 0 && (s[1] = 3) && s[1] == 3);
	munmap(p, 3 * PAGE);
	munmap(s, PAGE);
}

static void read_only_file(void)
{
	char path[] = "/tmp/t_mmap.XXXXXX";
	int fd = mkstemp(path), rd = open(path, O_RDONLY);
	char *p;

	unlink(path);
	CHECK("size", ftruncate(fd, PAGE) == 0);
	CHECK_ERRNO("no shared writable mapping of a file open for reading", mmap(NULL, PAGE, RW, MAP_SHARED, rd, 0), EACCES);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rd, 0);
	CHECK("readable is fine", p != MAP_FAILED && p[0] == 0);
	CHECK_ERRNO("and cannot become writable", mprotect(p, PAGE, RW), EACCES);
	munmap(p, PAGE);
	close(fd);
	close(rd);
}

static void advice(void)
{
	char *p = map(4, RW, 0), *s = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	p[0] = p[PAGE] = 1;
	CHECK("DONTNEED drops", madvise(p, PAGE, MADV_DONTNEED) == 0 && p[0] == 0 && p[PAGE] == 1);
	s[0] = 1;
	CHECK("but shared memory stays", madvise(s, PAGE, MADV_DONTNEED) == 0 && s[0] == 1);
	CHECK("REMOVE drops that too", madvise(s, PAGE, MADV_REMOVE) == 0 && s[0] == 0);
	CHECK_ERRNO("REMOVE of private memory", madvise(p, PAGE, MADV_REMOVE), EINVAL);
	CHECK("hints", madvise(p, 4 * PAGE, MADV_WILLNEED) == 0 && madvise(p, 4 * PAGE, MADV_SEQUENTIAL) == 0);
	CHECK_ERRNO("unknown advice", madvise(p, PAGE, 12345), EINVAL);
	CHECK_ERRNO("advice at an odd place", madvise(p + 1, PAGE, MADV_NORMAL), EINVAL);
	CHECK_ERRNO("advice on a hole", madvise((void *)0x100000, PAGE, MADV_DONTNEED), ENOMEM);
	munmap(p, 4 * PAGE);
	munmap(s, 2 * PAGE);
}

static void residency(void)
{
	char *p = map(4, RW, 0);
	unsigned char vec[4] = { 9, 9, 9, 9 };

	p[PAGE] = 1;
	CHECK("mincore", mincore(p, 4 * PAGE, vec) == 0 && !(vec[0] & 1) && (vec[1] & 1) && !(vec[2] & 1));
	CHECK_ERRNO("mincore at an odd place", mincore(p + 1, PAGE, vec), EINVAL);
	CHECK_ERRNO("mincore of a hole", mincore((void *)0x100000, PAGE, vec), ENOMEM);
	CHECK_ERRNO("mincore to nowhere", mincore(p, PAGE, NULL), EFAULT);
	CHECK_ERRNO("mincore into the kernel", mincore(p, PAGE, KERNEL_ADDRESS), EFAULT);
	CHECK("mlock brings pages in", mlock(p, 3 * PAGE) == 0 && mincore(p, 4 * PAGE, vec) == 0 && (vec[0] & vec[2] & 1));
	CHECK("munlock", munlock(p, 4 * PAGE) == 0);
	CHECK_ERRNO("mlock of a hole", mlock((void *)0x100000, PAGE), ENOMEM);
	CHECK_ERRNO("mlock2 with unknown flags", syscall(SYS_mlock2, p, PAGE, 8), EINVAL);
	CHECK_ERRNO("mlockall of nothing", mlockall(0), EINVAL);
	CHECK_ERRNO("mlockall with unknown flags", mlockall(64), EINVAL);
	CHECK("munlockall", munlockall() == 0);
	munmap(p, 4 * PAGE);
	p = map(4, RW, MAP_POPULATE);
	CHECK("POPULATE", mincore(p, 4 * PAGE, vec) == 0 && (vec[0] & vec[1] & vec[2] & vec[3] & 1));
	munmap(p, 4 * PAGE);
}

static char *set_break(const void *to)
{
	return (char *)syscall(SYS_brk, to);
}

static void heap(void)
{
	char *start = set_break(NULL), *page = (char *)(((uintptr_t)start + PAGE - 1) & -PAGE);

	CHECK("brk grows", set_break(page + 3 * PAGE) == page + 3 * PAGE && (page[2 * PAGE] = 1));
	CHECK("brk shrinks", set_break(page + PAGE) == page + PAGE && touch(page + 2 * PAGE, false) == SIGSEGV);
	CHECK("brk of nonsense changes nothing", set_break((void *)-1ul) == page + PAGE && set_break(page - (1ul << 30)) == page + PAGE);
	CHECK("new heap is zero", set_break(page + 3 * PAGE) == page + 3 * PAGE && page[2 * PAGE] == 0);
	set_break(start);
}

static void deep(void *arg)
{
	volatile char frame[1024];
	size_t left = (size_t)arg;

	memset((void *)frame, (int)left, sizeof(frame));
	if (left > 0)
		deep((void *)(left - 1));
	(void)frame[0];
}

static void overflow(void *arg)
{
	volatile char frame[1024];

	(void)arg;
	frame[0] = 1;
	if (frame[0])
		overflow((void *)frame);
	(void)frame[0];
}

static void small_stack(void *arg)
{
	struct rlimit limit = { 256 * 1024, 256 * 1024 };

	setrlimit(RLIMIT_STACK, &limit);
	overflow(arg);
}

static void stacks(void)
{
	CHECK("four megabytes of stack", check_in_child(deep, (void *)4000) == 0);
	CHECK("recursion without an end is SIGSEGV", check_in_child(small_stack, NULL) == -SIGSEGV);
}

static void limited(void *arg)
{
	struct rlimit limit = { 64ul << 20, 64ul << 20 };

	(void)arg;
	setrlimit(RLIMIT_AS, &limit);
	_exit(map((128ul << 20) / PAGE, RW, 0) == MAP_FAILED && errno == ENOMEM ? 3 : 4);
}

static void jump_to_null(void *arg)
{
	(void)arg;
	((void (*)(void))0)();
}

static void run_data(void *arg)
{
	((void (*)(void))arg)();
}

static void limits(void)
{
	CHECK("RLIMIT_AS", check_in_child(limited, NULL) == 3);
	CHECK("a call of null", check_in_child(jump_to_null, NULL) == -SIGSEGV);
	CHECK("a call of data", check_in_child(run_data, map(1, RW, 0)) == -SIGSEGV);
	CHECK("a read of the kernel", touch(KERNEL_ADDRESS, false) == SIGSEGV);
	CHECK("a write to the kernel", touch(KERNEL_ADDRESS, true) == SIGSEGV);
}

int main(void)
{
	anonymous();
	bad_arguments();
	protection();
	remapping();
	files();
	read_only_file();
	advice();
	residency();
	heap();
	stacks();
	limits();
	return checks_failed;
}
