/* SPDX-License-Identifier: MIT */
/* Descriptors: the lowest one, duplicates, close-on-exec, limits, status flags, and locks on files. */
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "cases.h"
#include "scratch.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

static int make(const char *name)
{
	return open(name, O_RDWR | O_CREAT, 0644);
}

static int is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void lowest_first(void)
{
	int a = make("a"), b = make("a"), c = make("a");

	EXPECT(b == a + 1 && c == a + 2);
	close(b);
	EXPECT(make("a") == b);
	close(a);
	close(c);
	EXPECT(dup(b) == a);
	EXPECT(fcntl(b, F_DUPFD, 50) == 50 && fcntl(b, F_DUPFD, 50) == 51);
	EXPECT(dup2(b, 200) == 200 && dup2(b, b) == b);
	EXPECT_ERRNO(dup2(b, -1), EBADF);
	EXPECT_ERRNO(dup2(99, 3), EBADF);
	EXPECT_ERRNO(dup2(99, 99), EBADF);
	EXPECT_ERRNO(dup3(b, b, 0), EINVAL);
	EXPECT_ERRNO(dup3(b, 60, 1), EINVAL);
	EXPECT_ERRNO(fcntl(b, F_DUPFD, -1), EINVAL);
	EXPECT_ERRNO(close(99), EBADF);
	EXPECT(syscall(SYS_close_range, a, 250, 0) == 0);
	EXPECT(!is_open(a) && !is_open(b) && !is_open(50) && !is_open(200));
	EXPECT_ERRNO(syscall(SYS_close_range, 10, 5, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_close_range, 10, 20, 64), EINVAL);
}

static void close_on_exec(void)
{
	int a = make("a"), b = open("a", O_RDONLY | O_CLOEXEC);

	EXPECT(fcntl(a, F_GETFD) == 0 && fcntl(b, F_GETFD) == FD_CLOEXEC);
	EXPECT(fcntl(a, F_SETFD, FD_CLOEXEC) == 0 && fcntl(a, F_GETFD) == FD_CLOEXEC);
	EXPECT(fcntl(dup(a), F_GETFD) == 0);
	EXPECT(fcntl(fcntl(a, F_DUPFD_CLOEXEC, 20), F_GETFD) == FD_CLOEXEC);
	EXPECT(fcntl(dup3(a, 30, O_CLOEXEC), F_GETFD) == FD_CLOEXEC);
	EXPECT(ioctl(30, FIONCLEX) == 0 && fcntl(30, F_GETFD) == 0);
	EXPECT(ioctl(30, FIOCLEX) == 0 && fcntl(30, F_GETFD) == FD_CLOEXEC);
	EXPECT(fcntl(b, F_SETFD, 0) == 0);
	EXPECT(syscall(SYS_close_range, b, b, CLOSE_RANGE_CLOEXEC) == 0 && fcntl(b, F_GETFD) == FD_CLOEXEC);
	syscall(SYS_close_range, a, 100, 0);
}

static void limits(void)
{
	struct rlimit old, few = { 20, 20 };
	int fd = make("a"), last = -1, n = 0;

	EXPECT(getrlimit(RLIMIT_NOFILE, &old) == 0);
	few.rlim_max = old.rlim_max;
	EXPECT(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while (n < 100 && (last = dup(fd)) >= 0)
		n++;
	EXPECT_ERRNO(dup(fd), EMFILE);
	EXPECT_ERRNO(open("a", O_RDONLY), EMFILE);
	EXPECT_ERRNO(dup2(fd, 20), EBADF);
	EXPECT_ERRNO(fcntl(fd, F_DUPFD, 20), EINVAL);
	EXPECT(is_open(19) && !is_open(20));
	EXPECT(setrlimit(RLIMIT_NOFILE, &old) == 0);
	EXPECT(dup2(fd, 900) == 900 && is_open(900));
	syscall(SYS_close_range, fd, 1000, 0);
}

static void status_flags(void)
{
	int fd = open("a", O_RDWR | O_APPEND);

	EXPECT((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK)) == (O_RDWR | O_APPEND));
	EXPECT(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	EXPECT((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK));
	EXPECT_ERRNO(fcntl(fd, 9999), EINVAL);
	EXPECT_ERRNO(fcntl(99, F_GETFL), EBADF);
	EXPECT_ERRNO(ioctl(fd, TIOCGWINSZ, &fd), ENOTTY);
	EXPECT_ERRNO(ioctl(fd, FIONBIO, (void *)16), EFAULT);
	close(fd);
	fd = open("a", O_PATH);
	EXPECT_ERRNO(fcntl(fd, F_SETFL, 0), EBADF);
	EXPECT_ERRNO(ioctl(fd, FIONBIO, &fd), EBADF);
	EXPECT(dup(fd) >= 0);
	syscall(SYS_close_range, fd, 100, 0);
}

/* Runs in a child process, which owns none of the parent's record locks: what is in the way of a lock on [start, start+len). */
static int probe(int fd, short type, off_t start, off_t len)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

		if (fcntl(fd, F_GETLK, &l))
			_exit(99);
		_exit(l.l_type == F_UNLCK ? 0 : l.l_type == F_RDLCK ? 1 : l.l_pid == getppid() ? 2 : 98);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int set_lock(int fd, short type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, F_SETLK, &l);
}

static void record_locks(void)
{
	int fd = make("locks"), other;
	struct flock l = { .l_type = F_WRLCK, .l_whence = 9 };

	EXPECT(set_lock(fd, F_WRLCK, 0, 100) == 0);
	EXPECT(probe(fd, F_RDLCK, 50, 1) == 2 && probe(fd, F_RDLCK, 100, 10) == 0);
	EXPECT(set_lock(fd, F_UNLCK, 40, 20) == 0);
	EXPECT(probe(fd, F_RDLCK, 45, 5) == 0 && probe(fd, F_RDLCK, 39, 1) == 2 && probe(fd, F_RDLCK, 60, 1) == 2);
	EXPECT(set_lock(fd, F_RDLCK, 30, 40) == 0);
	EXPECT(probe(fd, F_WRLCK, 30, 1) == 1 && probe(fd, F_RDLCK, 30, 40) == 0 && probe(fd, F_RDLCK, 70, 1) == 2);
	EXPECT(set_lock(fd, F_WRLCK, 0, 0) == 0 && probe(fd, F_RDLCK, 1 << 30, 1) == 2);
	EXPECT_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
	EXPECT_ERRNO(set_lock(fd, 77, 0, 1), EINVAL);
	EXPECT_ERRNO(set_lock(fd, F_WRLCK, -1, 1), EINVAL);
	EXPECT_ERRNO(fcntl(fd, F_SETLK, (void *)16), EFAULT);
	other = open("locks", O_RDONLY);
	EXPECT_ERRNO(set_lock(other, F_WRLCK, 0, 1), EBADF);
	close(other); /* closing any descriptor of the file drops the process's locks */
	EXPECT(probe(fd, F_WRLCK, 0, 0) == 0);
	close(fd);
}

static void waiting_for_a_lock(void)
{
	int fd = make("wait"), status, ready[2];
	pid_t pid;
	char byte;

	EXPECT(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		int mine = open("wait", O_RDWR);

		set_lock(mine, F_WRLCK, 0, 10);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		usleep(50000);
		_exit(0); /* the lock goes with the process */
	}
	EXPECT(read(ready[0], &byte, 1) == 1);
	EXPECT_ERRNO(set_lock(fd, F_WRLCK, 0, 1), EAGAIN);
	EXPECT(fcntl(fd, F_SETLKW, &(struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 }) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

static void whole_file_locks(void)
{
	int a = make("flock"), b = open("flock", O_RDONLY), c;

	EXPECT(flock(a, LOCK_EX) == 0);
	EXPECT_ERRNO(flock(b, LOCK_SH | LOCK_NB), EAGAIN);
	EXPECT(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
	EXPECT_ERRNO(flock(a, LOCK_EX | LOCK_NB), EAGAIN);
	EXPECT(flock(a, LOCK_UN) == 0 && flock(b, LOCK_EX | LOCK_NB) == 0);
	c = dup(b);
	close(b);
	EXPECT_ERRNO(flock(a, LOCK_EX | LOCK_NB), EAGAIN);
	close(c);
	EXPECT(flock(a, LOCK_EX | LOCK_NB) == 0);
	EXPECT_ERRNO(flock(a, 0), EINVAL);
	EXPECT_ERRNO(flock(99, LOCK_EX), EBADF);
	close(a);
}

int main(void)
{
	if (scratch_enter("descriptors"))
		return 1;
	CASE(lowest_first);
	CASE(close_on_exec);
	CASE(limits);
	CASE(status_flags);
	CASE(record_locks);
	CASE(waiting_for_a_lock);
	CASE(whole_file_locks);
	scratch_leave();
	return abi_result();
}
