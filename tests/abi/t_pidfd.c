/* SPDX-License-Identifier: MIT */
/* Descriptors of processes: making, signals, waiting, readiness, taking descriptors, what is left when the process is gone. */
#include "cases.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef PIDFD_NONBLOCK
#define PIDFD_NONBLOCK O_NONBLOCK
#endif
#define NOBODY 65534

static int pidfd_open_(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

static int pidfd_kill(int fd, int signo, siginfo_t *info, unsigned flags)
{
	return (int)syscall(SYS_pidfd_send_signal, fd, signo, info, flags);
}

static int pidfd_get(int fd, int theirs, unsigned flags)
{
	return (int)syscall(SYS_pidfd_getfd, fd, theirs, flags);
}

static int wait_fd(int fd, siginfo_t *si, int options)
{
	return (int)syscall(SYS_waitid, P_PIDFD, fd, si, options, NULL);
}

static pid_t child_that_waits(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLIN);
}

static void end_child(pid_t pid)
{
	int status;

	EXPECT(kill(pid, SIGKILL) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

static void opening(void)
{
	int fd = pidfd_open_(getpid(), 0);

	EXPECT(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	EXPECT(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	EXPECT(close(fd) == 0);
	fd = pidfd_open_(getpid(), PIDFD_NONBLOCK);
	EXPECT(fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
	EXPECT(close(fd) == 0);
	EXPECT_ERRNO(pidfd_open_(getpid(), 1), EINVAL);
	EXPECT_ERRNO(pidfd_open_(0, 0), EINVAL);
	EXPECT_ERRNO(pidfd_open_(-1, 0), EINVAL);
	EXPECT_ERRNO(pidfd_open_(0x3fffffff, 0), ESRCH);
}

static void *wait_in_thread(void *pipe_fd)
{
	int tid = gettid();
	char c;

	if (write(((int *)pipe_fd)[1], &tid, sizeof(tid)) == sizeof(tid))
		(void)!read(((int *)pipe_fd)[2], &c, 1);
	return NULL;
}

static void a_thread_has_none(void)
{
	int out[2], in[2], fds[3], tid;
	pthread_t thread;

	EXPECT(pipe(out) == 0 && pipe(in) == 0);
	fds[0] = out[0], fds[1] = out[1], fds[2] = in[0];
	EXPECT(pthread_create(&thread, NULL, wait_in_thread, fds) == 0);
	EXPECT(read(out[0], &tid, sizeof(tid)) == sizeof(tid));
	errno = 0;
	EXPECT(pidfd_open_(tid, 0) == -1 && (errno == EINVAL || errno == ENOENT));
	EXPECT(write(in[1], "x", 1) == 1 && pthread_join(thread, NULL) == 0);
	close(out[0]), close(out[1]), close(in[0]), close(in[1]);
}

static void operations_it_has_not(void)
{
	int fd = pidfd_open_(getpid(), 0);
	char c;

	EXPECT_ERRNO(read(fd, &c, 1), EINVAL);
	EXPECT_ERRNO(write(fd, &c, 1), EINVAL);
	EXPECT_ERRNO(lseek(fd, 0, SEEK_SET), ESPIPE);
	EXPECT(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
	EXPECT(close(fd) == 0);
}

static void signals_reach_it(void)
{
	pid_t pid = child_that_waits();
	int fd = pidfd_open_(pid, 0);
	siginfo_t si;

	EXPECT(pidfd_kill(fd, 0, NULL, 0) == 0);
	EXPECT_ERRNO(pidfd_kill(fd, SIGTERM, NULL, 0x80), EINVAL);
	EXPECT_ERRNO(pidfd_kill(fd, 65, NULL, 0), EINVAL);
	EXPECT_ERRNO(pidfd_kill(fd, -1, NULL, 0), EINVAL);
	EXPECT_ERRNO(pidfd_kill(-1, SIGTERM, NULL, 0), EBADF);
	EXPECT_ERRNO(pidfd_kill(0x7fffffff, SIGTERM, NULL, 0), EBADF);
	EXPECT_ERRNO(pidfd_kill(1, SIGTERM, NULL, 0), EBADF);
	for (size_t i = 1; i < ABI_BAD_ADDRESSES; i++)
		EXPECT_ERRNO(pidfd_kill(fd, SIGTERM, abi_bad_addresses[i], 0), EFAULT);
	memset(&si, 0, sizeof(si));
	si.si_signo = SIGUSR1;
	si.si_code = SI_QUEUE;
	EXPECT_ERRNO(pidfd_kill(fd, SIGUSR2, &si, 0), EINVAL);
	si.si_code = SI_USER;
	EXPECT_ERRNO(pidfd_kill(fd, SIGUSR1, &si, 0), EPERM);
	si.si_code = SI_TKILL;
	EXPECT_ERRNO(pidfd_kill(fd, SIGUSR1, &si, 0), EPERM);
	EXPECT(pidfd_kill(fd, SIGTERM, NULL, 0) == 0);
	EXPECT(wait_fd(fd, &si, WEXITED) == 0 && si.si_pid == pid && si.si_code == CLD_KILLED && si.si_status == SIGTERM);
	EXPECT_ERRNO(pidfd_kill(fd, SIGTERM, NULL, 0), ESRCH);
	EXPECT_ERRNO(pidfd_kill(fd, 0, NULL, 0), ESRCH);
	EXPECT(close(fd) == 0);
}

static void details_are_carried(void)
{
	int fd = pidfd_open_(getpid(), 0);
	sigset_t set, old;
	siginfo_t si, got;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	EXPECT(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	memset(&si, 0, sizeof(si));
	si.si_signo = SIGRTMIN + 2;
	si.si_code = SI_QUEUE;
	si.si_pid = 4711;
	si.si_value.sival_int = 99;
	EXPECT(pidfd_kill(fd, SIGRTMIN + 2, &si, 0) == 0);
	EXPECT(sigwaitinfo(&set, &got) == SIGRTMIN + 2 && got.si_code == SI_QUEUE && got.si_pid == 4711);
	EXPECT(got.si_value.sival_int == 99);
	si.si_code = SI_USER; /* to oneself anything may be said */
	EXPECT(pidfd_kill(fd, SIGRTMIN + 2, &si, 0) == 0);
	EXPECT(sigwaitinfo(&set, &got) == SIGRTMIN + 2 && got.si_code == SI_USER && got.si_pid == 4711);
	EXPECT(pidfd_kill(fd, SIGRTMIN + 2, NULL, 0) == 0);
	EXPECT(sigwaitinfo(&set, &got) == SIGRTMIN + 2 && got.si_code == SI_USER && got.si_pid == getpid());
	EXPECT(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && close(fd) == 0);
}

static void ready_when_it_ends(void)
{
	pid_t pid = child_that_waits();
	int fd = pidfd_open_(pid, 0), late;
	siginfo_t si;

	EXPECT(!readable(fd, 0));
	EXPECT(kill(pid, SIGSTOP) == 0);
	EXPECT(waitid(P_PID, (id_t)pid, &si, WSTOPPED) == 0 && si.si_status == SIGSTOP);
	EXPECT(!readable(fd, 0));
	EXPECT(kill(pid, SIGKILL) == 0);
	EXPECT(readable(fd, 10000));
	late = pidfd_open_(pid, 0); /* a zombie has a number */
	EXPECT(late >= 0 && readable(late, 0));
	EXPECT(pidfd_kill(fd, SIGTERM, NULL, 0) == 0);
	EXPECT(waitpid(pid, NULL, 0) == pid);
	EXPECT(readable(fd, 0) && readable(late, 0));
	EXPECT_ERRNO(pidfd_open_(pid, 0), ESRCH);
	EXPECT(close(fd) == 0 && close(late) == 0);
}

static void epoll_hears_of_it(void)
{
	int ep = epoll_create1(0), fds[3];
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got[4];
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		pids[i] = child_that_waits();
		fds[i] = pidfd_open_(pids[i], 0);
		event.data.u32 = (uint32_t)i;
		EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event) == 0);
	}
	EXPECT(epoll_wait(ep, got, 4, 0) == 0);
	EXPECT(pidfd_kill(fds[1], SIGKILL, NULL, 0) == 0);
	EXPECT(epoll_wait(ep, got, 4, 10000) == 1 && got[0].data.u32 == 1 && (got[0].events & EPOLLIN));
	EXPECT(waitpid(pids[1], NULL, 0) == pids[1]);
	EXPECT(close(fds[1]) == 0);
	EXPECT(pidfd_kill(fds[2], SIGKILL, NULL, 0) == 0);
	EXPECT(epoll_wait(ep, got, 4, 10000) >= 1);
	EXPECT(waitpid(pids[2], NULL, 0) == pids[2]);
	EXPECT(close(ep) == 0);
	end_child(pids[0]);
	EXPECT(close(fds[0]) == 0 && close(fds[2]) == 0);
}

static void *end_later(void *arg)
{
	struct timespec t = { .tv_nsec = 20000000 };

	nanosleep(&t, NULL);
	(void)arg;
	syscall(SYS_exit_group, 5);
	return NULL;
}

/* The first thread ends, the process does not. */
static void not_ready_before_the_last_thread(void)
{
	pid_t pid = fork();
	siginfo_t si;
	int fd;

	if (pid == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, end_later, NULL);
		syscall(SYS_exit, 3);
	}
	fd = pidfd_open_(pid, 0);
	EXPECT(fd >= 0 && readable(fd, 10000));
	EXPECT(wait_fd(fd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == pid && si.si_status == 5);
	EXPECT(close(fd) == 0);
}

static void waiting(void)
{
	pid_t pid = child_that_waits(), other;
	int fd = pidfd_open_(pid, 0), pipes[2], self = pidfd_open_(getpid(), 0);
	struct rusage usage;
	siginfo_t si;

	EXPECT(pipe(pipes) == 0);
	EXPECT_ERRNO(wait_fd(self, &si, WEXITED), ECHILD);
	EXPECT_ERRNO(wait_fd(pipes[0], &si, WEXITED), EBADF);
	EXPECT_ERRNO(wait_fd(1000, &si, WEXITED), EBADF);
	EXPECT_ERRNO(wait_fd(-1, &si, WEXITED), EINVAL);
	EXPECT_ERRNO(wait_fd(fd, &si, 0), EINVAL);
	si.si_pid = 1;
	EXPECT(wait_fd(fd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0);
	EXPECT(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	EXPECT_ERRNO(wait_fd(fd, &si, WEXITED), EAGAIN);
	EXPECT(wait_fd(fd, &si, WEXITED | WNOHANG) == 0);
	EXPECT(fcntl(fd, F_SETFL, 0) == 0);
	other = fork(); /* another child's end is not taken for its own */
	if (other == 0)
		_exit(9);
	EXPECT(waitid(P_PID, (id_t)other, &si, WEXITED | WNOWAIT) == 0);
	EXPECT(wait_fd(fd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0);
	EXPECT(kill(pid, SIGSTOP) == 0);
	EXPECT(wait_fd(fd, &si, WSTOPPED) == 0 && si.si_code == CLD_STOPPED && si.si_pid == pid);
	EXPECT(kill(pid, SIGCONT) == 0);
	EXPECT(wait_fd(fd, &si, WCONTINUED) == 0 && si.si_code == CLD_CONTINUED);
	EXPECT(kill(pid, SIGKILL) == 0);
	EXPECT(wait_fd(fd, &si, WEXITED | WNOWAIT) == 0 && si.si_status == SIGKILL);
	EXPECT(syscall(SYS_waitid, P_PIDFD, fd, &si, WEXITED, &usage) == 0 && si.si_pid == pid);
	EXPECT_ERRNO(wait_fd(fd, &si, WEXITED), ECHILD);
	EXPECT(waitpid(other, NULL, 0) == other);
	close(fd), close(self), close(pipes[0]), close(pipes[1]);
}

static pid_t clone3_(struct clone_args *args)
{
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

static void cloning(void)
{
	int fd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&fd, .exit_signal = SIGCHLD };
	siginfo_t si;
	pid_t pid = clone3_(&args);

	if (pid == 0)
		_exit(fd == -1 ? 4 : 5); /* its memory was copied before */
	EXPECT(pid > 0 && fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	EXPECT(readable(fd, 10000));
	EXPECT(wait_fd(fd, &si, WEXITED) == 0 && si.si_pid == pid && si.si_status == 4);
	EXPECT(close(fd) == 0);
	fd = -1;
	pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &fd, NULL, NULL);
	if (pid == 0)
		_exit(fcntl(3, F_GETFD) == -1 ? 6 : 7); /* nor has it the descriptor */
	EXPECT(pid > 0 && fd == 3 && wait_fd(fd, &si, WEXITED) == 0 && si.si_status == 6);
	EXPECT(close(fd) == 0);
}

static void cloning_goes_wrong(void)
{
	struct rlimit old, none;
	int fd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD, .exit_signal = SIGCHLD };

	EXPECT_ERRNO(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, &fd, NULL, NULL), EINVAL);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++) {
		args.pidfd = (uintptr_t)abi_bad_addresses[i];
		EXPECT_ERRNO(clone3_(&args), EFAULT);
	}
	EXPECT(open("/", O_RDONLY) == 3 && close(3) == 0); /* nothing was left open */
	EXPECT(getrlimit(RLIMIT_NOFILE, &old) == 0);
	none = (struct rlimit){ 3, old.rlim_max };
	EXPECT(setrlimit(RLIMIT_NOFILE, &none) == 0);
	args.pidfd = (uintptr_t)&fd;
	EXPECT_ERRNO(clone3_(&args), EMFILE);
	EXPECT_ERRNO(pidfd_open_(getpid(), 0), EMFILE);
	EXPECT(setrlimit(RLIMIT_NOFILE, &old) == 0);
	EXPECT_ERRNO(waitpid(-1, NULL, 0), ECHILD);
}

static void taking_descriptors(void)
{
	int out[2], self = pidfd_open_(getpid(), 0), fd, got;
	struct stat a, b;
	char c = 0;
	pid_t pid;

	EXPECT(pipe(out) == 0);
	pid = fork();
	if (pid == 0) { /* its descriptor 100 is the pipe's end */
		dup2(out[1], 100);
		(void)!write(out[1], "r", 1);
		for (;;)
			pause();
	}
	EXPECT(read(out[0], &c, 1) == 1 && c == 'r');
	fd = pidfd_open_(pid, 0);
	got = pidfd_get(fd, 100, 0);
	EXPECT(got >= 0 && fcntl(got, F_GETFD) == FD_CLOEXEC);
	EXPECT(fstat(got, &a) == 0 && fstat(out[1], &b) == 0 && a.st_ino == b.st_ino);
	EXPECT(write(got, "w", 1) == 1 && read(out[0], &c, 1) == 1 && c == 'w');
	EXPECT(close(got) == 0);
	EXPECT_ERRNO(pidfd_get(fd, 100, 1), EINVAL);
	EXPECT_ERRNO(pidfd_get(fd, 101, 0), EBADF);
	EXPECT_ERRNO(pidfd_get(fd, -1, 0), EBADF);
	EXPECT_ERRNO(pidfd_get(out[0], 100, 0), EBADF);
	EXPECT_ERRNO(pidfd_get(1000, 100, 0), EBADF);
	got = pidfd_get(self, out[0], 0);
	EXPECT(got >= 0 && close(got) == 0);
	EXPECT(kill(pid, SIGKILL) == 0 && readable(fd, 10000));
	errno = 0;
	EXPECT(pidfd_get(fd, 100, 0) == -1 && (errno == EBADF || errno == ESRCH)); /* kernels differ */
	EXPECT(waitpid(pid, NULL, 0) == pid);
	EXPECT_ERRNO(pidfd_get(fd, 100, 0), ESRCH);
	close(fd), close(self), close(out[0]), close(out[1]);
}

static int run_as_nobody(void (*fn)(int), int fd)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
			_exit(99);
		fn(fd);
		_exit(98);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void try_root(int fd)
{
	int err = pidfd_kill(fd, 0, NULL, 0) == -1 ? errno : 0;

	_exit(err == EPERM && pidfd_get(fd, 0, 0) == -1 && errno == EPERM ? 0 : 1);
}

/* A child of the same user, which then says that it may not be looked at. */
static void try_own(int unused)
{
	int ready[2], fd, got;
	char c;
	pid_t pid;

	(void)unused;
	prctl(PR_SET_DUMPABLE, 1);
	if (pipe(ready))
		_exit(2);
	pid = fork();
	if (pid == 0) {
		(void)!write(ready[1], "a", 1);
		if (raise(SIGSTOP) || prctl(PR_SET_DUMPABLE, 0))
			_exit(1);
		(void)!write(ready[1], "b", 1);
		for (;;)
			pause();
	}
	fd = pidfd_open_(pid, 0);
	if (read(ready[0], &c, 1) != 1 || (got = pidfd_get(fd, ready[0], 0)) < 0)
		_exit(3);
	waitpid(pid, NULL, WUNTRACED);
	kill(pid, SIGCONT);
	if (read(ready[0], &c, 1) != 1 || pidfd_get(fd, ready[0], 0) != -1 || errno != EPERM)
		_exit(4);
	if (pidfd_kill(fd, SIGKILL, NULL, 0) || waitpid(pid, NULL, 0) != pid)
		_exit(5);
	_exit(0);
}

static void permissions(void)
{
	pid_t pid;
	int fd;

	if (getuid() != 0)
		return;
	pid = child_that_waits();
	fd = pidfd_open_(pid, 0);
	EXPECT(run_as_nobody(try_root, fd) == 0);
	EXPECT(run_as_nobody(try_own, -1) == 0);
	end_child(pid);
	EXPECT(close(fd) == 0);
}

static bool fdinfo_pid(int fd, int *ret)
{
	char name[64], text[1024], *at;
	int info;
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	info = open(name, O_RDONLY);
	n = info < 0 ? -1 : read(info, text, sizeof(text) - 1);
	close(info);
	if (n < 0)
		return false;
	text[n] = '\0';
	at = strstr(text, "Pid:\t");
	return at && sscanf(at, "Pid:\t%d", ret) == 1 && strstr(text, "NSpid:\t");
}

static void fdinfo(void)
{
	pid_t pid = child_that_waits();
	int fd = pidfd_open_(pid, 0), told = 0;

	EXPECT(fdinfo_pid(fd, &told) && told == pid);
	end_child(pid);
	EXPECT(fdinfo_pid(fd, &told) && told == -1);
	EXPECT(close(fd) == 0);
}

/* The number goes round; the descriptor does not follow it. */
static void a_number_used_again(void)
{
	pid_t first = child_that_waits(), pid = -1;
	int fd = pidfd_open_(first, 0), tries = 0;

	end_child(first);
	while (pid != first && tries++ < 300) {
		pid = fork();
		if (pid == 0)
			_exit(0);
		if (waitpid(pid, NULL, 0) != pid)
			break;
		EXPECT_ERRNO(pidfd_kill(fd, 0, NULL, 0), ESRCH);
	}
	EXPECT(readable(fd, 0) && close(fd) == 0);
}

/* Whoever wants no zombies has descriptors that end all the same. */
static void without_zombies(void)
{
	struct sigaction act = { .sa_handler = SIG_IGN }, old;
	pid_t pid;
	int fd;

	EXPECT(sigaction(SIGCHLD, &act, &old) == 0);
	pid = child_that_waits();
	fd = pidfd_open_(pid, 0);
	EXPECT(pidfd_kill(fd, SIGKILL, NULL, 0) == 0);
	EXPECT(readable(fd, 10000));
	EXPECT_ERRNO(wait_fd(fd, NULL, WEXITED), ECHILD);
	EXPECT_ERRNO(pidfd_kill(fd, 0, NULL, 0), ESRCH);
	EXPECT(sigaction(SIGCHLD, &old, NULL) == 0 && close(fd) == 0);
}

int main(void)
{
	CASE(opening);
	CASE(a_thread_has_none);
	CASE(operations_it_has_not);
	CASE(signals_reach_it);
	CASE(details_are_carried);
	CASE(ready_when_it_ends);
	CASE(epoll_hears_of_it);
	CASE(not_ready_before_the_last_thread);
	CASE(waiting);
	CASE(cloning);
	CASE(cloning_goes_wrong);
	CASE(taking_descriptors);
	CASE(permissions);
	CASE(fdinfo);
	CASE(a_number_used_again);
	CASE(without_zombies);
	return abi_result();
}
