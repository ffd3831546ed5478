/* SPDX-License-Identifier: MIT */
/* clone and clone3: what is shared and what not, ids written, threads, bad flags. */
#include "cases.h"
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char stack[65536] __attribute__((aligned(16)));
static volatile int shared;
static pid_t parent_tid, child_tid;

static int child(void *arg)
{
	shared = 1;
	if (arg)
		chdir("/");
	close(40);
	return 5;
}

static int run(int flags, void *arg)
{
	int status = -1;
	pid_t pid;

	shared = 0;
	dup2(1, 40);
	pid = clone(child, stack + sizeof(stack), flags | SIGCHLD, arg, &parent_tid, NULL, &child_tid);
	EXPECT(pid > 0 && waitpid(pid, &status, __WALL) == pid && WEXITSTATUS(status) == 5);
	return pid;
}

static void memory_is_shared_or_copied(void)
{
	run(0, NULL);
	EXPECT(shared == 0);
	run(CLONE_VM, NULL);
	EXPECT(shared == 1);
	run(CLONE_VM | CLONE_VFORK, NULL);
	EXPECT(shared == 1);
}

static void descriptors_are_shared_or_copied(void)
{
	run(0, NULL);
	EXPECT(fcntl(40, F_GETFD) == 0);
	run(CLONE_FILES, NULL);
	EXPECT(fcntl(40, F_GETFD) == -1);
}

static void the_working_directory_is_shared_or_copied(void)
{
	char path[256];

	EXPECT(chdir("/tmp") == 0);
	run(0, (void *)1);
	EXPECT(getcwd(path, sizeof(path)) && strcmp(path, "/tmp") == 0);
	run(CLONE_FS, (void *)1);
	EXPECT(getcwd(path, sizeof(path)) && strcmp(path, "/") == 0);
}

static void ids_are_written(void)
{
	pid_t pid;

	parent_tid = child_tid = 0;
	pid = run(CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, NULL);
	EXPECT(parent_tid == pid && child_tid == pid);
	child_tid = 77;
	run(CLONE_VM | CLONE_CHILD_CLEARTID, NULL);
	EXPECT(child_tid == 0);
}

static void other_exit_signals_need_wclone(void)
{
	struct sigaction act = { .sa_handler = SIG_IGN };
	int status;
	pid_t pid;

	sigaction(SIGUSR1, &act, NULL);
	pid = clone(child, stack + sizeof(stack), SIGUSR1, NULL);
	EXPECT_ERRNO(waitpid(pid, &status, 0), ECHILD);
	EXPECT(waitpid(pid, &status, __WCLONE) == pid);
}

static void clone3_makes_processes(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int status;
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(6);
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 6);
	EXPECT_ERRNO(syscall(SYS_clone3, &args, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clone3, &args, 8192), E2BIG);
	EXPECT_ERRNO(syscall(SYS_clone3, (void *)16, sizeof(args)), EFAULT);
	args.exit_signal = 65;
	EXPECT_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
	args = (struct clone_args){ .exit_signal = SIGCHLD, .stack = 4096 };
	EXPECT_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
	args = (struct clone_args){ .exit_signal = SIGCHLD, .flags = CLONE_THREAD };
	EXPECT_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
}

static void bad_flags_are_refused(void)
{
	EXPECT_ERRNO(syscall(SYS_clone, CLONE_THREAD, NULL, NULL, NULL, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, NULL, NULL, NULL, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, NULL, NULL, NULL, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_unshare, 0x1), EINVAL);
	EXPECT(syscall(SYS_unshare, CLONE_FILES | CLONE_FS) == 0);
}

static void *return_argument(void *arg)
{
	return arg;
}

static void many_threads_come_and_go(void)
{
	pthread_t t[32];
	void *result;

	for (int round = 0; round < 5; round++) {
		for (long i = 0; i < 32; i++)
			EXPECT(pthread_create(&t[i], NULL, return_argument, (void *)i) == 0);
		for (long i = 0; i < 32; i++)
			EXPECT(pthread_join(t[i], &result) == 0 && result == (void *)i);
	}
}

static void *sleep_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void exit_group_ends_all_threads(void)
{
	int status;
	pthread_t t;
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 4; i++)
			pthread_create(&t, NULL, sleep_for_ever, NULL);
		_exit(8);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 8);
	pid = fork();
	if (pid == 0) {
		pthread_create(&t, NULL, sleep_for_ever, NULL);
		raise(SIGKILL);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
}

static void *exit_alone(void *arg)
{
	usleep(20000);
	_exit(4);
	return arg;
}

static void the_main_thread_may_go_first(void)
{
	int status;
	pthread_t t;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_create(&t, NULL, exit_alone, NULL);
		syscall(SYS_exit, 1);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
}

static int just_exit(void *unused)
{
	(void)unused;
	_exit(0);
}

/* The word that is cleared lies half in a page that there is not: then it is not, and the thread ends all the same. */
static void a_word_in_two_pages(void)
{
	static char word_stack[1 << 14] __attribute__((aligned(64)));
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int status;

	EXPECT(pages != MAP_FAILED && munmap(pages + 4096, 4096) == 0);
	pid = clone(just_exit, word_stack + sizeof(word_stack), CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, pages + 4095);
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	EXPECT(munmap(pages, 4096) == 0);
}

int main(void)
{
	CASE(memory_is_shared_or_copied);
	CASE(descriptors_are_shared_or_copied);
	CASE(the_working_directory_is_shared_or_copied);
	CASE(ids_are_written);
	CASE(other_exit_signals_need_wclone);
	CASE(clone3_makes_processes);
	CASE(bad_flags_are_refused);
	CASE(many_threads_come_and_go);
	CASE(exit_group_ends_all_threads);
	CASE(the_main_thread_may_go_first);
	CASE(a_word_in_two_pages);
	return abi_result();
}
