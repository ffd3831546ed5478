/* SPDX-License-Identifier: MIT */
/* io_uring: rings, submitting and waiting, files, polls, sockets, time-outs, links, cancelling, registered things. */
#include "cases.h"
#include "uring.h"
#include <fcntl.h>
#include <linux/time_types.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

static struct uring u;
static struct io_uring_cqe c;

/* Sends one submission on its way and expects its completion. */
static int one(struct io_uring_sqe *s)
{
	(void)s;
	if (uring_submit(&u, 1) != 1 || !uring_take(&u, &c))
		return -1000;
	return c.res;
}

static int temporary(void)
{
	char name[] = "/tmp/uring-XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	return fd;
}

static void setting_up(void)
{
	struct io_uring_params p = { 0 };

	EXPECT_ERRNO(uring_setup(0, &p), EINVAL);
	EXPECT_ERRNO(uring_setup(4, NULL), EFAULT);
	p.resv[1] = 1;
	EXPECT_ERRNO(uring_setup(4, &p), EINVAL);
	p = (struct io_uring_params){ .flags = 1u << 31 };
	EXPECT_ERRNO(uring_setup(4, &p), EINVAL);
	p = (struct io_uring_params){ 0 };
	EXPECT_ERRNO(uring_setup(100000, &p), EINVAL);
	p = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE, .cq_entries = 2 };
	EXPECT_ERRNO(uring_setup(4, &p), EINVAL);
	EXPECT(uring_open(&u, 5));
	EXPECT(u.p.sq_entries == 8 && u.p.cq_entries == 16);
	EXPECT((u.p.features & IORING_FEAT_SINGLE_MMAP) && (u.p.features & IORING_FEAT_NODROP) && (u.p.features & IORING_FEAT_EXT_ARG));
	EXPECT(*uring_word(&u, u.p.sq_off.ring_mask) == 7 && *uring_word(&u, u.p.cq_off.ring_entries) == 16);
	EXPECT(fcntl(u.fd, F_GETFD) == FD_CLOEXEC);
	EXPECT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, u.fd, 0x18000000) == MAP_FAILED);
	EXPECT_ERRNO(read(u.fd, &p, sizeof(p)), EINVAL);
	EXPECT_ERRNO(syscall(SYS_io_uring_enter, u.fd, 0, 0, 1u << 20, NULL, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_io_uring_enter, 1000, 0, 0, 0, NULL, 0), EBADF);
	EXPECT_ERRNO(syscall(SYS_io_uring_enter, STDOUT_FILENO, 0, 0, 0, NULL, 0), EOPNOTSUPP);
	uring_close(&u);
}

static void nothing(void)
{
	EXPECT(uring_open(&u, 4));
	for (uint64_t i = 0; i < 100; i++) {
		uring_next(&u, IORING_OP_NOP, -1, i);
		EXPECT(uring_submit(&u, 1) == 1);
		EXPECT(uring_took(&u, i, 0));
	}
	for (uint64_t i = 0; i < 4; i++)
		uring_next(&u, IORING_OP_NOP, -1, i);
	EXPECT(uring_submit(&u, 0) == 4);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT(uring_took(&u, i, 0));
	uring_next(&u, 250, -1, 1);
	EXPECT(uring_submit(&u, 1) == 1 && uring_took(&u, 1, -EINVAL));
	uring_next(&u, IORING_OP_NOP, -1, 2)->flags = 0x80;
	EXPECT(uring_submit(&u, 1) == 1 && uring_took(&u, 2, -EINVAL));
	uring_next(&u, IORING_OP_NOP, -1, 3)->personality = 9;
	EXPECT(uring_submit(&u, 1) == 1 && uring_took(&u, 3, -EINVAL));
	uring_close(&u);
}

/* An index that is none is dropped and counted. */
static void wrong_index(void)
{
	EXPECT(uring_open(&u, 4));
	uring_next(&u, IORING_OP_NOP, -1, 1);
	uring_word(&u, u.p.sq_off.array)[0] = 77;
	EXPECT(uring_submit(&u, 0) == 0);
	EXPECT(*uring_word(&u, u.p.sq_off.dropped) == 1);
	uring_next(&u, IORING_OP_NOP, -1, 2);
	EXPECT(uring_submit(&u, 1) == 1 && uring_took(&u, 2, 0));
	uring_close(&u);
}

static void overflow(void)
{
	EXPECT(uring_open_with(&u, 4, IORING_SETUP_CQSIZE, 4));
	for (uint64_t i = 0; i < 12; i += 4) {
		for (uint64_t j = 0; j < 4; j++)
			uring_next(&u, IORING_OP_NOP, -1, i + j);
		EXPECT(uring_submit(&u, 0) == 4);
	}
	EXPECT(uring_ready(&u) == 4);
	EXPECT(*uring_word(&u, u.p.sq_off.flags) & IORING_SQ_CQ_OVERFLOW);
	for (uint64_t i = 0; i < 12; i++)
		EXPECT(uring_took(&u, i, 0));
	EXPECT(uring_ready(&u) == 0 && *uring_word(&u, u.p.cq_off.overflow) == 0);
	EXPECT(!(*uring_word(&u, u.p.sq_off.flags) & IORING_SQ_CQ_OVERFLOW));
	uring_close(&u);
}

static void file_io(void)
{
	char a[] = "first", b[] = "second", got[32] = "";
	struct iovec v[2] = { { a, 5 }, { b, 6 } }, w = { got, 11 };
	struct io_uring_sqe *s;
	int fd = temporary();

	EXPECT(uring_open(&u, 8));
	s = uring_next(&u, IORING_OP_WRITEV, fd, 1);
	s->addr = (uintptr_t)v;
	s->len = 2;
	EXPECT(one(s) == 11);
	s = uring_next(&u, IORING_OP_READV, fd, 2);
	s->addr = (uintptr_t)&w;
	s->len = 1;
	EXPECT(one(s) == 11 && !memcmp(got, "firstsecond", 11));
	s = uring_next(&u, IORING_OP_READ, fd, 3);
	s->addr = (uintptr_t)got;
	s->len = 6;
	s->off = 5;
	EXPECT(one(s) == 6 && !memcmp(got, "second", 6));
	s = uring_next(&u, IORING_OP_WRITE, fd, 3); /* at the file's own position */
	s->addr = (uintptr_t)a;
	s->len = 5;
	s->off = (uint64_t)-1;
	EXPECT(one(s) == 5 && lseek(fd, 0, SEEK_CUR) == 5);
	s = uring_next(&u, IORING_OP_READ, fd, 4);
	s->addr = 8;
	s->len = 5;
	EXPECT(one(s) == -EFAULT);
	s = uring_next(&u, IORING_OP_READ, 1000, 4);
	EXPECT(one(s) == -EBADF);
	s = uring_next(&u, IORING_OP_FSYNC, fd, 5);
	EXPECT(one(s) == 0);
	s = uring_next(&u, IORING_OP_FALLOCATE, fd, 6);
	s->addr = 10000;
	EXPECT(one(s) == 0 && lseek(fd, 0, SEEK_END) == 10000);
	s = uring_next(&u, IORING_OP_FADVISE, fd, 7);
	EXPECT(one(s) == 0);
	close(fd);
	uring_close(&u);
}

static void pipe_waits(void)
{
	char got[8] = "";
	struct io_uring_sqe *s;
	int p[2];

	EXPECT(pipe(p) == 0 && uring_open(&u, 8));
	s = uring_next(&u, IORING_OP_READ, p[0], 1);
	s->addr = (uintptr_t)got;
	s->len = sizeof(got);
	EXPECT(uring_submit(&u, 0) == 1 && uring_ready(&u) == 0);
	EXPECT(write(p[1], "hello", 5) == 5);
	EXPECT(uring_took(&u, 1, 5) && !memcmp(got, "hello", 5));
	s = uring_next(&u, IORING_OP_READ, p[0], 2); /* by a worker */
	s->addr = (uintptr_t)got;
	s->len = sizeof(got);
	s->flags = IOSQE_ASYNC;
	EXPECT(uring_submit(&u, 0) == 1);
	usleep(10000);
	EXPECT(uring_ready(&u) == 0 && write(p[1], "again", 5) == 5);
	EXPECT(uring_took(&u, 2, 5) && !memcmp(got, "again", 5));
	close(p[1]);
	s = uring_next(&u, IORING_OP_READ, p[0], 3);
	s->addr = (uintptr_t)got;
	s->len = sizeof(got);
	EXPECT(one(s) == 0);
	close(p[0]);
	uring_close(&u);
}

/* Many at once, each with its own buffer: all of what is written arrives, once. */
static void many_readers(void)
{
	static char got[32];
	int p[2], sum = 0;

	EXPECT(pipe(p) == 0 && uring_open(&u, 32));
	for (int i = 0; i < 32; i++) {
		struct io_uring_sqe *s = uring_next(&u, IORING_OP_READ, p[0], (uint64_t)i);

		s->addr = (uintptr_t)&got[i];
		s->len = 1;
		s->flags = i % 2 ? IOSQE_ASYNC : 0;
	}
	EXPECT(uring_submit(&u, 0) == 32);
	for (char i = 0; i < 32; i++)
		EXPECT(write(p[1], &i, 1) == 1);
	for (int i = 0; i < 32; i++)
		EXPECT(uring_take(&u, &c) && c.res == 1);
	for (int i = 0; i < 32; i++)
		sum += got[i];
	EXPECT(sum == 31 * 32 / 2);
	close(p[0]);
	close(p[1]);
	uring_close(&u);
}

static void polls(void)
{
	uint64_t one_more = 1;
	struct io_uring_sqe *s;
	int e = eventfd(0, 0);

	EXPECT(uring_open(&u, 8));
	uring_next(&u, IORING_OP_POLL_ADD, e, 1)->poll32_events = POLLIN;
	EXPECT(uring_submit(&u, 0) == 1 && uring_ready(&u) == 0);
	EXPECT(write(e, &one_more, 8) == 8);
	EXPECT(uring_took(&u, 1, POLLIN));
	uring_next(&u, IORING_OP_POLL_ADD, e, 2)->poll32_events = POLLIN | POLLOUT;
	EXPECT(uring_submit(&u, 1) == 1 && uring_took(&u, 2, POLLIN | POLLOUT));
	EXPECT(read(e, &one_more, 8) == 8);
	s = uring_next(&u, IORING_OP_POLL_ADD, e, 3); /* again and again */
	s->poll32_events = POLLIN;
	s->len = IORING_POLL_ADD_MULTI;
	EXPECT(uring_submit(&u, 0) == 1);
	for (int i = 0; i < 3; i++) {
		EXPECT(write(e, &one_more, 8) == 8);
		EXPECT(uring_take(&u, &c) && c.user_data == 3 && c.res == POLLIN && (c.flags & IORING_CQE_F_MORE));
		EXPECT(read(e, &one_more, 8) == 8);
	}
	s = uring_next(&u, IORING_OP_POLL_REMOVE, -1, 4);
	s->addr = 3;
	EXPECT(uring_submit(&u, 2) == 1);
	for (int i = 0; i < 2; i++)
		EXPECT(uring_take(&u, &c) && (c.user_data == 3 ? c.res == -ECANCELED && !(c.flags & IORING_CQE_F_MORE) : c.res == 0));
	s = uring_next(&u, IORING_OP_POLL_REMOVE, -1, 5);
	s->addr = 99;
	EXPECT(one(s) == -ENOENT);
	uring_next(&u, IORING_OP_POLL_ADD, e, 6)->poll32_events = POLLPRI;
	EXPECT(uring_submit(&u, 0) == 1);
	s = uring_next(&u, IORING_OP_POLL_REMOVE, -1, 7); /* it waits for something else now, under another name */
	s->addr = 6;
	s->len = IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA;
	s->off = 8;
	s->poll32_events = POLLIN;
	EXPECT(one(s) == 0);
	EXPECT(write(e, &one_more, 8) == 8 && uring_took(&u, 8, POLLIN));
	close(e);
	uring_close(&u);
}

static struct __kernel_timespec ms(long n)
{
	return (struct __kernel_timespec){ .tv_sec = n / 1000, .tv_nsec = n % 1000 * 1000000 };
}

static void timeouts(void)
{
	struct __kernel_timespec soon = ms(5), late = ms(100000);
	struct io_uring_sqe *s;

	EXPECT(uring_open(&u, 8));
	s = uring_next(&u, IORING_OP_TIMEOUT, -1, 1);
	s->addr = (uintptr_t)&soon;
	s->len = 1;
	EXPECT(one(s) == -ETIME);
	s = uring_next(&u, IORING_OP_TIMEOUT, -1, 2); /* after another completion */
	s->addr = (uintptr_t)&late;
	s->len = 1;
	s->off = 1;
	uring_next(&u, IORING_OP_NOP, -1, 3);
	EXPECT(uring_submit(&u, 2) == 2);
	EXPECT(uring_took(&u, 3, 0) && uring_took(&u, 2, 0));
	s = uring_next(&u, IORING_OP_TIMEOUT, -1, 4);
	s->addr = (uintptr_t)&late;
	s->len = 1;
	EXPECT(uring_submit(&u, 0) == 1);
	s = uring_next(&u, IORING_OP_TIMEOUT_REMOVE, -1, 5);
	s->addr = 4;
	EXPECT(uring_submit(&u, 2) == 1);
	for (int i = 0; i < 2; i++)
		EXPECT(uring_take(&u, &c) && c.res == (c.user_data == 4 ? -ECANCELED : 0));
	s = uring_next(&u, IORING_OP_TIMEOUT_REMOVE, -1, 5);
	s->addr = 4;
	EXPECT(one(s) == -ENOENT);
	s = uring_next(&u, IORING_OP_TIMEOUT, -1, 6); /* made shorter */
	s->addr = (uintptr_t)&late;
	s->len = 1;
	EXPECT(uring_submit(&u, 0) == 1);
	s = uring_next(&u, IORING_OP_TIMEOUT_REMOVE, -1, 7);
	s->addr = 6;
	s->off = (uintptr_t)&soon;
	s->timeout_flags = IORING_TIMEOUT_UPDATE;
	EXPECT(one(s) == 0 && uring_took(&u, 6, -ETIME));
	s = uring_next(&u, IORING_OP_TIMEOUT, -1, 8);
	s->addr = (uintptr_t)&soon;
	s->len = 2;
	EXPECT(one(s) == -EINVAL);
	soon.tv_nsec = -1;
	s = uring_next(&u, IORING_OP_TIMEOUT, -1, 8);
	s->addr = (uintptr_t)&soon;
	s->len = 1;
	EXPECT(one(s) == -EINVAL);
	uring_close(&u);
}

static void waiting(void)
{
	struct __kernel_timespec soon = ms(5);
	struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&soon };

	EXPECT(uring_open(&u, 8));
	EXPECT_ERRNO(syscall(SYS_io_uring_enter, u.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)), ETIME);
	EXPECT_ERRNO(syscall(SYS_io_uring_enter, u.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, 3), EINVAL);
	soon.tv_nsec = -1;
	uring_next(&u, IORING_OP_NOP, -1, 1);
	EXPECT(uring_submit(&u, 0) == 1);
	EXPECT(syscall(SYS_io_uring_enter, u.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 0);
	EXPECT(uring_took(&u, 1, 0));
	uring_close(&u);
}

static void links(void)
{
	struct __kernel_timespec soon = ms(5), late = ms(100000);
	char got[4];
	struct io_uring_sqe *s;
	int p[2];

	EXPECT(pipe(p) == 0 && uring_open(&u, 8));
	uring_next(&u, IORING_OP_NOP, -1, 1)->flags = IOSQE_IO_LINK;
	uring_next(&u, IORING_OP_NOP, -1, 2)->flags = IOSQE_IO_LINK;
	uring_next(&u, IORING_OP_NOP, -1, 3);
	EXPECT(uring_submit(&u, 3) == 3);
	EXPECT(uring_took(&u, 1, 0) && uring_took(&u, 2, 0) && uring_took(&u, 3, 0));
	uring_next(&u, IORING_OP_READ, 1000, 4)->flags = IOSQE_IO_LINK; /* breaks */
	uring_next(&u, IORING_OP_NOP, -1, 5)->flags = IOSQE_IO_LINK;
	uring_next(&u, IORING_OP_NOP, -1, 6);
	EXPECT(uring_submit(&u, 3) == 3);
	EXPECT(uring_took(&u, 4, -EBADF) && uring_took(&u, 5, -ECANCELED) && uring_took(&u, 6, -ECANCELED));
	uring_next(&u, IORING_OP_READ, 1000, 7)->flags = IOSQE_IO_HARDLINK;
	uring_next(&u, IORING_OP_NOP, -1, 8);
	EXPECT(uring_submit(&u, 2) == 2);
	EXPECT(uring_took(&u, 7, -EBADF) && uring_took(&u, 8, 0));
	s = uring_next(&u, IORING_OP_READ, p[0], 9); /* guarded */
	s->addr = (uintptr_t)got;
	s->len = 4;
	s->flags = IOSQE_IO_LINK;
	s = uring_next(&u, IORING_OP_LINK_TIMEOUT, -1, 10);
	s->addr = (uintptr_t)&soon;
	s->len = 1;
	EXPECT(uring_submit(&u, 2) == 2);
	for (int i = 0; i < 2; i++)
		EXPECT(uring_take(&u, &c) && c.res == (c.user_data == 9 ? -ECANCELED : -ETIME));
	EXPECT(write(p[1], "abcd", 4) == 4);
	s = uring_next(&u, IORING_OP_READ, p[0], 11);
	s->addr = (uintptr_t)got;
	s->len = 4;
	s->flags = IOSQE_IO_LINK;
	s = uring_next(&u, IORING_OP_LINK_TIMEOUT, -1, 12);
	s->addr = (uintptr_t)&late;
	s->len = 1;
	EXPECT(uring_submit(&u, 2) == 2);
	for (int i = 0; i < 2; i++)
		EXPECT(uring_take(&u, &c) && c.res == (c.user_data == 11 ? 4 : -ECANCELED));
	s = uring_next(&u, IORING_OP_LINK_TIMEOUT, -1, 13); /* guards nobody */
	s->addr = (uintptr_t)&late;
	s->len = 1;
	EXPECT(one(s) == -EINVAL);
	uring_next(&u, IORING_OP_NOP, -1, 14)->flags = IOSQE_CQE_SKIP_SUCCESS;
	uring_next(&u, IORING_OP_NOP, -1, 15);
	EXPECT(uring_submit(&u, 1) == 2 && uring_took(&u, 15, 0) && uring_ready(&u) == 0);
	close(p[0]);
	close(p[1]);
	uring_close(&u);
}

static void drain(void)
{
	char got[4];
	struct io_uring_sqe *s;
	int p[2];

	EXPECT(pipe(p) == 0 && uring_open(&u, 8));
	s = uring_next(&u, IORING_OP_READ, p[0], 1);
	s->addr = (uintptr_t)got;
	s->len = 4;
	uring_next(&u, IORING_OP_NOP, -1, 2)->flags = IOSQE_IO_DRAIN;
	uring_next(&u, IORING_OP_NOP, -1, 3);
	EXPECT(uring_submit(&u, 0) == 3 && uring_ready(&u) == 0);
	EXPECT(write(p[1], "abcd", 4) == 4);
	EXPECT(uring_took(&u, 1, 4) && uring_took(&u, 2, 0) && uring_took(&u, 3, 0));
	close(p[0]);
	close(p[1]);
	uring_close(&u);
}

static void cancelling(void)
{
	char got[4];
	struct io_uring_sqe *s;
	int p[2];

	EXPECT(pipe(p) == 0 && uring_open(&u, 8));
	s = uring_next(&u, IORING_OP_ASYNC_CANCEL, -1, 1);
	s->addr = 77;
	EXPECT(one(s) == -ENOENT);
	for (uint64_t i = 10; i < 13; i++) {
		s = uring_next(&u, IORING_OP_READ, p[0], i);
		s->addr = (uintptr_t)got;
		s->len = 4;
	}
	EXPECT(uring_submit(&u, 0) == 3);
	s = uring_next(&u, IORING_OP_ASYNC_CANCEL, -1, 2);
	s->addr = 11;
	EXPECT(uring_submit(&u, 2) == 1);
	for (int i = 0; i < 2; i++)
		EXPECT(uring_take(&u, &c) && (c.user_data == 2 ? c.res == 0 : c.user_data == 11 && c.res == -ECANCELED));
	s = uring_next(&u, IORING_OP_ASYNC_CANCEL, p[0], 3);
	s->cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
	EXPECT(uring_submit(&u, 3) == 1);
	for (int i = 0; i < 3; i++)
		EXPECT(uring_take(&u, &c) && c.res == (c.user_data == 3 ? 2 : -ECANCELED));
	s = uring_next(&u, IORING_OP_READ, p[0], 14); /* a worker is at it */
	s->addr = (uintptr_t)got;
	s->len = 4;
	s->flags = IOSQE_ASYNC;
	EXPECT(uring_submit(&u, 0) == 1);
	usleep(20000);
	s = uring_next(&u, IORING_OP_ASYNC_CANCEL, -1, 4);
	s->addr = 14;
	EXPECT(uring_submit(&u, 2) == 1);
	for (int i = 0; i < 2; i++)
		EXPECT(uring_take(&u, &c) && (c.user_data == 4 ? c.res == -EALREADY || c.res == 0 : c.res == -EINTR || c.res == -ECANCELED));
	close(p[0]);
	close(p[1]);
	uring_close(&u);
}

static void sockets(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0uring-test" };
	socklen_t len = sizeof(sa_family_t) + 11;
	char got[8] = "";
	struct iovec v = { got, 8 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	struct io_uring_sqe *s;
	int l = socket(AF_UNIX, SOCK_STREAM, 0), a = -1, b;

	EXPECT(uring_open(&u, 8));
	EXPECT(bind(l, (void *)&name, len) == 0 && listen(l, 5) == 0);
	uring_next(&u, IORING_OP_ACCEPT, l, 1);
	EXPECT(uring_submit(&u, 0) == 1);
	s = uring_next(&u, IORING_OP_SOCKET, AF_UNIX, 2);
	s->off = SOCK_STREAM;
	b = one(s);
	EXPECT(b >= 0);
	s = uring_next(&u, IORING_OP_CONNECT, b, 3);
	s->addr = (uintptr_t)&name;
	s->addr2 = len;
	EXPECT(uring_submit(&u, 2) == 1);
	for (int i = 0; i < 2; i++) {
		EXPECT(uring_take(&u, &c) && c.res >= 0);
		if (c.user_data == 1)
			a = c.res;
	}
	s = uring_next(&u, IORING_OP_RECV, a, 4);
	s->addr = (uintptr_t)got;
	s->len = 8;
	EXPECT(uring_submit(&u, 0) == 1 && uring_ready(&u) == 0);
	s = uring_next(&u, IORING_OP_SEND, b, 5);
	s->addr = (uintptr_t) "hello";
	s->len = 5;
	EXPECT(uring_submit(&u, 2) == 1);
	for (int i = 0; i < 2; i++)
		EXPECT(uring_take(&u, &c) && c.res == 5);
	EXPECT(!memcmp(got, "hello", 5));
	s = uring_next(&u, IORING_OP_RECVMSG, b, 6);
	s->addr = (uintptr_t)&m;
	EXPECT(uring_submit(&u, 0) == 1);
	EXPECT(write(a, "world!", 6) == 6 && uring_took(&u, 6, 6) && !memcmp(got, "world!", 6));
	v.iov_len = 3;
	s = uring_next(&u, IORING_OP_SENDMSG, b, 7);
	s->addr = (uintptr_t)&m;
	EXPECT(one(s) == 3 && read(a, got, 8) == 3);
	uring_next(&u, IORING_OP_SHUTDOWN, b, 8)->len = SHUT_WR;
	EXPECT(uring_submit(&u, 1) == 1 && uring_took(&u, 8, 0) && read(a, got, 8) == 0);
	s = uring_next(&u, IORING_OP_RECV, STDOUT_FILENO, 9);
	EXPECT(one(s) == -ENOTSOCK);
	close(a);
	close(b);
	s = uring_next(&u, IORING_OP_ACCEPT, l, 10); /* again and again */
	s->ioprio = IORING_ACCEPT_MULTISHOT;
	EXPECT(uring_submit(&u, 0) == 1);
	for (int i = 0; i < 3; i++) {
		b = socket(AF_UNIX, SOCK_STREAM, 0);
		EXPECT(connect(b, (void *)&name, len) == 0);
		EXPECT(uring_take(&u, &c) && c.user_data == 10 && c.res >= 0 && (c.flags & IORING_CQE_F_MORE));
		close(c.res);
		close(b);
	}
	close(l);
	uring_close(&u);
}

/* More connections than a multishot accept takes at a time; then none for want of descriptors, which loses nobody. */
static void accepting(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0uring-accept" };
	socklen_t len = sizeof(sa_family_t) + 13;
	int l = socket(AF_UNIX, SOCK_STREAM, 0), b[100], a;
	struct rlimit old, few;

	EXPECT(uring_open(&u, 128));
	EXPECT(bind(l, (void *)&name, len) == 0 && listen(l, 100) == 0);
	for (int i = 0; i < 100; i++) {
		b[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		EXPECT(connect(b[i], (void *)&name, len) == 0);
	}
	uring_next(&u, IORING_OP_ACCEPT, l, 1)->ioprio = IORING_ACCEPT_MULTISHOT;
	EXPECT(uring_submit(&u, 0) == 1);
	for (int i = 0; i < 100; i++) {
		EXPECT(uring_take(&u, &c) && c.user_data == 1 && c.res >= 0 && (c.flags & IORING_CQE_F_MORE));
		close(c.res);
		close(b[i]);
	}
	uring_next(&u, IORING_OP_ASYNC_CANCEL, -1, 2)->addr = 1;
	EXPECT(uring_submit(&u, 2) == 1);
	for (int i = 0; i < 2; i++)
		EXPECT(uring_take(&u, &c) && c.res == (c.user_data == 1 ? -ECANCELED : 0));
	b[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	EXPECT(connect(b[0], (void *)&name, len) == 0);
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ (rlim_t)b[0] + 1, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);
	EXPECT_ERRNO(accept(l, NULL, NULL), EMFILE);
	EXPECT(one(uring_next(&u, IORING_OP_ACCEPT, l, 3)) == -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	a = one(uring_next(&u, IORING_OP_ACCEPT, l, 4));
	EXPECT(a >= 0 && write(b[0], "x", 1) == 1 && read(a, b, 1) == 1);
	close(a);
	close(l);
	uring_close(&u);
}

static void names(void)
{
	char dir[] = "/tmp/uring-XXXXXX";
	struct statx x;
	struct io_uring_sqe *s;
	int at, fd;

	EXPECT(mkdtemp(dir) != NULL);
	at = open(dir, O_RDONLY | O_DIRECTORY);
	EXPECT(uring_open(&u, 8));
	s = uring_next(&u, IORING_OP_OPENAT, at, 1);
	s->addr = (uintptr_t) "file";
	s->open_flags = O_CREAT | O_RDWR;
	s->len = 0644;
	fd = one(s);
	EXPECT(fd >= 0 && write(fd, "abc", 3) == 3);
	s = uring_next(&u, IORING_OP_STATX, at, 2);
	s->addr = (uintptr_t) "file";
	s->addr2 = (uintptr_t)&x;
	s->len = STATX_BASIC_STATS;
	EXPECT(one(s) == 0 && x.stx_size == 3);
	s = uring_next(&u, IORING_OP_CLOSE, fd, 3);
	EXPECT(one(s) == 0);
	EXPECT_ERRNO(close(fd), EBADF);
	s = uring_next(&u, IORING_OP_CLOSE, u.fd, 3);
	EXPECT(one(s) == -EBADF);
	s = uring_next(&u, IORING_OP_MKDIRAT, at, 4);
	s->addr = (uintptr_t) "folder";
	s->len = 0755;
	EXPECT(one(s) == 0);
	s = uring_next(&u, IORING_OP_SYMLINKAT, at, 5);
	s->addr = (uintptr_t) "file";
	s->addr2 = (uintptr_t) "symlink";
	EXPECT(one(s) == 0);
	s = uring_next(&u, IORING_OP_LINKAT, at, 6);
	s->addr = (uintptr_t) "file";
	s->addr2 = (uintptr_t) "link";
	s->len = (uint32_t)at;
	EXPECT(one(s) == 0);
	s = uring_next(&u, IORING_OP_RENAMEAT, at, 7);
	s->addr = (uintptr_t) "link";
	s->addr2 = (uintptr_t) "other";
	s->len = (uint32_t)at;
	EXPECT(one(s) == 0 && faccessat(at, "other", F_OK, 0) == 0);
	s = uring_next(&u, IORING_OP_UNLINKAT, at, 8);
	s->addr = (uintptr_t) "folder";
	EXPECT(one(s) == -EISDIR);
	s = uring_next(&u, IORING_OP_UNLINKAT, at, 8);
	s->addr = (uintptr_t) "folder";
	s->unlink_flags = AT_REMOVEDIR;
	EXPECT(one(s) == 0);
	s = uring_next(&u, IORING_OP_OPENAT, at, 9);
	s->addr = (uintptr_t) "absent";
	EXPECT(one(s) == -ENOENT);
	unlinkat(at, "file", 0);
	unlinkat(at, "other", 0);
	unlinkat(at, "symlink", 0);
	close(at);
	EXPECT(rmdir(dir) == 0);
	uring_close(&u);
}

static void registered_files(void)
{
	int fds[3], none[2] = { -1, -1 }, p[2];
	struct io_uring_files_update up = { .offset = 1 };
	char got[4];
	struct io_uring_sqe *s;

	EXPECT(pipe(p) == 0 && uring_open(&u, 8));
	fds[0] = p[0];
	fds[1] = p[1];
	fds[2] = -1;
	EXPECT_ERRNO(uring_register(&u, IORING_UNREGISTER_FILES, NULL, 0), ENXIO);
	EXPECT(uring_register(&u, IORING_REGISTER_FILES, fds, 3) == 0);
	EXPECT_ERRNO(uring_register(&u, IORING_REGISTER_FILES, fds, 3), EBUSY);
	s = uring_next(&u, IORING_OP_WRITE, 1, 1);
	s->flags = IOSQE_FIXED_FILE;
	s->addr = (uintptr_t) "abcd";
	s->len = 4;
	EXPECT(one(s) == 4);
	s = uring_next(&u, IORING_OP_READ, 0, 2);
	s->flags = IOSQE_FIXED_FILE;
	s->addr = (uintptr_t)got;
	s->len = 4;
	EXPECT(one(s) == 4);
	s = uring_next(&u, IORING_OP_READ, 2, 3);
	s->flags = IOSQE_FIXED_FILE;
	EXPECT(one(s) == -EBADF);
	up.fds = (uintptr_t)none;
	EXPECT(uring_register(&u, IORING_REGISTER_FILES_UPDATE, &up, 2) == 2);
	s = uring_next(&u, IORING_OP_WRITE, 1, 4);
	s->flags = IOSQE_FIXED_FILE;
	EXPECT(one(s) == -EBADF);
	s = uring_next(&u, IORING_OP_OPENAT, AT_FDCWD, 5); /* straight into a slot */
	s->addr = (uintptr_t) "/dev/null";
	s->file_index = 2;
	EXPECT(one(s) == 0);
	s = uring_next(&u, IORING_OP_READ, 1, 6);
	s->flags = IOSQE_FIXED_FILE;
	s->addr = (uintptr_t)got;
	s->len = 4;
	EXPECT(one(s) == 0);
	uring_next(&u, IORING_OP_CLOSE, 0, 7)->file_index = 2;
	EXPECT(uring_submit(&u, 1) == 1 && uring_took(&u, 7, 0));
	EXPECT(uring_register(&u, IORING_UNREGISTER_FILES, NULL, 0) == 0);
	close(p[0]);
	close(p[1]);
	uring_close(&u);
}

static void registered_buffers(void)
{
	static char memory[8192];
	struct iovec v = { memory, sizeof(memory) }, bad = { (void *)16, 4096 };
	struct io_uring_sqe *s;
	int fd = temporary();

	EXPECT(uring_open(&u, 8));
	EXPECT_ERRNO(uring_register(&u, IORING_REGISTER_BUFFERS, &bad, 1), EFAULT);
	EXPECT(uring_register(&u, IORING_REGISTER_BUFFERS, &v, 1) == 0);
	EXPECT_ERRNO(uring_register(&u, IORING_REGISTER_BUFFERS, &v, 1), EBUSY);
	memset(memory, 'x', 100);
	s = uring_next(&u, IORING_OP_WRITE_FIXED, fd, 1);
	s->addr = (uintptr_t)memory;
	s->len = 100;
	EXPECT(one(s) == 100);
	s = uring_next(&u, IORING_OP_READ_FIXED, fd, 2);
	s->addr = (uintptr_t)memory + 4096;
	s->len = 4096;
	EXPECT(one(s) == 100 && memory[4096 + 99] == 'x');
	s = uring_next(&u, IORING_OP_READ_FIXED, fd, 3);
	s->addr = (uintptr_t)memory + 4097;
	s->len = 4096;
	EXPECT(one(s) == -EFAULT);
	s = uring_next(&u, IORING_OP_READ_FIXED, fd, 4);
	s->addr = (uintptr_t)memory;
	s->len = 1;
	s->buf_index = 1;
	EXPECT(one(s) == -EFAULT);
	EXPECT(uring_register(&u, IORING_UNREGISTER_BUFFERS, NULL, 0) == 0);
	close(fd);
	uring_close(&u);
}

static void provided_buffers(void)
{
	static char pool[4][16];
	struct io_uring_sqe *s;
	int p[2];

	EXPECT(pipe(p) == 0 && uring_open(&u, 8));
	s = uring_next(&u, IORING_OP_PROVIDE_BUFFERS, 4, 1);
	s->addr = (uintptr_t)pool;
	s->len = 16;
	s->buf_group = 3;
	EXPECT(one(s) == 0);
	for (unsigned i = 0; i < 4; i++) {
		s = uring_next(&u, IORING_OP_READ, p[0], 2);
		s->flags = IOSQE_BUFFER_SELECT;
		s->len = 16;
		s->buf_group = 3;
		EXPECT(uring_submit(&u, 0) == 1 && write(p[1], &"wxyz"[i], 1) == 1);
		EXPECT(uring_take(&u, &c) && c.res == 1 && (c.flags & IORING_CQE_F_BUFFER));
		EXPECT(pool[c.flags >> IORING_CQE_BUFFER_SHIFT][0] == "wxyz"[i]);
	}
	EXPECT(write(p[1], "!", 1) == 1);
	s = uring_next(&u, IORING_OP_READ, p[0], 3);
	s->flags = IOSQE_BUFFER_SELECT;
	s->len = 16;
	s->buf_group = 3;
	EXPECT(one(s) == -ENOBUFS);
	s = uring_next(&u, IORING_OP_REMOVE_BUFFERS, 4, 4);
	s->buf_group = 9;
	EXPECT(one(s) == -ENOENT);
	close(p[0]);
	close(p[1]);
	uring_close(&u);
}

static void events(void)
{
	uint64_t count = 0;
	int e = eventfd(0, EFD_NONBLOCK), ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd pfd;

	EXPECT(uring_open(&u, 8));
	EXPECT(uring_register(&u, IORING_REGISTER_EVENTFD, &e, 1) == 0);
	EXPECT_ERRNO(uring_register(&u, IORING_REGISTER_EVENTFD, &e, 1), EBUSY);
	EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, u.fd, &ev) == 0);
	EXPECT(epoll_wait(ep, &ev, 1, 0) == 0);
	pfd = (struct pollfd){ .fd = u.fd, .events = POLLIN | POLLOUT };
	EXPECT(poll(&pfd, 1, 0) == 1 && pfd.revents == POLLOUT);
	uring_next(&u, IORING_OP_NOP, -1, 1);
	EXPECT(uring_submit(&u, 1) == 1);
	EXPECT(read(e, &count, 8) == 8 && count >= 1);
	EXPECT(epoll_wait(ep, &ev, 1, 0) == 1);
	EXPECT(uring_took(&u, 1, 0));
	EXPECT(uring_register(&u, IORING_UNREGISTER_EVENTFD, NULL, 0) == 0);
	EXPECT_ERRNO(uring_register(&u, IORING_UNREGISTER_EVENTFD, NULL, 0), ENXIO);
	close(e);
	close(ep);
	uring_close(&u);
}

static void disabled(void)
{
	struct io_uring_restriction r = { .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP };

	EXPECT(uring_open_with(&u, 4, IORING_SETUP_R_DISABLED, 0));
	uring_next(&u, IORING_OP_NOP, -1, 1);
	EXPECT_ERRNO(uring_submit(&u, 0), EBADFD);
	EXPECT(uring_register(&u, IORING_REGISTER_RESTRICTIONS, &r, 1) == 0);
	EXPECT(uring_register(&u, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0);
	EXPECT(uring_enter(&u, 1, 1, IORING_ENTER_GETEVENTS) == 1 && uring_took(&u, 1, 0));
	uring_next(&u, IORING_OP_FSYNC, 1, 2);
	EXPECT(uring_submit(&u, 1) == 1 && uring_took(&u, 2, -EACCES));
	EXPECT_ERRNO(uring_register(&u, IORING_REGISTER_PERSONALITY, NULL, 0), EACCES);
	EXPECT_ERRNO(uring_register(&u, IORING_REGISTER_SYNC_CANCEL, &r, 1), EACCES);
	EXPECT_ERRNO(uring_register(&u, IORING_UNREGISTER_RING_FDS, &r, 1), EACCES);
	uring_close(&u);
}

static void messages(void)
{
	struct uring other;
	struct io_uring_sqe *s;

	EXPECT(uring_open(&u, 4) && uring_open(&other, 4));
	s = uring_next(&u, IORING_OP_MSG_RING, other.fd, 1);
	s->off = 42;
	s->len = 7;
	EXPECT(one(s) == 0);
	EXPECT(uring_took(&other, 42, 7));
	s = uring_next(&u, IORING_OP_MSG_RING, STDOUT_FILENO, 1);
	EXPECT(one(s) == -EBADFD);
	uring_close(&other);
	uring_close(&u);
}

/* A ring may hold sockets, and is not sent through one. */
static void unsent(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int s[2];

	EXPECT(uring_open(&u, 4) && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	memcpy(CMSG_DATA(&control.head), &u.fd, sizeof(int));
	EXPECT_ERRNO(sendmsg(s[0], &m, 0), EINVAL);
	close(s[0]);
	close(s[1]);
	uring_close(&u);
}

int main(void)
{
	struct io_uring_params p = { 0 };
	int fd;

	fd = uring_setup(1, &p);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
		printf("skipped: the host has no io_uring\n");
		return 0;
	}
	close(fd);
	CASE(setting_up);
	CASE(nothing);
	CASE(wrong_index);
	CASE(overflow);
	CASE(file_io);
	CASE(pipe_waits);
	CASE(many_readers);
	CASE(polls);
	CASE(timeouts);
	CASE(waiting);
	CASE(links);
	CASE(drain);
	CASE(cancelling);
	CASE(sockets);
	CASE(accepting);
	CASE(names);
	CASE(registered_files);
	CASE(registered_buffers);
	CASE(provided_buffers);
	CASE(events);
	CASE(disabled);
	CASE(messages);
	CASE(unsent);
	return abi_result();
}
