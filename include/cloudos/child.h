/* SPDX-License-Identifier: MIT */
/* Waiting for children and adding up what processes used: for the system calls. */
#ifndef CLOUDOS_CHILD_H
#define CLOUDOS_CHILD_H

#include <cloudos/task.h>

struct wait_report {
	int pid, code, status; /* CLD_*, and the exit code or signal that goes with it */
	int wait_status;       /* the same as wait4(2) has it */
	uint32_t uid;
	struct task_usage usage;
};

struct wait_query {
	int type, id;	  /* P_ALL, P_PID, P_PGID (0: the running process's) or P_PIDFD; a number as the running process sees it */
	struct process_handle *handle; /* of P_PIDFD, borrowed */
	unsigned options; /* WNOHANG, WEXITED, ... */
	struct wait_report report;
	struct list reaped, released; /* process_wait's own: processes by `sibling`, threads by `trace.link` */
};

/* 1: q->report is filled in; 0: WNOHANG and nothing yet; -ECHILD; -ERESTARTSYS. */
int process_wait(struct wait_query *q);

/* Of the process's threads, dead and living, and of children waited for. */
void process_usage(struct process *p, struct task_usage *ret, struct task_usage *ret_children);
void task_usage_now(struct task *t, struct task_usage *ret);

/* The running process adopts orphans below it (PR_SET_CHILD_SUBREAPER). */
void process_set_subreaper(bool on);

_Noreturn void task_exit(int status);
_Noreturn void process_exit_group(int status);
/* The running thread's process ends of this signal, and leaves a core file where that is wanted (proc/coredump.c). */
_Noreturn void process_die(const struct signal_info *info);

#endif
