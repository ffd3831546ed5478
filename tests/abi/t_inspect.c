/* SPDX-License-Identifier: MIT */
/* Looking into other processes: process_vm_readv and process_vm_writev, process_madvise, process_mrelease, kcmp; who may. */
#include "cases.h"
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define NOBODY 65534
#define PAGE   4096

static char *area; /* three pages, the last of which nobody may touch; the same place in the child */
static char buffer[4 * PAGE];

static pid_t child_that_waits(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static void end_child(pid_t pid)
{
	EXPECT(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static ssize_t move(bool write, pid_t pid, void *local, size_t len, void *remote, size_t remote_len)
{
	struct iovec l = { local, len }, r = { remote, remote_len };

	return write ? process_vm_writev(pid, &l, 1, &r, 1, 0) : process_vm_readv(pid, &l, 1, &r, 1, 0);
}

static void reading_and_writing(void)
{
	pid_t pid;

	memset(area, 'a', 2 * PAGE);
	pid = child_that_waits();
	memset(area, 'b', 2 * PAGE);
	EXPECT(move(false, pid, buffer, 2 * PAGE, area, 2 * PAGE) == 2 * PAGE);
	EXPECT(buffer[0] == 'a' && buffer[2 * PAGE - 1] == 'a');
	memset(buffer, 'c', sizeof(buffer));
	EXPECT(move(true, pid, buffer, 100, area + PAGE - 50, 100) == 100);
	EXPECT(area[PAGE] == 'b'); /* not ours */
	EXPECT(move(false, pid, buffer, 102, area + PAGE - 51, 102) == 102);
	EXPECT(buffer[0] == 'a' && buffer[1] == 'c' && buffer[100] == 'c' && buffer[101] == 'a');
	EXPECT(move(false, getpid(), buffer, 3, area, 3) == 3 && buffer[0] == 'b');
	end_child(pid);
	EXPECT_ERRNO(move(false, pid, buffer, 1, area, 1), ESRCH);
}

static void many_ranges(void)
{
	pid_t pid;
	struct iovec l[12], r[12];

	for (int i = 0; i < 2 * PAGE; i++)
		area[i] = (char)(i % 251);
	pid = child_that_waits();
	memset(buffer, 0, sizeof(buffer));
	for (int i = 0; i < 12; i++) { /* of different lengths on both sides */
		l[i] = (struct iovec){ buffer + i * 30, 30 };
		r[i] = (struct iovec){ area + i * 40, i == 3 ? 0 : 40 };
	}
	EXPECT(process_vm_readv(pid, l, 12, r, 12, 0) == 360);
	for (int i = 0; i < 360; i++) {
		int from = i < 120 ? i : i + 40;

		EXPECT(buffer[i] == (char)(from % 251));
	}
	EXPECT(process_vm_readv(pid, l, 12, r, 2, 0) == 80);
	EXPECT(process_vm_readv(pid, l, 0, r, 2, 0) == 0);
	EXPECT(process_vm_readv(pid, l, 2, r, 0, 0) == 0);
	EXPECT(process_vm_readv(pid, l, 1, r + 3, 1, 0) == 0);
	end_child(pid);
}

static void wrong_arguments(void)
{
	pid_t pid = child_that_waits();
	struct iovec l = { buffer, 8 }, r = { area, 8 }, huge = { buffer, (size_t)-1 };

	EXPECT_ERRNO(process_vm_readv(pid, &l, 1, &r, 1, 1), EINVAL);
	EXPECT_ERRNO(process_vm_writev(pid, &l, 1, &r, 1, 1), EINVAL);
	EXPECT_ERRNO(process_vm_readv(pid, &l, 1025, &r, 1, 0), EINVAL);
	EXPECT_ERRNO(process_vm_readv(pid, &l, 1, &r, 1025, 0), EINVAL);
	EXPECT_ERRNO(process_vm_readv(pid, &huge, 1, &r, 1, 0), EINVAL);
	EXPECT_ERRNO(process_vm_readv(pid, &l, 1, &huge, 1, 0), EINVAL);
	for (size_t i = 0; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(process_vm_readv(pid, abi_bad_addresses[i], 1, &r, 1, 0), EFAULT);
		EXPECT_ERRNO(process_vm_readv(pid, &l, 1, abi_bad_addresses[i], 1, 0), EFAULT);
		EXPECT_ERRNO(move(false, pid, abi_bad_addresses[i], 8, area, 8), EFAULT);
		EXPECT_ERRNO(move(false, pid, buffer, 8, abi_bad_addresses[i], 8), EFAULT);
		EXPECT_ERRNO(move(true, pid, buffer, 8, abi_bad_addresses[i], 8), EFAULT);
	}
	EXPECT_ERRNO(process_vm_readv(0x3fffffff, &l, 1, &r, 1, 0), ESRCH);
	EXPECT_ERRNO(process_vm_readv(-1, &l, 1, &r, 1, 0), ESRCH);
	end_child(pid);
}

static void partly_there(void)
{
	pid_t pid = child_that_waits();
	struct iovec l = { buffer, 3 * PAGE };
	struct iovec r[3] = { { area, 10 }, { area + 2 * PAGE - 4, 8 }, { area, 10 } };

	EXPECT(process_vm_readv(pid, &l, 1, r, 3, 0) == 14);
	EXPECT(move(false, pid, buffer, 3 * PAGE, area, 3 * PAGE) == 2 * PAGE);
	EXPECT(move(true, pid, buffer, 3 * PAGE, area, 3 * PAGE) == 2 * PAGE);
	EXPECT_ERRNO(move(true, pid, buffer, 1, area + 2 * PAGE, 1), EFAULT);
	EXPECT_ERRNO(move(false, pid, buffer, 1, area + 2 * PAGE, 1), EFAULT);
	end_child(pid);
}

/* What the other may not write to itself stays as it is. */
static void protection_counts(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	page[0] = 'x';
	EXPECT(mprotect(page, PAGE, PROT_READ) == 0);
	pid = child_that_waits();
	EXPECT_ERRNO(move(true, pid, buffer, 1, page, 1), EFAULT);
	EXPECT(move(false, pid, buffer, 1, page, 1) == 1 && buffer[0] == 'x');
	EXPECT(munmap(page, PAGE) == 0); /* ours; the child has its own */
	EXPECT(move(false, pid, buffer, 1, page, 1) == 1);
	end_child(pid);
}

static void zombies_have_none(void)
{
	siginfo_t si;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	EXPECT(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == 0);
	EXPECT_ERRNO(move(false, pid, buffer, 1, area, 1), ESRCH);
	EXPECT(waitpid(pid, NULL, 0) == pid);
}

/* The other one maps, unmaps and ends while it is read. */
static void while_it_changes(void)
{
	pid_t pid = fork();
	unsigned i = 0;
	int error;
	ssize_t n;

	if (pid == 0) {
		for (int j = 0; j < 200; j++) {
			munmap(area, 2 * PAGE);
			if (mmap(area, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != area)
				_exit(1);
			area[j] = 1;
		}
		_exit(0);
	}
	do {
		n = move(i++ % 2, pid, buffer, 2 * PAGE, area, 2 * PAGE);
		error = n < 0 ? errno : 0;
		EXPECT(n > 0 || error == EFAULT || error == ESRCH);
	} while (error != ESRCH);
	EXPECT(waitpid(pid, NULL, 0) == pid);
}

/* ---- who may ---- */

static pid_t watched;

static int run_as(unsigned uid, void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid) || prctl(PR_SET_DUMPABLE, 1))
			_exit(99);
		fn();
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int madvise_(int pidfd, void *at, size_t len, int advice, unsigned flags)
{
	struct iovec v = { at, len };

	return (int)syscall(SYS_process_madvise, pidfd, &v, 1, advice, flags);
}

static int kcmp_(pid_t a, pid_t b, int type, unsigned long x, unsigned long y)
{
	return (int)syscall(SYS_kcmp, a, b, type, x, y);
}

static void look_at_root(void)
{
	int fd = (int)syscall(SYS_pidfd_open, watched, 0);

	if (move(false, watched, buffer, 1, area, 1) != -1 || errno != EPERM)
		_exit(1);
	if (move(true, watched, buffer, 1, area, 1) != -1 || errno != EPERM)
		_exit(2);
	if (kcmp_(getpid(), watched, KCMP_VM, 0, 0) != -1 || errno != EPERM)
		_exit(3);
	if (kcmp_(watched, getpid(), 99, 0, 0) != -1 || errno != EPERM)
		_exit(4);
	if (madvise_(fd, area, PAGE, MADV_COLD, 0) != -1 || errno != EACCES)
		_exit(5);
}

static void look_at_own(void)
{
	pid_t pid = child_that_waits();
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (prctl(PR_GET_DUMPABLE) != 1 || move(false, pid, buffer, 1, area, 1) != 1)
		_exit(1);
	if (kcmp_(getpid(), pid, KCMP_VM, 0, 0) <= 0)
		_exit(2);
	if (madvise_(fd, area, PAGE, MADV_COLD, 0) != -1 || errno != EPERM) /* CAP_SYS_NICE */
		_exit(3);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	prctl(PR_SET_DUMPABLE, 0);
	pid = child_that_waits();
	if (move(false, pid, buffer, 1, area, 1) != -1 || errno != EPERM)
		_exit(4);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void permissions(void)
{
	if (getuid() != 0)
		return;
	watched = child_that_waits();
	EXPECT(run_as(NOBODY, look_at_root) == 0);
	EXPECT(run_as(NOBODY, look_at_own) == 0);
	end_child(watched);
}

/* ---- advice ---- */

static void advising(void)
{
	pid_t pid = child_that_waits();
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct iovec v[2] = { { area, PAGE }, { area + PAGE, PAGE } };

	EXPECT(madvise_(fd, area, 2 * PAGE, MADV_COLD, 0) == 2 * PAGE);
	EXPECT(madvise_(fd, area, PAGE, MADV_PAGEOUT, 0) == PAGE);
	EXPECT(syscall(SYS_process_madvise, fd, v, 2, MADV_WILLNEED, 0) == 2 * PAGE);
	EXPECT_ERRNO(madvise_(fd, area, PAGE, MADV_DONTNEED, 0), EINVAL);
	EXPECT_ERRNO(madvise_(fd, area, PAGE, 999, 0), EINVAL);
	EXPECT_ERRNO(madvise_(fd, area, PAGE, MADV_COLD, 1), EINVAL);
	EXPECT_ERRNO(madvise_(1000, area, PAGE, MADV_COLD, 0), EBADF);
	EXPECT_ERRNO(madvise_(1, area, PAGE, MADV_COLD, 0), EBADF);
	EXPECT_ERRNO(madvise_(fd, area + 1, PAGE, MADV_COLD, 0), EINVAL);
	EXPECT_ERRNO(madvise_(fd, (void *)PAGE, PAGE, MADV_COLD, 0), ENOMEM);
	EXPECT_ERRNO(syscall(SYS_process_madvise, fd, v, 1025, MADV_COLD, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_process_madvise, fd, 16, 1, MADV_COLD, 0), EFAULT);
	v[1].iov_base = (void *)PAGE;
	EXPECT(syscall(SYS_process_madvise, fd, v, 2, MADV_COLD, 0) == PAGE);
	end_child(pid);
	EXPECT_ERRNO(madvise_(fd, area, PAGE, MADV_COLD, 0), ESRCH);
	EXPECT(close(fd) == 0);
}

static int release(int pidfd, unsigned flags)
{
	return (int)syscall(SYS_process_mrelease, pidfd, flags);
}

static int share_until_killed(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return 0;
}

static void releasing(void)
{
	static char stack[1 << 14] __attribute__((aligned(64)));
	pid_t pid = fork(), sharing;
	int fd, self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	siginfo_t si;

	if (pid == 0) { /* with much to give back */
		char *much = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		for (;;)
			if (much)
				pause();
	}
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	EXPECT_ERRNO(release(fd, 1), EINVAL);
	EXPECT_ERRNO(release(fd, 0), EINVAL);
	EXPECT_ERRNO(release(self, 0), EINVAL);
	EXPECT_ERRNO(release(1, 0), EBADF);
	EXPECT_ERRNO(release(1000, 0), EBADF);
	usleep(20000);
	EXPECT(kill(pid, SIGKILL) == 0);
	errno = 0;
	EXPECT(release(fd, 0) == 0 || errno == ESRCH); /* it may have been quicker */
	EXPECT(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == 0 && si.si_status == SIGKILL);
	EXPECT_ERRNO(release(fd, 0), ESRCH);
	EXPECT(waitpid(pid, NULL, 0) == pid);
	EXPECT_ERRNO(release(fd, 0), ESRCH);
	close(fd);
	sharing = clone(share_until_killed, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL); /* with us, who live on */
	fd = (int)syscall(SYS_pidfd_open, sharing, 0);
	EXPECT(kill(sharing, SIGKILL) == 0);
	area[0] = 's';
	errno = 0;
	EXPECT(release(fd, 0) == -1 && (errno == EINVAL || errno == ESRCH));
	EXPECT(waitpid(sharing, NULL, 0) == sharing && area[0] == 's');
	close(fd), close(self);
}

/* ---- comparing ---- */

static int share(void *fd)
{
	char c;

	_exit(read(*(int *)fd, &c, 1) == 1 ? 0 : 1);
}

static void comparing_watched(void)
{
	struct { unsigned epoll, fd, skip; } slot;
	struct epoll_event event = { .events = EPOLLIN };
	int pipes[2], epoll = epoll_create1(0);
	pid_t self = getpid();

	EXPECT(pipe(pipes) == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &event) == 0);
	slot.epoll = (unsigned)epoll, slot.fd = (unsigned)pipes[0], slot.skip = 0;
	EXPECT(kcmp_(self, self, KCMP_EPOLL_TFD, (unsigned long)pipes[0], (unsigned long)&slot) == 0);
	EXPECT(kcmp_(self, self, KCMP_EPOLL_TFD, (unsigned long)pipes[1], (unsigned long)&slot) > 0);
	EXPECT_ERRNO(kcmp_(self, self, KCMP_EPOLL_TFD, 1000, (unsigned long)&slot), EBADF);
	EXPECT_ERRNO(kcmp_(self, self, KCMP_EPOLL_TFD, (unsigned long)pipes[0], 0), EFAULT);
	slot.skip = 1;
	EXPECT_ERRNO(kcmp_(self, self, KCMP_EPOLL_TFD, (unsigned long)pipes[0], (unsigned long)&slot), ENOENT);
	slot.epoll = (unsigned)pipes[0];
	EXPECT_ERRNO(kcmp_(self, self, KCMP_EPOLL_TFD, (unsigned long)pipes[0], (unsigned long)&slot), EINVAL);
	slot.epoll = 1000;
	EXPECT_ERRNO(kcmp_(self, self, KCMP_EPOLL_TFD, (unsigned long)pipes[0], (unsigned long)&slot), EBADF);
	close(pipes[0]), close(pipes[1]), close(epoll);
}

static void comparing(void)
{
	static char stack[1 << 14] __attribute__((aligned(64)));
	int pipes[2], copy, order;
	pid_t forked = child_that_waits(), self = getpid(), sharing;

	EXPECT(pipe(pipes) == 0);
	copy = dup(pipes[0]);
	sharing = clone(share, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | SIGCHLD, &pipes[0]);
	EXPECT(kcmp_(self, self, KCMP_FILE, (unsigned long)pipes[0], (unsigned long)copy) == 0);
	order = kcmp_(self, self, KCMP_FILE, (unsigned long)pipes[0], (unsigned long)pipes[1]);
	EXPECT(order == 1 || order == 2);
	EXPECT(kcmp_(self, self, KCMP_FILE, (unsigned long)pipes[1], (unsigned long)pipes[0]) == 3 - order);
	EXPECT(kcmp_(self, forked, KCMP_FILE, 1, 1) == 0);
	EXPECT_ERRNO(kcmp_(self, forked, KCMP_FILE, 1, 1000), EBADF);
	EXPECT_ERRNO(kcmp_(self, forked, KCMP_FILE, 1000, 1), EBADF);
	for (int type = KCMP_VM; type <= KCMP_SIGHAND; type++) {
		EXPECT(kcmp_(self, self, type, 0, 0) == 0 && kcmp_(self, sharing, type, 0, 0) == 0);
		order = kcmp_(self, forked, type, 0, 0);
		EXPECT(order == 1 || order == 2);
		EXPECT(kcmp_(forked, self, type, 0, 0) == 3 - order);
	}
	EXPECT(kcmp_(self, self, KCMP_IO, 0, 0) == 0);
	EXPECT(kcmp_(self, self, KCMP_SYSVSEM, 0, 0) == 0);
	EXPECT_ERRNO(kcmp_(self, self, 8, 0, 0), EINVAL);
	EXPECT_ERRNO(kcmp_(self, self, -1, 0, 0), EINVAL);
	EXPECT_ERRNO(kcmp_(self, 0x3fffffff, KCMP_VM, 0, 0), ESRCH);
	EXPECT_ERRNO(kcmp_(-1, self, 99, 0, 0), ESRCH);
	EXPECT(write(pipes[1], "x", 1) == 1 && waitpid(sharing, NULL, 0) == sharing);
	end_child(forked);
	close(pipes[0]), close(pipes[1]), close(copy);
}

/* ---- /proc/PID/mem ---- */

static int open_mem(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, O_RDWR);
}

static char target[8] = "before";

static void memory_as_a_file(void)
{
	pid_t pid = child_that_waits();
	int fd = open_mem(pid);
	char got[8] = "";

	EXPECT(fd >= 0);
	EXPECT(pwrite(fd, "written", 8, (off_t)(uintptr_t)target) == 8);
	EXPECT(pread(fd, got, 8, (off_t)(uintptr_t)target) == 8 && strcmp(got, "written") == 0);
	EXPECT(strcmp(target, "before") == 0);
	EXPECT_ERRNO(pread(fd, got, 8, 16), EIO);
	end_child(pid);
	EXPECT(pread(fd, got, 8, (off_t)(uintptr_t)target) == 0);
	EXPECT(pwrite(fd, got, 8, (off_t)(uintptr_t)target) == 0);
	close(fd);
}

/* Of the program that exec began, run with the file that the one before it opened: it reaches nothing, by nobody's rights. */
static int use_inherited_mem(int fd)
{
	char got[8];

	if (pwrite(fd, "written", 8, (off_t)(uintptr_t)target) != 0 || pread(fd, got, 8, (off_t)(uintptr_t)target) != 0)
		return 1;
	return strcmp(target, "before") ? 2 : 0;
}

static void memory_of_the_program_before(void)
{
	char number[16], *argv[] = { "t_inspect", number, NULL };
	int status, by_parent;
	pid_t pid = fork();

	if (pid == 0) {
		snprintf(number, sizeof(number), "%d", open_mem(getpid()));
		raise(SIGSTOP);
		execv("/proc/self/exe", argv);
		_exit(99);
	}
	EXPECT(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	by_parent = open_mem(pid);
	EXPECT(kill(pid, SIGCONT) == 0 && waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(by_parent >= 0 && pread(by_parent, number, 1, (off_t)(uintptr_t)target) == 0);
	close(by_parent);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return use_inherited_mem(atoi(argv[1]));
	area = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED || mprotect(area + 2 * PAGE, PAGE, PROT_NONE))
		return 2;
	area[0] = area[PAGE] = 1;
	CASE(reading_and_writing);
	CASE(many_ranges);
	CASE(wrong_arguments);
	CASE(partly_there);
	CASE(protection_counts);
	CASE(zombies_have_none);
	CASE(while_it_changes);
	CASE(permissions);
	CASE(advising);
	CASE(releasing);
	CASE(comparing);
	CASE(comparing_watched);
	CASE(memory_as_a_file);
	CASE(memory_of_the_program_before);
	return abi_result();
}
