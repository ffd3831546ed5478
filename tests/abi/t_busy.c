/* SPDX-License-Identifier: MIT */
/*
 * Processes that change everything about themselves, while others read it all in /proc, signal them, set their limits and their priorities:
 * what is seen is always a state that there was, never half of one. Run as root.
 */
#include "cases.h"
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LOOKS	 150 /* at each of the busy ones */
#define CHANGERS 2   /* threads of the process that changes itself */
#define NAME_A	 "aaaaaaaaaaaaaaa"
#define NAME_B	 "bbbbbbbbbbbbbbb"
#define LIMIT_A	 1000
#define LIMIT_B	 2000

static const char *program; /* this one, for exec */

/* ---- the busy ones, until they are killed ---- */

/* Not glibc's: that would tell every thread. */
static void set_groups(int gid)
{
	syscall(SYS_setresgid, gid, gid, gid);
}

static void *change(void *arg)
{
	uint64_t i = (uint64_t)(uintptr_t)arg;
	sigset_t set;

	sigemptyset(&set);
	for (;; i++) {
		bool odd = i & 1;

		if (odd)
			sigaddset(&set, SIGUSR1);
		else
			sigdelset(&set, SIGUSR1);
		prctl(PR_SET_NAME, odd ? NAME_A : NAME_B);
		set_groups(odd ? 7 : 9);
		umask(odd ? 022 : 077);
		sigprocmask(SIG_SETMASK, &set, NULL);
		signal(SIGUSR2, odd ? SIG_IGN : SIG_DFL);
		setpriority(PRIO_PROCESS, 0, odd);
		(void)!chdir(odd ? "/proc" : "/");
		munmap(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0), 65536);
		close(dup(1));
	}
	return NULL;
}

static void be_changing(void)
{
	pthread_t t;

	for (int i = 1; i < CHANGERS; i++)
		pthread_create(&t, NULL, change, (void *)(uintptr_t)i);
	change(NULL);
}

/* Becomes itself again and again, under two names and with two numbers of threads. */
static void be_executing(uint64_t i)
{
	char number[24];
	pthread_t t;

	prctl(PR_SET_NAME, i & 1 ? NAME_A : NAME_B);
	if (i & 1)
		pthread_create(&t, NULL, change, NULL);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)i + 1);
	execl(program, i & 1 ? NAME_B : NAME_A, "exec", number, NULL);
	_exit(1);
}

static void be_forking(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

/* Ends when its parent is killed: it has no other purpose. */
static pid_t start(void (*fn)(void))
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		fn();
	}
	return pid;
}

static void first_exec(void)
{
	be_executing(0);
}

/* ---- what is seen ---- */

static char text[65536];

/* The file's length, or -1 with errno; a process may be gone, or have gone on to another program, at any time. */
static ssize_t read_file(pid_t pid, const char *name)
{
	char path[300];
	ssize_t n, len = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	while ((n = read(fd, text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	text[len] = '\0';
	close(fd);
	return len;
}

/* Is the line "KEY:\tA" or "KEY:\tB" in the text? */
static bool one_of(const char *key, const char *a, const char *b)
{
	const char *at = strstr(text, key);

	if (!at)
		return false;
	at += strlen(key);
	return strncmp(at, a, strlen(a)) == 0 || strncmp(at, b, strlen(b)) == 0;
}

static void look_at_status(pid_t pid)
{
	if (read_file(pid, "comm") > 0)
		EXPECT(one_of("", NAME_A "\n", NAME_B "\n") || one_of("", "t_busy\n", "t_busy\n"));
	EXPECT(read_file(pid, "status") > 0);
	EXPECT(one_of("Name:\t", NAME_A "\n", NAME_B "\n") || one_of("Name:\t", "t_busy\n", "t_busy\n"));
	EXPECT(one_of("Gid:\t", "7\t7\t7\t7\n", "9\t9\t9\t9\n") || one_of("Gid:\t", "0\t0\t0\t0\n", "0\t0\t0\t0\n"));
	EXPECT(one_of("Umask:\t", "0022\n", "0077\n") || !strstr(text, "Umask:"));
}

static void look_at_limits(pid_t pid)
{
	struct rlimit limit, old;

	if (prlimit(pid, RLIMIT_MSGQUEUE, NULL, &limit) < 0 && errno == EPERM)
		return; /* another group's, and root is without CAP_SYS_RESOURCE here */
	for (int i = 0; i < 2; i++) {
		limit.rlim_cur = i ? LIMIT_B : LIMIT_A;
		EXPECT(prlimit(pid, RLIMIT_MSGQUEUE, &limit, &old) == 0);
	}
	EXPECT(old.rlim_cur == LIMIT_A && old.rlim_max == limit.rlim_max);
}

static void look_at_rest(pid_t pid)
{
	static const char *const names[] = { "stat", "limits", "statm", "maps", "io", "cmdline", "environ", "oom_score", "wchan", "auxv" };
	char path[300], target[256];
	struct stat st;
	DIR *d;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)read_file(pid, names[i]);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	EXPECT(stat(path, &st) == 0);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	EXPECT(readlink(path, target, sizeof(target)) > 0);
	snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	EXPECT(readlink(path, target, sizeof(target)) > 0);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, i ? "fd" : "task");
		d = opendir(path);
		EXPECT(d != NULL);
		while (d && readdir(d))
			;
		if (d)
			closedir(d);
	}
}

static void poke(pid_t pid)
{
	struct sched_param param = { 0 };
	cpu_set_t cpus;

	EXPECT(kill(pid, 0) == 0);
	EXPECT(kill(pid, SIGCONT) == 0);
	EXPECT(kill(pid, SIGURG) == 0);
	EXPECT(setpriority(PRIO_PROCESS, (id_t)pid, 3) == 0);
	EXPECT(sched_getscheduler(pid) >= 0);
	EXPECT(sched_setscheduler(pid, SCHED_OTHER, &param) == 0);
	EXPECT(sched_getaffinity(pid, sizeof(cpus), &cpus) == 0);
	EXPECT(sched_setaffinity(pid, sizeof(cpus), &cpus) == 0);
	EXPECT(getpgid(pid) == getpgid(0));
	EXPECT(getsid(pid) == getsid(0));
}

/* The same from a user who may not: it asks for the other's ids, which change meanwhile. */
static void poke_as_nobody(pid_t pid)
{
	struct rlimit limit;

	if (fork() == 0) {
		abi_failed = NULL;
		EXPECT(setgroups(0, NULL) == 0 && setresuid(65534, 65534, 65534) == 0);
		EXPECT_ERRNO(kill(pid, SIGTERM), EPERM);
		EXPECT_ERRNO(setpriority(PRIO_PROCESS, (id_t)pid, 3), EPERM);
		EXPECT_ERRNO(prlimit(pid, RLIMIT_CPU, NULL, &limit), EPERM);
		_exit(abi_failed ? 1 : 0);
	}
}

static void watch(void (*busy)(void))
{
	pid_t pid = start(busy);
	int status;

	EXPECT(pid > 0);
	for (int i = 0; i < LOOKS && !abi_failed; i++) {
		look_at_status(pid);
		look_at_limits(pid);
		look_at_rest(pid);
		poke(pid);
		if (i % 10 == 0) {
			poke_as_nobody(pid);
			EXPECT(wait(&status) != pid && status == 0);
		}
	}
	EXPECT(kill(pid, SIGKILL) == 0);
	EXPECT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void one_that_changes(void)
{
	watch(be_changing);
}

static void one_that_executes(void)
{
	watch(first_exec);
}

static void one_that_forks(void)
{
	watch(be_forking);
}

int main(int argc, char **argv)
{
	static char self[256];

	program = self;
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	if (argc == 3)
		be_executing(strtoull(argv[2], NULL, 10));
	CASE(one_that_changes);
	CASE(one_that_executes);
	CASE(one_that_forks);
	return abi_result();
}
