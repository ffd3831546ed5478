/* SPDX-License-Identifier: MIT */
/* I/O priorities, and protection keys where there may be none. */
#include "cases.h"

#include <limits.h>
#include <linux/ioprio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BE(level)   IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, level)
#define NOBODY	    65534
#define NO_PROCESS  0x3fffffff

static long set(int which, int who, int value)
{
	return syscall(SYS_ioprio_set, which, who, value);
}

static long get(int which, int who)
{
	return syscall(SYS_ioprio_get, which, who);
}

static void own_priority(void)
{
	EXPECT(get(IOPRIO_WHO_PROCESS, 0) == 0 && get(IOPRIO_WHO_PROCESS, getpid()) == 0);
	EXPECT(set(IOPRIO_WHO_PROCESS, 0, BE(3)) == 0 && get(IOPRIO_WHO_PROCESS, 0) == BE(3));
	EXPECT(set(IOPRIO_WHO_PROCESS, getpid(), IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)) == 0);
	EXPECT(get(IOPRIO_WHO_PROCESS, 0) == IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	EXPECT(set(IOPRIO_WHO_PROCESS, 0, 0) == 0 && get(IOPRIO_WHO_PROCESS, 0) == 0);
}

static void wrong_ones(void)
{
	EXPECT_ERRNO(get(0, 0), EINVAL);
	EXPECT_ERRNO(get(4, 0), EINVAL);
	EXPECT_ERRNO(get(INT_MIN, 0), EINVAL);
	EXPECT_ERRNO(set(INT_MAX, 0, BE(1)), EINVAL);
	EXPECT_ERRNO(set(7, 0, BE(1)), EINVAL);
	EXPECT_ERRNO(get(IOPRIO_WHO_PROCESS, NO_PROCESS), ESRCH);
	EXPECT_ERRNO(get(IOPRIO_WHO_PROCESS, -1), ESRCH);
	EXPECT_ERRNO(set(IOPRIO_WHO_PROCESS, NO_PROCESS, BE(1)), ESRCH);
	EXPECT_ERRNO(set(IOPRIO_WHO_PGRP, NO_PROCESS, BE(1)), ESRCH);
	EXPECT_ERRNO(set(IOPRIO_WHO_PROCESS, 0, 4), EINVAL);
	EXPECT_ERRNO(set(IOPRIO_WHO_PROCESS, 0, 4 << IOPRIO_CLASS_SHIFT), EINVAL);
	EXPECT_ERRNO(set(IOPRIO_WHO_PROCESS, 0, -1), EINVAL);
}

static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn());
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int has_inherited(void)
{
	return get(IOPRIO_WHO_PROCESS, 0) != BE(6);
}

/* In a group of its own: the best of all, by nice values where nothing was set. */
static int group(void)
{
	if (setpgid(0, 0) || set(IOPRIO_WHO_PROCESS, 0, 0) || get(IOPRIO_WHO_PGRP, 0) != BE(4))
		return 1;
	if (setpriority(PRIO_PROCESS, 0, 10) || get(IOPRIO_WHO_PGRP, 0) != BE(6) || get(IOPRIO_WHO_PROCESS, 0) != 0)
		return 2;
	return set(IOPRIO_WHO_PGRP, 0, BE(2)) || get(IOPRIO_WHO_PROCESS, 0) != BE(2) || get(IOPRIO_WHO_PGRP, getpid()) != BE(2) ? 3 : 0;
}

static int as_nobody(void)
{
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	if (set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 1)) != -1 || errno != EPERM)
		return 2;
	if (set(IOPRIO_WHO_PROCESS, getppid(), BE(1)) != -1 || errno != EPERM)
		return 3;
	return set(IOPRIO_WHO_PROCESS, 0, BE(7)) ? 4 : 0;
}

static void others(void)
{
	EXPECT(set(IOPRIO_WHO_PROCESS, 0, BE(6)) == 0 && in_child(has_inherited) == 0);
	EXPECT(in_child(group) == 0);
	if (getuid() == 0)
		EXPECT(in_child(as_nobody) == 0);
}

static void protection_keys(void)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long key = syscall(SYS_pkey_alloc, 0, 0);
	int error = errno;

	EXPECT(key > 0 || error == ENOSPC || error == EINVAL); /* the last is what Linux says on an x86 without keys */
	if (key > 0)
		EXPECT(syscall(SYS_pkey_free, key) == 0);
	EXPECT_ERRNO(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_pkey_alloc, 0, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_pkey_free, 9), EINVAL);
	EXPECT_ERRNO(syscall(SYS_pkey_free, -1), EINVAL);
	EXPECT(syscall(SYS_pkey_mprotect, p, 4096, PROT_READ, -1) == 0 && p[0] == 0);
	EXPECT_ERRNO(syscall(SYS_pkey_mprotect, p, 4096, PROT_READ, 12), EINVAL);
	EXPECT_ERRNO(syscall(SYS_pkey_mprotect, p + 1, 4096, PROT_READ, -1), EINVAL);
	EXPECT(munmap(p, 8192) == 0);
}

int main(void)
{
	CASE(own_priority);
	CASE(wrong_ones);
	CASE(others);
	CASE(protection_keys);
	return abi_result();
}
