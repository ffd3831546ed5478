/* SPDX-License-Identifier: MIT */
/* Pipes and FIFOs: order, ends, atomic writes, capacity, blocking, bad arguments. */
#include "cases.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char big[1 << 17];

static void bytes_pass(void)
{
	int p[2];
	char buf[16];

	EXPECT(pipe(p) == 0);
	EXPECT(write(p[1], "hello", 5) == 5);
	EXPECT(read(p[0], buf, 2) == 2 && memcmp(buf, "he", 2) == 0);
	EXPECT(read(p[0], buf, 16) == 3 && memcmp(buf, "llo", 3) == 0);
	EXPECT(write(p[1], "", 0) == 0);
	EXPECT(close(p[1]) == 0);
	EXPECT(read(p[0], buf, 16) == 0);
	close(p[0]);
}

static void ends_have_a_direction(void)
{
	int p[2];
	char c;

	EXPECT(pipe(p) == 0);
	EXPECT_ERRNO(read(p[1], &c, 1), EBADF);
	EXPECT_ERRNO(write(p[0], "x", 1), EBADF);
	EXPECT_ERRNO(lseek(p[0], 0, SEEK_SET), ESPIPE);
	EXPECT_ERRNO(pread(p[0], &c, 1, 0), ESPIPE);
	EXPECT((fcntl(p[0], F_GETFL) & O_ACCMODE) == O_RDONLY);
	EXPECT((fcntl(p[1], F_GETFL) & O_ACCMODE) == O_WRONLY);
	close(p[0]);
	close(p[1]);
}

static void nonblocking_pipes_say_again(void)
{
	int p[2];
	char c;
	ssize_t total = 0, n;

	EXPECT(pipe2(p, O_NONBLOCK | O_CLOEXEC) == 0);
	EXPECT(fcntl(p[0], F_GETFD) == FD_CLOEXEC);
	EXPECT_ERRNO(read(p[0], &c, 1), EAGAIN);
	while ((n = write(p[1], big, 4096)) > 0)
		total += n;
	EXPECT_ERRNO(write(p[1], big, 4096), EAGAIN);
	EXPECT(total == 65536);
	EXPECT(read(p[0], big, sizeof(big)) == 65536);
	EXPECT(write(p[1], big, sizeof(big)) == 65536);
	close(p[0]);
	close(p[1]);
}

static void small_writes_are_whole(void)
{
	int p[2];

	EXPECT(pipe2(p, O_NONBLOCK) == 0);
	EXPECT(write(p[1], big, 65536 - 4096) == 65536 - 4096);
	EXPECT(write(p[1], big, 4096) == 4096);
	EXPECT(read(p[0], big, 4096) == 4096);
	EXPECT(write(p[1], big, 4096) == 4096);
	EXPECT_ERRNO(write(p[1], big, 2), EAGAIN);
	close(p[0]);
	close(p[1]);
}

static volatile sig_atomic_t pipe_signals;

static void on_signal(int signo)
{
	(void)signo;
	pipe_signals++;
}

static void a_pipe_without_reader_breaks(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	int p[2];

	EXPECT(sigaction(SIGPIPE, &sa, NULL) == 0);
	EXPECT(pipe(p) == 0);
	close(p[0]);
	EXPECT_ERRNO(write(p[1], "x", 1), EPIPE);
	EXPECT(pipe_signals == 1);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	EXPECT_ERRNO(write(p[1], "x", 1), EPIPE);
	EXPECT(pipe_signals == 1);
	close(p[1]);
}

static void a_reader_waits_for_its_writer(void)
{
	int p[2], status;
	char buf[8];
	pid_t child;

	EXPECT(pipe(p) == 0);
	child = fork();
	if (child == 0) {
		usleep(20000);
		_exit(write(p[1], "late", 4) != 4);
	}
	EXPECT(read(p[0], buf, 8) == 4 && memcmp(buf, "late", 4) == 0);
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	close(p[0]);
	close(p[1]);
}

static void a_long_write_waits_for_its_reader(void)
{
	int p[2], status;
	size_t total = 0, wrong = 0;
	ssize_t n;
	pid_t child;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 >> 3);
	EXPECT(pipe(p) == 0);
	child = fork();
	if (child == 0) {
		close(p[0]);
		for (int i = 0; i < 4; i++)
			if (write(p[1], big, sizeof(big)) != (ssize_t)sizeof(big))
				_exit(1);
		_exit(0);
	}
	close(p[1]);
	for (;;) {
		static char buf[5000];

		n = read(p[0], buf, sizeof(buf));
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			wrong += buf[i] != big[(total + (size_t)i) % sizeof(big)];
		total += (size_t)n;
	}
	EXPECT(n == 0 && total == 4 * sizeof(big) && wrong == 0);
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	close(p[0]);
}

static void a_signal_interrupts_a_read(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	int p[2];
	char c;

	sigaction(SIGALRM, &sa, NULL);
	EXPECT(pipe(p) == 0);
	ualarm(20000, 0);
	EXPECT_ERRNO(read(p[0], &c, 1), EINTR);
	close(p[0]);
	close(p[1]);
}

static void readiness(void)
{
	int p[2];
	struct pollfd r, w;

	EXPECT(pipe(p) == 0);
	r = (struct pollfd){ .fd = p[0], .events = POLLIN };
	w = (struct pollfd){ .fd = p[1], .events = POLLOUT };
	EXPECT(poll(&r, 1, 0) == 0);
	EXPECT(poll(&w, 1, 0) == 1 && w.revents == POLLOUT);
	EXPECT(write(p[1], "x", 1) == 1);
	EXPECT(poll(&r, 1, 0) == 1 && r.revents == POLLIN);
	close(p[1]);
	EXPECT(poll(&r, 1, 0) == 1 && r.revents == (POLLIN | POLLHUP));
	close(p[0]);
	EXPECT(pipe(p) == 0);
	close(p[0]);
	w.fd = p[1];
	EXPECT(poll(&w, 1, 0) == 1 && w.revents == (POLLOUT | POLLERR));
	close(p[1]);
}

static void capacity(void)
{
	int p[2], n;

	EXPECT(pipe2(p, O_NONBLOCK) == 0);
	EXPECT(fcntl(p[0], F_GETPIPE_SZ) == 65536);
	EXPECT(write(p[1], "abcdef", 6) == 6);
	EXPECT(ioctl(p[0], FIONREAD, &n) == 0 && n == 6);
	EXPECT(fcntl(p[1], F_SETPIPE_SZ, 131072) == 131072);
	EXPECT(fcntl(p[0], F_GETPIPE_SZ) == 131072);
	EXPECT(read(p[0], big, 3) == 3 && memcmp(big, "abc", 3) == 0);
	EXPECT(fcntl(p[1], F_SETPIPE_SZ, 5000) == 8192);
	EXPECT(read(p[0], big, 99) == 3 && memcmp(big, "def", 3) == 0);
	EXPECT(write(p[1], big, 8192) == 8192);
	EXPECT_ERRNO(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
	EXPECT_ERRNO(fcntl(p[1], F_SETPIPE_SZ, 0x80000001u), EINVAL);
	EXPECT_ERRNO(fcntl(1, F_GETPIPE_SZ + 100), EINVAL);
	close(p[0]);
	close(p[1]);
}

static void fifos(void)
{
	const char *path = "/tmp/t_pipe.fifo";
	int r, w, status;
	char buf[8];
	pid_t child;

	unlink(path);
	EXPECT(mkfifo(path, 0600) == 0);
	EXPECT_ERRNO(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
	r = open(path, O_RDONLY | O_NONBLOCK);
	EXPECT(r >= 0);
	EXPECT(read(r, buf, 1) == 0);
	w = open(path, O_WRONLY | O_NONBLOCK);
	EXPECT(w >= 0);
	EXPECT_ERRNO(read(r, buf, 1), EAGAIN);
	EXPECT(write(w, "abc", 3) == 3);
	close(w);
	EXPECT(read(r, buf, 8) == 3);
	EXPECT(read(r, buf, 8) == 0);
	close(r);
	child = fork();
	if (child == 0) {
		w = open(path, O_WRONLY);
		_exit(write(w, "fifo", 4) != 4);
	}
	r = open(path, O_RDONLY);
	EXPECT(r >= 0);
	EXPECT(read(r, buf, 8) == 4 && memcmp(buf, "fifo", 4) == 0);
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	close(r);
	EXPECT(unlink(path) == 0);
}

static void bad_arguments(void)
{
	int p[2];
	char c;

	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++)
		EXPECT_ERRNO(syscall(SYS_pipe2, abi_bad_addresses[i], 0), EFAULT);
	EXPECT_ERRNO(syscall(SYS_pipe2, p, 0x40000001), EINVAL);
	EXPECT(pipe(p) == 0);
	EXPECT(write(p[1], "x", 1) == 1);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(read(p[0], abi_bad_addresses[i], 1), EFAULT);
		EXPECT_ERRNO(write(p[1], abi_bad_addresses[i], 1), EFAULT);
	}
	EXPECT(read(p[0], &c, 1) == 1 && c == 'x');
	close(p[0]);
	close(p[1]);
}

static void vectors(void)
{
	struct iovec out[3] = { { "ab", 2 }, { "", 0 }, { "cde", 3 } };
	char x[2], y[8];
	struct iovec in[2] = { { x, 2 }, { y, 8 } };
	int p[2];

	EXPECT(pipe(p) == 0);
	EXPECT(writev(p[1], out, 3) == 5);
	EXPECT(readv(p[0], in, 2) == 5 && memcmp(x, "ab", 2) == 0 && memcmp(y, "cde", 3) == 0);
	EXPECT_ERRNO(syscall(SYS_writev, p[1], out, -1l), EINVAL);
	EXPECT_ERRNO(syscall(SYS_writev, p[1], out, 1025l), EINVAL);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	CASE(bytes_pass);
	CASE(ends_have_a_direction);
	CASE(nonblocking_pipes_say_again);
	CASE(small_writes_are_whole);
	CASE(a_pipe_without_reader_breaks);
	CASE(a_reader_waits_for_its_writer);
	CASE(a_long_write_waits_for_its_reader);
	CASE(a_signal_interrupts_a_read);
	CASE(readiness);
	CASE(capacity);
	CASE(fifos);
	CASE(bad_arguments);
	CASE(vectors);
	return abi_result();
}
