/* SPDX-License-Identifier: MIT */
/* Resource limits, and finding tasks for the scheduling calls. */
#ifndef CLOUDOS_LIMITS_H
#define CLOUDOS_LIMITS_H

#include <cloudos/task.h>

/* prlimit64(2): pid 0 is the running process; new may be null. 0, -EINVAL, -ESRCH, -EPERM. */
int process_prlimit(int pid, unsigned resource, const struct rlimit64 *new, struct rlimit64 *ret_old);

/* May the running task change (nice, scheduling, affinity) what belongs to t? By user id, or CAP_SYS_NICE. */
bool task_may_schedule(const struct task *t);
bool task_may_schedule_locked(const struct task *t); /* by proc_lock */

/* Calls fn, with proc_lock held, for the main thread of each process that getpriority's `which` and `who` name; how many there were. */
int task_for_each_priority(int which, int who, void (*fn)(struct task *t, void *arg), void *arg);

#endif
