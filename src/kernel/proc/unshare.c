/* SPDX-License-Identifier: MIT */
/*
 * Leaving what is shared with other tasks, and entering what others have: unshare(2), setns(2), and the namespaces that clone(2) gives to
 * a child. All that a call makes is made first, and then put in place at once, so that a call that fails has changed nothing.
 *
 * Kinds of namespaces: mounts (an fs context is in one, vfs/mount_namespace.c) and UTS (a task has one, ns/uts.c).
 */
#include "proc_internal.h"
#include <cloudos/clone.h>
#include <cloudos/uts.h>
#include <cloudos/vfs.h>
#include <linux/capability.h>

/* What replaces a task's own: null where it keeps what it has. */
struct parts {
	struct fd_table *files;
	struct fs_context *fs;
	struct uts_namespace *uts;
};

/* ---- UTS namespaces of tasks ---- */

static void uts_hold(struct uts_namespace *ns)
{
	namespace_get(uts_as_namespace(ns));
}

void task_uts_put(struct task *t)
{
	struct uts_namespace *ns = t->uts;

	STORE_RELEASE(t->uts, NULL);
	if (ns)
		namespace_put(uts_as_namespace(ns));
}

int task_clone_uts(struct task *t, struct task *from, uint64_t flags)
{
	if (flags & CLONE_NEWUTS) {
		t->uts = uts_copy(from->uts);
		return t->uts ? 0 : -ENOMEM;
	}
	uts_hold(from->uts);
	t->uts = from->uts;
	return 0;
}

struct uts_namespace *task_uts(void)
{
	return process_current() ? task_self()->uts : &uts_initial;
}

int task_clone_fs(struct task *t, struct task *from, uint64_t flags)
{
	if (flags & CLONE_NEWNS)
		return vfs_unshare_mounts(from->thread.fs, &t->thread.fs);
	if (flags & CLONE_FS) {
		fs_context_get(from->thread.fs);
		t->thread.fs = from->thread.fs;
	} else {
		t->thread.fs = fs_context_copy(from->thread.fs);
	}
	return t->thread.fs ? 0 : -ENOMEM;
}

int task_check_namespaces(uint64_t flags)
{
	if (flags & CLONE_NAMESPACES & ~(uint64_t)CLONE_NAMESPACES_KNOWN)
		return -EINVAL;
	if ((flags & CLONE_NAMESPACES) && !cred_capable(thread_current()->cred, CAP_SYS_ADMIN))
		return -EPERM;
	return 0;
}

/* ---- putting parts in place ---- */

static void parts_put(const struct parts *p)
{
	if (p->files)
		fd_table_put(p->files);
	if (p->fs)
		fs_context_put(p->fs);
	if (p->uts)
		namespace_put(uts_as_namespace(p->uts));
}

/* The task has the new parts; the old ones go when nobody looks at them any more (proc_settle()). */
static void commit(struct task *t, const struct parts *new)
{
	struct parts old = { 0 };

	if (new->files) {
		old.files = t->thread.files;
		STORE_RELEASE(t->thread.files, new->files);
	}
	if (new->fs) {
		old.fs = t->thread.fs;
		STORE_RELEASE(t->thread.fs, new->fs);
	}
	if (new->uts) {
		old.uts = t->uts;
		STORE_RELEASE(t->uts, new->uts);
	}
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

static int make_fs(struct task *t, uint64_t flags, struct parts *new)
{
	if (flags & CLONE_NEWNS)
		return vfs_unshare_mounts(t->thread.fs, &new->fs);
	if (refcount_read(&t->thread.fs->refs) == 1)
		return 0;
	new->fs = fs_context_copy(t->thread.fs);
	return new->fs ? 0 : -ENOMEM;
}

static int make_uts(struct task *t, struct parts *new)
{
	new->uts = uts_copy(t->uts);
	return new->uts ? 0 : -ENOMEM;
}

static int make_parts(struct task *t, uint64_t flags, struct parts *new)
{
	int err = 0;

	if (flags & CLONE_FILES)
		err = make_files(t, new);
	if (err == 0 && (flags & (CLONE_FS | CLONE_NEWNS)))
		err = make_fs(t, flags, new);
	if (err == 0 && (flags & CLONE_NEWUTS))
		err = make_uts(t, new);
	return err;
}

int task_unshare(uint64_t flags)
{
	const uint64_t known = CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NAMESPACES;
	struct task *t = task_self();
	struct parts new = { 0 };
	int err;

	if (flags & ~known)
		return -EINVAL;
	err = task_check_namespaces(flags);
	if (err < 0)
		return err;
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && READ_ONCE(t->process->live) > 1)
		return -EINVAL;
	err = make_parts(t, flags, &new);
	if (err < 0) {
		parts_put(&new);
		return err;
	}
	commit(t, &new);
	if ((flags & CLONE_SYSVSEM) && t->sem_undo)
		task_sem_undo_ops->leave(t);
	return 0;
}

int task_unshare_files(void)
{
	return task_unshare(CLONE_FILES);
}

/* ---- setns(2) ---- */

static int enter_mounts(struct task *t, struct mount_namespace *ns, struct parts *new)
{
	if (!cred_capable(t->thread.cred, CAP_SYS_CHROOT))
		return -EPERM;
	if (refcount_read(&t->thread.fs->refs) > 1)
		return -EINVAL;
	if (vfs_enter_mounts(ns, &new->fs) < 0)
		return -ENOMEM;
	new->fs->umask = t->thread.fs->umask;
	return 0;
}

int task_set_namespace(struct namespace *ns)
{
	struct mount_namespace *mounts = mount_namespace_of(ns);
	struct task *t = task_self();
	struct parts new = { .uts = uts_of_namespace(ns) };
	int err = 0;

	if (!cred_capable(t->thread.cred, CAP_SYS_ADMIN))
		return -EPERM;
	if (new.uts)
		uts_hold(new.uts);
	if (mounts)
		err = enter_mounts(t, mounts, &new);
	if (err == 0)
		commit(t, &new);
	else
		parts_put(&new);
	return err;
}

/* ---- /proc/PID/ns ---- */

const char *const task_namespace_names[] = { "mnt", "uts", NULL };

static struct namespace *namespace_locked(struct task *t, const char *name)
{
	struct fs_context *fs = LOAD_ACQUIRE(t->thread.fs);
	struct uts_namespace *uts = LOAD_ACQUIRE(t->uts);

	if (str_equal(name, "uts"))
		return uts ? uts_as_namespace(uts) : NULL;
	return fs ? mount_namespace_as_namespace(fs->mounts) : NULL;
}

struct namespace *task_namespace(int pid, int tid, const char *name)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_locked(tid ? tid : pid);
	struct task *t = e ? e->task : NULL;
	struct namespace *ns = NULL;

	if (!t && e && e->process)
		t = process_any_task_locked(e->process); /* its main thread has gone first */
	if (t && !t->gone)
		ns = namespace_locked(t, name);
	if (ns)
		namespace_get(ns);
	spin_unlock_irq(&proc_lock, flags);
	return ns;
}
