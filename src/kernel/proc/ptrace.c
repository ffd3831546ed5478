/* SPDX-License-Identifier: MIT */
/*
 * Who traces whom (ptrace(2)). The tie is between two threads:
 *
 *   tracer->tracees ---> tracee->trace.link      with a reference to the tracee
 *   tracer <------------ tracee->trace.tracer
 *
 * It begins with PTRACE_TRACEME, PTRACE_ATTACH or PTRACE_SEIZE, or with the birth of a tracee's child, and ends when the tracer detaches or
 * ends, or has waited for a tracee that has ended (ptrace_wait.c).
 *
 *   running -- ptrace_stop.c: a signal, a call, an event --> stopped: the tracer is told, wait() reports it once
 *   stopped -- PTRACE_CONT and its kin, PTRACE_DETACH, the tracer's end, SIGKILL --> running
 *   stopped by PTRACE_EVENT_STOP -- PTRACE_LISTEN --> listening -- SIGCONT, PTRACE_INTERRUPT --> stopped again
 *
 * I1  A thread that is stopped has lent its registers (hal_user_lend) before it can be seen to be, and passes through proc_lock before it
 *     takes them back. So whoever holds proc_lock and finds it stopped may read and write them, and all of `trace`.
 * I2  A tracer that ends lets go of its tracees before it stops, itself, for PTRACE_EVENT_EXIT: threads that trace each other end.
 * I3  All traced threads have THREAD_WORK_TRACE, so that calls of others pay nothing for this (syscall/dispatch.c).
 *
 * Lock: proc_lock, for all of it, but for what task.h says otherwise.
 */
#include "ptrace_internal.h"
#include <cloudos/vm.h>
#include <linux/capability.h>

/* ---- beginnings ---- */

void trace_link_locked(struct task *t, struct task *tracer, struct cred *cred, bool seized, uint32_t options)
{
	struct task_trace *tr = &t->trace;

	WRITE_ONCE(tr->options, options);
	WRITE_ONCE(tr->seized, seized);
	WRITE_ONCE(tr->resumed, PTRACE_CONT);
	cred_get(cred);
	tr->cred = cred;
	refcount_get(&t->refs);
	list_add_tail(&tracer->tracees, &tr->link);
	WRITE_ONCE(tr->tracer, tracer);
	__atomic_fetch_or(&t->thread.work, THREAD_WORK_TRACE, __ATOMIC_SEQ_CST);
}

int trace_number(const struct task *t, const struct pid_entry *id)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int number = t->trace.tracer ? pid_number_in(id, t->trace.tracer->process->pid_ns) : 0;

	spin_unlock_irq(&proc_lock, flags);
	return number;
}

/* The thread that made the running process, if it is still there; else another of the parent's. */
static struct task *parent_task_locked(struct process *p)
{
	struct pid_entry *e = pid_lookup_global_locked(p->creator_tid);

	if (!p->parent)
		return NULL;
	if (e && e->task && e->task->process == p->parent && !e->task->traces_no_more)
		return e->task;
	return process_any_task_locked(p->parent);
}

/* As when it would attach, but for the ids: a child may be another user's by now. */
static bool may_trace_child_locked(const struct task *tracer, const struct task *child)
{
	const struct cred *own = tracer->thread.cred, *other = child->thread.cred;

	return cred_capable_over(own, other->user_ns, CAP_SYS_PTRACE) ||
	       (own->user_ns == other->user_ns && !(other->cap_permitted & ~own->cap_permitted));
}

int ptrace_traceme(void)
{
	struct task *self = task_self(), *tracer;
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = -EPERM;

	tracer = parent_task_locked(self->process);
	if (!self->trace.tracer && tracer && !tracer->traces_no_more && may_trace_child_locked(tracer, self)) {
		trace_link_locked(self, tracer, self->thread.cred, false, 0);
		err = 0;
	}
	spin_unlock_irq(&proc_lock, flags);
	return err;
}

/* A thread that has stopped with its process looks again, and finds that it has a tracer to tell. */
static void begin_tracing_locked(struct task *t, bool seize)
{
	struct signal_info stop;

	if (!seize) {
		signal_info_kernel(&stop, SIGSTOP);
		(void)signal_send_task(t, &stop);
	}
	if (READ_ONCE(t->process->stop_signal))
		thread_wake_state(&t->thread, THREAD_STOPPED);
}

static int attach_locked(struct task *t, bool seize, uint32_t options)
{
	int err;

	if (!t)
		return -ESRCH;
	if (t->process == process_self() || t->worker)
		return -EPERM;
	err = inspect_check_locked(t, INSPECT_REAL);
	if (err < 0)
		return err;
	if (t->gone || t->trace.tracer)
		return -EPERM;
	trace_link_locked(t, task_self(), thread_current()->cred, seize, options);
	begin_tracing_locked(t, seize);
	return 0;
}

int ptrace_attach(int tid, bool seize, uint32_t options)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_locked(tid);
	int err = attach_locked(e ? e->task : NULL, seize, options);

	spin_unlock_irq(&proc_lock, flags);
	return err;
}

/* The child of a traced thread: its tracer's, too. Both are stopped before they run on: the parent in the event, the child at its start. */
void trace_inherit_locked(struct task *child, struct task *from)
{
	struct process *p = child->process;
	struct task_trace *tr = &from->trace;
	struct signal_info stop;
	unsigned long flags;

	if (!tr->tracer || tr->tracer->traces_no_more)
		return;
	trace_link_locked(child, tr->tracer, tr->cred, tr->seized, tr->options);
	if (tr->seized) {
		__atomic_fetch_or(&child->trace.interrupt, TRACE_INTERRUPT, __ATOMIC_RELAXED);
	} else {
		signal_info_kernel(&stop, SIGSTOP);
		flags = spin_lock_irq(&p->signal_lock);
		(void)signal_queue_add_locked(p, &child->pending, &stop);
		spin_unlock_irq(&p->signal_lock, flags);
	}
	thread_post(&child->thread, THREAD_WORK_SIGNAL);
}

/* ---- ends ---- */

/* Its process may have stopped meanwhile: then it does so, too. */
void trace_unlink_locked(struct task *t)
{
	struct task_trace *tr = &t->trace;

	if (tr->state != TRACE_RUNNING)
		hal_abi_step(&t->user, false);
	list_del(&tr->link);
	WRITE_ONCE(tr->tracer, NULL);
	cred_put(tr->cred);
	tr->cred = NULL;
	WRITE_ONCE(tr->options, 0);
	tr->code = 0;
	WRITE_ONCE(tr->interrupt, 0);
	WRITE_ONCE(tr->state, TRACE_RUNNING);
	thread_post(&t->thread, THREAD_WORK_SIGNAL);
	thread_wake_state(&t->thread, THREAD_STOPPED);
}

int ptrace_detach(int tid, int signo)
{
	unsigned long flags;
	struct task *t;

	if (signo && !signal_valid(signo))
		return -EIO;
	flags = spin_lock_irq(&proc_lock);
	t = trace_find_stopped_locked(tid);
	if (t) {
		t->trace.signal = signo;
		trace_unlink_locked(t);
	}
	spin_unlock_irq(&proc_lock, flags);
	if (!t)
		return -ESRCH;
	task_put(t);
	return 0;
}

/* Its tracer ends. A signal of which that has not been told yet is delivered as if nobody had traced. */
static void abandon_locked(struct task *t)
{
	if (t->trace.state != TRACE_RUNNING && !t->trace.code)
		t->trace.signal = 0;
	if (t->trace.options & PTRACE_O_EXITKILL)
		signal_process(t->process, SIGKILL);
	trace_unlink_locked(t);
}

/* One tracee less; false: there are no more. */
static bool let_go(struct task *self)
{
	struct list released = LIST_INIT(released), reaped = LIST_INIT(reaped);
	struct task *t = NULL, *living = NULL;
	unsigned long flags = spin_lock_irq(&proc_lock);

	self->traces_no_more = true;
	if (!list_empty(&self->tracees)) {
		t = list_first(&self->tracees, struct task, trace.link);
		if (t->trace.dead) {
			trace_forget_locked(t, &released, &reaped);
		} else {
			living = t;
			abandon_locked(t);
		}
	}
	spin_unlock_irq(&proc_lock, flags);
	trace_released_put(&released, &reaped);
	if (living)
		task_put(living);
	return t != NULL;
}

void trace_tracer_exits(struct task *self)
{
	while (let_go(self))
		;
}

/* ---- set-user-id programs ---- */

/* Has its tracer CAP_SYS_PTRACE over it? */
static bool trace_capable_locked(const struct task *t)
{
	return cred_capable_over(t->trace.cred, t->thread.cred->user_ns, CAP_SYS_PTRACE);
}

bool trace_confines_locked(const struct task *t)
{
	return t->trace.tracer && !trace_capable_locked(t);
}

bool trace_confines(const struct task *t)
{
	unsigned long flags;
	bool confined;

	if (!ptrace_is_traced(t))
		return false;
	flags = spin_lock_irq(&proc_lock);
	confined = trace_confines_locked(t);
	spin_unlock_irq(&proc_lock, flags);
	return confined;
}
