/* SPDX-License-Identifier: MIT */
/* io_uring: what becomes of requests and of those who work at them when a task ends, executes, stops, or may have no more threads. */
#include "cases.h"
#include "uring.h"
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct uring u;

/* What a process that ends has asked for ends with it; so does what a program asked for that executes another. */
static void ending(void)
{
	struct io_uring_sqe *s;
	char got[4];
	int p[2], status;
	pid_t pid;

	EXPECT(pipe(p) == 0);
	for (int way = 0; way < 3; way++) {
		pid = fork();
		if (pid == 0) {
			if (!uring_open(&u, 8))
				_exit(1);
			for (int i = 0; i < 4; i++) {
				s = uring_next(&u, IORING_OP_READ, p[0], 1);
				s->addr = (uintptr_t)got;
				s->len = 4;
				s->flags = i % 2 ? IOSQE_ASYNC : 0;
			}
			if (uring_submit(&u, 0) != 4)
				_exit(2);
			usleep(5000);
			if (way == 1)
				raise(SIGKILL);
			if (way == 2)
				execl("/proc/self/exe", "t_uring_tasks", "end", NULL);
			_exit(3);
		}
		EXPECT(waitpid(pid, &status, 0) == pid);
		EXPECT(way == 1 ? WIFSIGNALED(status) : WEXITSTATUS(status) == 3);
	}
	EXPECT(write(p[1], "abcd", 4) == 4 && read(p[0], got, 4) == 4); /* nobody else has read it */
	close(p[0]);
	close(p[1]);
}

/* Stopped at any time, also while what it has asked for is being ended, it can go on. */
static void ending_stopped(void)
{
	struct io_uring_sqe *s;
	char got[4];
	int p[2], status;

	EXPECT(pipe(p) == 0);
	for (unsigned i = 0; i < 30; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (!uring_open(&u, 8))
				_exit(1);
			for (int j = 0; j < 8; j++) {
				s = uring_next(&u, IORING_OP_READ, p[0], 1);
				s->addr = (uintptr_t)got;
				s->len = 4;
				s->flags = IOSQE_ASYNC;
			}
			uring_submit(&u, 0);
			execl("/proc/self/exe", "t_uring_tasks", "end", NULL);
			_exit(2);
		}
		usleep(i * 40);
		kill(pid, SIGSTOP);
		EXPECT(waitpid(pid, &status, WUNTRACED) == pid);
		if (WIFSTOPPED(status)) {
			kill(pid, SIGCONT);
			EXPECT(waitpid(pid, &status, 0) == pid);
		}
		EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	}
	close(p[0]);
	close(p[1]);
}

/* A worker that is the last there may be waits; what becomes ready goes on all the same, though its task does not wait for it. */
static void last_worker(void)
{
	struct rlimit few = { 2, 2 };
	struct io_uring_sqe *s;
	int p[2], q[2], status;
	char got[4];
	pid_t pid;

	if (getuid() != 0)
		return;
	EXPECT(pipe(p) == 0 && pipe(q) == 0);
	pid = fork();
	if (pid == 0) {
		if (setrlimit(RLIMIT_NPROC, &few) || setresuid(54321, 54321, 54321) || !uring_open(&u, 8))
			_exit(1);
		s = uring_next(&u, IORING_OP_READ, p[0], 1);
		s->addr = (uintptr_t)got;
		s->len = 4;
		s->flags = IOSQE_ASYNC;
		s = uring_next(&u, IORING_OP_POLL_ADD, q[0], 2);
		s->poll32_events = POLLIN;
		if (uring_submit(&u, 0) != 2)
			_exit(2);
		usleep(20000);
		if (write(q[1], "x", 1) != 1)
			_exit(3);
		for (int i = 0; i < 500 && uring_ready(&u) == 0; i++)
			usleep(10000);
		if (uring_ready(&u) != 1 || !uring_took(&u, 2, POLLIN))
			_exit(4);
		if (write(p[1], "abcd", 4) != 4 || !uring_took(&u, 1, 4))
			_exit(5);
		_exit(6);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 6);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(q[i]);
	}
}

/* A process with workers stops and goes on. */
static void stopping(void)
{
	struct io_uring_sqe *s;
	char got[4];
	int p[2], status;
	pid_t pid;

	EXPECT(pipe(p) == 0);
	pid = fork();
	if (pid == 0) {
		if (!uring_open(&u, 8))
			_exit(1);
		s = uring_next(&u, IORING_OP_READ, p[0], 1);
		s->addr = (uintptr_t)got;
		s->len = 4;
		s->flags = IOSQE_ASYNC;
		uring_submit(&u, 0);
		usleep(5000);
		raise(SIGSTOP);
		_exit(uring_took(&u, 1, 4) ? 5 : 6);
	}
	EXPECT(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	kill(pid, SIGCONT);
	EXPECT(write(p[1], "abcd", 4) == 4);
	EXPECT(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
	close(p[0]);
	close(p[1]);
}

int main(int argc, char **argv)
{
	struct io_uring_params p = { 0 };
	int fd;

	if (argc > 1 && !strcmp(argv[1], "end"))
		return 3;
	fd = uring_setup(1, &p);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
		printf("skipped: the host has no io_uring\n");
		return 0;
	}
	close(fd);
	CASE(ending);
	CASE(ending_stopped);
	CASE(stopping);
	CASE(last_worker);
	return abi_result();
}
