/* SPDX-License-Identifier: MIT */
/*
 * Leaving what is shared with other tasks: unshare(2), and the namespaces that clone(2) gives to a child. setns.c enters what others have.
 * All that a call makes is made first, and then put in place at once, so that a call that fails has changed nothing.
 *
 * Kinds of namespaces: mounts (an fs context is in one, vfs/mount_namespace.c); UTS (ns/uts.c), IPC (ipc/namespace.c), cgroups
 * (cgroup/namespace.c) and the pids of children (pid_namespace.c), of which a task has one each; users (security/user_namespace.c), in which credentials are. A new user
 * namespace owns the others that are made by the same call.
 */
#include "unshare.h"
#include <cloudos/cgroup.h>
#include <cloudos/clone.h>
#include <cloudos/creds.h>
#include <cloudos/vfs.h>
#include <linux/capability.h>

/* ---- the parts that are namespaces alone ---- */

static void hold(struct namespace *ns)
{
	if (ns)
		namespace_get(ns);
}

static void drop(struct namespace *ns)
{
	if (ns)
		namespace_put(ns);
}

struct namespace *ipc_base(struct ipc_namespace *ns)
{
	return ns ? task_ipc_ops->base(ns) : NULL;
}

static struct namespace *uts_base(struct uts_namespace *ns)
{
	return ns ? uts_as_namespace(ns) : NULL;
}

struct namespace *cgroup_base(struct cgroup_namespace *ns)
{
	return ns ? cgroup_namespace_base(ns) : NULL;
}

static struct namespace *pid_base(struct pid_namespace *ns)
{
	return ns ? &ns->base : NULL;
}

void task_namespaces_put(struct task *t)
{
	struct namespace *const old[] = { uts_base(t->uts), ipc_base(t->ipc), cgroup_base(t->cgroup_ns), pid_base(t->pid_ns_children) };

	STORE_RELEASE(t->uts, NULL);
	STORE_RELEASE(t->ipc, NULL);
	STORE_RELEASE(t->cgroup_ns, NULL);
	STORE_RELEASE(t->pid_ns_children, NULL);
	proc_settle();
	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		drop(old[i]);
}

struct uts_namespace *task_uts(void)
{
	return process_current() ? task_self()->uts : &uts_initial;
}

bool task_uts_capable(unsigned capability)
{
	return cred_capable_over(thread_current()->cred, namespace_owner(uts_as_namespace(task_uts())), capability);
}

/* New ones for the flags; what is made so far is in *new. */
static int make_namespaces(struct task *t, uint64_t flags, struct user_namespace *owner, struct parts *new)
{
	int err = 0;

	if (flags & CLONE_NEWUTS)
		err = uts_copy(t->uts, owner, &new->uts);
	if (err == 0 && (flags & CLONE_NEWIPC))
		err = task_ipc_ops ? task_ipc_ops->create(owner, &new->ipc) : -EINVAL;
	if (err == 0 && (flags & CLONE_NEWCGROUP))
		err = cgroup_namespace_create(owner, &new->cgroups);
	if (err == 0 && (flags & CLONE_NEWPID))
		err = t->pid_ns_children == t->process->pid_ns ? pid_namespace_create(t->process->pid_ns, owner, &new->pids) : -EINVAL;
	return err;
}

/* ---- clone(2) ---- */

int task_check_namespaces(uint64_t flags)
{
	if (flags & CLONE_NAMESPACES & ~(uint64_t)CLONE_NAMESPACES_KNOWN)
		return -EINVAL;
	if ((flags & (CLONE_NEWNS | CLONE_NEWUSER)) && (flags & CLONE_FS))
		return -EINVAL;
	if ((flags & CLONE_NEWIPC) && (flags & CLONE_SYSVSEM))
		return -EINVAL;
	if (flags & CLONE_NEWUSER)
		return vfs_in_chroot() ? -EPERM : 0; /* in it one could leave the root */
	if ((flags & CLONE_NAMESPACES) && !cred_capable_here(thread_current()->cred, CAP_SYS_ADMIN))
		return -EPERM;
	return 0;
}

int task_clone_cred(struct task *t, struct task *from, uint64_t flags)
{
	struct cred *c;
	int err;

	if (!(flags & CLONE_NEWUSER)) {
		cred_get(from->thread.cred);
		t->thread.cred = from->thread.cred;
		return 0;
	}
	c = cred_copy(from->thread.cred);
	err = c ? user_namespace_create(c) : -ENOMEM;
	if (err == 0)
		t->thread.cred = c;
	else if (c)
		cred_put(c);
	return err;
}

int task_clone_namespaces(struct task *t, struct task *from, uint64_t flags)
{
	struct parts new = { 0 };
	int err = make_namespaces(from, flags, t->thread.cred->user_ns, &new);

	if (!new.uts)
		hold(uts_base(new.uts = from->uts));
	if (!new.ipc)
		hold(ipc_base(new.ipc = from->ipc));
	if (!new.cgroups)
		hold(cgroup_base(new.cgroups = from->cgroup_ns));
	if (!new.pids)
		hold(pid_base(new.pids = from->pid_ns_children));
	t->uts = new.uts;
	t->ipc = new.ipc;
	t->cgroup_ns = new.cgroups;
	t->pid_ns_children = new.pids;
	return err;
}

int task_clone_fs(struct task *t, struct task *from, uint64_t flags)
{
	if (flags & CLONE_NEWNS)
		return vfs_unshare_mounts(from->thread.fs, t->thread.cred->user_ns, &t->thread.fs);
	if (flags & CLONE_FS) {
		fs_context_join(from->thread.fs);
		t->thread.fs = from->thread.fs;
	} else {
		t->thread.fs = fs_context_copy(from->thread.fs);
	}
	return t->thread.fs ? 0 : -ENOMEM;
}

/* ---- putting parts in place ---- */

void parts_put(const struct parts *p)
{
	if (p->files)
		fd_table_put(p->files);
	if (p->fs)
		fs_context_leave(p->fs);
	drop(uts_base(p->uts));
	drop(ipc_base(p->ipc));
	drop(cgroup_base(p->cgroups));
	drop(pid_base(p->pids));
	if (p->cred)
		cred_put(p->cred);
}

#define EXCHANGE(place, new, old)               \
	do {                                    \
		if (new) {                      \
			(old) = (place);        \
			STORE_RELEASE(place, new); \
		}                               \
	} while (0)

/* The old parts go when nobody looks at them any more (proc_settle()). */
void parts_commit(const struct parts *new)
{
	struct task *t = task_self();
	struct parts old = { 0 };

	if (new->ipc && t->sem_undo)
		task_sem_undo_ops->leave(t); /* of sets in the old namespace */
	if (new->cred)
		(void)creds_commit(new->cred); /* does not change the real user: cannot fail */
	EXCHANGE(t->thread.files, new->files, old.files);
	EXCHANGE(t->thread.fs, new->fs, old.fs);
	EXCHANGE(t->uts, new->uts, old.uts);
	EXCHANGE(t->ipc, new->ipc, old.ipc);
	EXCHANGE(t->cgroup_ns, new->cgroups, old.cgroups);
	EXCHANGE(t->pid_ns_children, new->pids, old.pids);
	proc_settle();
	parts_put(&old);
}

/* ---- unshare(2) ---- */

static int make_files(struct task *t, struct parts *new)
{
	if (!fd_table_shared(t->thread.files))
		return 0;
	new->files = fd_table_copy(t->thread.files);
	return new->files ? 0 : -ENOMEM;
}

static int make_fs(struct task *t, uint64_t flags, struct user_namespace *owner, struct parts *new)
{
	if (flags & CLONE_NEWNS)
		return vfs_unshare_mounts(t->thread.fs, owner, &new->fs);
	if (!fs_context_shared(t->thread.fs))
		return 0;
	new->fs = fs_context_copy(t->thread.fs);
	return new->fs ? 0 : -ENOMEM;
}

static int make_cred(struct parts *new)
{
	new->cred = cred_copy(thread_current()->cred);
	return new->cred ? user_namespace_create(new->cred) : -ENOMEM;
}

static int make_parts(struct task *t, uint64_t flags, struct parts *new)
{
	struct user_namespace *owner = t->thread.cred->user_ns;
	int err = 0;

	if (flags & CLONE_NEWUSER) {
		err = make_cred(new);
		if (err < 0)
			return err;
		owner = new->cred->user_ns;
	}
	if (flags & CLONE_FILES)
		err = make_files(t, new);
	if (err == 0 && (flags & (CLONE_FS | CLONE_NEWNS)))
		err = make_fs(t, flags, owner, new);
	return err ? err : make_namespaces(t, flags, owner, new);
}

int task_unshare(uint64_t flags)
{
	const uint64_t known = CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NAMESPACES;
	struct task *t = task_self();
	struct parts new = { 0 };
	int err;

	if (flags & ~known)
		return -EINVAL;
	err = task_check_namespaces(flags & CLONE_NAMESPACES);
	if (err < 0)
		return err;
	if (flags & CLONE_NEWUSER)
		flags |= CLONE_THREAD | CLONE_FS;
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && READ_ONCE(t->process->live) > 1)
		return -EINVAL;
	err = make_parts(t, flags, &new);
	if (err < 0) {
		parts_put(&new);
		return err;
	}
	parts_commit(&new);
	if ((flags & CLONE_SYSVSEM) && t->sem_undo)
		task_sem_undo_ops->leave(t);
	return 0;
}

int task_unshare_files(void)
{
	return task_unshare(CLONE_FILES);
}
