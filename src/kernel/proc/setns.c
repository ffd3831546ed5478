/* SPDX-License-Identifier: MIT */
/*
 * Entering namespaces that others have (setns(2)), and naming them (/proc/PID/ns).
 *
 * Who enters one must have CAP_SYS_ADMIN over it, and over his own user namespace; if he enters a user namespace by the same call, over that
 * one instead, since the others are then what belongs to it.
 */
#include "unshare.h"
#include <cloudos/cgroup.h>
#include <cloudos/inspect.h>
#include <cloudos/pidfd.h>
#include <cloudos/vfs.h>
#include <linux/capability.h>
#include <linux/sched.h>

/* The credentials that the task will have. */
static const struct cred *future_cred(const struct task *t, const struct parts *new)
{
	return new->cred ? new->cred : t->thread.cred;
}

static int enter_users(struct task *t, struct user_namespace *ns, struct parts *new)
{
	if (ns == t->thread.cred->user_ns || READ_ONCE(t->process->live) > 1 || fs_context_shared(t->thread.fs))
		return -EINVAL;
	if (!cred_capable_over(t->thread.cred, ns, CAP_SYS_ADMIN))
		return -EPERM;
	new->cred = cred_copy(t->thread.cred);
	if (!new->cred)
		return -ENOMEM;
	user_namespace_enter(new->cred, ns);
	return 0;
}

static int enter_mounts(struct task *t, struct mount_namespace *ns, struct parts *new)
{
	if (!cred_capable_here(future_cred(t, new), CAP_SYS_CHROOT))
		return -EPERM;
	if (fs_context_shared(t->thread.fs))
		return -EINVAL;
	if (vfs_enter_mounts(ns, &new->fs) < 0)
		return -ENOMEM;
	new->fs->umask = t->thread.fs->umask;
	return 0;
}

/* Children cannot be seen from where their parent cannot be: only down from its own. */
static int enter_pids(struct task *t, struct pid_namespace *ns, struct parts *new)
{
	if (!pid_namespace_in(ns, t->process->pid_ns))
		return -EINVAL;
	namespace_get(&ns->base);
	new->pids = ns;
	return 0;
}

static int enter(struct task *t, struct namespace *ns, struct parts *new)
{
	struct user_namespace *users = user_namespace_of(ns);
	struct mount_namespace *mounts = mount_namespace_of(ns);
	struct pid_namespace *pids = pid_namespace_of(ns);

	if (users)
		return enter_users(t, users, new);
	if (!cred_capable_over(t->thread.cred, namespace_owner(ns), CAP_SYS_ADMIN) || !cred_capable_here(future_cred(t, new), CAP_SYS_ADMIN))
		return -EPERM;
	if (mounts)
		return enter_mounts(t, mounts, new);
	if (pids)
		return enter_pids(t, pids, new);
	namespace_get(ns);
	new->uts = uts_of_namespace(ns);
	if (!new->uts)
		new->cgroups = cgroup_namespace_of(ns);
	if (!new->uts && !new->cgroups)
		new->ipc = task_ipc_ops->of(ns);
	ASSERT(new->uts || new->cgroups || new->ipc);
	return 0;
}

static int finish(const struct parts *new, int err)
{
	if (err == 0)
		parts_commit(new);
	else
		parts_put(new);
	return err;
}

int task_set_namespace(struct namespace *ns)
{
	struct parts new = { 0 };

	return finish(&new, enter(task_self(), ns, &new));
}

/* ---- by kind ---- */

/* The name in /proc/PID/ns, and where a task has it. In the order in which they are entered: the first decides what may be done to the rest. */
enum { KIND_USER, KIND_MNT, KIND_UTS, KIND_IPC, KIND_CGROUP, KIND_PID, KINDS };

static const uint64_t kind_flags[KINDS] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWCGROUP, CLONE_NEWPID };
const char *const task_namespace_names[] = { "cgroup", "ipc", "mnt", "pid", "pid_for_children", "user", "uts", NULL };

/* Borrowed; null: the task is past having one. */
static struct namespace *namespace_locked(struct task *t, int kind)
{
	struct fs_context *fs = LOAD_ACQUIRE(t->thread.fs);
	struct uts_namespace *uts = LOAD_ACQUIRE(t->uts);

	switch (kind) {
	case KIND_USER:
		return user_namespace_base(t->thread.cred->user_ns);
	case KIND_MNT:
		return fs ? mount_namespace_as_namespace(fs->mounts) : NULL;
	case KIND_UTS:
		return uts ? uts_as_namespace(uts) : NULL;
	case KIND_IPC:
		return ipc_base(LOAD_ACQUIRE(t->ipc));
	case KIND_CGROUP:
		return cgroup_base(LOAD_ACQUIRE(t->cgroup_ns));
	default:
		return &t->process->pid_ns->base;
	}
}

/* One that has no process yet cannot be named. */
static struct namespace *children_namespace_locked(struct task *t)
{
	struct pid_namespace *ns = LOAD_ACQUIRE(t->pid_ns_children);

	return ns && ns->init ? &ns->base : NULL;
}

static struct namespace *named_locked(struct task *t, const char *name)
{
	static const char *const names[KINDS] = { "user", "mnt", "uts", "ipc", "cgroup", "pid" };

	for (int kind = 0; kind < KINDS; kind++)
		if (str_equal(name, names[kind]))
			return namespace_locked(t, kind);
	return children_namespace_locked(t);
}

struct namespace *task_namespace(int pid, int tid, const char *name)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(tid ? tid : pid);
	struct task *t = e ? e->task : NULL;
	struct namespace *ns = NULL;

	if (!t && e && e->process)
		t = process_any_task_locked(e->process); /* its main thread has gone first */
	if (t && !t->gone)
		ns = named_locked(t, name);
	if (ns)
		namespace_get(ns);
	spin_unlock_irq(&proc_lock, flags);
	return ns;
}

/* ---- setns(2) with a pidfd ---- */

/* Those of the kinds that are asked for, with references; the others null. */
static int namespaces_of_locked(struct process *p, uint64_t kinds, struct namespace *ret[KINDS])
{
	struct task *t = p ? process_any_task_locked(p) : NULL;
	int err;

	if (!t || t->gone)
		return -ESRCH;
	err = inspect_check_locked(t, INSPECT_REAL);
	if (err < 0)
		return err;
	for (int kind = 0; kind < KINDS; kind++) {
		ret[kind] = kinds & kind_flags[kind] ? namespace_locked(t, kind) : NULL;
		if (ret[kind])
			namespace_get(ret[kind]);
	}
	return 0;
}

int task_set_namespaces(struct process_handle *of, uint64_t kinds)
{
	struct namespace *ns[KINDS] = { NULL };
	struct parts new = { 0 };
	unsigned long flags;
	int err;

	if (kinds == 0 || (kinds & ~(uint64_t)CLONE_NAMESPACES_KNOWN))
		return -EINVAL;
	flags = spin_lock_irq(&proc_lock);
	err = namespaces_of_locked(process_of_handle_locked(of), kinds, ns);
	spin_unlock_irq(&proc_lock, flags);
	for (int kind = 0; kind < KINDS && err == 0; kind++)
		if (ns[kind])
			err = enter(task_self(), ns[kind], &new);
	err = finish(&new, err);
	for (int kind = 0; kind < KINDS; kind++)
		if (ns[kind])
			namespace_put(ns[kind]);
	return err;
}
