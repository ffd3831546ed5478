/* SPDX-License-Identifier: MIT */
/* What the ABI test programs share: one line a check, the same on Linux and on CloudOS; the exit status says whether all held. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int checks_failed;

static inline void check_report(const char *name, bool good, const char *detail)
{
	if (good)
		printf("ok %s\n", name);
	else
		printf("not ok %s %s\n", name, detail);
	checks_failed |= !good;
}

#define CHECK(name, condition) check_report(name, condition, #condition)

/* The call fails (returns -1 or MAP_FAILED) with this errno. */
#define CHECK_ERRNO(name, call, error)                                                                    \
	do {                                                                                              \
		errno = 0;                                                                                \
		bool check_failed = (long)(call) == -1;                                                   \
		char check_text[64];                                                                      \
		snprintf(check_text, sizeof(check_text), "gives error %d", check_failed ? errno : 0);     \
		check_report(name, check_failed && errno == (error), check_text);                         \
	} while (0)

/* Runs fn(arg) in a child: its exit status, or minus the signal that ended it. */
static inline int check_in_child(void (*fn)(void *), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
