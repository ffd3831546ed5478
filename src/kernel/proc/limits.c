/* SPDX-License-Identifier: MIT */
/* Resource limits (getrlimit(2)), and the selection of processes for setpriority(2). */
#include "proc_internal.h"
#include <cloudos/limits.h>
#include <cloudos/user_namespace.h>
#include <cloudos/vm.h>
#include <linux/capability.h>

#define FILES_LIMIT_MAX 1048576 /* Linux's fs.nr_open */

/* The same user in every respect, or CAP_SYS_RESOURCE. */
static bool may_limit(struct task *t)
{
	const struct cred *own = thread_current()->cred, *other;
	unsigned long flags;
	bool same;

	if (t->process == process_self())
		return true;
	flags = spin_lock_irq(&proc_lock);
	other = task_own_cred(t);
	same = cred_capable_over(own, other->user_ns, CAP_SYS_RESOURCE) ||
	       (own->uid == other->uid && own->uid == other->euid && own->uid == other->suid &&
	       own->gid == other->gid && own->gid == other->egid && own->gid == other->sgid);
	spin_unlock_irq(&proc_lock, flags);
	return same;
}

static int check(const struct rlimit64 *old, const struct rlimit64 *new, unsigned resource)
{
	if (new->rlim_cur > new->rlim_max)
		return -EINVAL;
	if (resource == RLIMIT_NOFILE && new->rlim_max > FILES_LIMIT_MAX)
		return -EPERM;
	if (new->rlim_max > old->rlim_max && !cred_capable(thread_current()->cred, CAP_SYS_RESOURCE))
		return -EPERM;
	return 0;
}

/* The address space keeps copies of what faults and brk need. */
static void tell_space(struct process *p, unsigned resource, uint64_t limit)
{
	struct vm_space *s;

	if (resource != RLIMIT_AS && resource != RLIMIT_DATA && resource != RLIMIT_STACK)
		return;
	s = process_get_vm(p);
	if (!s)
		return;
	if (resource == RLIMIT_AS)
		WRITE_ONCE(s->limit_as, limit);
	else if (resource == RLIMIT_DATA)
		WRITE_ONCE(s->limit_data, limit);
	else
		WRITE_ONCE(s->limit_stack, limit);
	vm_space_put(s);
}

static int change(struct process *p, unsigned resource, const struct rlimit64 *new, struct rlimit64 *ret_old)
{
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	int err = new ? check(&p->limits[resource], new, resource) : 0;

	if (err == 0) {
		*ret_old = p->limits[resource];
		if (new)
			p->limits[resource] = *new;
	}
	spin_unlock_irq(&p->signal_lock, flags);
	if (err < 0 || !new)
		return err;
	tell_space(p, resource, new->rlim_cur);
	if (resource == RLIMIT_CPU && p == process_self())
		cpu_limit_arm(p);
	return 0;
}

int process_prlimit(int pid, unsigned resource, const struct rlimit64 *new, struct rlimit64 *ret_old)
{
	struct task *t;
	int err;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (pid == 0 || pid == process_number(process_self()))
		return change(process_self(), resource, new, ret_old);
	t = task_find(pid);
	if (!t)
		return -ESRCH;
	err = may_limit(t) ? change(t->process, resource, new, ret_old) : -EPERM;
	task_put(t);
	return err;
}

bool task_may_schedule_locked(const struct task *t)
{
	const struct cred *own = thread_current()->cred, *other = task_own_cred(t);

	return own->euid == other->euid || own->euid == other->uid || cred_capable_over(own, other->user_ns, CAP_SYS_NICE);
}

bool task_may_schedule(const struct task *t)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool may = task_may_schedule_locked(t);

	spin_unlock_irq(&proc_lock, flags);
	return may;
}

static int each_of_group_locked(int pgid, void (*fn)(struct task *t, void *arg), void *arg)
{
	struct pid_entry *group = pgid ? pid_lookup_locked(pgid) : process_self()->group;
	struct process *p;
	int n = 0;

	if (!group)
		return 0;
	list_for_each(p, &group->members, group_link) {
		struct task *t = process_any_task_locked(p);

		if (!t)
			continue;
		fn(t, arg);
		n++;
	}
	return n;
}

static int each_of_user_locked(uint32_t uid, void (*fn)(struct task *t, void *arg), void *arg)
{
	int n = 0;

	struct pid_namespace *ns = pid_namespace_current();

	for (int pid = pid_next_in_locked(ns, 0); pid > 0; pid = pid_next_in_locked(ns, pid)) {
		struct task *t = process_any_task_locked(pid_lookup_in_locked(ns, pid)->process);

		if (!t || task_own_cred(t)->uid != uid)
			continue;
		fn(t, arg);
		n++;
	}
	return n;
}

int task_for_each_priority(int which, int who, void (*fn)(struct task *t, void *arg), void *arg)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e;
	int n = 0;

	switch (which) {
	case PRIO_PROCESS:
		e = who ? pid_lookup_locked(who) : task_self()->id;
		if (e && e->task) {
			fn(e->task, arg);
			n = 1;
		}
		break;
	case PRIO_PGRP:
		n = each_of_group_locked(who, fn, arg);
		break;
	case PRIO_USER:
		n = each_of_user_locked(who ? uid_in((uint32_t)who) : thread_current()->cred->uid, fn, arg);
		break;
	default:
		n = -EINVAL;
	}
	spin_unlock_irq(&proc_lock, flags);
	return n;
}
