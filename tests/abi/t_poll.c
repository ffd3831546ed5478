/* SPDX-License-Identifier: MIT */
/* poll, ppoll, select, pselect6, epoll, eventfd, timerfd. */
#include "cases.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static pid_t write_later(int fd)
{
	pid_t child = fork();

	if (child == 0) {
		usleep(20000);
		_exit(write(fd, "12345678", 8) != 8);
	}
	return child;
}

static bool ended_well(pid_t child)
{
	int status;

	return waitpid(child, &status, 0) == child && status == 0;
}

static volatile sig_atomic_t signals;

static void on_signal(int signo)
{
	(void)signo;
	signals++;
}

static void catch_alarms(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	signals = 0;
}

/* ---- poll ---- */

static void poll_times_out(void)
{
	int64_t start = now_ms();

	EXPECT(poll(NULL, 0, 30) == 0);
	EXPECT(now_ms() - start >= 29);
	EXPECT(poll(NULL, 0, 0) == 0);
}

static void poll_wakes_up(void)
{
	struct pollfd fds[12];
	int p[2];
	pid_t child;

	EXPECT(pipe(p) == 0);
	for (int i = 0; i < 12; i++)
		fds[i] = (struct pollfd){ .fd = i == 7 ? -1 : p[0], .events = POLLIN };
	child = write_later(p[1]);
	EXPECT(poll(fds, 12, 5000) == 11);
	EXPECT(fds[0].revents == POLLIN && fds[11].revents == POLLIN && fds[7].revents == 0);
	EXPECT(ended_well(child));
	close(p[0]);
	close(p[1]);
}

static void poll_knows_bad_descriptors(void)
{
	struct pollfd fds[2] = { { .fd = 999, .events = POLLIN }, { .fd = -5, .events = POLLIN, .revents = 7 } };

	EXPECT(poll(fds, 2, -1) == 1);
	EXPECT(fds[0].revents == POLLNVAL && fds[1].revents == 0);
	EXPECT_ERRNO(syscall(SYS_ppoll, (void *)16, 1, NULL, NULL, 8), EFAULT);
	EXPECT_ERRNO(syscall(SYS_ppoll, fds, 100000000, NULL, NULL, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_ppoll, fds, 1, (void *)16, NULL, 8), EFAULT);
	EXPECT_ERRNO(syscall(SYS_ppoll, fds, 1, &(struct timespec){ 0, -1 }, NULL, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_ppoll, fds, 1, NULL, fds, 4), EINVAL);
}

static void poll_files_are_ready(void)
{
	struct pollfd p = { .fd = open("/tmp", O_RDONLY), .events = POLLIN | POLLOUT };

	EXPECT(poll(&p, 1, -1) == 1 && p.revents == (POLLIN | POLLOUT));
	close(p.fd);
}

static void signals_end_a_poll(void)
{
	struct timespec ts = { 5, 0 };
	sigset_t none, blocked;
	int64_t start = now_ms();

	catch_alarms();
	ualarm(20000, 0);
	EXPECT_ERRNO(poll(NULL, 0, 5000), EINTR);
	EXPECT(signals == 1);
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	raise(SIGUSR1);
	EXPECT(signals == 1);
	EXPECT_ERRNO(ppoll(NULL, 0, &ts, &none), EINTR);
	EXPECT(signals == 2);
	sigprocmask(SIG_BLOCK, NULL, &none);
	EXPECT(sigismember(&none, SIGUSR1));
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
	EXPECT(now_ms() - start < 4000);
}

/* ---- select ---- */

static void select_tells_sets_apart(void)
{
	fd_set r, w;
	int p[2];
	struct timeval tv = { 0, 20000 };

	EXPECT(pipe(p) == 0);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	EXPECT(select(p[1] + 1, &r, &w, NULL, NULL) == 1);
	EXPECT(!FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w));
	EXPECT(write(p[1], "x", 1) == 1);
	FD_SET(p[0], &r);
	EXPECT(select(p[1] + 1, &r, &w, NULL, NULL) == 2);
	EXPECT(read(p[0], &tv, 1) == 1);
	tv = (struct timeval){ 0, 20000 };
	EXPECT(select(p[1] + 1, &r, NULL, NULL, &tv) == 0 && !FD_ISSET(p[0], &r));
	EXPECT(tv.tv_sec == 0 && tv.tv_usec == 0);
	EXPECT(select(0, NULL, NULL, NULL, &tv) == 0);
	close(p[0]);
	close(p[1]);
	FD_SET(p[0], &r);
	EXPECT_ERRNO(select(p[0] + 1, &r, NULL, NULL, NULL), EBADF);
}

static void select_bad_arguments(void)
{
	fd_set r;
	struct timespec ts = { 0, 2000000000 };

	FD_ZERO(&r);
	EXPECT_ERRNO(syscall(SYS_pselect6, -1, NULL, NULL, NULL, NULL, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_pselect6, 1, (void *)16, NULL, NULL, NULL, NULL), EFAULT);
	EXPECT_ERRNO(syscall(SYS_pselect6, 1, &r, NULL, NULL, &ts, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_pselect6, 1, &r, NULL, NULL, NULL, (void *)16), EFAULT);
}

static void select_wakes_up(void)
{
	fd_set r;
	int p[2];
	pid_t child;
	struct timeval tv = { 5, 0 };

	EXPECT(pipe(p) == 0);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	child = write_later(p[1]);
	EXPECT(select(p[0] + 1, &r, NULL, NULL, &tv) == 1);
	EXPECT(tv.tv_sec == 4);
	EXPECT(ended_well(child));
	close(p[0]);
	close(p[1]);
}

/* ---- epoll ---- */

static int watch(int ep, int op, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u64 = 0x1234567800000000ull | (unsigned)fd };

	return epoll_ctl(ep, op, fd, &e);
}

static void epoll_level(void)
{
	struct epoll_event e[4];
	int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
	char c;

	EXPECT(ep >= 0 && pipe(p) == 0);
	EXPECT(watch(ep, EPOLL_CTL_ADD, p[0], EPOLLIN) == 0);
	EXPECT(epoll_wait(ep, e, 4, 0) == 0);
	EXPECT(write(p[1], "ab", 2) == 2);
	EXPECT(epoll_wait(ep, e, 4, 0) == 1 && e[0].events == EPOLLIN);
	EXPECT(e[0].data.u64 == (0x1234567800000000ull | (unsigned)p[0]));
	EXPECT(epoll_wait(ep, e, 4, -1) == 1);
	EXPECT(read(p[0], &c, 1) == 1);
	EXPECT(epoll_wait(ep, e, 4, 0) == 1);
	EXPECT(read(p[0], &c, 1) == 1);
	EXPECT(epoll_wait(ep, e, 4, 0) == 0);
	close(p[1]);
	EXPECT(epoll_wait(ep, e, 4, 0) == 1 && e[0].events == EPOLLHUP);
	close(p[0]);
	EXPECT(epoll_wait(ep, e, 4, 0) == 0);
	close(ep);
}

static void epoll_edge_and_one_shot(void)
{
	struct epoll_event e[4];
	int ep = epoll_create1(0), p[2], q[2];

	EXPECT(pipe(p) == 0 && pipe(q) == 0);
	EXPECT(watch(ep, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET) == 0);
	EXPECT(write(p[1], "a", 1) == 1);
	EXPECT(epoll_wait(ep, e, 4, 0) == 1);
	EXPECT(epoll_wait(ep, e, 4, 0) == 0);
	EXPECT(write(p[1], "b", 1) == 1);
	EXPECT(epoll_wait(ep, e, 4, 0) == 1);
	EXPECT(watch(ep, EPOLL_CTL_ADD, q[0], EPOLLIN | EPOLLONESHOT) == 0);
	EXPECT(write(q[1], "a", 1) == 1);
	EXPECT(epoll_wait(ep, e, 4, 0) == 1 && (int)e[0].data.u64 == q[0]);
	EXPECT(write(q[1], "b", 1) == 1);
	EXPECT(epoll_wait(ep, e, 4, 0) == 0);
	EXPECT(watch(ep, EPOLL_CTL_MOD, q[0], EPOLLIN | EPOLLONESHOT) == 0);
	EXPECT(epoll_wait(ep, e, 4, 0) == 1);
	close(p[0]);
	close(p[1]);
	close(q[0]);
	close(q[1]);
	close(ep);
}

static void epoll_takes_turns(void)
{
	struct epoll_event e[2];
	int ep = epoll_create1(0), p[6], seen = 0;

	for (int i = 0; i < 6; i += 2) {
		EXPECT(pipe(p + i) == 0);
		EXPECT(watch(ep, EPOLL_CTL_ADD, p[i], EPOLLIN) == 0);
		EXPECT(write(p[i + 1], "x", 1) == 1);
	}
	for (int i = 0; i < 3; i++) {
		EXPECT(epoll_wait(ep, e, 1, 0) == 1);
		seen |= 1 << ((int)e[0].data.u64 - p[0]);
	}
	EXPECT(__builtin_popcount((unsigned)seen) == 3);
	for (int i = 0; i < 6; i++)
		close(p[i]);
	close(ep);
}

static void epoll_wakes_up(void)
{
	struct epoll_event e[2];
	int ep = epoll_create1(0), p[2];
	int64_t start = now_ms();
	pid_t child;

	EXPECT(pipe(p) == 0);
	EXPECT(watch(ep, EPOLL_CTL_ADD, p[0], EPOLLIN) == 0);
	EXPECT(epoll_wait(ep, e, 2, 30) == 0 && now_ms() - start >= 29);
	child = write_later(p[1]);
	EXPECT(epoll_wait(ep, e, 2, 5000) == 1);
	EXPECT(ended_well(child));
	catch_alarms();
	EXPECT(read(p[0], e, 8) == 8);
	ualarm(20000, 0);
	EXPECT_ERRNO(epoll_wait(ep, e, 2, 5000), EINTR);
	close(p[0]);
	close(p[1]);
	close(ep);
}

static void epolls_nest(void)
{
	struct epoll_event e[2];
	struct pollfd pf;
	int a = epoll_create1(0), b = epoll_create1(0), p[2];

	EXPECT(pipe(p) == 0);
	EXPECT(watch(a, EPOLL_CTL_ADD, b, EPOLLIN) == 0);
	EXPECT(watch(b, EPOLL_CTL_ADD, p[0], EPOLLIN) == 0);
	pf = (struct pollfd){ .fd = a, .events = POLLIN };
	EXPECT(poll(&pf, 1, 0) == 0);
	EXPECT(write(p[1], "x", 1) == 1);
	EXPECT(poll(&pf, 1, 0) == 1);
	EXPECT(epoll_wait(a, e, 2, 0) == 1 && (int)e[0].data.u64 == b);
	EXPECT(read(p[0], e, 1) == 1);
	EXPECT(poll(&pf, 1, 0) == 0);
	EXPECT(epoll_wait(a, e, 2, 0) == 0);
	EXPECT_ERRNO(watch(b, EPOLL_CTL_ADD, a, EPOLLIN), ELOOP);
	EXPECT_ERRNO(watch(a, EPOLL_CTL_ADD, a, EPOLLIN), EINVAL);
	close(b);
	EXPECT(watch(a, EPOLL_CTL_ADD, p[0], EPOLLIN) == 0);
	close(a);
	close(p[0]);
	close(p[1]);
}

static void epoll_duplicates(void)
{
	struct epoll_event e[2];
	int ep = epoll_create1(0), p[2], copy;

	EXPECT(pipe(p) == 0);
	EXPECT(watch(ep, EPOLL_CTL_ADD, p[0], EPOLLIN) == 0);
	EXPECT_ERRNO(watch(ep, EPOLL_CTL_ADD, p[0], EPOLLIN), EEXIST);
	copy = dup(p[0]);
	EXPECT(watch(ep, EPOLL_CTL_ADD, copy, EPOLLIN) == 0);
	EXPECT(write(p[1], "x", 1) == 1);
	EXPECT(epoll_wait(ep, e, 2, 0) == 2);
	EXPECT(epoll_ctl(ep, EPOLL_CTL_DEL, copy, NULL) == 0);
	EXPECT(epoll_wait(ep, e, 2, 0) == 1);
	close(p[0]);
	EXPECT(epoll_wait(ep, e, 2, 0) == 1);
	close(copy);
	EXPECT(epoll_wait(ep, e, 2, 0) == 0);
	close(p[1]);
	close(ep);
}

static void epoll_bad_arguments(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(0), p[2], file = open("/tmp", O_RDONLY);

	EXPECT(pipe(p) == 0);
	EXPECT_ERRNO(epoll_create1(1), EINVAL);
	EXPECT_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, file, &e), EPERM);
	EXPECT_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, 999, &e), EBADF);
	EXPECT_ERRNO(epoll_ctl(999, EPOLL_CTL_ADD, p[0], &e), EBADF);
	EXPECT_ERRNO(epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &e), EINVAL);
	EXPECT_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e), ENOENT);
	EXPECT_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], &e), ENOENT);
	EXPECT_ERRNO(epoll_ctl(ep, 77, p[0], &e), EINVAL);
	EXPECT_ERRNO(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, p[0], (void *)16), EFAULT);
	EXPECT_ERRNO(epoll_wait(ep, &e, 0, 0), EINVAL);
	EXPECT_ERRNO(epoll_wait(p[0], &e, 1, 0), EINVAL);
	EXPECT_ERRNO(epoll_wait(999, &e, 1, 0), EBADF);
	EXPECT_ERRNO(syscall(SYS_epoll_pwait, ep, (void *)0xffff800000000000ul, 1, 0, NULL, 8), EFAULT);
	EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &(struct epoll_event){ .events = EPOLLOUT }) == 0);
	EXPECT_ERRNO(syscall(SYS_epoll_pwait, ep, (void *)16, 1, 0, NULL, 8), EFAULT);
	EXPECT(epoll_wait(ep, &e, 1, 0) == 1);
	EXPECT_ERRNO(read(ep, &e, 8), EINVAL);
	close(file);
	close(p[0]);
	close(p[1]);
	close(ep);
}

/* ---- eventfd ---- */

static void event_counters(void)
{
	struct pollfd pf;
	uint64_t n = 3;
	int fd = eventfd(2, EFD_NONBLOCK);

	pf = (struct pollfd){ .fd = fd, .events = POLLIN | POLLOUT };
	EXPECT(write(fd, &n, 8) == 8);
	EXPECT(poll(&pf, 1, 0) == 1 && pf.revents == (POLLIN | POLLOUT));
	EXPECT(read(fd, &n, 8) == 8 && n == 5);
	EXPECT_ERRNO(read(fd, &n, 8), EAGAIN);
	n = UINT64_MAX - 1;
	EXPECT(write(fd, &n, 8) == 8);
	EXPECT(poll(&pf, 1, 0) == 1 && pf.revents == POLLIN);
	n = 1;
	EXPECT_ERRNO(write(fd, &n, 8), EAGAIN);
	n = UINT64_MAX;
	EXPECT_ERRNO(write(fd, &n, 8), EINVAL);
	EXPECT_ERRNO(read(fd, &n, 7), EINVAL);
	EXPECT_ERRNO(syscall(SYS_read, fd, 16l, 8l), EFAULT);
	close(fd);
	fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	EXPECT(read(fd, &n, 8) == 8 && n == 1);
	EXPECT(read(fd, &n, 8) == 8 && n == 1);
	EXPECT_ERRNO(read(fd, &n, 8), EAGAIN);
	close(fd);
	EXPECT_ERRNO(eventfd(0, 0x40000001), EINVAL);
}

static void event_counters_wake(void)
{
	uint64_t n;
	int fd = eventfd(0, 0);
	pid_t child = write_later(fd);

	EXPECT(read(fd, &n, 8) == 8 && n == 0x3837363534333231ull);
	EXPECT(ended_well(child));
	close(fd);
}

/* ---- timerfd ---- */

static void timers(void)
{
	struct itimerspec its = { .it_value = { 0, 200000000 } }, old;
	struct pollfd pf;
	uint64_t n = 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	pf = (struct pollfd){ .fd = fd, .events = POLLIN };
	EXPECT(timerfd_settime(fd, 0, &its, NULL) == 0);
	EXPECT_ERRNO(read(fd, &n, 8), EAGAIN);
	EXPECT(timerfd_gettime(fd, &old) == 0 && old.it_value.tv_sec == 0 && old.it_value.tv_nsec > 0);
	EXPECT(poll(&pf, 1, 5000) == 1 && pf.revents == POLLIN);
	EXPECT(read(fd, &n, 8) == 8 && n == 1);
	its = (struct itimerspec){ .it_value = { 0, 1000000 }, .it_interval = { 0, 5000000 } };
	EXPECT(timerfd_settime(fd, 0, &its, &old) == 0 && old.it_value.tv_nsec == 0);
	usleep(60000);
	EXPECT(read(fd, &n, 8) == 8 && n >= 5);
	EXPECT(poll(&pf, 1, 5000) == 1);
	its = (struct itimerspec){ .it_value = { 0, 1 } };
	EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL) == 0);
	EXPECT(poll(&pf, 1, 5000) == 1);
	its.it_value.tv_nsec = -1;
	EXPECT_ERRNO(timerfd_settime(fd, 0, &its, NULL), EINVAL);
	EXPECT_ERRNO(timerfd_settime(1, 0, &old, NULL), EINVAL);
	EXPECT_ERRNO(timerfd_create(77, 0), EINVAL);
	EXPECT_ERRNO(write(fd, &n, 8), EINVAL);
	close(fd);
}

int main(void)
{
	CASE(poll_times_out);
	CASE(poll_wakes_up);
	CASE(poll_knows_bad_descriptors);
	CASE(poll_files_are_ready);
	CASE(signals_end_a_poll);
	CASE(select_tells_sets_apart);
	CASE(select_bad_arguments);
	CASE(select_wakes_up);
	CASE(epoll_level);
	CASE(epoll_edge_and_one_shot);
	CASE(epoll_takes_turns);
	CASE(epoll_wakes_up);
	CASE(epolls_nest);
	CASE(epoll_duplicates);
	CASE(epoll_bad_arguments);
	CASE(event_counters);
	CASE(event_counters_wake);
	CASE(timers);
	return abi_result();
}
