/* SPDX-License-Identifier: MIT */
/* Processes and threads: clone and its kin, execve, exit, wait; ids, groups, sessions. */
#include <cloudos/child.h>
#include <cloudos/clone.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/namespace.h>
#include <cloudos/pidfd.h>
#include <cloudos/string.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include <asm/fcntl.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/wait.h>
#include "call_struct.h"
#include "call_usage.h"
#include "syscalls_gen.h"

/* ---- making ---- */

int64_t sys_clone(uint64_t flags, uaddr_t stack, uaddr_t parent_tid, uaddr_t fourth, uaddr_t fifth)
{
	struct clone_request r = {
		.flags = flags & UINT32_MAX & ~(uint64_t)CSIGNAL,
		.exit_signal = (int)(flags & CSIGNAL),
		.stack = stack,
		.parent_tid = parent_tid,
		.pidfd = parent_tid,
		.tls = HAL_ABI_CLONE_TLS_FOURTH ? fourth : fifth,
		.child_tid = HAL_ABI_CLONE_TLS_FOURTH ? fifth : fourth,
	};

	return task_clone(&r);
}

int64_t sys_fork(void)
{
	struct clone_request r = { .exit_signal = SIGCHLD };

	return task_clone(&r);
}

int64_t sys_vfork(void)
{
	struct clone_request r = { .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD };

	return task_clone(&r);
}

int64_t sys_clone3(uaddr_t args, size_t size)
{
	struct clone_args a;
	struct clone_request r;
	int err = size < CLONE_ARGS_SIZE_VER0 ? -EINVAL : call_copy_struct(&a, sizeof(a), args, size);

	if (err < 0)
		return err;
	if ((a.flags & (CSIGNAL | CLONE_DETACHED)) || a.exit_signal > SIGNAL_COUNT || !a.stack != !a.stack_size ||
	    a.set_tid_size > SET_TIDS_MAX || !a.set_tid != !a.set_tid_size || ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal))
		return -EINVAL;
	if (a.stack && !user_range_ok(a.stack, a.stack_size))
		return -EINVAL;
	if ((a.flags & CLONE_INTO_CGROUP) && (a.cgroup > INT32_MAX || size < CLONE_ARGS_SIZE_VER2))
		return -EINVAL;
	r = (struct clone_request){ .cgroup = (int)a.cgroup, .flags = a.flags, .exit_signal = (int)a.exit_signal, .parent_tid = a.parent_tid,
				    .child_tid = a.child_tid, .pidfd = a.pidfd, .tls = a.tls, .stack = a.stack + a.stack_size,
				    .set_tid_count = (unsigned)a.set_tid_size };
	if (copy_from_user(r.set_tid, a.set_tid, r.set_tid_count * sizeof(r.set_tid[0])) < 0)
		return -EFAULT;
	return task_clone(&r);
}

int64_t sys_setns(int fd, int kind)
{
	struct file *f = fd_get(fd);
	struct namespace *ns;
	int err = -EINVAL;

	if (!f)
		return -EBADF;
	ns = nsfs_namespace(f);
	if (ns && (kind == 0 || (uint64_t)kind == ns->kind->clone_flag))
		err = task_set_namespace(ns);
	else if (pidfd_handle(f))
		err = task_set_namespaces(pidfd_handle(f), (uint32_t)kind);
	file_put(f);
	return err;
}

int64_t sys_unshare(uint64_t flags)
{
	return task_unshare(flags);
}

/* ---- replacing, ending ---- */

static int64_t exec(int dirfd, uaddr_t path, uaddr_t argv, uaddr_t envp, unsigned at_flags)
{
	struct exec_source source = { .user = true, .argv = argv, .envp = envp };
	char *name = kmalloc(PATH_MAX);
	int64_t err;

	if (!name)
		return -ENOMEM;
	err = copy_string_from_user(name, path, PATH_MAX);
	if (err >= 0)
		err = task_exec(dirfd, name, at_flags, &source);
	kfree(name);
	return err;
}

int64_t sys_execve(uaddr_t path, uaddr_t argv, uaddr_t envp)
{
	return exec(AT_FDCWD, path, argv, envp, 0);
}

int64_t sys_execveat(int dirfd, uaddr_t path, uaddr_t argv, uaddr_t envp, unsigned flags)
{
	if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return exec(dirfd, path, argv, envp, flags);
}

int64_t sys_exit(int status)
{
	task_exit((status & 0xff) << 8);
}

int64_t sys_exit_group(int status)
{
	process_exit_group((status & 0xff) << 8);
}

int64_t sys_set_tid_address(uaddr_t tid)
{
	struct task *t = task_self();

	t->clear_child_tid = tid;
	return task_number(t);
}

/* ---- waiting ---- */

#define WAIT4_OPTIONS  (WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)
#define WAITID_OPTIONS (WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)

int64_t sys_wait4(int pid, uaddr_t status, int options, uaddr_t rusage)
{
	struct wait_query q = { .options = (unsigned)options | WEXITED };
	int result;

	if ((unsigned)options & ~(unsigned)WAIT4_OPTIONS)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	q.type = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
	q.id = pid > 0 ? pid : -pid;
	result = process_wait(&q);
	if (result <= 0)
		return result;
	if (status && put_user(q.report.wait_status, status) < 0)
		return -EFAULT;
	if (rusage && call_put_rusage(rusage, &q.report.usage) < 0)
		return -EFAULT;
	return q.report.pid;
}

static int put_report(uaddr_t info, const struct wait_report *r, bool found)
{
	siginfo_t si;

	if (!info)
		return 0;
	memset(&si, 0, sizeof(si));
	if (found) {
		si.si_signo = SIGCHLD;
		si.si_code = r->code;
		si._sifields._sigchld._pid = r->pid;
		si._sifields._sigchld._uid = r->uid;
		si._sifields._sigchld._status = r->status;
	}
	/* Linux writes these fields one by one, and leaves the times alone. */
	return copy_to_user(info, &si, offsetof(siginfo_t, _sifields._sigchld._utime));
}

static int check_waitid(int type, int id, int options)
{
	if (((unsigned)options & ~(unsigned)WAITID_OPTIONS) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	switch (type) {
	case P_ALL:
		return 0;
	case P_PID:
		return id <= 0 ? -EINVAL : 0;
	case P_PGID:
	case P_PIDFD:
		return id < 0 ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

/* A descriptor that was made not to block does not wait, and says so. */
static int wait_pidfd(struct wait_query *q)
{
	bool put, hang = !(q->options & WNOHANG);
	struct file *f = fd_begin(q->id, &put);
	int result = -EBADF;

	if (!f)
		return -EBADF;
	q->handle = pidfd_handle(f);
	if (READ_ONCE(f->flags) & O_NONBLOCK)
		q->options |= WNOHANG;
	if (q->handle)
		result = process_wait(q);
	if (result == 0 && hang)
		result = -EAGAIN;
	fd_end(f, put);
	return result;
}

int64_t sys_waitid(int type, int id, uaddr_t info, int options, uaddr_t rusage)
{
	struct wait_query q = { .type = type, .id = id, .options = (unsigned)options };
	int result = check_waitid(type, id, options);

	if (result < 0)
		return result;
	result = type == P_PIDFD ? wait_pidfd(&q) : process_wait(&q);
	if (result < 0)
		return result;
	if (result > 0 && rusage && call_put_rusage(rusage, &q.report.usage) < 0)
		return -EFAULT;
	return put_report(info, &q.report, result > 0);
}

/* ---- ids ---- */

int64_t sys_getpid(void)
{
	return process_number(process_self());
}

int64_t sys_gettid(void)
{
	return task_number(task_self());
}

int64_t sys_getppid(void)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct process *parent = process_self()->parent;
	int pid = parent ? process_number(parent) : 0;

	spin_unlock_irq(&proc_lock, flags);
	return pid;
}

int64_t sys_getpgid(int pid)
{
	return process_related_id(pid, false);
}

int64_t sys_getpgrp(void)
{
	return process_related_id(0, false);
}

int64_t sys_setpgid(int pid, int pgid)
{
	return process_set_group(pid, pgid);
}

int64_t sys_getsid(int pid)
{
	return process_related_id(pid, true);
}

int64_t sys_vhangup(void)
{
	if (!cred_capable(thread_current()->cred, CAP_SYS_TTY_CONFIG))
		return -EPERM;
	session_hang_up();
	return 0;
}

int64_t sys_setsid(void)
{
	return session_create();
}
