/* SPDX-License-Identifier: MIT */
/* Leases: who may have one, who is told, who waits. */
#include "cases.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static char path[64];
static volatile sig_atomic_t count, last_fd, last_code;

static void on_signal(int signo, siginfo_t *si, void *context)
{
	(void)signo;
	(void)context;
	last_fd = si->si_fd;
	last_code = si->si_code;
	count++;
}

static void nap(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

static bool comes(void)
{
	for (int i = 0; i < 200 && !count; i++)
		nap(2);
	return count > 0;
}

static void who_may(void)
{
	int r = open(path, O_RDONLY), w = open(path, O_RDWR), dir = open("/tmp", O_RDONLY), p[2];

	EXPECT(fcntl(r, F_GETLEASE) == F_UNLCK);
	EXPECT_ERRNO(fcntl(r, F_SETLEASE, 7), EINVAL);
	EXPECT_ERRNO(fcntl(r, F_SETLEASE, F_UNLCK), EAGAIN); /* there is none */
	EXPECT_ERRNO(fcntl(r, F_SETLEASE, F_RDLCK), EAGAIN); /* somebody writes */
	EXPECT_ERRNO(fcntl(r, F_SETLEASE, F_WRLCK), EAGAIN);
	EXPECT_ERRNO(fcntl(w, F_SETLEASE, F_WRLCK), EAGAIN); /* somebody reads */
	close(r);
	EXPECT(fcntl(w, F_SETLEASE, F_WRLCK) == 0 && fcntl(w, F_GETLEASE) == F_WRLCK);
	EXPECT_ERRNO(fcntl(w, F_SETLEASE, F_RDLCK), EAGAIN); /* it writes itself */
	EXPECT(fcntl(w, F_SETLEASE, F_UNLCK) == 0 && fcntl(w, F_GETLEASE) == F_UNLCK);
	close(w);
	EXPECT_ERRNO(fcntl(dir, F_SETLEASE, F_RDLCK), EINVAL);
	EXPECT(pipe(p) == 0);
	EXPECT_ERRNO(fcntl(p[0], F_SETLEASE, F_RDLCK), EINVAL);
	close(p[0]);
	close(p[1]);
	close(dir);
}

static void two_read_leases(void)
{
	int a = open(path, O_RDONLY), b = open(path, O_RDONLY);

	EXPECT(fcntl(a, F_SETLEASE, F_RDLCK) == 0 && fcntl(b, F_SETLEASE, F_RDLCK) == 0);
	EXPECT_ERRNO(fcntl(a, F_SETLEASE, F_WRLCK), EAGAIN);
	close(b);
	EXPECT(fcntl(a, F_SETLEASE, F_WRLCK) == 0 && fcntl(a, F_GETLEASE) == F_WRLCK && fcntl(a, F_SETLEASE, F_RDLCK) == 0);
	EXPECT(fcntl(a, F_GETLEASE) == F_RDLCK);
	close(a);
}

static void strangers(void)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		return;
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDONLY), bad;

		bad = setuid(65534);
		bad |= !(fcntl(fd, F_SETLEASE, F_RDLCK) == -1 && errno == EACCES);
		_exit(bad);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A child opens the file so; its exit status: 0: it could, at once or after the holder gave way. */
static pid_t child_opens(int flags, int error)
{
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(path, flags);

		_exit(error ? !(fd < 0 && errno == error) : fd < 0);
	}
	return pid;
}

static bool ended(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void readers_do_not_mind(void)
{
	int fd = open(path, O_RDONLY);

	EXPECT(fcntl(fd, F_SETLEASE, F_RDLCK) == 0);
	count = 0;
	EXPECT(ended(child_opens(O_RDONLY, 0)) && count == 0);
	close(fd);
}

static void writers_wait(void)
{
	int fd = open(path, O_RDONLY), status;
	pid_t pid;

	EXPECT(fcntl(fd, F_SETSIG, SIGRTMIN) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0 && fcntl(fd, F_GETOWN) == getpid());
	count = 0;
	EXPECT(ended(child_opens(O_WRONLY | O_NONBLOCK, EWOULDBLOCK)));
	EXPECT(comes() && last_fd == fd && last_code == POLL_MSG && fcntl(fd, F_GETLEASE) == F_UNLCK);
	count = 0;
	pid = child_opens(O_WRONLY, 0);
	nap(40);
	EXPECT(waitpid(pid, &status, WNOHANG) == 0 && count == 0); /* told before */
	EXPECT(fcntl(fd, F_SETLEASE, F_UNLCK) == 0 && ended(pid));
	close(fd);
}

static void readers_need_no_more_than_a_read_lease(void)
{
	int fd = open(path, O_RDONLY), status;
	pid_t pid;

	EXPECT(fcntl(fd, F_SETSIG, SIGRTMIN) == 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0);
	count = 0;
	pid = child_opens(O_RDONLY, 0);
	EXPECT(comes() && fcntl(fd, F_GETLEASE) == F_RDLCK);
	nap(20);
	EXPECT(waitpid(pid, &status, WNOHANG) == 0);
	EXPECT(fcntl(fd, F_SETLEASE, F_RDLCK) == 0 && ended(pid) && fcntl(fd, F_GETLEASE) == F_RDLCK);
	close(fd);
}

static void truncation_and_closing(void)
{
	int fd = open(path, O_RDONLY), status;
	pid_t pid;

	EXPECT(fcntl(fd, F_SETSIG, SIGRTMIN) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0);
	count = 0;
	pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(truncate(path, 0) != 0);
	}
	EXPECT(comes());
	EXPECT(waitpid(pid, &status, WNOHANG) == 0);
	close(fd); /* the child has closed its copy */
	EXPECT(ended(pid));
}

static void a_wait_is_interrupted(void)
{
	int fd = open(path, O_RDONLY), status;
	pid_t pid;

	EXPECT(fcntl(fd, F_SETLEASE, F_RDLCK) == 0 && fcntl(fd, F_SETSIG, SIGRTMIN) == 0);
	pid = child_opens(O_RDWR, 0);
	nap(30);
	EXPECT(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	EXPECT(fcntl(fd, F_GETLEASE) == F_UNLCK); /* it stays on its way out */
	close(fd);
	EXPECT(ended(child_opens(O_RDWR, 0)));
}

int main(void)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

	sigaction(SIGRTMIN, &act, NULL);
	snprintf(path, sizeof(path), "/tmp/lease-%d", getpid());
	close(open(path, O_CREAT | O_RDWR, 0666));
	CASE(who_may);
	CASE(two_read_leases);
	CASE(strangers);
	CASE(readers_do_not_mind);
	CASE(writers_wait);
	CASE(readers_need_no_more_than_a_read_lease);
	CASE(truncation_and_closing);
	CASE(a_wait_is_interrupted);
	unlink(path);
	return abi_result();
}
