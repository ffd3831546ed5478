/* SPDX-License-Identifier: MIT */
/*
 * Namespaces of process numbers (pid_namespaces(7)). They form a tree; a process has a number in the one that it was born in, and in all
 * above, where it is seen, too. Number 1 of each is its init:
 *
 *   P1 Orphans go to the init of the namespace of their parent, or to a subreaper on the way there.
 *   P2 Signals that it has no handler for do not reach it from inside; SIGKILL and SIGSTOP from above do.
 *   P3 With its end nobody comes any more (-ENOMEM), all others are killed, and it is not gone before they are.
 *
 * A process never changes its namespace: unshare(2) and setns(2) change that of children to come.
 *
 * Locking: `init`, `ended`, `used` and the table are by proc_lock. Entries, processes and those who want to give birth in it hold it.
 */
#include "proc_internal.h"
#include <cloudos/child.h>
#include <linux/sched.h>

static void destroy(struct namespace *base);

static struct namespace *parent(struct namespace *base)
{
	struct pid_namespace *up = pid_namespace_of(base)->parent;

	return up && pid_namespace_in(up, pid_namespace_current()) ? &up->base : NULL;
}

static const struct namespace_kind kind = { "pid", CLONE_NEWPID, destroy, parent };

struct pid_namespace pid_namespace_first = {
	.base = { .kind = &kind, .refs = { 1 }, .number = UINT32_C(0xeffffffc) }, /* Linux's number of it */
	.next = 1,
	.emptied = WAIT_QUEUE_INIT(pid_namespace_first.emptied),
};

struct pid_namespace *pid_namespace_of(struct namespace *base)
{
	return base->kind == &kind ? (struct pid_namespace *)(void *)base : NULL;
}

struct pid_namespace *pid_namespace_current(void)
{
	struct process *p = process_current();

	return p ? p->pid_ns : &pid_namespace_first;
}

/* A parent's last reference may be its child's: the chain is as long as the tree is deep. */
static void destroy(struct namespace *base)
{
	struct pid_namespace *ns = pid_namespace_of(base), *up = ns->parent;

	ASSERT(ns->used == 0 && !ns->init);
	kfree(ns);
	namespace_put(&up->base);
}

int pid_namespace_create(struct pid_namespace *up, struct user_namespace *owner, struct pid_namespace **ret)
{
	struct pid_namespace *ns;
	int err;

	if (!user_namespace_in(owner, namespace_owner(&up->base)))
		return -EINVAL;
	if (up->level == PID_NAMESPACE_DEPTH)
		return -ENOSPC;
	ns = kzalloc(sizeof(*ns));
	if (!ns)
		return -ENOMEM;
	err = namespace_init(&ns->base, &kind, user_namespace_base(owner));
	if (err < 0) {
		kfree(ns);
		return err;
	}
	ns->level = up->level + 1;
	ns->next = 1;
	wait_queue_init(&ns->emptied);
	namespace_get(&up->base);
	ns->parent = up;
	*ret = ns;
	return 0;
}

bool pid_namespace_in(const struct pid_namespace *ns, const struct pid_namespace *top)
{
	while (ns && ns->level > top->level)
		ns = ns->parent;
	return ns == top;
}

/* ---- the end ---- */

static bool only_init_left(struct pid_namespace *ns, const struct task *t)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool only = ns->used == (t->id == t->process->id ? 1 : 2);

	spin_unlock_irq(&proc_lock, flags);
	return only;
}

/* Nobody is born here from now on, and all but the running process are to die. Its zombies go at once, but for those that are a tracer's first. */
static void end_locked(struct pid_namespace *ns, struct list *reaped)
{
	struct process *self = process_self(), *p, *tmp;
	struct signal_info info;

	ns->ended = true;
	signal_info_kernel(&info, SIGKILL);
	for (int n = pid_next_in_locked(ns, 1); n > 0; n = pid_next_in_locked(ns, n)) {
		p = pid_lookup_in_locked(ns, n)->process;
		if (p != self)
			(void)signal_send_process(p, &info);
	}
	list_for_each_safe(p, tmp, &self->children, sibling) {
		if (p->state != PROCESS_ZOMBIE || p->traced_leader)
			continue;
		process_reap_locked(p);
		list_add_tail(reaped, &p->sibling);
	}
}

void pid_namespace_end(struct task *t)
{
	struct pid_namespace *ns = t->process->pid_ns;
	struct list reaped = LIST_INIT(reaped);
	unsigned long flags = spin_lock_irq(&proc_lock);

	end_locked(ns, &reaped);
	spin_unlock_irq(&proc_lock, flags);
	process_put_list(&reaped);
	wait_event(&ns->emptied, only_init_left(ns, t));
	flags = spin_lock_irq(&proc_lock);
	ns->init = NULL;
	if (ns->reboot_signal)
		t->process->exit_status = ns->reboot_signal;
	spin_unlock_irq(&proc_lock, flags);
}

bool pid_namespace_capable(unsigned capability)
{
	return cred_capable_over(thread_current()->cred, namespace_owner(&pid_namespace_current()->base), capability);
}

void pid_namespace_reboot(int signo)
{
	struct pid_namespace *ns = pid_namespace_current();
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct signal_info info;

	signal_info_kernel(&info, SIGKILL);
	if (ns->init && !ns->reboot_signal) {
		ns->reboot_signal = signo;
		(void)signal_send_process(ns->init, &info);
	}
	spin_unlock_irq(&proc_lock, flags);
	process_exit_group(0);
}
