/* SPDX-License-Identifier: MIT */
/* What a tracer asks of its tracees. All but PTRACE_KILL and PTRACE_INTERRUPT want them stopped (ptrace.c, I1); lock: proc_lock. */
#include "ptrace_internal.h"
#include <cloudos/vm.h>

struct task *trace_find_locked(int tid)
{
	struct pid_entry *e = pid_lookup_locked(tid);

	return e && e->task && e->task->trace.tracer == task_self() ? e->task : NULL;
}

struct task *trace_find_stopped_locked(int tid)
{
	struct task *t = trace_find_locked(tid);

	return t && t->trace.state == TRACE_STOPPED ? t : NULL;
}

int ptrace_with(int tid, int (*fn)(struct task *t, void *arg), void *arg)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *t = trace_find_stopped_locked(tid);
	int result = t ? fn(t, arg) : -ESRCH;

	spin_unlock_irq(&proc_lock, flags);
	return result;
}

/* ---- going on ---- */

struct resumption {
	int request, signo;
};

static int resume_locked(struct task *t, void *arg)
{
	const struct resumption *r = arg;
	struct task_trace *tr = &t->trace;

	if (r->signo && !signal_valid(r->signo))
		return -EIO;
	WRITE_ONCE(tr->resumed, (uint8_t)r->request);
	tr->signal = r->signo;
	tr->code = 0;
	hal_abi_step(&t->user, r->request == PTRACE_SINGLESTEP);
	WRITE_ONCE(tr->state, TRACE_RUNNING);
	thread_wake_state(&t->thread, THREAD_STOPPED);
	return 0;
}

int ptrace_resume(int tid, int request, int signo)
{
	struct resumption r = { request, signo };

	return ptrace_with(tid, resume_locked, &r);
}

static bool in_event_stop(const struct task *t)
{
	return t->trace.seized && t->trace.has_info && t->trace.info.code >> 8 == PTRACE_EVENT_STOP;
}

static int listen_locked(struct task *t, void *arg)
{
	(void)arg;
	if (!in_event_stop(t))
		return -EIO;
	WRITE_ONCE(t->trace.state, TRACE_LISTENING);
	thread_wake_state(&t->thread, THREAD_STOPPED); /* what it listens for may have come already */
	return 0;
}

int ptrace_listen(int tid)
{
	return ptrace_with(tid, listen_locked, NULL);
}

int ptrace_kill(int tid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *t = trace_find_locked(tid);

	if (t)
		signal_process(t->process, SIGKILL);
	spin_unlock_irq(&proc_lock, flags);
	return t ? 0 : -ESRCH;
}

int ptrace_interrupt(int tid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *t = trace_find_locked(tid);
	int err = !t ? -ESRCH : t->trace.seized ? 0 : -EIO;

	if (err == 0)
		trace_interrupt(t, TRACE_INTERRUPT);
	spin_unlock_irq(&proc_lock, flags);
	return err;
}

/* ---- looking and changing ---- */

static int set_options_locked(struct task *t, void *arg)
{
	WRITE_ONCE(t->trace.options, *(const uint32_t *)arg);
	return 0;
}

int ptrace_set_options(int tid, uint32_t options)
{
	return ptrace_with(tid, set_options_locked, &options);
}

/*
 * A program that is not for all to see is seen by a tracer with CAP_SYS_PTRACE alone, over the namespace that the program was executed in (inspect.c),
 * also when it was traced before it became that.
 */
static int get_vm_locked(struct task *t, void *arg)
{
	struct vm_space *s = t->gone ? NULL : LOAD_ACQUIRE(t->thread.vm);

	if (!s)
		return -ESRCH;
	if (!inspect_dumpable_to_locked(t, t->trace.cred))
		return -EPERM;
	vm_space_get(s);
	*(struct vm_space **)arg = s;
	return 0;
}

int ptrace_get_vm(int tid, struct vm_space **ret)
{
	return ptrace_with(tid, get_vm_locked, ret);
}

struct peek {
	bool shared;
	uint64_t off;
	unsigned n;
	struct signal_info *ret;
};

static int peek_locked(struct task *t, void *arg)
{
	const struct peek *k = arg;
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct signal_entry *e;
	uint64_t at = 0;
	unsigned done = 0;

	list_for_each(e, k->shared ? &p->pending.entries : &t->pending.entries, link) {
		if (done == k->n)
			break;
		if (at++ >= k->off)
			signal_info_shown(&e->info, t->thread.cred->user_ns, &k->ret[done++]);
	}
	spin_unlock_irq(&p->signal_lock, flags);
	return (int)done;
}

int ptrace_peek_signals(int tid, bool shared, uint64_t off, unsigned n, struct signal_info *ret)
{
	struct peek k = { shared, off, n, ret };

	return ptrace_with(tid, peek_locked, &k);
}

/* A mask that a call has put in place for its length, and that is to be taken back, is not the thread's. */
static int set_mask_locked(struct task *t, void *arg)
{
	unsigned long flags = spin_lock_irq(&t->process->signal_lock);
	uint64_t mask = *(const uint64_t *)arg & ~SIGNALS_UNBLOCKABLE;

	__atomic_fetch_and(&t->thread.work, ~(uint32_t)THREAD_WORK_RESTORE_MASK, __ATOMIC_ACQ_REL);
	WRITE_ONCE(t->blocked, mask);
	spin_unlock_irq(&t->process->signal_lock, flags);
	thread_post(&t->thread, THREAD_WORK_SIGNAL);
	return 0;
}

int ptrace_set_mask(int tid, uint64_t mask)
{
	return ptrace_with(tid, set_mask_locked, &mask);
}
