/* SPDX-License-Identifier: MIT */
/* splice, tee, vmsplice; the flags of preadv2 and pwritev2. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "cases.h"
#include "scratch.h"

static char buf[200000];

static int file_with(const char *text)
{
	int fd = open("file", O_CREAT | O_TRUNC | O_RDWR, 0644);

	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? fd : -1;
}

static void arguments(void)
{
	int fd = file_with("0123456789"), p[2], q[2], e = eventfd(1, 0), append = open("file", O_WRONLY | O_APPEND);
	off_t at = 2, negative = -1;

	EXPECT(pipe(p) == 0 && pipe(q) == 0);
	EXPECT(splice(fd, NULL, p[1], NULL, 0, 0) == 0);
	EXPECT_ERRNO(splice(fd, NULL, p[1], NULL, 1, 0x100), EINVAL);
	EXPECT_ERRNO(splice(-1, NULL, p[1], NULL, 1, 0), EBADF);
	EXPECT_ERRNO(splice(fd, NULL, -1, NULL, 1, 0), EBADF);
	EXPECT_ERRNO(splice(fd, NULL, fd, NULL, 1, 0), EINVAL);
	EXPECT_ERRNO(splice(p[0], NULL, p[1], NULL, 1, 0), EINVAL);
	EXPECT_ERRNO(splice(p[1], NULL, q[1], NULL, 1, 0), EBADF);
	EXPECT_ERRNO(splice(fd, NULL, p[0], NULL, 1, 0), EBADF);
	EXPECT_ERRNO(splice(p[0], &at, fd, NULL, 1, 0), ESPIPE);
	EXPECT_ERRNO(splice(fd, NULL, p[1], &at, 1, 0), ESPIPE);
	EXPECT_ERRNO(splice(fd, &negative, p[1], NULL, 1, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_splice, fd, 8, p[1], NULL, 1, 0), EFAULT);
	EXPECT(write(p[1], "x", 1) == 1);
	EXPECT_ERRNO(splice(p[0], NULL, append, NULL, 1, 0), EINVAL);
	EXPECT_ERRNO(splice(p[0], NULL, e, NULL, 8, 0), EINVAL);
	EXPECT_ERRNO(splice(e, NULL, p[1], NULL, 8, 0), EINVAL);
	EXPECT(splice(p[0], NULL, q[1], NULL, 1, 0) == 1);
	EXPECT_ERRNO(tee(fd, p[1], 1, 0), EINVAL);
	EXPECT_ERRNO(tee(p[0], p[1], 1, 0), EINVAL);
	EXPECT_ERRNO(tee(p[0], q[1], 1, 0x100), EINVAL);
	EXPECT(tee(p[0], q[1], 0, 0) == 0);
	EXPECT_ERRNO(vmsplice(fd, &(struct iovec){ buf, 1 }, 1, 0), EBADF);
	EXPECT_ERRNO(vmsplice(p[1], &(struct iovec){ buf, 1 }, 1, 0x100), EINVAL);
	EXPECT_ERRNO(syscall(SYS_vmsplice, p[1], 8, 1, 0), EFAULT);
	EXPECT(vmsplice(p[1], NULL, 0, 0) == 0);
	close(fd), close(e), close(append), close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

static void files(void)
{
	int fd = file_with("hello world"), p[2];
	off_t at = 6;

	EXPECT(pipe(p) == 0);
	EXPECT(splice(fd, &at, p[1], NULL, 100, 0) == 5 && at == 11);
	EXPECT(lseek(fd, 0, SEEK_CUR) == 11); /* the file's own did not move */
	EXPECT(splice(fd, &at, p[1], NULL, 100, 0) == 0);
	EXPECT(lseek(fd, 1, SEEK_SET) == 1 && splice(fd, NULL, p[1], NULL, 3, SPLICE_F_MOVE) == 3 && lseek(fd, 0, SEEK_CUR) == 4);
	EXPECT(read(p[0], buf, 100) == 8 && !memcmp(buf, "worldell", 8));
	EXPECT(write(p[1], "ABCDEF", 6) == 6);
	at = 1;
	EXPECT(splice(p[0], NULL, fd, &at, 2, 0) == 2 && at == 3);
	EXPECT(lseek(fd, 9, SEEK_SET) == 9 && splice(p[0], NULL, fd, NULL, 100, SPLICE_F_MORE) == 4 && lseek(fd, 0, SEEK_CUR) == 13);
	EXPECT(pread(fd, buf, 100, 0) == 13 && !memcmp(buf, "hABlo worCDEF", 13));
	EXPECT_ERRNO(splice(p[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	close(p[1]);
	EXPECT(splice(p[0], NULL, fd, NULL, 1, 0) == 0); /* no writer: the end */
	close(p[0]), close(fd);
}

static void partial(void)
{
	int fd = open("file", O_CREAT | O_TRUNC | O_RDWR, 0644), p[2];
	ssize_t n;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i * 7);
	EXPECT(write(fd, buf, sizeof(buf)) == sizeof(buf) && lseek(fd, 0, SEEK_SET) == 0 && pipe(p) == 0);
	n = splice(fd, NULL, p[1], NULL, sizeof(buf), 0);
	EXPECT(n == 65536); /* what the pipe holds */
	EXPECT_ERRNO(splice(fd, NULL, p[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	EXPECT(lseek(fd, 0, SEEK_CUR) == 65536);
	memset(buf, 0, sizeof(buf));
	EXPECT(read(p[0], buf, sizeof(buf)) == 65536 && buf[65535] == (char)(65535 * 7));
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	EXPECT_ERRNO(splice(fd, NULL, p[1], NULL, 1, 0), EPIPE);
	EXPECT_ERRNO(vmsplice(p[1], &(struct iovec){ buf, 1 }, 1, 0), EPIPE);
	signal(SIGPIPE, SIG_DFL);
	close(p[1]), close(fd);
}

static void pipes(void)
{
	int a[2], b[2];

	EXPECT(pipe(a) == 0 && pipe(b) == 0);
	EXPECT_ERRNO(tee(a[0], b[1], 5, SPLICE_F_NONBLOCK), EAGAIN);
	EXPECT_ERRNO(splice(a[0], NULL, b[1], NULL, 5, SPLICE_F_NONBLOCK), EAGAIN);
	EXPECT(write(a[1], "abcdef", 6) == 6);
	EXPECT(tee(a[0], b[1], 4, 0) == 4);
	EXPECT(read(b[0], buf, 10) == 4 && !memcmp(buf, "abcd", 4));
	EXPECT(splice(a[0], NULL, b[1], NULL, 2, 0) == 2);
	EXPECT(read(b[0], buf, 10) == 2 && !memcmp(buf, "ab", 2));
	EXPECT(read(a[0], buf, 10) == 4 && !memcmp(buf, "cdef", 4));
	close(a[1]);
	EXPECT(tee(a[0], b[1], 4, 0) == 0 && splice(a[0], NULL, b[1], NULL, 4, 0) == 0);
	close(a[0]), close(b[0]), close(b[1]);
}

static void sockets(void)
{
	int s[2], p[2];

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
	EXPECT(write(s[0], "stream", 6) == 6);
	EXPECT(splice(s[1], NULL, p[1], NULL, 100, 0) == 6);
	EXPECT(splice(p[0], NULL, s[1], NULL, 100, 0) == 6);
	EXPECT(read(s[0], buf, 100) == 6 && !memcmp(buf, "stream", 6));
	close(s[0]), close(s[1]), close(p[0]), close(p[1]);
}

static void memory(void)
{
	int p[2];
	struct iovec out[] = { { "one ", 4 }, { "two", 3 } }, in[] = { { buf, 2 }, { buf + 100, 50 } };

	EXPECT(pipe(p) == 0);
	EXPECT_ERRNO(vmsplice(p[0], in, 2, SPLICE_F_NONBLOCK), EAGAIN);
	EXPECT(vmsplice(p[1], out, 2, 0) == 7);
	EXPECT(vmsplice(p[0], in, 2, 0) == 7 && !memcmp(buf, "on", 2) && !memcmp(buf + 100, "e two", 5));
	close(p[1]);
	EXPECT(vmsplice(p[0], in, 2, 0) == 0);
	close(p[0]);
}

static void waiting(void)
{
	int fd = file_with(""), p[2], q[2], status;
	pid_t pid;

	EXPECT(pipe(p) == 0 && pipe(q) == 0);
	pid = fork();
	if (pid == 0)
		_exit(splice(p[0], NULL, fd, NULL, 100, 0) == 5 && splice(p[0], NULL, q[1], NULL, 100, 0) == 2 ? 0 : 1);
	usleep(20000);
	EXPECT(write(p[1], "first", 5) == 5);
	usleep(20000);
	EXPECT(write(p[1], "go", 2) == 2);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(pread(fd, buf, 10, 0) == 5 && read(q[0], buf, 10) == 2);
	close(fd), close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

static void sending(void)
{
	int fd = file_with("0123456789"), p[2], e = eventfd(1, 0), zero = open("/dev/null", O_WRONLY);
	off_t at = 3;

	EXPECT(pipe(p) == 0);
	EXPECT(sendfile(p[1], fd, &at, 4) == 4 && at == 7 && read(p[0], buf, 10) == 4 && !memcmp(buf, "3456", 4));
	EXPECT(sendfile(zero, fd, &at, 100) == 3 && at == 10 && sendfile(zero, fd, &at, 100) == 0);
	at = 0;
	EXPECT_ERRNO(sendfile(e, fd, &at, 8), EINVAL);
	EXPECT_ERRNO(sendfile(zero, p[0], NULL, 8), EINVAL);
	EXPECT_ERRNO(sendfile(zero, e, NULL, 8), EINVAL);
	EXPECT_ERRNO(sendfile(fd, -1, NULL, 8), EBADF);
	close(fd), close(p[0]), close(p[1]), close(e), close(zero);
}

static void flags(void)
{
	int fd = file_with("12345"), p[2];
	struct iovec v = { "ab", 2 }, r = { buf, 10 };

	EXPECT(pwritev2(fd, &v, 1, 0, RWF_APPEND) == 2);
	EXPECT(pwritev2(fd, &v, 1, 1, RWF_DSYNC) == 2 && pwritev2(fd, &v, 1, 3, RWF_SYNC | RWF_HIPRI) == 2);
	EXPECT(preadv2(fd, &r, 1, 0, RWF_HIPRI) == 7 && !memcmp(buf, "1ababab", 7));
	EXPECT_ERRNO(preadv2(fd, &r, 1, 0, 0x40000000), EOPNOTSUPP);
	EXPECT_ERRNO(pwritev2(fd, &v, 1, 0, 0x40000000), EOPNOTSUPP);
	EXPECT(lseek(fd, 1, SEEK_SET) == 1 && pwritev2(fd, &v, 1, -1, RWF_APPEND) == 2 && lseek(fd, 0, SEEK_CUR) == 9);
	EXPECT(preadv2(fd, &r, 1, -1, 0) == 0);
	EXPECT_ERRNO(preadv2(fd, &r, 1, -2, 0), EINVAL);
	EXPECT(pipe(p) == 0 && pwritev2(p[1], &v, 1, -1, 0) == 2 && preadv2(p[0], &r, 1, -1, RWF_HIPRI) == 2);
	EXPECT_ERRNO(preadv2(p[0], &r, 1, 0, 0), ESPIPE);
	close(p[0]), close(p[1]), close(fd);
}

int main(void)
{
	if (scratch_enter("splice"))
		return 1;
	CASE(arguments);
	CASE(files);
	CASE(partial);
	CASE(pipes);
	CASE(sockets);
	CASE(memory);
	CASE(waiting);
	CASE(sending);
	CASE(flags);
	scratch_leave();
	return abi_result();
}
