/* SPDX-License-Identifier: MIT */
/* Flags of calls that few programs use. */
#include "cases.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
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
	CASE(barriers_for_code);
	CASE(without_waiting);
	CASE(several_messages);
	return abi_result();
}
