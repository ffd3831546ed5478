/* SPDX-License-Identifier: MIT */
/* ptrace: events, threads, ends: of the tracee, of the tracer, and who is told of them. */
#include "tracing.h"
#include <linux/ptrace.h>
#include <pthread.h>
#include <sched.h>

static void nothing(void)
{
}

static void forks(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(2);
	waitpid(pid, &status, 0);
	pid = vfork();
	if (pid == 0)
		_exit(3);
	waitpid(pid, &status, 0);
	_exit(WEXITSTATUS(status));
}

static void children_are_traced(void)
{
	pid_t pid = traced_child(forks);
	unsigned long child = 0;
	int stop;

	EXPECT(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == EVENT_CODE(PTRACE_EVENT_FORK));
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&child) == 0);
	EXPECT(next_stop((pid_t)child) == SIGSTOP);
	EXPECT(proc_field((pid_t)child, "TracerPid") == getpid());
	EXPECT(trace(PTRACE_CONT, (long)child, 0, 0) == 0);
	EXPECT(next_stop((pid_t)child) == exited(2));
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	stop = next_stop(pid);
	if (stop == SIGCHLD) { /* of the first child */
		EXPECT(trace(PTRACE_CONT, pid, 0, SIGCHLD) == 0);
		stop = next_stop(pid);
	}
	EXPECT(stop == EVENT_CODE(PTRACE_EVENT_VFORK));
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&child) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop((pid_t)child) == SIGSTOP);
	EXPECT(trace(PTRACE_DETACH, (long)child, 0, 0) == 0);
	EXPECT(next_stop(pid) == EVENT_CODE(PTRACE_EVENT_VFORK_DONE));
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	stop = next_stop(pid);
	if (stop == SIGCHLD) {
		EXPECT(trace(PTRACE_CONT, pid, 0, SIGCHLD) == 0);
		stop = next_stop(pid);
	}
	EXPECT(stop == exited(3));
}

static void seized_children_stop_by_event(void)
{
	pid_t pid = child_that_pauses(), child;
	unsigned long message = 0;
	int p[2];

	kill_and_wait(pid);
	EXPECT(pipe(p) == 0);
	pid = fork();
	if (pid == 0) {
		char c;

		if (read(p[0], &c, 1) != 1)
			_exit(1);
		child = fork();
		_exit(child == 0 ? 2 : 3);
	}
	EXPECT(trace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT) == 0);
	EXPECT(write(p[1], "x", 1) == 1);
	EXPECT(next_stop(pid) == EVENT_CODE(PTRACE_EVENT_FORK));
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&message) == 0);
	child = (pid_t)message;
	EXPECT(next_stop(child) == EVENT_CODE(PTRACE_EVENT_STOP));
	EXPECT(trace(PTRACE_CONT, child, 0, 0) == 0);
	EXPECT(next_stop(child) == EVENT_CODE(PTRACE_EVENT_EXIT)); /* options are inherited */
	EXPECT(trace(PTRACE_GETEVENTMSG, child, 0, (uintptr_t)&message) == 0 && message == 2 << 8);
	EXPECT(trace(PTRACE_CONT, child, 0, 0) == 0);
	EXPECT(next_stop(child) == exited(2));
	kill_and_wait(pid);
	close(p[0]);
	close(p[1]);
}

static void execs(void)
{
	char *argv[] = { "/proc/self/exe", "exec", NULL };

	execv(argv[0], argv);
	_exit(1);
}

static void exec_is_seen(void)
{
	pid_t pid = traced_child(execs);
	unsigned long message = 0;
	siginfo_t si;

	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == SIGTRAP); /* a signal, where nothing else was asked for */
	EXPECT(trace(PTRACE_GETSIGINFO, pid, 0, (uintptr_t)&si) == 0 && si.si_code == SI_USER && si.si_pid == pid);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(11));
	pid = traced_child(execs);
	EXPECT(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == EVENT_CODE(PTRACE_EVENT_EXEC));
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&message) == 0 && message == (unsigned long)pid);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(11));
}

static void the_exit_is_seen(void)
{
	pid_t pid = traced_child(nothing);
	unsigned long message = 1;

	EXPECT(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT) == 0);
	EXPECT(kill(pid, SIGKILL) == 0);
	EXPECT(next_stop(pid) == EVENT_CODE(PTRACE_EVENT_EXIT));
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&message) == 0 && message == SIGKILL);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == ended(SIGKILL));
}

/* ---- threads ---- */

static void *thread_that_ends(void *arg)
{
	return arg;
}

static void makes_a_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_that_ends, NULL) || pthread_join(thread, NULL))
		_exit(1);
	_exit(9);
}

static void threads_are_traced_and_waited_for(void)
{
	pid_t pid = traced_child(makes_a_thread);
	unsigned long tid = 0;

	EXPECT(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == EVENT_CODE(PTRACE_EVENT_CLONE));
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&tid) == 0);
	EXPECT(next_stop((pid_t)tid) == SIGSTOP);
	EXPECT(trace(PTRACE_CONT, (long)tid, 0, 0) == 0);
	EXPECT(next_stop((pid_t)tid) == exited(0)); /* its end is the tracer's to wait for */
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(9));
}

static void *execs_in_thread(void *arg)
{
	(void)arg;
	execs();
	return NULL;
}

static void execs_from_a_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, execs_in_thread, NULL);
	for (;;)
		pause();
}

static void exec_by_another_thread_takes_the_number(void)
{
	pid_t pid = traced_child(execs_from_a_thread);
	unsigned long tid = 0, message = 0;
	int stop;

	EXPECT(trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == EVENT_CODE(PTRACE_EVENT_CLONE));
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&tid) == 0);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop((pid_t)tid) == SIGSTOP);
	EXPECT(trace(PTRACE_CONT, (long)tid, 0, 0) == 0);
	stop = next_stop(pid);
	EXPECT(stop == EVENT_CODE(PTRACE_EVENT_EXEC));
	EXPECT(trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&message) == 0 && message == tid);
	EXPECT_ERRNO(trace(PTRACE_CONT, (long)tid, 0, 0), ESRCH);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(11));
}

/* ---- ends ---- */

/* A tracer in between that ends: what becomes of the tracee? */
static int after_the_tracer(unsigned long options)
{
	pid_t pid = child_that_pauses(), tracer = fork();
	int status, result;

	if (tracer == 0) {
		if (trace(PTRACE_SEIZE, pid, 0, options) || trace(PTRACE_INTERRUPT, pid, 0, 0) || next_stop(pid) < 0)
			_exit(1);
		_exit(0);
	}
	EXPECT(waitpid(tracer, &status, 0) == tracer && status == 0);
	usleep(20000);
	result = waitpid(pid, &status, WNOHANG) == pid ? status : -1;
	if (result < 0) {
		EXPECT(proc_field(pid, "TracerPid") == 0 && proc_field(pid, "State") == 'S');
		kill_and_wait(pid);
	}
	return result;
}

static void the_end_of_the_tracer(void)
{
	EXPECT(after_the_tracer(0) == -1);
	EXPECT(after_the_tracer(PTRACE_O_EXITKILL) == SIGKILL);
}

/* The tracer is told first, then the parent. */
static void two_wait_for_one(void)
{
	pid_t pid = child_that_pauses(), tracer;
	int p[2], status;
	char c;

	EXPECT(pipe(p) == 0);
	tracer = fork();
	if (tracer == 0) {
		if (trace(PTRACE_SEIZE, pid, 0, 0) || write(p[1], "x", 1) != 1)
			_exit(1);
		usleep(50000);
		_exit(next_stop(pid) == ended(SIGKILL) ? 0 : 2);
	}
	EXPECT(read(p[0], &c, 1) == 1);
	EXPECT(kill(pid, SIGKILL) == 0);
	usleep(20000);
	EXPECT(waitpid(pid, &status, WNOHANG) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && status == SIGKILL);
	EXPECT(waitpid(tracer, &status, 0) == tracer && status == 0);
	close(p[0]);
	close(p[1]);
}

static void a_stopped_one_can_be_killed(void)
{
	pid_t pid = traced_child(nothing);

	EXPECT(kill(pid, SIGKILL) == 0);
	EXPECT(next_stop(pid) == ended(SIGKILL));
	pid = traced_child(nothing);
	EXPECT(trace(PTRACE_KILL, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == ended(SIGKILL));
	EXPECT_ERRNO(trace(PTRACE_KILL, pid, 0, 0), ESRCH);
}

static void traceme_twice(void)
{
	_exit(trace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM ? 0 : 1);
}

static void one_tracer_is_enough(void)
{
	pid_t pid = traced_child(traceme_twice);

	EXPECT(trace(PTRACE_CONT, pid, 0, 65) == -1 && errno == EIO);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	EXPECT(next_stop(pid) == exited(0));
}

/* Who wants no zombies gets those of his tracees. */
static void children_that_nobody_wants(void)
{
	struct sigaction no_wait = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	pid = traced_child(nothing);
	EXPECT(trace(PTRACE_CONT, pid, 0, 0) == 0);
	usleep(20000);
	EXPECT(next_stop(pid) == exited(0));
	EXPECT(waitpid(pid, NULL, __WALL) == -1 && errno == ECHILD);
	sigaction(SIGCHLD, &no_wait, NULL);
	pid = traced_child(nothing);
	EXPECT(kill(pid, SIGKILL) == 0);
	usleep(20000);
	EXPECT(next_stop(pid) == ended(SIGKILL));
	pid = traced_child(nothing);
	EXPECT(trace(PTRACE_DETACH, pid, 0, 0) == 0);
	EXPECT(waitpid(pid, NULL, 0) == -1 && errno == ECHILD);
	signal(SIGCHLD, SIG_DFL);
}

/* A tracer outside has the end of one in a namespace of pids told, also when the whole namespace ends, which waits for that. */
static void the_end_of_a_namespace(void)
{
	unsigned long message = 0;
	siginfo_t si;
	pid_t pid, init;

	if (getuid() != 0)
		return;
	init = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
	if (init == 0) {
		if (trace(PTRACE_TRACEME, 0, 0, 0))
			_exit(99);
		raise(SIGHUP); /* which would not kill it */
		(void)fork();
		for (;;)
			pause();
	}
	EXPECT(next_stop(init) == SIGHUP);
	EXPECT(trace(PTRACE_SETOPTIONS, init, 0, PTRACE_O_TRACEFORK) == 0);
	EXPECT(trace(PTRACE_CONT, init, 0, 0) == 0);
	EXPECT(next_stop(init) == EVENT_CODE(PTRACE_EVENT_FORK));
	EXPECT(trace(PTRACE_GETEVENTMSG, init, 0, (uintptr_t)&message) == 0);
	pid = (pid_t)message;
	EXPECT(next_stop(pid) == SIGSTOP);
	EXPECT(trace(PTRACE_DETACH, init, 0, 0) == 0);
	EXPECT(kill(pid, SIGKILL) == 0);
	EXPECT(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT | __WALL) == 0);
	EXPECT(kill(init, SIGKILL) == 0);
	usleep(20000);
	EXPECT(waitpid(init, NULL, WNOHANG) == 0);
	EXPECT(next_stop(pid) == ended(SIGKILL));
	EXPECT(next_stop(init) == ended(SIGKILL));
}

/*
 * How strace starts a program: it is stopped, seized and continued, and listened to in every stop that says that it still stands. It must
 * never be left there after SIGCONT: the stop is not told, or another one follows it.
 */
static void continued_while_it_is_seized(void)
{
	for (int i = 0; i < 200; i++) {
		pid_t pid = fork();
		int stop;

		if (pid == 0) {
			raise(SIGSTOP);
			_exit(7);
		}
		EXPECT(waitpid(pid, &stop, WSTOPPED) == pid && WIFSTOPPED(stop));
		EXPECT(trace(PTRACE_SEIZE, pid, 0, 0) == 0 && kill(pid, SIGCONT) == 0);
		alarm(20);
		while ((stop = next_stop(pid)) >> 8 == PTRACE_EVENT_STOP || stop == SIGCONT) {
			bool stands = (stop & 0xff) == SIGSTOP;

			EXPECT(trace(stands ? PTRACE_LISTEN : PTRACE_CONT, pid, 0, stop == SIGCONT ? SIGCONT : 0) == 0);
		}
		alarm(0);
		EXPECT(stop == exited(7));
	}
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return 11;
	CASE(children_are_traced);
	CASE(seized_children_stop_by_event);
	CASE(exec_is_seen);
	CASE(the_exit_is_seen);
	CASE(threads_are_traced_and_waited_for);
	CASE(exec_by_another_thread_takes_the_number);
	CASE(the_end_of_the_tracer);
	CASE(two_wait_for_one);
	CASE(a_stopped_one_can_be_killed);
	CASE(one_tracer_is_enough);
	CASE(children_that_nobody_wants);
	CASE(the_end_of_a_namespace);
	CASE(continued_while_it_is_seized);
	return abi_result();
}
