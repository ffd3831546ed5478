/* SPDX-License-Identifier: MIT */
/*
 * Workers: threads of a process that run kernel code alone, for what its tasks have asked for asynchronously. A worker is a task like any
 * other, so that it sees the memory, the files and the limits of its process, and stops, ends and is counted with it. Only SIGKILL and
 * SIGSTOP reach it, and it has no user mode to return to, where those would be seen to: it asks by itself. Once its task waits for it to go, only
 * SIGKILL does: the task cannot stop before (stop.c).
 */
#include "proc_internal.h"

static void setup(struct task *t, void *async)
{
	t->worker = true;
	t->async = async;
	t->blocked = ~SIGNALS_UNBLOCKABLE;
}

int task_worker_start(const char *name, void (*fn)(void *task), struct async_task *async)
{
	return task_clone_thread(name, fn, setup, async);
}

bool task_worker_pending(void)
{
	return thread_signal_pending();
}

void task_worker_settle(void)
{
	signal_deliver(task_self(), false);
}

void task_workers_go_on(const struct async_task *async)
{
	struct process *p = process_self();
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct task *t;

	list_for_each(t, &p->tasks, process_link)
		if (t->worker && READ_ONCE(t->async) == async)
			thread_wake_state(&t->thread, THREAD_STOPPED);
	spin_unlock_irq(&p->signal_lock, flags);
}

void task_worker_exit(void)
{
	task_exit(0);
}

void task_act_as(struct cred *c)
{
	struct task *t = task_self();
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct cred *own = task_own_cred(t);

	t->own_cred = c ? own : NULL;
	t->thread.cred = c ? c : own;
	spin_unlock_irq(&proc_lock, flags);
}
