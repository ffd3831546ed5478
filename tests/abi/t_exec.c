/* SPDX-License-Identifier: MIT */
/* execve: arguments, environment, scripts, what survives it, its errors, and what a bad program does. */
#include "cases.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;
static const char *self;
static char dir[] = "/tmp/t_exec.XXXXXX";

/* The other side: `t_exec WHAT ...` exits with 10 if what it finds is right, 11 if not. */
static int answer(int argc, char **argv)
{
	const char *what = argv[1];
	struct sigaction act;
	sigset_t mask;

	if (strcmp(what, "args") == 0)
		return argc == 4 && strcmp(argv[2], "") == 0 && strcmp(argv[3], "last one") == 0 && getenv("A") &&
		       strcmp(getenv("A"), "b c") == 0 && !getenv("PATH");
	if (strcmp(what, "big") == 0)
		return argc == 20 && strlen(argv[19]) == 100000;
	if (strcmp(what, "fds") == 0)
		return fcntl(30, F_GETFD) == 0 && fcntl(31, F_GETFD) == -1;
	if (strcmp(what, "signals") == 0) {
		sigprocmask(SIG_BLOCK, NULL, &mask);
		sigaction(SIGUSR1, NULL, &act);
		if (act.sa_handler != SIG_DFL || !sigismember(&mask, SIGHUP))
			return 0;
		sigaction(SIGUSR2, NULL, &act);
		return act.sa_handler == SIG_IGN;
	}
	if (strcmp(what, "aux") == 0)
		return getauxval(AT_PAGESZ) == 4096 && getauxval(AT_RANDOM) && getauxval(AT_SECURE) == 0 &&
		       getauxval(AT_EXECFN) && strcmp((char *)getauxval(AT_EXECFN), self) == 0 &&
		       getauxval(AT_PHENT) == 56 && getauxval(AT_CLKTCK) == 100;
	if (strcmp(what, "execfn") == 0)
		return strncmp((char *)getauxval(AT_EXECFN), "/dev/fd/", 8) == 0;
	if (strcmp(what, "ids") == 0)
		return getpid() == atoi(argv[2]) && syscall(SYS_gettid) == getpid();
	return 0;
}

static int run_with(char *const argv[], char *const envp[], const char *path)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execve(path, argv, envp);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void arguments_arrive(void)
{
	char *argv[] = { "t_exec", "args", "", "last one", NULL }, *envp[] = { "A=b c", "B=", NULL };

	EXPECT(run_with(argv, envp, self) == 10);
}

static void large_arguments_arrive_or_are_too_big(void)
{
	static char big[200000];
	char *argv[21] = { "t_exec", "big" };

	memset(big, 'x', sizeof(big) - 1);
	for (int i = 2; i < 20; i++)
		argv[i] = big + sizeof(big) - 1 - 100000;
	EXPECT(run_with(argv, environ, self) == 10);
	argv[2] = big; /* one string beyond 128 KiB */
	EXPECT(run_with(argv, environ, self) == E2BIG);
}

static void endless_arguments_are_too_big(void)
{
	static char *argv[1 << 16], text[1000];

	memset(text, 'y', sizeof(text) - 1);
	for (int i = 0; i < (1 << 16) - 1; i++)
		argv[i] = text;
	EXPECT(run_with(argv, environ, self) == E2BIG);
}

static void close_on_exec_closes(void)
{
	char *argv[] = { "t_exec", "fds", NULL };

	EXPECT(dup2(1, 30) == 30 && dup3(1, 31, O_CLOEXEC) == 31);
	EXPECT(run_with(argv, environ, self) == 10);
	close(30);
	close(31);
}

static void on_signal(int signo)
{
	(void)signo;
}

static void handlers_go_masks_stay(void)
{
	char *argv[] = { "t_exec", "signals", NULL };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, SIG_IGN);
	EXPECT(run_with(argv, environ, self) == 10);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

static void the_auxiliary_vector_is_there(void)
{
	char *argv[] = { "t_exec", "aux", NULL };

	EXPECT(run_with(argv, environ, self) == 10);
}

static void *exec_in_thread(void *arg)
{
	execve(self, arg, environ);
	_exit(12);
}

/* A thread that is not the main one execs: the others go, and it becomes the main one. */
static void a_thread_becomes_the_process(void)
{
	char number[16], *argv[] = { "t_exec", "ids", number, NULL };
	int status;
	pid_t pid = fork();
	pthread_t t;

	if (pid == 0) {
		snprintf(number, sizeof(number), "%d", getpid());
		pthread_create(&t, NULL, exec_in_thread, argv);
		for (;;)
			pause();
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 10);
}

/* ---- files made here ---- */

static char *make_file(const char *name, const void *data, size_t len, int mode)
{
	static char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	EXPECT(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	EXPECT(fchmod(fd, (mode_t)mode) == 0);
	close(fd);
	return path;
}

static int run_text(const char *text, int mode)
{
	char *argv[] = { "script", "", "last one", NULL }, *envp[] = { "A=b c", NULL };

	return run_with(argv, envp, make_file("script", text, strlen(text), mode));
}

static void scripts_run_their_interpreter(void)
{
	char text[512];

	snprintf(text, sizeof(text), "#!%s ids\n", self);
	EXPECT(run_text(text, 0755) == 11);
	snprintf(text, sizeof(text), "#! \t%s  fds \n", self);
	dup2(1, 30);
	EXPECT(run_text(text, 0755) == 10);
	close(30);
	EXPECT(run_text("#!/does/not/exist\n", 0755) == ENOENT);
	EXPECT(run_text("#!\n", 0755) == ENOEXEC);
	EXPECT(run_text("#!   \n", 0755) == ENOEXEC);
	EXPECT(run_text("", 0755) == ENOEXEC);
	EXPECT(run_text("echo\n", 0755) == ENOEXEC);
	EXPECT(run_text("#!/bin/sh\n", 0644) == EACCES);
	snprintf(text, sizeof(text), "#!%s/script\n", dir);
	EXPECT(run_text(text, 0755) == ELOOP);
}

/* A copy of this program's headers with something wrong in them. */
static int run_elf(void (*spoil)(Elf64_Ehdr *h, Elf64_Phdr *ph))
{
	char *argv[] = { "elf", NULL };
	static char head[4096];
	int fd = open(self, O_RDONLY);

	EXPECT(fd >= 0 && read(fd, head, sizeof(head)) == sizeof(head));
	close(fd);
	spoil((Elf64_Ehdr *)head, (Elf64_Phdr *)(head + ((Elf64_Ehdr *)head)->e_phoff));
	return run_with(argv, environ, make_file("elf", head, sizeof(head), 0755));
}

static void magic(Elf64_Ehdr *h, Elf64_Phdr *ph)
{
	(void)ph;
	h->e_ident[0] = 0;
}

static void machine(Elf64_Ehdr *h, Elf64_Phdr *ph)
{
	(void)ph;
	h->e_machine = EM_VAX;
}

static void relocatable(Elf64_Ehdr *h, Elf64_Phdr *ph)
{
	(void)ph;
	h->e_type = ET_REL;
}

static void entry_size(Elf64_Ehdr *h, Elf64_Phdr *ph)
{
	(void)ph;
	h->e_phentsize = 1;
}

static void no_headers(Elf64_Ehdr *h, Elf64_Phdr *ph)
{
	(void)ph;
	h->e_phnum = 0;
}

static void bad_programs_are_refused(void)
{
	EXPECT(run_elf(magic) == ENOEXEC);
	EXPECT(run_elf(machine) == ENOEXEC);
	EXPECT(run_elf(relocatable) == ENOEXEC);
	EXPECT(run_elf(entry_size) == ENOEXEC);
	EXPECT(run_elf(no_headers) == ENOEXEC);
}

static void nothing(Elf64_Ehdr *h, Elf64_Phdr *ph)
{
	(void)h;
	(void)ph;
}

static void a_truncated_program_does_not_run(void)
{
	int result = run_elf(nothing);

	EXPECT(result == ENOEXEC || result < 0);
}

static void paths_are_checked(void)
{
	char *argv[] = { "x", NULL };

	EXPECT_ERRNO(execve("/does/not/exist", argv, environ), ENOENT);
	EXPECT_ERRNO(execve("", argv, environ), ENOENT);
	EXPECT_ERRNO(execve("/tmp", argv, environ), EACCES);
	EXPECT_ERRNO(execve("/dev/null", argv, environ), EACCES);
	for (unsigned i = 1; i < ABI_BAD_ADDRESSES; i++) {
		EXPECT_ERRNO(syscall(SYS_execve, abi_bad_addresses[i], argv, environ), EFAULT);
		EXPECT_ERRNO(syscall(SYS_execve, self, abi_bad_addresses[i], environ), EFAULT);
		EXPECT_ERRNO(syscall(SYS_execve, self, argv, abi_bad_addresses[i]), EFAULT);
	}
	EXPECT_ERRNO(syscall(SYS_execveat, -1, "x", argv, environ, 0), EBADF);
	EXPECT_ERRNO(syscall(SYS_execveat, -1, self, argv, environ, 0x10), EINVAL);
}

static void a_descriptor_can_be_executed(void)
{
	char *argv[] = { "t_exec", "execfn", NULL }, *envp[] = { "A=b c", NULL };
	int status, fd = open(self, O_RDONLY | O_CLOEXEC);
	pid_t pid = fork();

	if (pid == 0) {
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
		_exit(errno);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 10);
	close(fd);
}

static void vfork_shares_until_exec(void)
{
	static volatile int shared;
	char *argv[] = { "t_exec", "fds", NULL };
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		shared = 1;
		execve(self, argv, environ);
		_exit(1);
	}
	EXPECT(shared == 1 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 11);
}

/* What clone() was told to send in the end counts for the old program. */
static void an_executed_child_sends_sigchld(void)
{
	char *argv[] = { "t_exec", "fds", NULL };
	siginfo_t info;
	int status;
	pid_t pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, 0);

	if (pid == 0) {
		execve(self, argv, environ);
		_exit(1);
	}
	EXPECT(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | __WALL) == 0);
	EXPECT_ERRNO(waitpid(pid, &status, __WCLONE), ECHILD);
	EXPECT(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 11);
}

int main(int argc, char **argv)
{
	static char path[4096];
	char command[160];

	if (argc > 1) {
		self = argv[0][0] == '/' ? argv[0] : (char *)getauxval(AT_EXECFN);
		return answer(argc, argv) ? 10 : 11;
	}
	if (readlink("/proc/self/exe", path, sizeof(path) - 1) <= 0 || !mkdtemp(dir))
		return 1;
	self = path;
	CASE(arguments_arrive);
	CASE(large_arguments_arrive_or_are_too_big);
	CASE(endless_arguments_are_too_big);
	CASE(close_on_exec_closes);
	CASE(handlers_go_masks_stay);
	CASE(the_auxiliary_vector_is_there);
	CASE(a_thread_becomes_the_process);
	CASE(scripts_run_their_interpreter);
	CASE(bad_programs_are_refused);
	CASE(a_truncated_program_does_not_run);
	CASE(paths_are_checked);
	CASE(a_descriptor_can_be_executed);
	CASE(vfork_shares_until_exec);
	CASE(an_executed_child_sends_sigchld);
	snprintf(command, sizeof(command), "%s/script", dir);
	unlink(command);
	snprintf(command, sizeof(command), "%s/elf", dir);
	unlink(command);
	rmdir(dir);
	return abi_result();
}
