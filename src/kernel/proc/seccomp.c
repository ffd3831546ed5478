/* SPDX-License-Identifier: MIT */
/*
 * Which filters of system calls a thread has (seccomp(2)). Threads get them from the one that creates them, and never lose one.
 *
 * A thread looks at its own filters without a lock, while another of the process may just be giving it new ones (TSYNC). That is safe
 * because the new chain contains the old one and outlives the look: whoever installs it is alive, or has handed it on.
 *
 * Lock: the process's signal_lock, for changes and for the list of threads: a thread that is being created has its creator's filters
 * when it is on the list, and so cannot be missed.
 */
#include "proc_internal.h"
#include <cloudos/seccomp.h>

/* S: signal_lock. The reference is the caller's, and becomes t's. */
static void set_locked(struct task *t, uint8_t mode, struct seccomp_filter *f)
{
	struct seccomp_filter *old = t->seccomp;

	STORE_RELEASE(t->seccomp, f);
	STORE_RELEASE(t->seccomp_mode, mode);
	__atomic_fetch_or(&t->thread.work, THREAD_WORK_TRACE, __ATOMIC_RELEASE);
	seccomp_leave(old); /* never the last one: f is built on it */
}

void task_seccomp_inherit_locked(struct task *t)
{
	struct task *from = task_self();
	uint8_t mode = LOAD_ACQUIRE(from->seccomp_mode);
	struct seccomp_filter *f = LOAD_ACQUIRE(from->seccomp);

	t->no_new_privs = READ_ONCE(from->no_new_privs); /* after the filter was looked at: see synchronise_locked() */
	if (mode == SECCOMP_MODE_DISABLED)
		return;
	if (f)
		seccomp_join(f);
	set_locked(t, mode, f);
}

unsigned task_seccomp_depth(const struct task *t)
{
	const struct seccomp_filter *f = LOAD_ACQUIRE(t->seccomp);

	return f ? f->depth : 0;
}

int task_seccomp_strict(void)
{
	struct task *t = task_self();
	unsigned long flags = spin_lock_irq(&t->process->signal_lock);
	int err = -EINVAL;

	if (t->seccomp_mode == SECCOMP_MODE_DISABLED || t->seccomp_mode == SECCOMP_MODE_STRICT) {
		set_locked(t, SECCOMP_MODE_STRICT, NULL);
		err = 0;
	}
	spin_unlock_irq(&t->process->signal_lock, flags);
	return err;
}

/* The first thread whose filters are not those that `self` has now, or an earlier state of them; or null. */
static struct task *find_other_locked(struct task *self)
{
	struct task *t;

	list_for_each(t, &self->process->tasks, process_link)
		if (t != self && (t->seccomp_mode == SECCOMP_MODE_STRICT || !seccomp_is_ancestor(t->seccomp, self->seccomp)))
			return t;
	return NULL;
}

static void synchronise_locked(struct task *self, struct seccomp_filter *f)
{
	struct task *t;

	list_for_each(t, &self->process->tasks, process_link) {
		if (t == self)
			continue;
		if (READ_ONCE(self->no_new_privs))
			WRITE_ONCE(t->no_new_privs, true); /* first: who sees the filter sees this, too */
		seccomp_join(f);
		set_locked(t, SECCOMP_MODE_FILTER, f);
	}
}

int task_seccomp_install(struct seccomp_filter *f, bool all_threads)
{
	struct task *self = task_self(), *other = NULL;
	unsigned long flags = spin_lock_irq(&self->process->signal_lock);
	int result = 0;

	if (self->seccomp_mode == SECCOMP_MODE_STRICT)
		result = -EINVAL;
	else if (f->prev != self->seccomp)
		result = -EAGAIN;
	else if (all_threads && (other = find_other_locked(self)))
		result = pid_number_seen(other->id);
	if (result == 0) {
		if (all_threads)
			synchronise_locked(self, f);
		set_locked(self, SECCOMP_MODE_FILTER, f);
	}
	spin_unlock_irq(&self->process->signal_lock, flags);
	return result;
}
