/* SPDX-License-Identifier: MIT */
/*
 * What a program asks of its own signals: actions, masks, waiting, the alternate stack, returning from a handler.
 *
 * The running thread alone changes its mask, under S (senders read it there). A thread in sigtimedwait(2) has the signals it waits
 * for unblocked while it sleeps, so that senders choose it; its mask is put back before the call returns.
 */
#include "proc_internal.h"

/* By the actions' lock. Senders and parents look at the first two without it. */
static void store(struct signal_action *slot, const struct signal_action *action)
{
	WRITE_ONCE(slot->handler, action->handler);
	WRITE_ONCE(slot->flags, action->flags);
	slot->restorer = action->restorer;
	slot->mask = action->mask & ~SIGNALS_UNBLOCKABLE;
}

void signal_actions_reset(struct signal_actions *a, bool ignored_too)
{
	spin_lock(&a->lock);
	for (int i = 0; i < SIGNAL_COUNT; i++) {
		bool keep = a->action[i].handler == SIGNAL_ACTION_IGNORE && !ignored_too;

		store(&a->action[i], &(struct signal_action){ .handler = keep ? SIGNAL_ACTION_IGNORE : SIGNAL_ACTION_DEFAULT });
	}
	spin_unlock(&a->lock);
}

void signal_actions_copy(struct signal_actions *to, struct signal_actions *from)
{
	spin_lock(&from->lock);
	memcpy(to->action, from->action, sizeof(to->action));
	spin_unlock(&from->lock);
}

int signal_set_action(int signo, const struct signal_action *action, struct signal_action *ret_old)
{
	struct process *p = process_self();
	struct signal_action *slot;
	struct task *t;
	unsigned long flags;

	if (!signal_valid(signo) || (action && (signal_bit(signo) & SIGNALS_UNBLOCKABLE)))
		return -EINVAL;
	flags = spin_lock_irq(&p->signal_lock);
	spin_lock(&p->actions->lock);
	slot = &p->actions->action[signo - 1];
	if (ret_old)
		*ret_old = *slot;
	if (action)
		store(slot, action);
	spin_unlock(&p->actions->lock);
	if (action && signal_ignored(p, signo)) { /* what is pending is discarded (POSIX.1-2017, 2.4.3) */
		signal_queue_flush_locked(p, &p->pending, signal_bit(signo));
		list_for_each(t, &p->tasks, process_link)
			signal_queue_flush_locked(p, &t->pending, signal_bit(signo));
	}
	spin_unlock_irq(&p->signal_lock, flags);
	return 0;
}

/* Signals of the process that this thread has just blocked: another thread may be able to take them. */
static void pass_on_locked(struct process *p, uint64_t newly)
{
	struct task *t;

	list_for_each(t, &p->tasks, process_link)
		if (p->pending.set & newly & ~t->blocked)
			signal_wake(t);
}

void signal_set_blocked(uint64_t mask)
{
	struct task *t = task_self();
	struct process *p = t->process;
	unsigned long flags;
	uint64_t newly;

	mask &= ~SIGNALS_UNBLOCKABLE;
	if (mask == t->blocked)
		return;
	flags = spin_lock_irq(&p->signal_lock);
	newly = mask & ~t->blocked;
	WRITE_ONCE(t->blocked, mask);
	if (unlikely((t->pending.set | p->pending.set) & ~mask))
		thread_post(&t->thread, THREAD_WORK_SIGNAL);
	if (unlikely(p->pending.set & newly) && p->task_count > 1)
		pass_on_locked(p, newly);
	spin_unlock_irq(&p->signal_lock, flags);
}

void signal_mask_begin(uint64_t mask)
{
	struct task *t = task_self();

	t->saved_blocked = t->blocked;
	signal_set_blocked(mask);
}

void signal_mask_end(bool interrupted)
{
	struct task *t = task_self();

	if (interrupted)
		thread_post(&t->thread, THREAD_WORK_RESTORE_MASK);
	else
		signal_set_blocked(t->saved_blocked);
}

uint64_t signal_pending_set(void)
{
	struct task *t = task_self();

	return (READ_ONCE(t->pending.set) | READ_ONCE(t->process->pending.set)) & t->blocked;
}

/* Takes one of `set`, or else begins to wait for them. */
static bool take_or_await(struct task *t, uint64_t set, struct signal_info *ret)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	bool got = signal_dequeue_locked(p, &t->pending, set, ret) || signal_dequeue_locked(p, &p->pending, set, ret);

	if (!got) {
		t->waiting_for = set;
		t->saved_blocked = t->blocked;
		WRITE_ONCE(t->blocked, t->blocked & ~set);
	}
	spin_unlock_irq(&p->signal_lock, flags);
	return got;
}

static bool take_awaited(struct task *t, uint64_t set, struct signal_info *ret)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	bool got;

	t->waiting_for = 0;
	WRITE_ONCE(t->blocked, t->saved_blocked);
	got = signal_dequeue_locked(p, &t->pending, set, ret) || signal_dequeue_locked(p, &p->pending, set, ret);
	spin_unlock_irq(&p->signal_lock, flags);
	return got;
}

int signal_wait(uint64_t set, uint64_t deadline_ns, struct signal_info *ret)
{
	struct task *t = task_self();
	bool in_time = true;

	set &= ~SIGNALS_UNBLOCKABLE;
	if (take_or_await(t, set, ret))
		return ret->signo;
	thread_prepare_sleep(THREAD_INTERRUPTIBLE);
	if (!thread_signal_pending() && deadline_ns > 0)
		in_time = thread_sleep(deadline_ns);
	thread_cancel_sleep();
	if (take_awaited(t, set, ret))
		return ret->signo;
	return in_time && deadline_ns > 0 ? -EINTR : -EAGAIN;
}

int signal_altstack(const struct hal_altstack *new, struct hal_altstack *ret_old)
{
	struct task *t = task_self();
	uaddr_t sp = hal_abi_sp(&t->user.regs);
	bool on = !(t->altstack.flags & (SS_DISABLE | SS_AUTODISARM)) && sp > t->altstack.sp &&
		  sp - t->altstack.sp <= t->altstack.size;
	uint32_t mode;

	if (ret_old) {
		*ret_old = t->altstack;
		ret_old->flags |= on ? SS_ONSTACK : 0;
	}
	if (!new)
		return 0;
	if (on)
		return -EPERM;
	mode = (uint32_t)new->flags & ~SS_AUTODISARM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		t->altstack = (struct hal_altstack){ .flags = SS_DISABLE };
		return 0;
	}
	if (new->size < MINSIGSTKSZ)
		return -ENOMEM;
	t->altstack = (struct hal_altstack){ .sp = new->sp, .size = new->size,
					     .flags = (int32_t)((uint32_t)new->flags & SS_AUTODISARM) };
	return 0;
}

int64_t signal_return(void)
{
	struct task *t = task_self();
	struct hal_altstack altstack;
	struct signal_info segv;
	uint64_t blocked;
	int64_t result;

	if (hal_abi_signal_pop(&t->user, &blocked, &altstack) < 0) {
		signal_info_kernel(&segv, SIGSEGV);
		signal_force(&segv);
		return 0;
	}
	signal_set_blocked(blocked);
	(void)signal_altstack(&altstack, NULL); /* Linux, too, ignores what does not make sense in it */
	result = hal_abi_result(&t->user.regs);
	if (unlikely(result <= -ERESTARTSYS && result >= -ERESTART_BLOCK)) { /* the program's own, not a call's result */
		t->no_restart = true;
		thread_post(&t->thread, THREAD_WORK_SIGNAL);
	}
	return result;
}
