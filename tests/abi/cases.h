/* SPDX-License-Identifier: MIT */
/*
 * For ABI test programs with many small checks to a case. A case is a function; CASE runs it and prints "ok NAME", or "not ok NAME" with the
 * first check that failed. Nothing that differs between runs or machines is printed.
 */
#ifndef CASES_H
#define CASES_H

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *abi_failed; /* the expression, or null */
static int abi_line, abi_errno, abi_failures;

#define EXPECT(expression)                         \
	do {                                      \
		errno = 0;                        \
		if (!(expression) && !abi_failed) { \
			abi_failed = #expression; \
			abi_line = __LINE__;      \
			abi_errno = errno;        \
		}                                 \
	} while (0)

/* The call must fail with this errno. */
#define EXPECT_ERRNO(expression, wanted)                                   \
	do {                                                              \
		errno = 0;                                                \
		if (!((long)(expression) == -1 && errno == (wanted)) && !abi_failed) { \
			abi_failed = #expression " gives " #wanted;       \
			abi_line = __LINE__;                              \
			abi_errno = errno;                                \
		}                                                         \
	} while (0)

#define CASE(function) abi_case(#function, function)

static void abi_case(const char *name, void (*run)(void))
{
	abi_failed = NULL;
	run();
	if (abi_failed) {
		abi_failures++;
		printf("not ok %s: line %d: %s (errno %d)\n", name, abi_line, abi_failed, abi_errno);
	} else {
		printf("ok %s\n", name);
	}
	fflush(stdout);
}

static int abi_result(void)
{
	return abi_failures > 0;
}

/*
 * Linux makes no user namespaces in a chroot, and a container may forbid them. Where they are not to be had, says so and ends the program: only
 * the oracle may, CloudOS has them everywhere.
 */
static inline void abi_need_user_namespaces(void)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0)
		_exit(unshare(CLONE_NEWUSER) != 0);
	if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
		return;
	printf("skipped: no user namespaces here\n");
	exit(0);
}

/* Does a thread of this process sleep? */
static inline int abi_asleep(pid_t tid)
{
	char name[64], line[64] = "";
	FILE *file;

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", tid);
	file = fopen(name, "r");
	EXPECT(file && fgets(line, sizeof(line), file));
	if (file)
		fclose(file);
	return strstr(line, ") S ") != NULL;
}

/* Addresses that no call may take: null, unmapped, in the kernel, past the end of user space, at the top of everything. */
static void *const abi_bad_addresses[] = {
	NULL, (void *)16, (void *)0xffff800000000000ul, (void *)0x7ffffffff000ul, (void *)-16l,
};
#define ABI_BAD_ADDRESSES (sizeof(abi_bad_addresses) / sizeof(abi_bad_addresses[0]))

#endif
