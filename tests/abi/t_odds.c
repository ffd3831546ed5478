/* SPDX-License-Identifier: MIT */
/* Flags of calls that few programs use. */
#include "cases.h"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

/* ---- memory ---- */

static void low_addresses(void)
{
#ifdef MAP_32BIT
	char *p[3];

	for (int i = 0; i < 3; i++) {
		p[i] = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		EXPECT(p[i] != MAP_FAILED && (uintptr_t)p[i] + (1 << 20) <= UINT64_C(1) << 31);
		memset(p[i], i, 1 << 20);
	}
	for (int i = 0; i < 3; i++)
		EXPECT(p[i][12345] == i && munmap(p[i], 1 << 20) == 0);
	EXPECT_ERRNO(mmap(NULL, UINT64_C(3) << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT | MAP_NORESERVE, -1, 0), ENOMEM);
#endif
}

static void stacks_from_their_start(void)
{
	char *p = mmap(NULL, 4 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
	char *q = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT(p != MAP_FAILED && mprotect(p + 2 * 4096, 4096, PROT_READ | PROT_WRITE | PROT_GROWSDOWN) == 0);
	p[0] = p[2 * 4096] = 1; /* from its start to there */
	EXPECT(p[0] == 1);
	EXPECT_ERRNO(mprotect(q, 4096, PROT_READ | PROT_WRITE | PROT_GROWSDOWN), EINVAL);
	EXPECT_ERRNO(mprotect(p, 4096, PROT_READ | PROT_GROWSUP), EINVAL);
	EXPECT_ERRNO(mprotect(p, 4096, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
	EXPECT(munmap(p, 4 * 4096) == 0 && munmap(q, 4096) == 0);
	EXPECT_ERRNO(mprotect(q, 4096, PROT_READ | PROT_GROWSDOWN), ENOMEM);
}

static int remap(void *at, size_t len, int prot, size_t page, int flags)
{
	return (int)syscall(SYS_remap_file_pages, at, len, prot, page, flags);
}

/* Pages of a shared mapping in another order. */
static void pages_in_another_order(void)
{
	int fd = memfd_create("pages", 0);
	char *p, *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *r = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	EXPECT(ftruncate(fd, 4 * 4096) == 0);
	p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (int i = 0; i < 4; i++)
		p[i * 4096] = 'a' + i;
	EXPECT(remap(p, 4096, 0, 2, 0) == 0 && p[0] == 'c' && p[4096] == 'b');
	EXPECT(remap(p + 2 * 4096, 2 * 4096, 0, 0, MAP_NONBLOCK) == 0 && p[2 * 4096] == 'a' && p[3 * 4096] == 'b');
	p[0] = 'C'; /* of the file, and seen by others who map it */
	EXPECT(remap(p + 4096, 4096 + 7, 0, 2, 0) == 0 && p[4096] == 'C');
	r[4096] = 'r';
	EXPECT(remap(r, 4096, 0, 1, 0) == 0 && r[0] == 'r');
	EXPECT_ERRNO(remap(r, 4096, PROT_READ, 1, 0), EINVAL);
	EXPECT_ERRNO(remap(r, 4095, 0, 1, 0), EINVAL);
	EXPECT_ERRNO(remap(r, 4096, 0, (size_t)-1, 0), EINVAL);
	EXPECT_ERRNO(remap(q, 4096, 0, 0, 0), EINVAL); /* it is private */
	EXPECT(munmap(r + 2 * 4096, 4096) == 0);
	EXPECT_ERRNO(remap(r + 4096, 2 * 4096, 0, 0, 0), EINVAL);
	EXPECT(mprotect(p, 4096, PROT_READ) == 0 && remap(p, 4096, 0, 1, 0) == 0 && p[0] == 'b');
	munmap(p, 4 * 4096), munmap(q, 4096), munmap(r, 2 * 4096), close(fd);
}

/* ---- code that is changed ---- */

static void barriers_for_code(void)
{
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) & MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
	EXPECT_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0), EPERM);
	EXPECT_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 1, 0), EINVAL);
	EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0);
	for (int i = 0; i < 100; i++)
		EXPECT(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0);
}

static void timing(void)
{
	EXPECT(prctl(PR_GET_TIMING, 0, 0, 0, 0) == PR_TIMING_STATISTICAL && prctl(PR_SET_TIMING, PR_TIMING_STATISTICAL, 0, 0, 0) == 0);
	EXPECT_ERRNO(prctl(PR_SET_TIMING, PR_TIMING_TIMESTAMP, 0, 0, 0), EINVAL);
}

/* ---- transfers that do not wait ---- */

static void without_waiting(void)
{
	char c = 'x', d = 0;
	struct iovec v = { &c, 1 }, w = { &d, 1 };
	int s[2];

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	EXPECT_ERRNO(preadv2(s[0], &w, 1, -1, RWF_NOWAIT), EAGAIN);
	EXPECT(pwritev2(s[1], &v, 1, -1, RWF_NOWAIT) == 1);
	EXPECT(preadv2(s[0], &w, 1, -1, RWF_NOWAIT) == 1 && d == 'x');
	EXPECT_ERRNO(preadv2(s[0], &w, 1, -1, 0x4000000), EOPNOTSUPP);
	close(s[0]);
	close(s[1]);
}

/* Which files take RWF_NOWAIT: those that can promise not to wait. */
static void files_without_waiting(void)
{
	static const struct {
		const char *name;
		int answer;
	} files[] = { { "/dev/null", 0 }, { "/dev/zero", 1 }, { "/dev/urandom", 1 }, { "/dev/full", -EOPNOTSUPP }, { "/proc/version", -EOPNOTSUPP } };
	char c = 'x';
	struct iovec v = { &c, 1 };
	int fd;

	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		fd = open(files[i].name, O_RDONLY);
		if (files[i].answer < 0)
			EXPECT_ERRNO(preadv2(fd, &v, 1, -1, RWF_NOWAIT), -files[i].answer);
		else
			EXPECT(preadv2(fd, &v, 1, -1, RWF_NOWAIT) == files[i].answer);
		close(fd);
	}
	fd = inotify_init();
	EXPECT_ERRNO(preadv2(fd, &v, 1, -1, RWF_NOWAIT), EOPNOTSUPP);
	close(fd);
	fd = memfd_create("x", 0);
	EXPECT_ERRNO(preadv2(fd, &v, 1, 0, RWF_NOWAIT), EOPNOTSUPP);
	EXPECT(pwritev2(fd, &v, 1, 0, RWF_DSYNC) == 1 && pwritev2(fd, &v, 1, 0, RWF_SYNC | RWF_HIPRI) == 1);
	EXPECT(pwritev2(fd, &v, 1, 0, RWF_APPEND) == 1 && lseek(fd, 0, SEEK_END) == 2);
	close(fd);
}

#ifdef SYS_ustat
static int has_figures(int fd)
{
	char figures[64];
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && syscall(SYS_ustat, (unsigned)st.st_dev, figures) == 0;
}
#endif

/* ustat(2): of file systems that are mounted nowhere, too. */
static void figures_by_device(void)
{
#ifdef SYS_ustat /* aarch64 has no such numbers */
	int memory = memfd_create("x", 0), ends[2];
	struct stat st;

	EXPECT(pipe(ends) == 0 && has_figures(memory) && has_figures(ends[0]) && fstat(memory, &st) == 0);
	EXPECT_ERRNO(syscall(SYS_ustat, (unsigned)st.st_dev, 8), EFAULT);
	EXPECT_ERRNO(syscall(SYS_ustat, 0xffffffff, 8), EINVAL);
	close(memory), close(ends[0]), close(ends[1]);
#endif
}

/* Numbers that no Linux has a call for. */
static void calls_that_are_gone(void)
{
#ifdef SYS_ustat /* aarch64 has no such numbers */
	static const int numbers[] = { SYS__sysctl, SYS_afs_syscall, SYS_create_module, SYS_epoll_ctl_old, SYS_epoll_wait_old, SYS_get_kernel_syms,
				       SYS_get_thread_area, SYS_getpmsg, SYS_nfsservctl, SYS_putpmsg, SYS_query_module,
				       SYS_security, SYS_set_thread_area, SYS_tuxcall, SYS_vserver };

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		EXPECT_ERRNO(syscall(numbers[i], 0, 0, 0, 0, 0, 0), ENOSYS);
#endif
}

static struct mmsghdr messages[4];
static char buffers[4][8];
static struct iovec vectors[4];

static int receive(int s, int count, int flags, struct timespec *t)
{
	for (int i = 0; i < 4; i++) {
		vectors[i] = (struct iovec){ buffers[i], sizeof(buffers[i]) };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &vectors[i], .msg_iovlen = 1 } };
	}
	return recvmmsg(s, messages, (unsigned)count, flags, t);
}

static void *send_soon(void *s)
{
	struct timespec t = { .tv_nsec = 600000000 };

	nanosleep(&t, NULL);
	for (int i = 0; i < 2; i++)
		EXPECT(send((int)(intptr_t)s, "abc", 3, 0) == 3);
	return NULL;
}

static void several_messages(void)
{
	struct timespec t = { 5, 0 };
	pthread_t thread;
	int s[2];

	EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	for (int i = 0; i < 3; i++)
		EXPECT(send(s[1], "abc", 3, 0) == 3);
	EXPECT(receive(s[0], 2, 0, &t) == 2 && messages[1].msg_len == 3 && t.tv_sec == 4);
	t = (struct timespec){ 0, 0 };
	EXPECT(receive(s[0], 4, 0, &t) == 1 && t.tv_sec == 0 && t.tv_nsec == 0); /* one is always waited for */
	t = (struct timespec){ 0, 1000000000 };
	EXPECT_ERRNO(receive(s[0], 4, 0, &t), EINVAL);
	EXPECT_ERRNO(receive(s[0], 4, 0, (void *)16), EFAULT);
	t = (struct timespec){ 1, 0 };
	EXPECT_ERRNO(receive(s[0], 4, MSG_DONTWAIT, &t), EAGAIN);
	EXPECT(t.tv_sec == 1);
	t = (struct timespec){ 0, 300000000 };
	EXPECT(send(s[1], "abc", 3, 0) == 3);
	pthread_create(&thread, NULL, send_soon, (void *)(intptr_t)s[1]);
	EXPECT(receive(s[0], 4, 0, &t) == 2); /* the second comes behind the time */
	pthread_join(thread, NULL);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	CASE(low_addresses);
	CASE(stacks_from_their_start);
	CASE(pages_in_another_order);
	CASE(barriers_for_code);
	CASE(timing);
	CASE(without_waiting);
	CASE(files_without_waiting);
	CASE(figures_by_device);
	CASE(calls_that_are_gone);
	CASE(several_messages);
	return abi_result();
}
