/* SPDX-License-Identifier: MIT */
/* Namespaces of pids: numbers on each level, the init of one, its death, what /proc shows of it. Run as root. */
#include "cases.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "inside.h"

static pid_t clone_into(uint64_t flags)
{
	return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
}

/* Runs fn as the init of a new namespace: how it ended. */
static int as_init(void (*fn)(void))
{
	pid_t pid = clone_into(CLONE_NEWPID);

	if (pid == 0) {
		fn();
		_exit(0);
	}
	return ending_of(pid);
}

/* ---- numbers ---- */

static void counts_from_one(void)
{
	int status;
	pid_t pid;

	NEED(syscall(SYS_getpid) == 1 && syscall(SYS_gettid) == 1 && getppid() == 0);
	NEED(getpgid(0) == 0 && getsid(0) == 0); /* of a group outside */
	pid = fork();
	if (pid == 0) {
		NEED(getppid() == 1 && syscall(SYS_getpid) == 2);
		NEED(kill(3, 0) == -1 && errno == ESRCH);
		_exit(7);
	}
	NEED(pid == 2 && waitpid(2, &status, 0) == 2 && WEXITSTATUS(status) == 7);
	NEED(setsid() == 1 && getsid(0) == 1 && getpgid(0) == 1 && getpgrp() == 1);
	pid = fork();
	if (pid == 0)
		_exit(getpgid(0) == 1 && getsid(0) == 1 ? 0 : 1);
	NEED(pid == 3 && waitpid(0, &status, 0) == 3 && status == 0); /* of its own group */
}

static void unsharing_is_for_children(void)
{
	pid_t before = getpid(), pid;
	char text[64];

	NEED(unshare(CLONE_NEWPID) == 0 && syscall(SYS_getpid) == before);
	NEED(unshare(CLONE_NEWPID) == -1 && errno == EINVAL);
	NEED(readlink("/proc/self/ns/pid_for_children", text, sizeof(text)) == -1 && errno == ENOENT);
	NEED(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, NULL, NULL, NULL, 0) == -1 && errno == EINVAL);
	pid = fork();
	if (pid == 0)
		_exit(syscall(SYS_getpid) == 1 ? 0 : 1);
	NEED(pid > 1 && ending_of(pid) == 0);
	NEED(fork() == -1 && errno == ENOMEM); /* its init has gone */
}

/* Each level has its number for the process in the middle. */
static void levels(void)
{
	int out[2];
	pid_t pid, seen;

	NEED(pipe(out) == 0);
	pid = fork(); /* 2 */
	if (pid == 0) {
		pid_t inner = clone_into(CLONE_NEWPID); /* 3 here, 1 there */

		if (inner == 0) {
			NEED(syscall(SYS_getpid) == 1);
			_exit(0);
		}
		NEED(write(out[1], &inner, sizeof(inner)) == sizeof(inner));
		_exit(ending_of(inner));
	}
	NEED(read(out[0], &seen, sizeof(seen)) == sizeof(seen) && seen == 3);
	NEED(ending_of(pid) == 0);
}

static void numbers(void)
{
	EXPECT(as_init(counts_from_one) == 0);
	EXPECT(ends(unsharing_is_for_children) == 0);
	EXPECT(as_init(levels) == 0);
}

static pid_t clone3_as(pid_t *wanted, size_t count, uint64_t flags)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD, .set_tid = (uintptr_t)wanted, .set_tid_size = count };

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void chosen(void)
{
	pid_t wanted[3] = { 77, 0, 0 }, pid = clone3_as(wanted, 1, 0);

	if (pid == 0)
		_exit(syscall(SYS_getpid) == 77 ? 0 : 1);
	NEED(pid == 77);
	NEED(clone3_as(wanted, 1, 0) == -1 && errno == EEXIST);
	NEED(ending_of(pid) == 0);
	wanted[0] = 0;
	NEED(clone3_as(wanted, 1, 0) == -1 && errno == EINVAL);
	NEED(clone3_as(wanted, 0, 0) == -1 && errno == EINVAL);
	wanted[0] = 5;
	NEED(clone3_as(wanted, 1, CLONE_NEWPID) == -1 && errno == EINVAL); /* the first must be 1 */
	wanted[0] = 1;
	wanted[1] = 55;
	pid = clone3_as(wanted, 2, CLONE_NEWPID);
	if (pid == 0)
		_exit(syscall(SYS_getpid) == 1 ? 0 : 1);
	NEED(pid == 55 && ending_of(pid) == 0);
	NEED(clone3_as(wanted, 33, 0) == -1 && errno == EINVAL);
	NEED(clone3_as(NULL, 1, 0) == -1 && errno == EINVAL);
	NEED(mount("proc", "/proc", "proc", 0, NULL) == 0);
	NEED(write_file("/proc/sys/kernel/ns_last_pid", "99") == 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	NEED(pid == 100 && ending_of(pid) == 0);
}

static void chosen_numbers(void)
{
	pid_t pid = clone_into(CLONE_NEWPID | CLONE_NEWNS);

	if (pid == 0) {
		NEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
		chosen();
		_exit(0);
	}
	EXPECT(ending_of(pid) == 0);
}

/* ---- init ---- */

static int handled;

static void handle(int sig)
{
	handled = sig;
}

static void spared(void)
{
	sigset_t set;
	pid_t pid;

	NEED(kill(1, SIGKILL) == 0 && kill(1, SIGTERM) == 0 && kill(1, SIGSTOP) == 0);
	pid = fork();
	if (pid == 0) {
		NEED(kill(1, SIGKILL) == 0 && kill(1, SIGSTOP) == 0 && kill(1, SIGINT) == 0);
		_exit(0);
	}
	NEED(ending_of(pid) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && kill(1, SIGTERM) == 0);
	NEED(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
	NEED(signal(SIGUSR1, handle) != SIG_ERR && kill(1, SIGUSR1) == 0 && handled == SIGUSR1);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	NEED(kill(-1, SIGKILL) == 0); /* all but itself */
	NEED(ending_of(pid) == -SIGKILL);
}

static void faults(void)
{
	*(volatile int *)NULL = 1;
}

/* From above it has no such shield. */
static int from_above(int sig, bool stops)
{
	int status, ready[2];
	char c;
	pid_t pid;

	if (pipe(ready))
		return -1;
	pid = clone_into(CLONE_NEWPID);
	if (pid == 0) {
		siginfo_t info;
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
		NEED(write(ready[1], "x", 1) == 1);
		while (sigwaitinfo(&set, &info) == -1 && errno == EINTR)
			; /* it was stopped */
		NEED(info.si_signo == SIGUSR1 && info.si_pid == 0); /* from nobody whom it knows */
		_exit(9);
	}
	if (read(ready[0], &c, 1) != 1 || kill(pid, sig))
		return -1;
	close(ready[0]);
	close(ready[1]);
	if (stops) {
		if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
			return -1;
		kill(pid, SIGCONT);
	}
	if (sig != SIGKILL && sig != SIGUSR1)
		kill(pid, SIGUSR1);
	return ending_of(pid);
}

static void init_is_spared(void)
{
	EXPECT(as_init(spared) == 0);
	EXPECT(as_init(faults) == -SIGSEGV);
	EXPECT(from_above(SIGKILL, false) == -SIGKILL);
	EXPECT(from_above(SIGSTOP, true) == 9);
	EXPECT(from_above(SIGTERM, false) == 9);
	EXPECT(from_above(SIGUSR1, false) == 9);
}

/* ---- the end ---- */

/* With it all others go, and it is not gone before. */
static void takes_all_along(void)
{
	int held[2];
	char c;
	pid_t pid;

	EXPECT(pipe(held) == 0);
	pid = clone_into(CLONE_NEWPID);
	if (pid == 0) {
		close(held[0]);
		for (int i = 0; i < 3; i++)
			if (fork() == 0) {
				signal(SIGTERM, SIG_IGN);
				if (i == 1)
					setsid();
				if (i == 2 && clone_into(CLONE_NEWPID) == 0)
					for (;;)
						pause();
				for (;;)
					pause();
			}
		if (fork() == 0)
			_exit(0); /* a zombie */
		usleep(20000);
		_exit(5);
	}
	close(held[1]);
	EXPECT(ending_of(pid) == 5);
	EXPECT(read(held[0], &c, 1) == 0); /* everybody's end of it is closed */
	close(held[0]);
}

/* Its children's orphans are its own. */
static void adopts(void)
{
	int status;
	pid_t pid = fork(); /* 2 */

	if (pid == 0) {
		if (fork() == 0) { /* 3 */
			while (getppid() == 2)
				usleep(1000);
			_exit(getppid() == 1 ? 3 : 4);
		}
		_exit(0);
	}
	NEED(waitpid(2, &status, 0) == 2 && status == 0);
	NEED(waitpid(3, &status, 0) == 3 && WEXITSTATUS(status) == 3);
}

static void reboots(void)
{
	(void)reboot(RB_AUTOBOOT);
}

static void powers_off(void)
{
	(void)reboot(RB_POWER_OFF);
}

static void the_end(void)
{
	takes_all_along();
	EXPECT(as_init(adopts) == 0);
	EXPECT(as_init(reboots) == -SIGHUP);
	EXPECT(as_init(powers_off) == -SIGINT);
}

/* ---- descriptors, sockets ---- */

static void seen_in_sockets(void)
{
	struct ucred cred;
	char control[CMSG_SPACE(sizeof(cred))], c;
	struct iovec io = { &c, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int s[2], one = 1;
	pid_t pid;

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	EXPECT(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) == 0);
	pid = clone_into(CLONE_NEWPID);
	if (pid == 0) {
		socklen_t len = sizeof(cred);

		NEED(write(s[1], "x", 1) == 1);
		NEED(getsockopt(s[1], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid == 0);
		NEED(read(s[1], &c, 1) == 1);
		_exit(0);
	}
	EXPECT(recvmsg(s[0], &m, 0) == 1 && CMSG_FIRSTHDR(&m));
	memcpy(&cred, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(cred));
	EXPECT(cred.pid == pid);
	EXPECT(write(s[0], "x", 1) == 1);
	EXPECT(ending_of(pid) == 0);
	close(s[0]);
	close(s[1]);
}

/* What was opened outside tells no number inside. */
static void owners_and_locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[] = "/tmp/t_pidns.XXXXXX";
	int fd = mkstemp(path);
	pid_t pid;

	EXPECT(fcntl(fd, F_SETOWN, getpid()) == 0 && fcntl(fd, F_GETOWN) == getpid());
	EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
	pid = clone_into(CLONE_NEWPID);
	if (pid == 0) {
		NEED(fcntl(fd, F_GETOWN) == 0);
		NEED(fcntl(fd, F_SETOWN, 1) == 0 && fcntl(fd, F_GETOWN) == 1);
		NEED(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == 0);
		_exit(0);
	}
	EXPECT(ending_of(pid) == 0);
	close(fd);
	unlink(path);
}

/* ---- /proc ---- */

static bool line_of_status(const char *path, const char *name, char *text, size_t size)
{
	size_t len = strlen(name);
	bool found = false;
	FILE *f = fopen(path, "r");

	while (f && !found && fgets(text, (int)size, f))
		found = strncmp(text, name, len) == 0;
	if (f)
		fclose(f);
	return found;
}

static void in_proc(void)
{
	char text[256], target[32] = "";
	struct dirent *e;
	int processes = 0;
	DIR *d;

	NEED(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	NEED(readlink("/proc/self", target, sizeof(target)) == -1 || strcmp(target, "1") != 0); /* the old one does not know us by this */
	NEED(mount("proc", "/proc", "proc", 0, NULL) == 0);
	memset(target, 0, sizeof(target));
	NEED(readlink("/proc/self", target, sizeof(target) - 1) == 1 && strcmp(target, "1") == 0);
	d = opendir("/proc");
	NEED(d);
	while ((e = readdir(d)))
		processes += e->d_name[0] >= '1' && e->d_name[0] <= '9';
	closedir(d);
	NEED(processes == 1);
	NEED(line_of_status("/proc/self/status", "NSpid", text, sizeof(text)) && strcmp(text, "NSpid:\t1\n") == 0);
	NEED(line_of_status("/proc/1/status", "PPid", text, sizeof(text)) && strcmp(text, "PPid:\t0\n") == 0);
	NEED(access("/proc/2", F_OK) == -1 && errno == ENOENT);
	NEED(access("/proc/1/task/1/status", F_OK) == 0 && access("/proc/sys/kernel/pid_max", F_OK) == 0);
	NEED(umount("/proc") == 0);
}

static void proc_shows_it(void)
{
	char path[64], text[256], wanted[64];
	int ready[2], fd;
	pid_t pid = clone_into(CLONE_NEWPID | CLONE_NEWNS);
	char c;

	if (pid == 0) {
		in_proc();
		_exit(0);
	}
	EXPECT(ending_of(pid) == 0);
	EXPECT(pipe(ready) == 0);
	pid = clone_into(CLONE_NEWPID);
	if (pid == 0) {
		close(ready[1]);
		_exit(read(ready[0], &c, 1) == 0 ? 0 : 1);
	}
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	snprintf(wanted, sizeof(wanted), "NSpid:\t%d\t1\n", pid);
	EXPECT(line_of_status(path, "NSpid", text, sizeof(text)) && strcmp(text, wanted) == 0);
	snprintf(wanted, sizeof(wanted), "NStgid:\t%d\t1\n", pid);
	EXPECT(line_of_status(path, "NStgid", text, sizeof(text)) && strcmp(text, wanted) == 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	fd = open(path, O_RDONLY);
	EXPECT(ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWPID);
	close(ready[0]);
	close(ready[1]);
	EXPECT(ending_of(pid) == 0);
	close(fd);
}

/* ---- entering ---- */

static void enters(void)
{
	int ready[2], ns, own = open("/proc/self/ns/pid", O_RDONLY), pidfd, parent;
	struct stat a, b;
	char path[64], c;
	pid_t init, pid;

	NEED(pipe(ready) == 0);
	init = clone_into(CLONE_NEWPID);
	if (init == 0) {
		close(ready[1]);
		_exit(read(ready[0], &c, 1) == 0 ? 0 : 1);
	}
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", init);
	ns = open(path, O_RDONLY);
	parent = ioctl(ns, NS_GET_PARENT);
	NEED(parent >= 0 && fstat(parent, &a) == 0 && fstat(own, &b) == 0 && a.st_ino == b.st_ino);
	NEED(setns(ns, CLONE_NEWPID) == 0);
	pid = fork();
	if (pid == 0) {
		close(ready[1]);
		NEED(syscall(SYS_getpid) == 2 && getppid() == 0);
		NEED(setns(own, CLONE_NEWPID) == -1 && errno == EINVAL); /* not up */
		_exit(0);
	}
	NEED(pid > 2 && ending_of(pid) == 0);
	NEED(setns(own, CLONE_NEWPID) == 0);
	pidfd = (int)syscall(SYS_pidfd_open, init, 0);
	NEED(setns(pidfd, 0) == -1 && errno == EINVAL);
	NEED(setns(pidfd, 1) == -1 && errno == EINVAL);
	NEED(setns(pidfd, CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC) == 0);
	pid = fork();
	if (pid == 0) {
		close(ready[1]);
		_exit(syscall(SYS_getpid) == 3 ? 0 : 1);
	}
	NEED(ending_of(pid) == 0);
	close(ready[1]);
	NEED(ending_of(init) == 0);
	NEED(setns(pidfd, CLONE_NEWPID) == -1 && errno == ESRCH);
}

static void nests(void)
{
	for (int depth = 1; depth <= 33; depth++) {
		pid_t pid;

		if (unshare(CLONE_NEWPID) != 0) {
			NEED(depth > 30 && (errno == ENOSPC || errno == EUSERS));
			return;
		}
		pid = fork();
		NEED(pid >= 0);
		if (pid > 0)
			_exit(ending_of(pid));
	}
	_exit(1);
}

static void entering(void)
{
	EXPECT(ends(enters) == 0);
	EXPECT(ends(nests) == 0);
}

/* Whoever is in it dies many at a time. */
static void tree_of_many(void)
{
	for (int i = 0; i < 20; i++)
		if (fork() == 0)
			for (int j = 0;; j++) {
				pid_t pid = fork();

				if (pid == 0)
					_exit(0);
				if (pid > 0 && j % 2)
					(void)waitpid(pid, NULL, 0);
			}
	usleep(10000);
}

static void many(void)
{
	for (int i = 0; i < 3; i++)
		EXPECT(as_init(tree_of_many) == 0);
}

int main(void)
{
	abi_need_user_namespaces();
	CASE(numbers);
	CASE(chosen_numbers);
	CASE(init_is_spared);
	CASE(the_end);
	CASE(seen_in_sockets);
	CASE(owners_and_locks);
	CASE(proc_shows_it);
	CASE(entering);
	CASE(many);
	return abi_result();
}
