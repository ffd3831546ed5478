/* SPDX-License-Identifier: MIT */
/* Tracing threads (ptrace(2)): what system calls need of it. */
#ifndef CLOUDOS_PTRACE_H
#define CLOUDOS_PTRACE_H

#include <cloudos/task.h>
#include <linux/ptrace.h>

struct vm_space;

/* ---- by the tracer: the running thread. Threads are named by their ids; -ESRCH: it does not trace such a one, or that is not stopped ---- */

int ptrace_traceme(void);				 /* 0 or -EPERM */
int ptrace_attach(int tid, bool seize, uint32_t options); /* 0, -EPERM, -ESRCH, -EINVAL */
int ptrace_detach(int tid, int signo);
/* PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP; signo 0: none. -EIO: no such signal. */
int ptrace_resume(int tid, int request, int signo);
int ptrace_kill(int tid);
int ptrace_interrupt(int tid); /* -EIO: it was attached to, not seized */
int ptrace_listen(int tid);    /* likewise, and when it is in no stop of PTRACE_EVENT_STOP */
int ptrace_set_options(int tid, uint32_t options);

/*
 * What is done to a thread while it is stopped: fn(t, arg) runs under proc_lock, interrupts off, and must not sleep. fn's result, or -ESRCH.
 */
int ptrace_with(int tid, int (*fn)(struct task *t, void *arg), void *arg);

/* The space of a stopped thread, with a reference. -ESRCH; -EPERM: it has become one that the running thread may not look into. */
int ptrace_get_vm(int tid, struct vm_space **ret);

/* Copies up to n pending signals, from the off-th on, of a stopped thread or (shared) of its process: how many, or -ESRCH. */
int ptrace_peek_signals(int tid, bool shared, uint64_t off, unsigned n, struct signal_info *ret);

/* The blocked signals of a stopped thread. */
int ptrace_set_mask(int tid, uint64_t mask);

/* ---- by the running thread, which may be traced ---- */

static inline bool ptrace_is_traced(const struct task *t)
{
	return unlikely(READ_ONCE(t->trace.tracer) != NULL);
}

/* PTRACE_O_SUSPEND_SECCOMP: no filter counts for t, the running thread. */
static inline bool ptrace_suspends_seccomp(const struct task *t)
{
	return ptrace_is_traced(t) && (READ_ONCE(t->trace.options) & PTRACE_O_SUSPEND_SECCOMP);
}

/* Before a system call: the number of the one to make, negative: none. After it. */
int64_t ptrace_call_enter(struct hal_user *u, int64_t number);
void ptrace_call_leave(struct hal_user *u);

/* SECCOMP_RET_TRACE: false when no tracer wants it. Else the tracer has seen the call; *number is then the one to make, as above. */
bool ptrace_seccomp(struct hal_user *u, uint32_t data, int64_t *number);

#endif
