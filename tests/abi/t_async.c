/* SPDX-License-Identifier: MIT */
/* Signals that files send: whom (F_SETOWN), which (F_SETSIG), and when (O_ASYNC). */
#include "cases.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t count, last_code, last_fd, last_tid;
static volatile long last_band;

static void on_signal(int signo, siginfo_t *si, void *context)
{
	(void)signo;
	(void)context;
	last_code = si->si_code;
	last_fd = si->si_fd;
	last_band = si->si_band;
	last_tid = gettid();
	count++;
}

static void catch(int signo)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(signo, &act, NULL);
	count = 0;
}

/* What comes within a while. */
static bool comes(void)
{
	struct timespec t = { .tv_nsec = 2000000 };

	for (int i = 0; i < 200 && !count; i++)
		nanosleep(&t, NULL);
	return count > 0;
}

static bool nothing_comes(void)
{
	struct timespec t = { .tv_nsec = 30000000 };

	nanosleep(&t, NULL);
	return count == 0;
}

static bool set_flags(int fd, int flags)
{
	return fcntl(fd, F_SETFL, flags) == 0 && (fcntl(fd, F_GETFL) & O_ASYNC) == (flags & O_ASYNC);
}

static void owners(void)
{
	struct f_owner_ex o = { -1, -1 };
	int p[2];

	EXPECT(pipe(p) == 0);
	EXPECT(fcntl(p[0], F_GETOWN) == 0 && fcntl(p[0], F_GETSIG) == 0);
	EXPECT(fcntl(p[0], F_GETOWN_EX, &o) == 0 && o.pid == 0);
	EXPECT(fcntl(p[0], F_SETOWN, getpid()) == 0 && fcntl(p[0], F_GETOWN) == getpid());
	EXPECT(fcntl(p[0], F_GETOWN_EX, &o) == 0 && o.type == F_OWNER_PID && o.pid == getpid());
	EXPECT(fcntl(p[0], F_SETOWN, -getpgrp()) == 0 && fcntl(p[0], F_GETOWN_EX, &o) == 0 && o.type == F_OWNER_PGRP && o.pid == getpgrp());
	o = (struct f_owner_ex){ F_OWNER_TID, gettid() };
	EXPECT(fcntl(p[0], F_SETOWN_EX, &o) == 0 && fcntl(p[0], F_GETOWN) == gettid());
	o.type = -1;
	EXPECT(fcntl(p[0], F_GETOWN_EX, &o) == 0 && o.type == F_OWNER_TID && o.pid == gettid());
	o.type = 3;
	EXPECT_ERRNO(fcntl(p[0], F_SETOWN_EX, &o), EINVAL);
	o = (struct f_owner_ex){ F_OWNER_PID, 0x3fffffff };
	EXPECT_ERRNO(fcntl(p[0], F_SETOWN_EX, &o), ESRCH);
	EXPECT_ERRNO(fcntl(p[0], F_SETOWN, INT32_MIN), EINVAL);
	EXPECT_ERRNO(fcntl(p[0], F_SETOWN, 0x3fffffff), ESRCH);
	EXPECT(fcntl(p[0], F_SETOWN, 0) == 0 && fcntl(p[0], F_GETOWN) == 0);
	EXPECT_ERRNO(fcntl(p[0], F_SETSIG, 65), EINVAL);
	EXPECT_ERRNO(fcntl(p[0], F_SETSIG, -1), EINVAL);
	EXPECT(fcntl(p[0], F_SETSIG, SIGRTMIN) == 0 && fcntl(p[0], F_GETSIG) == SIGRTMIN && fcntl(p[1], F_GETSIG) == 0);
	close(p[0]);
	close(p[1]);
}

static void pipes(void)
{
	char c = 'x';
	int p[2];

	catch(SIGIO);
	EXPECT(pipe(p) == 0 && fcntl(p[0], F_SETOWN, getpid()) == 0);
	EXPECT(write(p[1], &c, 1) == 1 && read(p[0], &c, 1) == 1 && nothing_comes()); /* not yet */
	EXPECT(set_flags(p[0], O_ASYNC));
	EXPECT(write(p[1], &c, 1) == 1 && comes() && last_code == SI_KERNEL);
	EXPECT(read(p[0], &c, 1) == 1);
	EXPECT(set_flags(p[0], 0));
	count = 0;
	EXPECT(write(p[1], &c, 1) == 1 && read(p[0], &c, 1) == 1 && nothing_comes());
	EXPECT(set_flags(p[0], O_ASYNC | O_NONBLOCK));
	close(p[1]);
	EXPECT(comes()); /* the end */
	close(p[0]);
	count = 0;
	EXPECT(nothing_comes());
}

static void told_what_and_where(void)
{
	char c = 'x';
	int p[2], signo = SIGRTMIN + 1;

	catch(signo);
	EXPECT(pipe(p) == 0 && fcntl(p[0], F_SETOWN, getpid()) == 0 && fcntl(p[0], F_SETSIG, signo) == 0 && set_flags(p[0], O_ASYNC));
	EXPECT(write(p[1], &c, 1) == 1 && comes());
	EXPECT(last_code == POLL_IN && last_fd == p[0] && last_band == (POLLIN | POLLRDNORM));
	close(p[0]);
	close(p[1]);
}

static void sockets(void)
{
	char c = 'x';
	int s[2], on = 1;

	catch(SIGIO);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && fcntl(s[0], F_SETOWN, getpid()) == 0);
	EXPECT(ioctl(s[0], FIOASYNC, &on) == 0 && (fcntl(s[0], F_GETFL) & O_ASYNC));
	EXPECT(write(s[1], &c, 1) == 1 && comes());
	on = 0;
	EXPECT(ioctl(s[0], FIOASYNC, &on) == 0 && !(fcntl(s[0], F_GETFL) & O_ASYNC));
	close(s[0]);
	close(s[1]);
	EXPECT(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 && fcntl(s[0], F_SETOWN, getpid()) == 0 && set_flags(s[0], O_ASYNC));
	count = 0;
	EXPECT(write(s[1], &c, 1) == 1 && comes());
	close(s[0]);
	close(s[1]);
}

static void terminals(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	char c = 'x';

	catch(SIGIO);
	EXPECT(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	EXPECT(slave >= 0 && set_flags(slave, O_ASYNC) && fcntl(slave, F_SETOWN, getpid()) == 0);
	EXPECT(write(master, "line\n", 5) == 5 && comes());
	EXPECT(set_flags(slave, 0) && set_flags(master, O_ASYNC) && fcntl(master, F_SETOWN, getpid()) == 0);
	count = 0;
	EXPECT(write(slave, &c, 1) == 1 && comes());
	close(slave);
	close(master);
}

static void *write_soon(void *fd)
{
	struct timespec t = { .tv_nsec = 20000000 };
	char c = 'x';

	nanosleep(&t, NULL);
	EXPECT(write((int)(intptr_t)fd, &c, 1) == 1);
	return NULL;
}

/* The chosen thread gets it, even if it has to wake up. */
static void one_thread(void)
{
	struct f_owner_ex o = { F_OWNER_TID, gettid() };
	struct timespec t = { .tv_sec = 5 };
	pthread_t thread;
	int p[2];

	catch(SIGIO);
	EXPECT(pipe(p) == 0 && fcntl(p[0], F_SETOWN_EX, &o) == 0 && set_flags(p[0], O_ASYNC));
	pthread_create(&thread, NULL, write_soon, (void *)(intptr_t)p[1]);
	EXPECT_ERRNO(nanosleep(&t, NULL), EINTR);
	EXPECT(count == 1 && last_tid == gettid());
	pthread_join(thread, NULL);
	close(p[0]);
	close(p[1]);
}

/* A child that is not allowed to, by who it was when it named the owner, does not signal its parent. */
static void rights(void)
{
	char c = 'x';
	int p[2], status;
	pid_t pid;

	if (geteuid() != 0)
		return;
	catch(SIGIO);
	EXPECT(pipe(p) == 0);
	pid = fork();
	if (pid == 0) {
		int bad = setresuid(65534, 65534, 65534);

		bad |= fcntl(p[0], F_SETOWN, getppid()) != 0 || !set_flags(p[0], O_ASYNC) || write(p[1], &c, 1) != 1;
		_exit(bad);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0 && nothing_comes());
	close(p[0]);
	close(p[1]);
}

static void other_files(void)
{
	int on = 1, fd = open("/dev/null", O_RDWR);

	EXPECT(fcntl(fd, F_SETFL, O_ASYNC) == 0 && !(fcntl(fd, F_GETFL) & O_ASYNC));
	EXPECT_ERRNO(ioctl(fd, FIOASYNC, &on), ENOTTY);
	on = 0;
	EXPECT(ioctl(fd, FIOASYNC, &on) == 0);
	close(fd);
}

int main(void)
{
	CASE(owners);
	CASE(pipes);
	CASE(told_what_and_where);
	CASE(sockets);
	CASE(terminals);
	CASE(one_thread);
	CASE(rights);
	CASE(other_files);
	return abi_result();
}
