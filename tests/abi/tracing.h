/* SPDX-License-Identifier: MIT */
/* For the tests of ptrace(2): making tracees and waiting for their stops. */
#ifndef TRACING_H
#define TRACING_H

#include "cases.h"
#include <elf.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define EVENT_CODE(event) ((event) << 8 | SIGTRAP)

/* ptrace(2) as it is, without the C library's ideas of its result. */
static inline long trace(long request, long pid, uintptr_t addr, uintptr_t data)
{
	return syscall(SYS_ptrace, request, pid, addr, data);
}

/* The next stop of a tracee: its status above the first byte; -status - 1 if it has ended; -100000: there is none. */
static inline int next_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid)
		return -100000;
	return WIFSTOPPED(status) ? status >> 8 : -status - 1;
}

static inline int ended(int status)
{
	return -status - 1;
}

static inline int exited(int code)
{
	return ended(code << 8);
}

/* A child that has stopped by itself under our trace, and goes on with fn(). */
static inline pid_t traced_child(void (*fn)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		if (trace(PTRACE_TRACEME, 0, 0, 0))
			_exit(99);
		raise(SIGSTOP);
		fn();
		_exit(0);
	}
	EXPECT(next_stop(pid) == SIGSTOP);
	return pid;
}

static inline pid_t child_that_pauses(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static inline void kill_and_wait(pid_t pid)
{
	int status;

	EXPECT(kill(pid, SIGKILL) == 0);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		trace(PTRACE_CONT, pid, 0, 0); /* PTRACE_EVENT_EXIT */
}

/* A number out of a file of /proc. */
static inline long proc_field(pid_t pid, const char *name)
{
	char path[64], line[256];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			value = name[0] == 'S' ? line[strlen(name) + 2] : atol(line + strlen(name) + 2);
	if (f)
		fclose(f);
	return value;
}

#endif
