/* SPDX-License-Identifier: MIT */
/* Control groups, for proc and the system calls: who is in which, and namespaces of them. src/kernel/cgroup/cgroup_internal.h has the rules. */
#ifndef CLOUDOS_CGROUP_H
#define CLOUDOS_CGROUP_H

#include <cloudos/types.h>

struct cgroup;
struct cgroup_namespace;
struct file;
struct namespace;
struct process;
struct task;
struct text_out;
struct user_namespace;

extern struct cgroup *const cgroup_root; /* is always there */

void cgroup_get(struct cgroup *cg);
void cgroup_put(struct cgroup *cg); /* any context */

/* ---- births and deaths; proc_lock held ---- */

/* Room for one more thread: 0, -EAGAIN (a limit), -ENODEV (it was removed), -EBUSY (no processes are to be in it). What follows undoes it. */
int cgroup_charge_locked(struct cgroup *cg);
void cgroup_uncharge_locked(struct cgroup *cg);
/* A new thread of p, which is charged, is linked in; p->cgroup is set. `elsewhere`: it is not the group of who made it. */
void cgroup_born_locked(struct process *p, struct task *t, bool elsewhere);
/* The task, its process's only one, has other memory than before (exec). */
void cgroup_space_changed_locked(struct task *t);
/* A thread of p ends; with `last` p becomes a zombie, which stays charged until it is reaped. */
void cgroup_ends_locked(struct process *p, struct task *t, bool last);
void cgroup_reaped_locked(struct process *p);

/* ---- freezing; proc_lock held ---- */

void cgroup_task_froze_locked(struct task *t, bool frozen); /* t->frozen changes */

/* ---- CLONE_INTO_CGROUP ---- */

/* The group that a folder's descriptor stands for, if the running task may put a child into it: 0 and a reference, -EBADF, -EACCES ... */
int cgroup_open_for_child(int fd, struct cgroup **ret);

/* ---- CPUs ---- */

/* t may run on those of `cpus` that its group may use: 0, or -EINVAL if there are none. If it runs, it moves at its next switch. */
int cgroup_set_affinity(struct task *t, uint64_t cpus);

/* ---- /proc/PID/cgroup ---- */

/* As the running thread sees it. */
int cgroup_show(struct cgroup *cg, struct text_out *o);

/* ---- namespaces ---- */

extern struct cgroup_namespace cgroup_namespace_first;
struct namespace *cgroup_namespace_base(struct cgroup_namespace *ns);
struct cgroup_namespace *cgroup_namespace_of(struct namespace *base); /* null: it is of another kind */
/* Its root is the running process's group: 0, -ENOSPC, -ENOMEM. */
int cgroup_namespace_create(struct user_namespace *owner, struct cgroup_namespace **ret);

#endif
