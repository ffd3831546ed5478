/* SPDX-License-Identifier: MIT */
/* ptrace: who may trace whom; signals, stops and system calls, and what wait() says of them. */
#include "tracing.h"
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <stddef.h>
#include <time.h>

static void nothing(void)
{
}

static volatile sig_atomic_t handled;

static void count_signal(int signo)
{
	handled += signo;
}

/* ---- signals ---- */

static void sends_itself_signals(void)
{
	signal(SIGUSR1, count_signal);
	signal(SIGUSR2, count_signal);
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	_exit(handled == SIGUSR1 + SIGUSR2 ? 3 : handled);
}

static void a_tracer_takes_away_and_changes_signals(void)
{
	pid_t pid = traced_child(sends_itself_signals);
	siginfo_t si;

	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGUSR1);
	EXPECT(trace(PTRACE_GETSIGINFO, pid, 0, (uintptr_t)&si) == 0);
	EXPECT(si.si_signo == SIGUSR1 && si.si_code == SI_TKILL && si.si_pid == pid);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0); /* none */
	EXPECT(next_stop(pid) == SIGUSR1);
	EXPECT(trace(PTRACE_CONT, pid, 0, SIGUSR1) == 0); /* the same */
	EXPECT(next_stop(pid) == SIGUSR1);
	EXPECT(trace(PTRACE_CONT, pid, 0, SIGUSR2) == 0); /* another */
	EXPECT(next_stop(pid) == exited(3));
}

static void sees_changed_details(void)
{
	sigset_t set;
	siginfo_t si;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	raise(SIGURG); /* ignored, and seen by a tracer all the same */
	sigwaitinfo(&set, &si);
	_exit(si.si_code == SI_TKILL || si.si_code == SI_USER ? 0 : 1); /* glibc makes one of the other */
}

static void ignored_and_blocked_signals(void)
{
	pid_t pid = traced_child(sees_changed_details);
	struct __ptrace_peeksiginfo_args args = { .nr = 4 };
	siginfo_t list[4];
	uint64_t mask = 0;

	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGURG);
	EXPECT(trace(PTRACE_GETSIGMASK, pid, 8, (uintptr_t)&mask) == 0 && mask == 1ull << (SIGUSR1 - 1));
	EXPECT_ERRNO(trace(PTRACE_GETSIGMASK, pid, 4, (uintptr_t)&mask), EINVAL);
	EXPECT(trace(PTRACE_PEEKSIGINFO, pid, (uintptr_t)&args, (uintptr_t)list) == 1 && list[0].si_signo == SIGUSR1);
	args.off = 1;
	EXPECT(trace(PTRACE_PEEKSIGINFO, pid, (uintptr_t)&args, (uintptr_t)list) == 0);
	args.flags = 2;
	EXPECT_ERRNO(trace(PTRACE_PEEKSIGINFO, pid, (uintptr_t)&args, (uintptr_t)list), EINVAL);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(0));
	pid = traced_child(sees_changed_details);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGURG);
	mask = 0;
	EXPECT(trace(PTRACE_SETSIGMASK, pid, 8, (uintptr_t)&mask) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGUSR1);
	EXPECT(trace(PTRACE_CONT, pid, 0, SIGUSR1) == 0);
	EXPECT(next_stop(pid) == ended(SIGUSR1));
}

static void wait_says_trapped(void)
{
	pid_t pid = traced_child(nothing);
	siginfo_t si = { 0 };
	int status;

	EXPECT(waitpid(pid, &status, WNOHANG) == 0); /* said once */
	EXPECT(trace(PTRACE_DETACH, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(0));
	pid = fork();
	if (pid == 0) {
		trace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGUSR1);
		_exit(5);
	}
	EXPECT(waitid(P_PID, pid, &si, WEXITED | WNOWAIT) == 0);
	EXPECT(si.si_code == CLD_TRAPPED && si.si_status == SIGUSR1 && si.si_pid == pid);
	EXPECT(waitid(P_PID, pid, &si, WSTOPPED) == 0 && si.si_code == CLD_TRAPPED);
	EXPECT(proc_field(pid, "State") == 't' && proc_field(pid, "TracerPid") == getpid());
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(5));
}

/* ---- attaching ---- */

static void attach_and_detach(void)
{
	pid_t pid = child_that_pauses();
	int status;

	EXPECT(trace(PTRACE_ATTACH, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGSTOP);
	EXPECT_ERRNO(trace(PTRACE_ATTACH, pid, 0, 0), EPERM);
	EXPECT_ERRNO(trace(PTRACE_DETACH, pid, 0, 65), EIO);
	EXPECT(trace(PTRACE_DETACH, pid, 0, 0) == 0);
	EXPECT(proc_field(pid, "TracerPid") == 0);
	EXPECT(waitpid(pid, &status, WNOHANG | WUNTRACED) == 0);
	EXPECT_ERRNO(trace(PTRACE_CONT, pid, 0, 0), ESRCH);
	EXPECT(trace(PTRACE_ATTACH, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGSTOP);
	EXPECT(trace(PTRACE_DETACH, pid, 0, SIGTERM) == 0);
	EXPECT(next_stop(pid) == ended(SIGTERM));
}

static void attach_to_a_stopped_process(void)
{
	pid_t pid = child_that_pauses();
	int status;

	EXPECT(kill(pid, SIGSTOP) == 0);
	EXPECT(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	EXPECT(trace(PTRACE_ATTACH, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGSTOP);
	EXPECT(trace(PTRACE_DETACH, pid, 0, 0) == 0);
	usleep(20000);
	EXPECT(proc_field(pid, "State") == 'T');
	kill_and_wait(pid);
}

static void seize_interrupt_and_listen(void)
{
	pid_t pid = child_that_pauses();
	siginfo_t si;
	int status;

	EXPECT_ERRNO(trace(PTRACE_SEIZE, pid, 1, 0), EIO);
	EXPECT_ERRNO(trace(PTRACE_SEIZE, pid, 0, 1u << 31), EIO);
	EXPECT(trace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
	EXPECT(waitpid(pid, &status, WNOHANG) == 0);
	EXPECT_ERRNO(trace(PTRACE_CONT, pid, 0, 0), ESRCH);
	EXPECT(trace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == (PTRACE_EVENT_STOP << 8 | SIGTRAP));
	EXPECT(trace(PTRACE_GETSIGINFO, pid, 0, (uintptr_t)&si) == 0);
	EXPECT(si.si_signo == SIGTRAP && si.si_code == (PTRACE_EVENT_STOP << 8 | SIGTRAP));
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(kill(pid, SIGSTOP) == 0);
	EXPECT(next_stop(pid) == SIGSTOP); /* the signal */
	EXPECT(trace(PTRACE_CONT, pid, 0, SIGSTOP) == 0);
	EXPECT(next_stop(pid) == (PTRACE_EVENT_STOP << 8 | SIGSTOP)); /* the stop */
	EXPECT(trace(PTRACE_LISTEN, pid, 0, 0) == 0);
	EXPECT_ERRNO(trace(PTRACE_CONT, pid, 0, 0), ESRCH);
	EXPECT(waitpid(pid, &status, WNOHANG) == 0);
	EXPECT(kill(pid, SIGCONT) == 0);
	EXPECT(next_stop(pid) == (PTRACE_EVENT_STOP << 8 | SIGTRAP));
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGCONT);
	EXPECT_ERRNO(trace(PTRACE_LISTEN, pid, 0, 0), EIO);
	kill_and_wait(pid);
}

static void group_stop_of_an_attached_one(void)
{
	pid_t pid = traced_child((void (*)(void))pause);
	siginfo_t si;

	EXPECT(trace(PTRACE_CONT, pid, 0, SIGSTOP) == 0);
	EXPECT(next_stop(pid) == SIGSTOP);
	EXPECT_ERRNO(trace(PTRACE_GETSIGINFO, pid, 0, (uintptr_t)&si), EINVAL);
	EXPECT_ERRNO(trace(PTRACE_INTERRUPT, pid, 0, 0), EIO);
	EXPECT_ERRNO(trace(PTRACE_LISTEN, pid, 0, 0), EIO);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0); /* runs on, though the process has stopped */
	EXPECT(kill(pid, SIGSTOP) == 0);
	EXPECT(next_stop(pid) == SIGSTOP);
	EXPECT(trace(PTRACE_CONT, pid, 0, SIGSTOP) == 0);
	EXPECT(next_stop(pid) == SIGSTOP);
	EXPECT_ERRNO(trace(PTRACE_GETSIGINFO, pid, 0, (uintptr_t)&si), EINVAL);
	kill_and_wait(pid);
}

static void *attach_to_sibling(void *arg)
{
	return (void *)(trace(PTRACE_ATTACH, *(pid_t *)arg, 0, 0) < 0 ? (uintptr_t)errno : 0);
}

static void who_may_not_be_traced(void)
{
	pid_t self = getpid();
	pthread_t thread;
	void *error;

	EXPECT_ERRNO(trace(PTRACE_ATTACH, self, 0, 0), EPERM);
	EXPECT(pthread_create(&thread, NULL, attach_to_sibling, &self) == 0 && pthread_join(thread, &error) == 0);
	EXPECT((uintptr_t)error == EPERM);
	EXPECT_ERRNO(trace(PTRACE_ATTACH, 0x7ffffff, 0, 0), ESRCH);
	EXPECT_ERRNO(trace(PTRACE_CONT, 0x7ffffff, 0, 0), ESRCH);
	EXPECT_ERRNO(trace(PTRACE_CONT, getppid(), 0, 0), ESRCH);
	EXPECT_ERRNO(trace(0x12345, getppid(), 0, 0), ESRCH);
}

static void attaches_as_nobody(void)
{
	pid_t parent = getppid(), child;
	int status;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		_exit(1);
	if (trace(PTRACE_ATTACH, parent, 0, 0) != -1 || errno != EPERM)
		_exit(2);
	child = child_that_pauses();
	if (trace(PTRACE_ATTACH, child, 0, 0) != -1 || errno != EPERM) /* its ids were changed: it is not dumpable */
		_exit(3);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	prctl(PR_SET_DUMPABLE, 1);
	child = child_that_pauses();
	if (trace(PTRACE_ATTACH, child, 0, 0))
		_exit(4);
	kill(child, SIGKILL);
	_exit(0);
}

static void others_are_protected(void)
{
	int status;
	pid_t pid;

	if (getuid() != 0)
		return;
	pid = fork();
	if (pid == 0)
		attaches_as_nobody();
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

/* A file that may be executed and not read: a copy of this program, in memory. */
static int unreadable_copy(void)
{
	static char bytes[1 << 16];
	char path[64];
	int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("copy", 0), fd;
	ssize_t n;

	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		if (write(to, bytes, (size_t)n) != n)
			return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", to);
	fd = open(path, O_RDONLY);
	if (fchmod(to, 0111))
		return -1;
	close(to);
	close(from);
	return fd;
}

static void who_may_not_read_a_program_may_not_look_at_it(void)
{
	char *argv[] = { "t_ptrace", "dumpable", NULL };
	int status, fd;
	pid_t pid;

	if (getuid() != 0)
		return;
	fd = unreadable_copy();
	pid = fork();
	if (pid == 0) {
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(1);
		syscall(SYS_execveat, fd, "", argv, argv + 2, AT_EMPTY_PATH);
		_exit(2);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 20);
	close(fd);
}

/* ---- system calls ---- */

static void makes_calls(void)
{
	long result = syscall(SYS_getppid);

	_exit(result == 1234 && syscall(SYS_getuid) == 77 ? 4 : 1);
}

/* With PTRACE_O_TRACESYSGOOD: to where it is about to call getppid(). */
static void run_to_getppid(pid_t pid)
{
	struct __ptrace_syscall_info info;

	do {
		EXPECT(trace(PTRACE_SYSCALL, pid, 0, 0) == 0);
		EXPECT(next_stop(pid) == (SIGTRAP | 0x80));
		memset(&info, 0xff, sizeof(info));
		EXPECT(trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), (uintptr_t)&info) > 0);
	} while (!abi_failed && (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_getppid));
}

static void calls_stop_at_both_ends(void)
{
	pid_t pid = traced_child(makes_calls);
	struct __ptrace_syscall_info info;
	unsigned long message;

	EXPECT_ERRNO(trace(PTRACE_SETOPTIONS, pid, 0, 1u << 30), EINVAL);
	EXPECT(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
	EXPECT(trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), (uintptr_t)&info) > 0 && info.op == PTRACE_SYSCALL_INFO_NONE);
	run_to_getppid(pid);
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&message) == 0 && message == PTRACE_EVENTMSG_SYSCALL_ENTRY);
	EXPECT(trace(PTRACE_GET_SYSCALL_INFO, pid, 4, (uintptr_t)&info) == 80);
	EXPECT(trace(PTRACE_SYSCALL, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == (SIGTRAP | 0x80));
	EXPECT(trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), (uintptr_t)&info) == 33);
	EXPECT(info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.rval == getpid() && !info.exit.is_error);
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&message) == 0 && message == PTRACE_EVENTMSG_SYSCALL_EXIT);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(1));
}

static void sleeps_long(void)
{
	struct timespec ts = { 30, 0 };

	_exit(nanosleep(&ts, NULL) == -1 && errno == EINTR ? 6 : 1);
}

/* A call that a signal interrupts and that nothing is delivered for goes on. */
static void an_interrupted_call_goes_on(void)
{
	pid_t pid = traced_child(sleeps_long);
	int status;

	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	usleep(20000);
	EXPECT(kill(pid, SIGUSR1) == 0);
	EXPECT(next_stop(pid) == SIGUSR1);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	usleep(20000);
	EXPECT(waitpid(pid, &status, WNOHANG) == 0);
	kill_and_wait(pid);
}

/* From now on a filter has this answer to getppid(). */
static void answer_getppid(uint32_t answer)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 4, .filter = insns };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(1);
}

static void asks_its_filter(void)
{
	long result;

	answer_getppid(SECCOMP_RET_TRACE | 321);
	result = syscall(SYS_getppid);
	_exit(result == -1 && errno == ENOSYS ? 8 : result > 0 ? 7 : 2);
}

static void a_filter_asks_the_tracer(void)
{
	pid_t pid = traced_child(asks_its_filter);
	struct __ptrace_syscall_info info;
	unsigned long message = 0;

	EXPECT(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == EVENT_CODE(PTRACE_EVENT_SECCOMP));
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&message) == 0 && message == 321);
	EXPECT(trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), (uintptr_t)&info) == 84);
	EXPECT(info.op == PTRACE_SYSCALL_INFO_SECCOMP && info.seccomp.nr == SYS_getppid && info.seccomp.ret_data == 321);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(7));
	pid = traced_child(asks_its_filter); /* without the option: as if nobody traced */
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(8));
}

static void has_a_call_trapped(void)
{
	signal(SIGSYS, count_signal);
	answer_getppid(SECCOMP_RET_TRAP);
	(void)syscall(SYS_getppid, SYS_getppid);
	_exit(handled == SIGSYS ? 9 : 1);
}

/* The result register is what it was: the number on some machines, the first argument, which is the number, too, on others. */
static void a_trapped_call_leaves_the_registers(void)
{
	pid_t pid = traced_child(has_a_call_trapped);
	struct __ptrace_syscall_info info;

	EXPECT(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
	run_to_getppid(pid);
	EXPECT(trace(PTRACE_SYSCALL, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == (SIGTRAP | 0x80));
	EXPECT(trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), (uintptr_t)&info) > 0);
	EXPECT(info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.rval == SYS_getppid);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGSYS);
	EXPECT(trace(PTRACE_CONT, pid, 0, SIGSYS) == 0);
	EXPECT(next_stop(pid) == exited(9));
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return 20 + prctl(PR_GET_DUMPABLE);
	CASE(a_tracer_takes_away_and_changes_signals);
	CASE(ignored_and_blocked_signals);
	CASE(wait_says_trapped);
	CASE(attach_and_detach);
	CASE(attach_to_a_stopped_process);
	CASE(seize_interrupt_and_listen);
	CASE(group_stop_of_an_attached_one);
	CASE(who_may_not_be_traced);
	CASE(others_are_protected);
	CASE(who_may_not_read_a_program_may_not_look_at_it);
	CASE(calls_stop_at_both_ends);
	CASE(an_interrupted_call_goes_on);
	CASE(a_filter_asks_the_tracer);
	CASE(a_trapped_call_leaves_the_registers);
	return abi_result();
}
