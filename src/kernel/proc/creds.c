/* SPDX-License-Identifier: MIT */
/*
 * A thread's credentials change: the new ones are put in place under proc_lock, under which others look at them, and the old ones are
 * dropped afterwards. A process counts for the account of its real user id.
 */
#include "proc_internal.h"
#include <cloudos/creds.h>
#include <cloudos/user_namespace.h>

/* The whole process goes over to another user's account. */
static void switch_account(struct process *p, struct user_account *to)
{
	struct user_account *from = p->account;
	unsigned long flags = spin_lock_irq(&p->signal_lock);

	account_move(from, to, p->live);
	p->account = to;
	spin_unlock_irq(&p->signal_lock, flags);
	account_put(from);
}

/*
 * Are the new capabilities no more than the old ones gave? Over a namespace of one's own they gave all. Not so one that another made below: who has rights
 * over that one is not to come by what its visitor brings along.
 */
static bool gains_nothing(const struct cred *c, const struct cred *old)
{
	struct user_namespace *ns = c->user_ns, *up;

	if (ns == old->user_ns && !(c->cap_permitted & ~old->cap_permitted))
		return true;
	for (; ns != &user_namespace_first; ns = up) {
		up = namespace_owner(user_namespace_base(ns));
		if (up == old->user_ns && user_namespace_creator(ns) == old->euid)
			return true;
	}
	return false;
}

int creds_commit(struct cred *c)
{
	struct task *t = task_self();
	struct cred *old = t->thread.cred;
	struct user_account *account = NULL;
	bool guarded = c->euid != old->euid || c->egid != old->egid || c->fsuid != old->fsuid || c->fsgid != old->fsgid || !gains_nothing(c, old);
	unsigned long flags;

	if (c->uid != old->uid && t->tid == t->process->pid) {
		account = account_get(c->uid);
		if (!account) {
			cred_put(c);
			return -ENOMEM;
		}
	}
	flags = spin_lock_irq(&proc_lock);
	if (guarded)
		WRITE_ONCE(t->process->dumpable, 0); /* before the new ones let anybody look in (inspect.c) */
	t->thread.cred = c;
	spin_unlock_irq(&proc_lock, flags);
	if (account)
		switch_account(t->process, account);
	if (guarded)
		WRITE_ONCE(t->death_signal, 0);
	cred_put(old);
	return 0;
}

int creds_capabilities(int tid, struct creds_capabilities *ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = tid ? pid_lookup_locked(tid) : task_self()->id;
	const struct cred *c = e && e->task ? task_own_cred(e->task) : NULL;

	if (c)
		*ret = (struct creds_capabilities){ c->cap_effective, c->cap_permitted, c->cap_inheritable };
	spin_unlock_irq(&proc_lock, flags);
	return c ? 0 : -ESRCH;
}
