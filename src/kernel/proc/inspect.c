/* SPDX-License-Identifier: MIT */
/*
 * Who may look into another thread: into its memory, its descriptors, at what it shares with others. The rule is ptrace(2)'s, "ptrace
 * access mode checks":
 *
 *   - a thread may look into its own process;
 *   - another's real, effective and saved ids must all be the caller's own, user and group, and
 *   - it must not have capabilities that the caller lacks, nor be of another user namespace;
 *   - CAP_SYS_PTRACE over its user namespace passes over these two;
 *   - if it was marked as not dumpable (a program that changed its ids or its user namespace, or asked for it), CAP_SYS_PTRACE is needed over the
 *     user namespace in which its program was executed: what it brought from there is not for those whose namespace it has entered.
 *
 * The check and taking what it is about are one step under proc_lock. An exec that changes credentials marks the process as not dumpable
 * before the new program's memory can be found, and takes the mark away, if at all, when the new credentials are in place (exec.c): so nobody
 * is let into the new program by the rights that he had over the old one.
 */
#include "proc_internal.h"
#include <cloudos/epoll.h>
#include <cloudos/inspect.h>
#include <cloudos/random.h>
#include <cloudos/user_namespace.h>
#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include <linux/capability.h>
#include <linux/kcmp.h>

static bool same_ids(const struct cred *own, const struct cred *other, enum inspect_ids ids)
{
	uint32_t uid = ids == INSPECT_FS ? own->fsuid : own->uid;
	uint32_t gid = ids == INSPECT_FS ? own->fsgid : own->gid;

	return uid == other->euid && uid == other->suid && uid == other->uid && gid == other->egid && gid == other->sgid &&
	       gid == other->gid;
}

bool inspect_dumpable_to_locked(const struct task *t, const struct cred *c)
{
	const struct vm_space *s = t->gone ? NULL : LOAD_ACQUIRE(t->thread.vm);
	const struct user_namespace *ns = s && s->user_ns ? user_namespace_of(s->user_ns) : &user_namespace_first;

	return READ_ONCE(t->process->dumpable) == 1 || cred_capable_over(c, ns, CAP_SYS_PTRACE);
}

int inspect_check_locked(const struct task *t, enum inspect_ids ids)
{
	const struct cred *own = thread_current()->cred, *other = task_own_cred(t);
	uint64_t caps = ids == INSPECT_FS ? own->cap_effective : own->cap_permitted;

	if (t->process == process_self())
		return 0;
	if (!inspect_dumpable_to_locked(t, own))
		return -EPERM;
	if (cred_capable_over(own, other->user_ns, CAP_SYS_PTRACE))
		return 0;
	return same_ids(own, other, ids) && own->user_ns == other->user_ns && !(other->cap_permitted & ~caps) ? 0 : -EPERM;
}

int inspect_get_vm_locked(const struct task *t, enum inspect_ids ids, struct vm_space **ret)
{
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

static struct task *find_locked(int tid)
{
	struct pid_entry *e = pid_lookup_locked(tid);

	return e ? e->task : NULL;
}

int inspect_get_vm(int tid, enum inspect_ids ids, struct vm_space **ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = inspect_get_vm_locked(find_locked(tid), ids, ret);

	spin_unlock_irq(&proc_lock, flags);
	return err;
}

int inspect_get_task(int tid, enum inspect_ids ids, struct task **ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *t = tid ? find_locked(tid) : task_self();
	int err = t ? inspect_check_locked(t, ids) : -ESRCH;

	if (err == 0) {
		refcount_get(&t->refs);
		*ret = t;
	}
	spin_unlock_irq(&proc_lock, flags);
	return err;
}

/* ---- kcmp(2) ---- */

/* Makes an order of pointers that does not give them away: secrets of this boot, one pair a type. */
static uint64_t disguise(const void *p, int type)
{
	static uint64_t secrets[KCMP_TYPES][2];

	if (!secrets[type][1]) { /* by proc_lock */
		secrets[type][0] = random_u64();
		secrets[type][1] = random_u64() | 1; /* odd, so that nothing is lost */
	}
	return ((uintptr_t)p ^ secrets[type][0]) * secrets[type][1];
}

/* What thread t uses. Nobody has I/O contexts, so that all have the same. */
static int object_locked(const struct task *t, int type, const void **ret)
{
	*ret = NULL;
	switch (type) {
	case KCMP_VM:
		*ret = t->gone ? NULL : READ_ONCE(t->thread.vm);
		return 0;
	case KCMP_FILES:
		*ret = t->gone ? NULL : READ_ONCE(t->thread.files);
		return 0;
	case KCMP_FS:
		*ret = t->gone ? NULL : READ_ONCE(t->thread.fs);
		return 0;
	case KCMP_SIGHAND:
		*ret = READ_ONCE(t->process->actions);
		return 0;
	case KCMP_IO:
		return 0;
	case KCMP_SYSVSEM:
		*ret = READ_ONCE(t->sem_undo);
		return 0;
	default:
		return -EINVAL;
	}
}

static int find_both_locked(int tid1, int tid2, const struct task *ret[2])
{
	int err;

	ret[0] = find_locked(tid1);
	ret[1] = find_locked(tid2);
	err = ret[0] && ret[1] ? 0 : -ESRCH;
	for (int i = 0; i < 2 && err == 0; i++)
		err = inspect_check_locked(ret[i], INSPECT_REAL);
	return err;
}

static int order_locked(const void *const objects[2], int type)
{
	uint64_t a = disguise(objects[0], type), b = disguise(objects[1], type);

	return (a < b) | (a > b) << 1;
}

static int compare_shared(int tid1, int tid2, int type)
{
	const void *objects[2] = { NULL, NULL };
	const struct task *tasks[2];
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = find_both_locked(tid1, tid2, tasks);

	for (int i = 0; i < 2 && err == 0; i++)
		err = object_locked(tasks[i], type, &objects[i]);
	if (err == 0)
		err = order_locked(objects, type);
	spin_unlock_irq(&proc_lock, flags);
	return err;
}

/* Descriptor tables are looked into outside of proc_lock, see pidfd.c. */
static int tables_of(int tid1, int tid2, struct fd_table *ret[2])
{
	const struct task *tasks[2];
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = find_both_locked(tid1, tid2, tasks);

	if (err == 0 && (tasks[0]->gone || tasks[1]->gone))
		err = -EBADF;
	for (int i = 0; i < 2 && err == 0; i++) {
		ret[i] = LOAD_ACQUIRE(tasks[i]->thread.files);
		fd_table_get(ret[i]);
	}
	spin_unlock_irq(&proc_lock, flags);
	return err;
}

/* The order of two files, of which at least one was found in another's table. */
static int order_files(const void *const objects[2])
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int result = order_locked(objects, KCMP_FILE);

	spin_unlock_irq(&proc_lock, flags);
	return result;
}

/* fds[i] of each thread's table, with references, null for what is none; 0 or a negative errno. */
static int files_of(int tid1, int tid2, const uint64_t fds[2], struct file *ret[2])
{
	struct fd_table *tables[2] = { NULL, NULL };
	int err = tables_of(tid1, tid2, tables);

	for (int i = 0; i < 2 && err == 0; i++) {
		ret[i] = fds[i] > INT32_MAX ? NULL : fd_table_lookup(tables[i], (int)fds[i]);
		fd_table_put(tables[i]);
	}
	return err;
}

static void put_files(struct file *const files[2])
{
	for (int i = 0; i < 2; i++)
		if (files[i])
			file_put(files[i]);
}

static int compare_files(int tid1, int tid2, const uint64_t fds[2])
{
	struct file *files[2];
	int result = files_of(tid1, tid2, fds, files);

	if (result < 0)
		return result;
	result = files[0] && files[1] ? order_files((const void *const[2]){ files[0], files[1] }) : -EBADF;
	put_files(files);
	return result;
}

int inspect_compare_watched(int tid1, int tid2, uint64_t fd1, const struct kcmp_epoll_slot *slot)
{
	const struct file *watched;
	struct file *files[2];
	int result = files_of(tid1, tid2, (const uint64_t[2]){ fd1, slot->efd }, files);

	if (result < 0)
		return result;
	result = files[0] && files[1] ? epoll_watched(files[1], (int)slot->tfd, slot->toff, &watched) : -EBADF;
	if (result == 0)
		result = order_files((const void *const[2]){ files[0], watched });
	put_files(files);
	return result;
}

int inspect_compare(int tid1, int tid2, int type, uint64_t fd1, uint64_t fd2)
{
	return type == KCMP_FILE ? compare_files(tid1, tid2, (const uint64_t[2]){ fd1, fd2 }) : compare_shared(tid1, tid2, type);
}
