/* SPDX-License-Identifier: MIT */
/* Making tasks and processes, and turning one into another program: for the system calls. */
#ifndef CLOUDOS_CLONE_H
#define CLOUDOS_CLONE_H

#include <cloudos/types.h>
#include <linux/sched.h>

#define SET_TIDS_MAX 32 /* as on Linux */

struct clone_request {
	uint64_t flags; /* CLONE_*, without the signal */
	int exit_signal;
	uaddr_t stack;	/* the child's stack pointer; 0: its parent's */
	uaddr_t tls, parent_tid, child_tid, pidfd;
	int cgroup; /* a folder's descriptor (CLONE_INTO_CGROUP) */
	unsigned set_tid_count;
	int set_tid[SET_TIDS_MAX]; /* numbers that the child is to have, in its own namespace first, then in those above */
};

/*
 * clone(2) of the running task: the child's id, or -EINVAL, -EAGAIN, -ENOMEM, -ERESTARTNOINTR; of CLONE_PIDFD -EFAULT, -EMFILE; of set_tid
 * -EPERM, -EEXIST; of namespaces -EPERM, -ENOSPC; of CLONE_INTO_CGROUP -EBADF, -EACCES, -EBUSY, -ENODEV, -ENOENT.
 */
int64_t task_clone(const struct clone_request *r);

/* unshare(2): 0, -EINVAL, -EPERM, -ENOSPC or -ENOMEM. */
int task_unshare(uint64_t flags);

#define EXEC_STRING_MAX (32 * PAGE_SIZE)       /* one argument, as on Linux: E2BIG beyond */
#define EXEC_ARGS_MAX	(UINT64_C(2) << 20)    /* all of them with their pointers (less where RLIMIT_STACK / 4 is) */

/* Where the argument strings come from. */
struct exec_source {
	bool user;
	uaddr_t argv, envp;			 /* user: arrays of pointers in the running space, or 0 */
	const char *const *kernel_argv, *const *kernel_envp; /* else */
};

/* execve(2): the running task becomes `name` (kernel memory), looked up from dirfd. Returns 0 in the new program, or an errno in the old one. */
int task_exec(int dirfd, const char *name, unsigned at_flags, const struct exec_source *source);

#endif
