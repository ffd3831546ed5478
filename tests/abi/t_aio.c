/* SPDX-License-Identifier: MIT */
/* AIO: contexts, reads and writes, polls, events, their ring in user memory. */
#include "cases.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static aio_context_t ctx;

static int setup(unsigned n)
{
	ctx = 0;
	return (int)syscall(SYS_io_setup, n, &ctx);
}

static int destroy(void)
{
	return (int)syscall(SYS_io_destroy, ctx);
}

static int submit(struct iocb *i)
{
	return (int)syscall(SYS_io_submit, ctx, 1L, &i);
}

static int events(long least, long most, struct io_event *e, struct timespec *t)
{
	return (int)syscall(SYS_io_getevents, ctx, least, most, e, t);
}

static struct iocb request(int op, int fd, void *buf, size_t n, long offset)
{
	return (struct iocb){
		.aio_lio_opcode = (uint16_t)op, .aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)buf, .aio_nbytes = n,
		.aio_offset = offset, .aio_data = 42,
	};
}

static int temporary(void)
{
	char name[] = "/tmp/aio-XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	return fd;
}

static void contexts(void)
{
	struct io_event e;

	EXPECT_ERRNO(setup(0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_io_setup, 4, NULL), EFAULT);
	ctx = 5;
	EXPECT_ERRNO(syscall(SYS_io_setup, 4, &ctx), EINVAL);
	EXPECT_ERRNO(setup(1u << 31), EAGAIN);
	EXPECT_ERRNO(setup(1u << 22), EAGAIN);
	EXPECT(setup(4) == 0 && ctx != 0);
	EXPECT_ERRNO(events(2, 1, &e, NULL), EINVAL);
	EXPECT_ERRNO(events(-1, 1, &e, NULL), EINVAL);
	EXPECT(destroy() == 0);
	EXPECT_ERRNO(destroy(), EINVAL);
	EXPECT_ERRNO(events(0, 1, &e, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_io_submit, 0ul, 0l, NULL), EINVAL);
	ctx = 4096;
	EXPECT_ERRNO(destroy(), EINVAL);
}

static void file_io(void)
{
	static char got[16]; /* far from the end of the addresses */
	char text[] = "some text";
	static char large[16];
	struct iovec v[2] = { { got, 4 }, { got + 4, 5 } };
	struct io_event e[4];
	struct iocb i, *two[2], j;
	int fd = temporary();

	EXPECT(setup(8) == 0);
	i = request(IOCB_CMD_PWRITE, fd, text, 9, 100);
	EXPECT(submit(&i) == 1);
	EXPECT(events(1, 4, e, NULL) == 1 && e[0].res == 9 && e[0].data == 42 && e[0].obj == (uintptr_t)&i);
	i = request(IOCB_CMD_PREAD, fd, got, 9, 100);
	j = request(IOCB_CMD_PREADV, fd, v, 2, 100);
	two[0] = &i;
	two[1] = &j;
	EXPECT(syscall(SYS_io_submit, ctx, 2L, two) == 2);
	EXPECT(events(2, 4, e, NULL) == 2 && e[0].res == 9 && e[1].res == 9 && !strcmp(got, text));
	i = request(IOCB_CMD_FSYNC, fd, NULL, 0, 0);
	EXPECT(submit(&i) == 1 || errno == EINVAL); /* where a file system has nothing to write out */
	while (events(0, 4, e, &(struct timespec){ 0 }) > 0)
		;
	i = request(IOCB_CMD_PREAD, 1000, got, 9, 0);
	EXPECT_ERRNO(submit(&i), EBADF);
	i = request(77, fd, got, 9, 0);
	EXPECT_ERRNO(submit(&i), EINVAL);
	i = request(IOCB_CMD_PREAD, fd, got, 9, -5);
	EXPECT_ERRNO(submit(&i), EINVAL);
	i = request(IOCB_CMD_PREAD, fd, (void *)16, 9, 100);
	EXPECT(submit(&i) == 1 && events(1, 1, e, NULL) == 1 && e[0].res == -EFAULT);
	EXPECT_ERRNO(syscall(SYS_io_submit, ctx, 1L, (void *)16), EFAULT);
	i.aio_reserved2 = 1;
	EXPECT_ERRNO(submit(&i), EINVAL);
	close(fd);
	fd = open("/dev/null", O_WRONLY);
	v[0].iov_base = v[1].iov_base = large; /* not the stack, above which there may be less than that */
	v[0].iov_len = v[1].iov_len = INT32_MAX;
	i = request(IOCB_CMD_PWRITEV, fd, v, 2, 0);
	EXPECT(submit(&i) == 1 && events(1, 1, e, NULL) == 1 && e[0].res == 0x7ffff000);
	close(fd);
	EXPECT(destroy() == 0);
}

static void polls(void)
{
	struct timespec soon = { .tv_nsec = 1000000 };
	uint64_t one = 1, count = 0;
	struct io_event e;
	struct iocb i, k;
	int f = eventfd(0, 0), told = eventfd(0, EFD_NONBLOCK);

	EXPECT(setup(8) == 0);
	i = request(IOCB_CMD_POLL, f, (void *)POLLIN, 0, 0);
	i.aio_flags = IOCB_FLAG_RESFD;
	i.aio_resfd = (uint32_t)told;
	EXPECT(submit(&i) == 1 && events(1, 1, &e, &soon) == 0);
	EXPECT(write(f, &one, 8) == 8);
	EXPECT(events(1, 1, &e, NULL) == 1 && (e.res & POLLIN));
	EXPECT(read(told, &count, 8) == 8 && count == 1);
	EXPECT(read(f, &count, 8) == 8);
	k = request(IOCB_CMD_POLL, f, (void *)POLLIN, 0, 0);
	EXPECT(submit(&k) == 1);
	EXPECT_ERRNO(syscall(SYS_io_cancel, ctx, &k, &e), EINPROGRESS);
	EXPECT(events(1, 1, &e, NULL) == 1 && e.obj == (uintptr_t)&k && !(e.res & POLLIN));
	EXPECT_ERRNO(syscall(SYS_io_cancel, ctx, &k, &e), EINVAL);
	EXPECT(submit(&k) == 1 && destroy() == 0);
	i.aio_resfd = (uint32_t)STDOUT_FILENO;
	EXPECT(setup(8) == 0);
	EXPECT_ERRNO(submit(&i), EINVAL);
	EXPECT(destroy() == 0);
	close(f);
	close(told);
}

/* The program may take events by itself. */
static void own_hands(void)
{
	struct ring {
		uint32_t id, nr, head, tail, magic, compat, incompat, header_length;
		struct io_event events[];
	} *ring;
	struct timespec none = { 0 };
	struct io_event e;
	char got[4];
	struct iocb i;
	int fd = temporary();

	EXPECT(setup(4) == 0);
	ring = (struct ring *)ctx;
	EXPECT(ring->magic == 0xa10a10a1 && ring->header_length == sizeof(*ring) && ring->nr >= 5 && ring->head == ring->tail);
	for (unsigned n = 0; n < 3 * ring->nr; n++) {
		i = request(IOCB_CMD_PREAD, fd, got, 4, 0);
		i.aio_data = n;
		EXPECT(submit(&i) == 1);
		EXPECT(ring->head != ring->tail && ring->events[ring->head].data == n);
		ring->head = (ring->head + 1) % ring->nr;
	}
	EXPECT(events(0, 1, &e, &none) == 0);
	close(fd);
	EXPECT(destroy() == 0);
}

/* There is no room for more requests than can have events. */
static void full(void)
{
	struct io_event e[512];
	char got[4];
	struct iocb i;
	int fd = temporary(), n = 0, r;

	EXPECT(setup(4) == 0);
	for (;;) {
		i = request(IOCB_CMD_PREAD, fd, got, 4, 0);
		r = submit(&i);
		if (r != 1)
			break;
		n++;
	}
	EXPECT(errno == EAGAIN || r == -1);
	EXPECT(n >= 4 && n <= 512);
	EXPECT(events(n, 512, e, NULL) == n);
	EXPECT(submit(&i) == 1);
	close(fd);
	EXPECT(destroy() == 0);
}

/* A child has no contexts; what a program leaves behind goes with it. */
static void children(void)
{
	int f = eventfd(0, 0), status;
	struct iocb i = request(IOCB_CMD_POLL, f, (void *)POLLIN, 0, 0);
	struct io_event e;
	pid_t pid;

	EXPECT(setup(4) == 0);
	pid = fork();
	if (pid == 0)
		_exit(events(0, 1, &e, &(struct timespec){ 0 }) == -1 && errno == EINVAL ? 0 : 1);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	pid = fork();
	if (pid == 0)
		_exit(setup(4) == 0 && submit(&i) == 1 ? 0 : 1);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(destroy() == 0);
	close(f);
}

int main(void)
{
	if (setup(1) && errno == ENOSYS) {
		printf("skipped: the host has no AIO\n");
		return 0;
	}
	destroy();
	CASE(contexts);
	CASE(file_io);
	CASE(polls);
	CASE(own_hands);
	CASE(full);
	CASE(children);
	return abi_result();
}
