/* SPDX-License-Identifier: MIT */
/* Signals read from a descriptor: masks, what is told of each kind, whose signals they are, waiting and readiness. */
#include "cases.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define QUEUED (SIGRTMIN + 1)

static sigset_t all; /* what the cases use; blocked throughout */

static sigset_t set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, a);
	if (b)
		sigaddset(&set, b);
	return set;
}

static int make(int a, int b, int flags)
{
	sigset_t set = set_of(a, b);

	return signalfd(-1, &set, flags);
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, timeout_ms) == 1 && p.revents == POLLIN;
}

static ssize_t get(int fd, struct signalfd_siginfo *ret)
{
	memset(ret, 0xaa, sizeof(*ret));
	return read(fd, ret, sizeof(*ret));
}

static int raw(int fd, const void *set, size_t size, int flags)
{
	return (int)syscall(SYS_signalfd4, fd, set, size, flags);
}

static void making(void)
{
	sigset_t set = set_of(SIGUSR1, 0);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), pipes[2];
	char c;

	EXPECT(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK));
	EXPECT_ERRNO(read(fd, &c, 1), EINVAL);
	EXPECT_ERRNO(read(fd, &c, 0), EINVAL);
	EXPECT_ERRNO(write(fd, &c, 1), EINVAL);
	EXPECT(close(fd) == 0);
	fd = make(SIGUSR1, 0, 0);
	EXPECT(fd >= 0 && fcntl(fd, F_GETFD) == 0 && !(fcntl(fd, F_GETFL) & O_NONBLOCK));
	EXPECT(close(fd) == 0);
	EXPECT_ERRNO(raw(-1, &set, 8, 1), EINVAL);
	EXPECT_ERRNO(raw(-1, &set, 4, 0), EINVAL);
	EXPECT_ERRNO(raw(-1, &set, sizeof(set), 0), EINVAL);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++)
		EXPECT_ERRNO(raw(-1, abi_bad_addresses[i], 8, 0), EFAULT);
	EXPECT(pipe(pipes) == 0);
	EXPECT_ERRNO(raw(pipes[0], &set, 8, 0), EINVAL);
	EXPECT_ERRNO(raw(1000, &set, 8, 0), EBADF);
	EXPECT_ERRNO(raw(-2, &set, 8, 0), EBADF);
	close(pipes[0]), close(pipes[1]);
}

static void nothing_pending(void)
{
	int fd = make(SIGUSR1, SIGUSR2, SFD_NONBLOCK);
	struct signalfd_siginfo si;

	EXPECT(!readable(fd, 0));
	EXPECT_ERRNO(get(fd, &si), EAGAIN);
	EXPECT(kill(getpid(), QUEUED) == 0 && !readable(fd, 0));
	EXPECT_ERRNO(get(fd, &si), EAGAIN);
	EXPECT(close(fd) == 0);
	fd = make(QUEUED, 0, SFD_NONBLOCK);
	EXPECT(readable(fd, 0) && get(fd, &si) == sizeof(si) && si.ssi_signo == (uint32_t)QUEUED);
	EXPECT(close(fd) == 0);
}

static void kinds_of_senders(void)
{
	int fd = make(SIGUSR1, QUEUED, SFD_NONBLOCK);
	union sigval value = { .sival_ptr = (void *)0x123456789abcul };
	struct signalfd_siginfo si;

	EXPECT(kill(getpid(), SIGUSR1) == 0 && get(fd, &si) == sizeof(si));
	EXPECT(si.ssi_signo == SIGUSR1 && si.ssi_code == SI_USER && si.ssi_pid == (uint32_t)getpid() && si.ssi_uid == getuid());
	EXPECT(si.ssi_errno == 0 && si.ssi_ptr == 0 && si.ssi_addr == 0);
	EXPECT(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1) == 0 && get(fd, &si) == sizeof(si));
	EXPECT(si.ssi_code == SI_TKILL && si.ssi_pid == (uint32_t)getpid());
	EXPECT(sigqueue(getpid(), QUEUED, value) == 0 && get(fd, &si) == sizeof(si));
	EXPECT(si.ssi_code == SI_QUEUE && si.ssi_ptr == 0x123456789abcul && si.ssi_int == (int32_t)0x56789abc);
	EXPECT(si.ssi_pid == (uint32_t)getpid());
	si.ssi_pid = si.ssi_uid = 0; /* may hold any byte */
	for (size_t i = 0; i < sizeof(si); i++) /* nothing of what was there before */
		EXPECT(((unsigned char *)&si)[i] != 0xaa);
	EXPECT_ERRNO(get(fd, &si), EAGAIN);
	EXPECT(close(fd) == 0);
}

static void children_and_timers(void)
{
	int fd = make(SIGCHLD, QUEUED, 0);
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = QUEUED, .sigev_value.sival_int = 77 };
	struct itimerspec once = { .it_value.tv_nsec = 1000000 };
	struct signalfd_siginfo si;
	timer_t timer;
	pid_t pid = fork();

	if (pid == 0)
		_exit(12);
	EXPECT(get(fd, &si) == sizeof(si) && si.ssi_signo == SIGCHLD && si.ssi_code == CLD_EXITED);
	EXPECT(si.ssi_pid == (uint32_t)pid && si.ssi_status == 12 && si.ssi_uid == getuid());
	EXPECT(waitpid(pid, NULL, 0) == pid);
	EXPECT(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0);
	EXPECT(get(fd, &si) == sizeof(si) && si.ssi_signo == (uint32_t)QUEUED && si.ssi_code == SI_TIMER && si.ssi_int == 77);
	EXPECT(si.ssi_overrun == 0 && timer_delete(timer) == 0 && close(fd) == 0);
}

static void several_in_one_read(void)
{
	int fd = make(SIGUSR1, QUEUED, SFD_NONBLOCK);
	struct signalfd_siginfo si[6];
	union sigval value;

	for (int i = 0; i < 4; i++) {
		value.sival_int = i;
		EXPECT(sigqueue(getpid(), QUEUED, value) == 0);
	}
	EXPECT(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0); /* pending once */
	EXPECT(read(fd, si, 3 * sizeof(si[0]) + 5) == 3 * sizeof(si[0]));
	EXPECT(si[0].ssi_signo == SIGUSR1 && si[1].ssi_int == 0 && si[2].ssi_int == 1);
	EXPECT(read(fd, si, sizeof(si)) == 2 * sizeof(si[0]) && si[0].ssi_int == 2 && si[1].ssi_int == 3);
	EXPECT(!readable(fd, 0) && close(fd) == 0);
}

static void another_mask(void)
{
	int fd = make(SIGUSR1, 0, SFD_NONBLOCK);
	sigset_t set = set_of(SIGUSR2, SIGKILL);
	struct signalfd_siginfo si;

	EXPECT(kill(getpid(), SIGUSR2) == 0 && !readable(fd, 0));
	EXPECT(signalfd(fd, &set, 0) == fd);
	EXPECT(readable(fd, 0) && get(fd, &si) == sizeof(si) && si.ssi_signo == SIGUSR2);
	EXPECT(fcntl(fd, F_GETFL) & O_NONBLOCK);
	EXPECT(kill(getpid(), SIGUSR1) == 0 && !readable(fd, 0));
	set = set_of(SIGUSR1, 0);
	EXPECT(signalfd(fd, &set, 0) == fd && get(fd, &si) == sizeof(si) && si.ssi_signo == SIGUSR1);
	EXPECT(close(fd) == 0);
}

/* ---- waiting ---- */

static void *kill_later(void *signo)
{
	usleep(20000);
	kill(getpid(), (int)(intptr_t)signo);
	return NULL;
}

static void a_read_waits(void)
{
	int fd = make(SIGUSR1, 0, 0);
	struct signalfd_siginfo si;
	pthread_t thread;

	EXPECT(pthread_create(&thread, NULL, kill_later, (void *)(intptr_t)SIGUSR1) == 0);
	EXPECT(get(fd, &si) == sizeof(si) && si.ssi_signo == SIGUSR1);
	EXPECT(pthread_join(thread, NULL) == 0);
	EXPECT(pthread_create(&thread, NULL, kill_later, (void *)(intptr_t)SIGUSR1) == 0);
	EXPECT(readable(fd, 10000) && get(fd, &si) == sizeof(si));
	EXPECT(pthread_join(thread, NULL) == 0 && close(fd) == 0);
}

static void epoll_hears_of_it(void)
{
	int fd = make(SIGUSR1, SIGUSR2, SFD_NONBLOCK), ep = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got;
	struct signalfd_siginfo si;
	pthread_t thread;

	EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(ep, &got, 1, 0) == 0);
	for (int i = 0; i < 2; i++) {
		EXPECT(pthread_create(&thread, NULL, kill_later, (void *)(intptr_t)SIGUSR2) == 0);
		EXPECT(epoll_wait(ep, &got, 1, 10000) == 1 && got.events == EPOLLIN);
		EXPECT(get(fd, &si) == sizeof(si) && si.ssi_signo == SIGUSR2);
		EXPECT(pthread_join(thread, NULL) == 0);
	}
	EXPECT(close(fd) == 0 && close(ep) == 0);
}

static volatile sig_atomic_t handled;

static void on_signal(int signo)
{
	(void)signo;
	handled = 1;
}

/* SIGALRM is not blocked, and has a handler. */
static void interrupted(void)
{
	struct sigaction act = { .sa_handler = on_signal }, old;
	struct itimerval soon = { .it_value.tv_usec = 20000 };
	int fd = make(SIGUSR1, SIGALRM, 0);
	struct signalfd_siginfo si;
	sigset_t set = set_of(SIGALRM, 0);

	EXPECT(sigaction(SIGALRM, &act, &old) == 0 && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
	set = set_of(SIGUSR1, 0);
	EXPECT(signalfd(fd, &set, 0) == fd);
	EXPECT(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	EXPECT_ERRNO(get(fd, &si), EINTR);
	EXPECT(handled == 1 && sigprocmask(SIG_SETMASK, &all, NULL) == 0 && sigaction(SIGALRM, &old, NULL) == 0);
	EXPECT(close(fd) == 0);
}

/* ---- whose signals ---- */

static void *read_own(void *arg)
{
	int *fds = arg, tid = gettid();
	struct signalfd_siginfo si;

	if (write(fds[2], &tid, sizeof(tid)) != sizeof(tid))
		return (void *)1;
	if (get(fds[0], &si) != sizeof(si) || si.ssi_signo != SIGUSR1)
		return (void *)2;
	return NULL;
}

static void a_threads_own(void)
{
	int fds[3], pipes[2], tid, quick;
	struct signalfd_siginfo si;
	pthread_t thread;
	void *result;

	EXPECT(pipe(pipes) == 0);
	fds[0] = make(SIGUSR1, 0, 0);
	fds[2] = pipes[1];
	quick = make(SIGUSR1, 0, SFD_NONBLOCK);
	EXPECT(pthread_create(&thread, NULL, read_own, fds) == 0);
	EXPECT(read(pipes[0], &tid, sizeof(tid)) == sizeof(tid));
	EXPECT(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1) == 0); /* this thread's: the other one does not get it */
	EXPECT(get(quick, &si) == sizeof(si));
	EXPECT(syscall(SYS_tgkill, getpid(), tid, SIGUSR1) == 0);
	EXPECT(pthread_join(thread, &result) == 0 && result == NULL);
	EXPECT_ERRNO(get(quick, &si), EAGAIN);
	close(fds[0]), close(quick), close(pipes[0]), close(pipes[1]);
}

/* An inherited descriptor gives the child's signals to the child. */
static void a_childs_own(void)
{
	int fd = make(SIGUSR1, 0, 0), status;
	struct signalfd_siginfo si;
	pid_t pid;

	EXPECT(kill(getpid(), SIGUSR1) == 0);
	pid = fork();
	if (pid == 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 0) != 0)
			_exit(1);
		_exit(get(fd, &si) == sizeof(si) && si.ssi_pid == (uint32_t)getppid() ? 0 : 2);
	}
	usleep(20000);
	EXPECT(kill(pid, SIGUSR1) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(get(fd, &si) == sizeof(si) && close(fd) == 0);
}

/* An epoll that a process has added the descriptor to may outlive it. */
static void the_adder_goes(void)
{
	int ep = epoll_create1(0), fd = make(SIGUSR1, 0, SFD_NONBLOCK), status;
	struct epoll_event event = { .events = EPOLLIN }, got;
	struct signalfd_siginfo si;
	pid_t pid = fork();

	if (pid == 0)
		_exit(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : 1);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(kill(getpid(), SIGUSR1) == 0);
	(void)epoll_wait(ep, &got, 1, 0);
	EXPECT(get(fd, &si) == sizeof(si));
	EXPECT(epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL) == 0 && close(ep) == 0 && close(fd) == 0);
}

static void bad_buffers(void)
{
	int fd = make(SIGUSR1, QUEUED, SFD_NONBLOCK);
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	union sigval value = { .sival_int = 5 };

	EXPECT(mprotect(pages + 4096, 4096, PROT_NONE) == 0);
	EXPECT(kill(getpid(), SIGUSR1) == 0);
	EXPECT_ERRNO(read(fd, pages + 4096, 128), EFAULT);
	EXPECT(sigqueue(getpid(), QUEUED, value) == 0 && sigqueue(getpid(), QUEUED, value) == 0);
	EXPECT(read(fd, pages + 4096 - 128, 256) == 128);
	(void)!read(fd, pages, 4096);
	EXPECT(munmap(pages, 8192) == 0 && close(fd) == 0);
}

static void fdinfo(void)
{
	int fd = make(SIGUSR1, SIGKILL, 0), info;
	char name[64], text[512] = "";

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	info = open(name, O_RDONLY);
	EXPECT(info >= 0 && read(info, text, sizeof(text) - 1) > 0);
	EXPECT(strstr(text, "sigmask:\t0000000000000200\n"));
	EXPECT(close(info) == 0 && close(fd) == 0);
}

int main(void)
{
	sigset_t some = set_of(SIGUSR2, QUEUED);

	all = set_of(SIGUSR1, SIGCHLD);
	sigorset(&all, &all, &some);
	sigaddset(&all, SIGALRM);
	sigprocmask(SIG_SETMASK, &all, NULL);
	CASE(making);
	CASE(nothing_pending);
	CASE(kinds_of_senders);
	CASE(children_and_timers);
	CASE(several_in_one_read);
	CASE(another_mask);
	CASE(a_read_waits);
	CASE(epoll_hears_of_it);
	CASE(interrupted);
	CASE(a_threads_own);
	CASE(a_childs_own);
	CASE(the_adder_goes);
	CASE(bad_buffers);
	CASE(fdinfo);
	return abi_result();
}
