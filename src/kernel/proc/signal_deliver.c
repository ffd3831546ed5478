/* SPDX-License-Identifier: MIT */
/*
 * Delivering signals: what a thread does about them on its way to user mode. It takes the deliverable signals one by one: default
 * actions are carried out (the program ends, stops, goes on), handlers get a frame each. An interrupted system call is settled
 * first, since the frame holds the registers that the handler returns to:
 *
 *   the call returned      no handler ran        a handler runs
 *   -ERESTARTSYS           run it again          again if SA_RESTART, else EINTR
 *   -ERESTARTNOINTR        again                 again
 *   -ERESTARTNOHAND        again                 EINTR
 *   -ERESTART_BLOCK        restart_syscall(2)    EINTR
 *
 * A tracer sees each signal before that (ptrace_stop.c), and the call as its architecture's debuggers are used to: as it was interrupted, or
 * (HAL_ABI_RESTART_FIRST) as if it was to be made again. In both cases what it makes of the registers is what counts.
 */
#define LOG_SUBSYSTEM "proc"
#include "proc_internal.h"
#include <cloudos/child.h>
#include <cloudos/ptrace.h>
#include <cloudos/vm.h>
#include <asm/unistd.h>

/* Default actions that are worth a line in the log: the program went wrong. */
#define SIGNALS_REPORTED (SIGNALS_SYNCHRONOUS | signal_bit(SIGABRT) | signal_bit(SIGXCPU) | signal_bit(SIGXFSZ))

static const char *signal_name(int signo)
{
	static const char *const names[] = {
		[SIGILL] = "SIGILL", [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT", [SIGBUS] = "SIGBUS",
		[SIGFPE] = "SIGFPE", [SIGSEGV] = "SIGSEGV", [SIGXCPU] = "SIGXCPU", [SIGXFSZ] = "SIGXFSZ",
		[SIGSYS] = "SIGSYS",
	};

	return signo < (int)ARRAY_SIZE(names) && names[signo] ? names[signo] : "signal";
}

void process_die(const struct signal_info *info)
{
	struct task *t = task_self();
	bool fault = (signal_bit(info->signo) & SIGNALS_SYNCHRONOUS) && info->code > 0;

	hal_user_sync(&t->user);
	if (signal_bit(info->signo) & SIGNALS_REPORTED)
		log_limited(LOG_INFO, 10, "%s[%d] died of %s (%d), code %d, address %#lx, pc %#lx, sp %#lx",
			    t->thread.name, t->tid, signal_name(info->signo), info->signo, info->code,
			    fault ? (unsigned long)(uintptr_t)info->fields._sigfault._addr : 0UL,
			    (unsigned long)hal_abi_pc(&t->user.regs), (unsigned long)hal_abi_sp(&t->user.regs));
	process_exit_group(coredump_write(t, info) ? info->signo | EXIT_STATUS_CORE : info->signo);
}

static void default_stop(struct task *t, int signo, uint32_t continues)
{
	struct process *p = t->process;
	unsigned long flags;

	if (signo != SIGSTOP && process_group_orphaned(process_pgid(p)))
		return;
	flags = spin_lock_irq(&p->signal_lock);
	if (p->continues == continues)
		stop_begin_locked(p, signo);
	spin_unlock_irq(&p->signal_lock, flags);
}

/* One signal that was taken, and what the program wants done with it. */
struct taken {
	struct signal_info info;
	struct signal_action action;
	uint32_t continues;
	bool more; /* others are deliverable */
	bool seen; /* a tracer is to see it first: `action` is not filled in yet */
};

static void take_action_locked(struct process *p, struct taken *ret)
{
	struct signal_action *action = &p->actions->action[ret->info.signo - 1];

	spin_lock(&p->actions->lock);
	ret->action = *action;
	if (action->handler > SIGNAL_ACTION_IGNORE && (action->flags & SA_RESETHAND))
		WRITE_ONCE(action->handler, SIGNAL_ACTION_DEFAULT);
	spin_unlock(&p->actions->lock);
}

static bool take_signal(struct task *t, struct taken *ret)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	bool traced = ptrace_is_traced(t);
	bool any = signal_dequeue_locked(p, &t->pending, ~t->blocked, &ret->info) ||
		   signal_dequeue_locked(p, &p->pending, ~t->blocked, &ret->info);

	ret->more = ((t->pending.set | p->pending.set) & ~t->blocked) != 0;
	if (any) {
		ret->continues = p->continues;
		if (!traced)
			take_action_locked(p, ret);
	}
	spin_unlock_irq(&p->signal_lock, flags);
	ret->seen = any && traced;
	return any;
}

/* A signal of a traced thread: shows it to the tracer; false: it is not to be delivered. */
static bool show_signal(struct task *t, struct taken *s)
{
	struct process *p = t->process;
	unsigned long flags;

	s->more = true;
	if (!trace_signal(t, &s->info))
		return false;
	flags = spin_lock_irq(&p->signal_lock);
	take_action_locked(p, s);
	spin_unlock_irq(&p->signal_lock, flags);
	return true;
}

/* Carries out a signal without a handler. May not return. */
static void default_action(struct task *t, const struct taken *s)
{
	uint64_t bit = signal_bit(s->info.signo);
	bool forced = (bit & SIGNALS_SYNCHRONOUS) && s->info.code > 0;

	if (s->action.handler == SIGNAL_ACTION_IGNORE || (bit & SIGNALS_IGNORED_BY_DEFAULT))
		return;
	if (t->process->is_init && !forced && s->info.signo != SIGSTOP) /* which did not get here but from above */
		return;
	if (bit & SIGNALS_STOP)
		default_stop(t, s->info.signo, s->continues);
	else
		process_die(&s->info);
}

static void settle_call(struct task *t, bool handler, uint64_t handler_flags)
{
	struct hal_regs *regs = &t->user.regs;
	int64_t result = hal_abi_result(regs);

	if (unlikely(!hal_abi_in_call(regs)))
		return;
	switch (result) {
	case -ERESTARTNOHAND:
	case -ERESTART_BLOCK:
	case -ERESTARTSYS:
		if (handler && (result != -ERESTARTSYS || !(handler_flags & SA_RESTART))) {
			hal_abi_set_result(regs, -EINTR);
			return;
		}
		if (result == -ERESTART_BLOCK) {
			hal_abi_restart_as(regs, __NR_restart_syscall);
			return;
		}
		/* fall through */
	case -ERESTARTNOINTR:
		hal_abi_restart(regs);
		return;
	default:
		return;
	}
}

static bool wants_restart(int64_t result)
{
	return result == -ERESTARTNOHAND || result == -ERESTART_BLOCK || result == -ERESTARTSYS || result == -ERESTARTNOINTR;
}

/*
 * How a traced thread's interrupted call is settled where debuggers see it set back: before its tracer sees it (`pc` and `result` say what was
 * done), and once more when a handler runs that makes it EINTR, unless the tracer has put the thread elsewhere.
 */
struct set_back {
	uaddr_t pc; /* 0: nothing was done */
	int64_t result;
};

static bool set_call_back(struct task *t, struct set_back *ret)
{
	struct hal_regs *regs = &t->user.regs;
	int64_t result = hal_abi_result(regs);

	if (!HAL_ABI_RESTART_FIRST || !ptrace_is_traced(t) || !wants_restart(result))
		return false;
	settle_call(t, false, 0);
	*ret = (struct set_back){ hal_abi_pc(regs), result };
	return true;
}

/* A debugger may have put the registers of an interrupted call back, having used the thread for something else meanwhile. */
static bool call_put_back(const struct task *t)
{
	return !HAL_ABI_RESTART_FIRST && hal_abi_in_call(&t->user.regs);
}

static void settle_set_back(struct task *t, const struct set_back *b, uint64_t handler_flags)
{
	struct hal_regs *regs = &t->user.regs;

	if (!b->pc || hal_abi_pc(regs) != b->pc || b->result == -ERESTARTNOINTR ||
	    (b->result == -ERESTARTSYS && (handler_flags & SA_RESTART)))
		return;
	hal_abi_set_pc(regs, hal_abi_behind_call(b->pc));
	hal_abi_set_result(regs, -EINTR);
}

static bool on_altstack(struct task *t)
{
	uaddr_t sp;

	hal_user_sync(&t->user);
	sp = hal_abi_sp(&t->user.regs);
	return !(t->altstack.flags & SS_DISABLE) && !(t->altstack.flags & SS_AUTODISARM) && sp > t->altstack.sp &&
	       sp - t->altstack.sp <= t->altstack.size;
}

/* The mask that the end of the handler restores: that of before the call, if the call put one of its own in place. */
static uint64_t mask_to_restore(struct task *t)
{
	if (!(READ_ONCE(t->thread.work) & THREAD_WORK_RESTORE_MASK))
		return t->blocked;
	thread_clear_work(THREAD_WORK_RESTORE_MASK);
	return t->saved_blocked;
}

/* Field by field: clearing the whole first would cost more than all the rest. */
static void fill_signal(struct task *t, const struct taken *s, struct hal_signal *ret)
{
	bool switch_stack = (s->action.flags & SA_ONSTACK) && !(t->altstack.flags & SS_DISABLE) && !on_altstack(t);

	ret->signo = s->info.signo;
	ret->flags = s->action.flags;
	ret->handler = s->action.handler;
	ret->restorer = s->action.restorer;
	ret->vdso = t->thread.vm->vdso;
	ret->stack_top = switch_stack ? t->altstack.sp + t->altstack.size : 0;
	ret->blocked = mask_to_restore(t);
	ret->altstack = t->altstack;
	ret->fault_addr = t->fault_addr;
	ret->fault_code = t->fault_code;
	ret->fault_trap = t->fault_trap;
	*(struct signal_info *)(void *)ret->siginfo = s->info;
	memset(ret->siginfo + sizeof(s->info), 0, sizeof(ret->siginfo) - sizeof(s->info));
}

/* The memory that a handler needs cannot be reached: SIGSEGV, and the end if that was the one to be handled. */
static void no_handler(int signo)
{
	struct signal_info segv;

	signal_info_kernel(&segv, SIGSEGV);
	if (signo == SIGSEGV)
		process_die(&segv);
	signal_force(&segv);
}

static void run_handler(struct task *t, const struct taken *s)
{
	uint64_t mask = t->blocked | s->action.mask;
	struct hal_signal signal;

	bool stepping = hal_abi_stepping(&t->user);

	if (unlikely(t->rseq) && rseq_before_handler(t) < 0)
		no_handler(s->info.signo);
	if (unlikely(stepping))
		hal_abi_step(&t->user, false);
	fill_signal(t, s, &signal);
	if (hal_abi_signal_push(&t->user, &signal) < 0) {
		no_handler(s->info.signo);
		return;
	}
	if (t->altstack.flags & SS_AUTODISARM)
		t->altstack = (struct hal_altstack){ .flags = SS_DISABLE };
	if (!(s->action.flags & SA_NODEFER))
		mask |= signal_bit(s->info.signo);
	signal_set_blocked(mask);
	if (unlikely(stepping))
		trace_handler_entered(t);
}

static void exit_if_told(struct task *t)
{
	struct process *p = t->process;

	if (likely(!(READ_ONCE(t->thread.work) & THREAD_WORK_EXIT)))
		return;
	task_exit(READ_ONCE(p->group_exit) ? p->exit_status : 0);
}

static void tell_continued(struct process *p)
{
	unsigned long flags;
	bool tell;

	if (likely(!READ_ONCE(p->notify_continued)))
		return;
	flags = spin_lock_irq(&p->signal_lock);
	tell = p->notify_continued;
	WRITE_ONCE(p->notify_continued, false);
	spin_unlock_irq(&p->signal_lock, flags);
	if (tell)
		stop_notify_parent(p, true);
}

void signal_deliver(struct task *t, bool from_call)
{
	struct set_back back = { 0 };
	struct taken s;
	bool traced;

	if (unlikely(t->no_restart)) {
		t->no_restart = false;
		from_call = false;
	}
	traced = ptrace_is_traced(t);
	if (from_call && set_call_back(t, &back))
		from_call = false;
	for (;;) {
		thread_clear_work(THREAD_WORK_SIGNAL);
		exit_if_told(t);
		tell_continued(t->process);
		if (unlikely(stop_due(t))) {
			stop_here(t);
			continue;
		}
		if (freeze_due(t)) {
			freeze_here(t);
			continue;
		}
		if (unlikely(READ_ONCE(t->trace.interrupt))) {
			trace_interrupted(t);
			continue;
		}
		if (!take_signal(t, &s))
			break;
		if (unlikely(s.seen) && !show_signal(t, &s))
			continue;
		if (s.action.handler <= SIGNAL_ACTION_IGNORE) {
			default_action(t, &s);
			continue;
		}
		if (from_call || (traced && call_put_back(t)))
			settle_call(t, true, s.action.flags);
		from_call = false;
		settle_set_back(t, &back, s.action.flags);
		back.pc = 0;
		run_handler(t, &s);
		if (!s.more && !(READ_ONCE(t->thread.work) & (THREAD_WORK_SIGNAL | THREAD_WORK_EXIT)))
			break;
	}
	if (from_call || (unlikely(traced) && call_put_back(t)))
		settle_call(t, false, 0);
	if (READ_ONCE(t->thread.work) & THREAD_WORK_RESTORE_MASK) {
		thread_clear_work(THREAD_WORK_RESTORE_MASK);
		signal_set_blocked(t->saved_blocked);
	}
}

void signal_force(const struct signal_info *info)
{
	struct task *t = task_self();
	struct process *p = t->process;
	uint64_t bit = signal_bit(info->signo);
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	struct signal_action *action = &p->actions->action[info->signo - 1];

	spin_lock(&p->actions->lock);
	if ((t->blocked & bit) || action->handler == SIGNAL_ACTION_IGNORE) {
		WRITE_ONCE(action->handler, SIGNAL_ACTION_DEFAULT);
		WRITE_ONCE(t->blocked, t->blocked & ~bit);
	}
	spin_unlock(&p->actions->lock);
	signal_queue_flush_locked(p, &t->pending, bit); /* this one's details count */
	(void)signal_queue_add_locked(p, &t->pending, info);
	spin_unlock_irq(&p->signal_lock, flags);
	thread_post(&t->thread, THREAD_WORK_SIGNAL);
}
