/* SPDX-License-Identifier: MIT */
/*
 * Who may look into another thread: into its memory, its descriptors, at what it shares with others. The rule is ptrace(2)'s, "ptrace
 * access mode checks":
 *
 *   - a thread may look into its own process;
 *   - another's real, effective and saved ids must all be the caller's own, user and group, and
 *   - it must not have been marked as not dumpable (a program that changed its ids, or asked for it), and
 *   - it must not have capabilities that the caller lacks;
 *   - CAP_SYS_PTRACE passes over the last three.
 *
 * The check and taking what it is about are one step under proc_lock. An exec that changes credentials marks the process as not dumpable
 * before the new program's memory can be found, and takes the mark away, if at all, when the new credentials are in place (exec.c): so nobody
 * is let into the new program by the rights that he had over the old one.
 */
#include "proc_internal.h"
#include <cloudos/inspect.h>
#include <cloudos/vm.h>
#include <linux/capability.h>

static bool same_ids(const struct cred *own, const struct cred *other, enum inspect_ids ids)
{
	uint32_t uid = ids == INSPECT_FS ? own->fsuid : own->uid;
	uint32_t gid = ids == INSPECT_FS ? own->fsgid : own->gid;

	return uid == other->euid && uid == other->suid && uid == other->uid && gid == other->egid && gid == other->sgid &&
	       gid == other->gid;
}

int inspect_check_locked(const struct task *t, enum inspect_ids ids)
{
	const struct cred *own = thread_current()->cred, *other = t->thread.cred;
	uint64_t caps = ids == INSPECT_FS ? own->cap_effective : own->cap_permitted;

	if (t->process == process_self() || cred_capable(own, CAP_SYS_PTRACE))
		return 0;
	if (!same_ids(own, other, ids) || READ_ONCE(t->process->dumpable) != 1 || (other->cap_permitted & ~caps))
		return -EPERM;
	return 0;
}

static int get_vm_locked(int tid, enum inspect_ids ids, struct vm_space **ret)
{
	struct pid_entry *e = pid_lookup_locked(tid);
	struct task *t = e ? e->task : NULL;
	struct vm_space *s = t && !t->gone ? LOAD_ACQUIRE(t->thread.vm) : NULL;
	int err;

	if (!s)
		return -ESRCH;
	err = s == thread_current()->vm ? 0 : inspect_check_locked(t, ids);
	if (err < 0)
		return err;
	vm_space_get(s);
	*ret = s;
	return 0;
}

int inspect_get_vm(int tid, enum inspect_ids ids, struct vm_space **ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = get_vm_locked(tid, ids, ret);

	spin_unlock_irq(&proc_lock, flags);
	return err;
}
