/* SPDX-License-Identifier: MIT */
/* Ends of processes and waiting for them: statuses, options, stops, orphans, bad arguments. */
#include "cases.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static pid_t child_that_exits(int status)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(status);
	return pid;
}

static pid_t child_that_waits(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static void exit_status_is_reported(void)
{
	int status;
	pid_t pid = child_that_exits(7);

	EXPECT(waitpid(pid, &status, 0) == pid);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	pid = child_that_exits(0x1234);
	EXPECT(wait(&status) == pid && status == 0x3400);
	EXPECT_ERRNO(wait(&status), ECHILD);
}

static void signals_are_reported(void)
{
	int status;
	pid_t pid = child_that_waits();

	EXPECT(kill(pid, SIGTERM) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	pid = child_that_waits();
	EXPECT(kill(pid, SIGKILL) == 0);
	EXPECT(waitpid(-1, &status, 0) == pid && status == SIGKILL);
}

static void waitid_fills_in_siginfo(void)
{
	siginfo_t si;
	pid_t pid = child_that_exits(3);

	memset(&si, 0, sizeof(si));
	EXPECT(waitid(P_PID, pid, &si, WEXITED | WNOWAIT) == 0);
	EXPECT(si.si_pid == pid && si.si_signo == SIGCHLD && si.si_code == CLD_EXITED && si.si_status == 3);
	EXPECT(waitid(P_PID, pid, &si, WEXITED) == 0 && si.si_pid == pid);
	EXPECT_ERRNO(waitid(P_PID, pid, &si, WEXITED), ECHILD);
	EXPECT_ERRNO(waitid(P_PID, pid, &si, 0), EINVAL);
	EXPECT_ERRNO(waitid(P_ALL, 0, &si, WEXITED | 0x100), EINVAL);
	EXPECT_ERRNO(waitid(99, 0, &si, WEXITED), EINVAL);
}

static void nohang_returns_at_once(void)
{
	siginfo_t si;
	int status;
	pid_t pid = child_that_waits();

	EXPECT(waitpid(pid, &status, WNOHANG) == 0);
	si.si_pid = 1;
	EXPECT(waitid(P_ALL, 0, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0);
	EXPECT(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
	EXPECT_ERRNO(waitpid(pid, &status, WNOHANG), ECHILD);
}

static void stops_and_continuations_are_reported(void)
{
	siginfo_t si;
	int status;
	pid_t pid = child_that_waits();

	EXPECT(kill(pid, SIGSTOP) == 0);
	EXPECT(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	EXPECT(waitpid(pid, &status, WUNTRACED | WNOHANG) == 0);
	EXPECT(kill(pid, SIGCONT) == 0);
	EXPECT(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	EXPECT(kill(pid, SIGSTOP) == 0);
	EXPECT(waitid(P_PID, pid, &si, WSTOPPED) == 0 && si.si_code == CLD_STOPPED && si.si_status == SIGSTOP);
	EXPECT(kill(pid, SIGTERM) == 0); /* waits until it is continued */
	EXPECT(waitpid(pid, &status, WNOHANG) == 0);
	EXPECT(kill(pid, SIGKILL) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
}

static void groups_can_be_waited_for(void)
{
	int status;
	pid_t a = child_that_waits(), b = child_that_exits(1);

	EXPECT(setpgid(a, a) == 0);
	EXPECT(waitpid(-a, &status, WNOHANG) == 0);
	EXPECT(waitpid(0, &status, 0) == b);
	EXPECT(kill(-a, SIGKILL) == 0 && waitpid(-a, &status, 0) == a);
	EXPECT_ERRNO(waitpid(-a, &status, 0), ECHILD);
}

static void ignored_children_leave_no_zombie(void)
{
	struct sigaction act = { .sa_handler = SIG_IGN }, old;
	int status;

	EXPECT(sigaction(SIGCHLD, &act, &old) == 0);
	child_that_exits(0);
	EXPECT_ERRNO(waitpid(-1, &status, 0), ECHILD);
	act.sa_handler = SIG_DFL;
	act.sa_flags = SA_NOCLDWAIT;
	EXPECT(sigaction(SIGCHLD, &act, NULL) == 0);
	child_that_exits(0);
	EXPECT_ERRNO(waitpid(-1, &status, 0), ECHILD);
	EXPECT(sigaction(SIGCHLD, &old, NULL) == 0);
}

static void a_subreaper_gets_orphans(void)
{
	int status, p[2];
	pid_t child, grandchild = 0;

	EXPECT(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	EXPECT(pipe(p) == 0);
	child = fork();
	if (child == 0) {
		grandchild = fork();
		if (grandchild == 0)
			_exit(9);
		if (write(p[1], &grandchild, sizeof(grandchild)) < 0)
			_exit(1);
		_exit(0);
	}
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	EXPECT(read(p[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
	EXPECT(waitpid(grandchild, &status, 0) == grandchild && WEXITSTATUS(status) == 9);
	EXPECT(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
	close(p[0]);
	close(p[1]);
}

static void resource_usage_comes_with_it(void)
{
	struct rusage usage;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		for (volatile long i = 0; i < 3000000; i++)
			;
		_exit(0);
	}
	memset(&usage, 0xff, sizeof(usage));
	EXPECT(wait4(pid, &status, 0, &usage) == pid);
	EXPECT(usage.ru_utime.tv_sec >= 0 && usage.ru_utime.tv_usec < 1000000);
	EXPECT(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec > 0);
	EXPECT(getrusage(RUSAGE_CHILDREN, &usage) == 0 && usage.ru_maxrss > 0);
	EXPECT_ERRNO(getrusage(99, &usage), EINVAL);
}

static void bad_arguments_are_refused(void)
{
	int status;

	EXPECT_ERRNO(waitpid(-1, &status, 0x100000), EINVAL);
	EXPECT_ERRNO(syscall(SYS_wait4, (long)(int)0x80000000, &status, 0, NULL), ESRCH);
	for (unsigned i = 1; i < ABI_BAD_ADDRESSES; i++) {
		pid_t pid = child_that_exits(0);

		EXPECT_ERRNO(syscall(SYS_wait4, pid, abi_bad_addresses[i], 0, NULL), EFAULT);
		waitpid(pid, &status, 0);
		EXPECT_ERRNO(syscall(SYS_getrusage, RUSAGE_SELF, abi_bad_addresses[i]), EFAULT);
	}
	EXPECT_ERRNO(kill(0x7ffffff, 0), ESRCH);
	EXPECT_ERRNO(kill(getpid(), 65), EINVAL);
	EXPECT_ERRNO(kill(getpid(), -1), EINVAL);
}

int main(void)
{
	CASE(exit_status_is_reported);
	CASE(signals_are_reported);
	CASE(waitid_fills_in_siginfo);
	CASE(nohang_returns_at_once);
	CASE(stops_and_continuations_are_reported);
	CASE(groups_can_be_waited_for);
	CASE(ignored_children_leave_no_zombie);
	CASE(a_subreaper_gets_orphans);
	CASE(resource_usage_comes_with_it);
	CASE(bad_arguments_are_refused);
	return abi_result();
}
