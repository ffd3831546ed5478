/* SPDX-License-Identifier: MIT */
/* ptrace between users and between user namespaces: whose capabilities count, and over what; as whom signals show their senders. */
#include "tracing.h"
#include "inside.h"
#include <linux/capability.h>
#include <linux/ptrace.h>
#include <sched.h>

#define NOBODY	   65534
#define OTHER_NAME 7 /* of this user in a namespace */

static char **own_argv;

/* ---- PTRACE_TRACEME ---- */

static void become_nobody(void)
{
	NEED(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static void gives_up_its_rights(void)
{
	int p[2];
	pid_t pid;
	char c;

	NEED(pipe(p) == 0);
	pid = fork();
	if (pid == 0) {
		NEED(read(p[0], &c, 1) == 1);
		NEED(trace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM);
		become_nobody();
		NEED(trace(PTRACE_TRACEME, 0, 0, 0) == 0);
		_exit(0);
	}
	become_nobody();
	NEED(write(p[1], "x", 1) == 1);
	_exit(ending_of(pid));
}

static void a_parent_with_fewer_rights_is_no_tracer(void)
{
	if (getuid() == 0)
		EXPECT(ends(gives_up_its_rights) == 0);
}

/* ---- capabilities in a user namespace ---- */

/* This program once more, as another part of it. */
static void begin_again(char *part)
{
	char *argv[] = { own_argv[0], part, NULL };

	execv("/proc/self/exe", argv);
	_exit(98);
}

static bool enter_namespace(unsigned name)
{
	char line[64];

	snprintf(line, sizeof(line), "%u %u 1", name, (unsigned)geteuid());
	return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/uid_map", line) == 0;
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	NEED(syscall(SYS_capset, &header, none) == 0);
}

static int has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	NEED(syscall(SYS_capget, &header, data) == 0);
	return data[0].effective ? 21 : 20;
}

static void hides(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	raise(SIGSTOP);
}

static void regains_capabilities(void)
{
	drop_capabilities();
	begin_again("capabilities");
}

static void is_traced_without_capabilities(void)
{
	drop_capabilities();
	NEED(trace(PTRACE_TRACEME, 0, 0, 0) == 0);
	begin_again("capabilities");
}

/* The root of a namespace, of which the program is. */
static int trace_as_root_of_namespace(void)
{
	uint64_t word = 0;
	pid_t pid = traced_child(hides);

	NEED(trace(PTRACE_CONT, pid, 0, 0) == 0 && next_stop(pid) == SIGSTOP);
	NEED(trace(PTRACE_PEEKDATA, pid, (uintptr_t)&own_argv, (uintptr_t)&word) == 0 && word == (uintptr_t)own_argv);
	NEED(trace(PTRACE_CONT, pid, 0, 0) == 0 && next_stop(pid) == exited(0));
	pid = traced_child(regains_capabilities);
	NEED(trace(PTRACE_CONT, pid, 0, 0) == 0 && next_stop(pid) == SIGTRAP);
	NEED(trace(PTRACE_CONT, pid, 0, 0) == 0 && next_stop(pid) == exited(21));
	pid = fork();
	if (pid == 0)
		is_traced_without_capabilities();
	NEED(next_stop(pid) == SIGTRAP);
	NEED(trace(PTRACE_CONT, pid, 0, 0) == 0 && next_stop(pid) == exited(20));
	return 0;
}

static void becomes_root_of_namespace(void)
{
	NEED(enter_namespace(0));
	begin_again("root");
}

static void the_root_of_a_namespace_traces_in_it(void)
{
	EXPECT(ends(becomes_root_of_namespace) == 0);
}

/* ---- as whom signals show their senders ---- */

static volatile uint32_t sender;

static void keep_sender(int signo, siginfo_t *si, void *context)
{
	(void)signo;
	(void)context;
	sender = si->si_uid;
}

static void looks_at_senders(void)
{
	struct sigaction action = { .sa_sigaction = keep_sender, .sa_flags = SA_SIGINFO };
	sigset_t set;
	siginfo_t si;

	if (trace(PTRACE_TRACEME, 0, 0, 0))
		_exit(99);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGQUIT);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGSTOP);
	raise(SIGHUP); /* the tracer makes SIGUSR1 of it */
	NEED(sender == OTHER_NAME);
	raise(SIGHUP); /* SIGUSR2, which is blocked */
	NEED(sigwaitinfo(&set, &si) == SIGUSR2 && si.si_uid == OTHER_NAME);
	_exit(0);
}

static void senders_have_the_tracees_names(void)
{
	struct __ptrace_peeksiginfo_args shared = { .nr = 1, .flags = PTRACE_PEEKSIGINFO_SHARED };
	siginfo_t si;
	pid_t pid = fork();

	if (pid == 0) {
		if (!enter_namespace(OTHER_NAME))
			_exit(98);
		looks_at_senders();
	}
	EXPECT(next_stop(pid) == SIGSTOP);
	EXPECT(trace(PTRACE_GETSIGINFO, pid, 0, (uintptr_t)&si) == 0 && si.si_uid == OTHER_NAME);
	EXPECT(kill(pid, SIGQUIT) == 0);
	EXPECT(trace(PTRACE_PEEKSIGINFO, pid, (uintptr_t)&shared, (uintptr_t)&si) == 1 && si.si_signo == SIGQUIT);
	EXPECT(si.si_uid == OTHER_NAME);
	EXPECT(trace(PTRACE_SYSCALL, pid, 0, 0) == 0 && next_stop(pid) == SIGTRAP);
	EXPECT(trace(PTRACE_GETSIGINFO, pid, 0, (uintptr_t)&si) == 0 && si.si_uid == OTHER_NAME && si.si_pid == pid);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0 && next_stop(pid) == SIGHUP);
	EXPECT(trace(PTRACE_CONT, pid, 0, SIGUSR1) == 0 && next_stop(pid) == SIGHUP);
	EXPECT(trace(PTRACE_CONT, pid, 0, SIGUSR2) == 0);
	EXPECT(next_stop(pid) == exited(0));
}

int main(int argc, char **argv)
{
	own_argv = argv;
	if (argc > 1 && strcmp(argv[1], "root") == 0)
		return trace_as_root_of_namespace();
	if (argc > 1)
		return has_capabilities();
	abi_need_user_namespaces();
	CASE(a_parent_with_fewer_rights_is_no_tracer);
	CASE(the_root_of_a_namespace_traces_in_it);
	CASE(senders_have_the_tracees_names);
	return abi_result();
}
