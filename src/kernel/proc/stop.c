/* SPDX-License-Identifier: MIT */
/*
 * Job control: stopping and continuing a whole process (POSIX.1-2017, 2.4.3).
 *
 *   running -- a thread takes a stop signal --> stopping: stop_signal is set, every thread is told
 *   stopping -- the last thread stops (or exits) --> stopped: the parent gets SIGCHLD, wait() may report it
 *   stopping, stopped -- SIGCONT is sent --> running: the first thread on its way out tells the parent
 *
 * A stopped thread sleeps in THREAD_STOPPED; SIGKILL (by THREAD_WORK_EXIT) gets it out of there too. `stops` numbers the stops, so that
 * a thread that wakes into the next one stops, and is counted, again.
 *
 * A traced thread takes part, and then stops for its tracer (ptrace_stop.c) instead of here. When that makes it run again the stop goes on
 * without it (`stop_seen`); a stop signal that comes then begins another stop of all.
 *
 * Nor does a worker stop whose task waits for it to go.
 *
 * Locking: S for the state; the parent is told under proc_lock, with S not held.
 */
#include "proc_internal.h"
#include <cloudos/ptrace.h>

void stop_begin_locked(struct process *p, int signo)
{
	struct task *t;

	if (p->group_exit || (p->stop_signal && !p->stops_passed))
		return;
	WRITE_ONCE(p->stop_signal, (uint8_t)signo);
	WRITE_ONCE(p->stopped, false);
	p->stopped_tasks = 0;
	p->stops_passed = 0;
	ADD_ONCE(p->stops, 1);
	list_for_each(t, &p->tasks, process_link) {
		signal_wake(t);
		thread_wake_state(&t->thread, THREAD_STOPPED); /* it may be in the stop before */
		trace_interrupt(t, TRACE_NOTIFY);
	}
}

void stop_continue_locked(struct process *p)
{
	bool stopping = p->stop_signal != 0;
	struct task *t;

	p->continues++;
	if (stopping) {
		WRITE_ONCE(p->notify_continued, p->stopped);
		WRITE_ONCE(p->stop_signal, 0);
		WRITE_ONCE(p->stopped, false);
	}
	list_for_each(t, &p->tasks, process_link) {
		trace_interrupt(t, TRACE_NOTIFY);
		if (!stopping)
			continue;
		thread_post(&t->thread, THREAD_WORK_SIGNAL);
		thread_wake_state(&t->thread, THREAD_STOPPED);
	}
}

/* All threads that there are have stopped: returns true once a stop. */
static bool stop_complete_locked(struct process *p)
{
	if (!p->stop_signal || p->stopped || p->stopped_tasks < p->live)
		return false;
	WRITE_ONCE(p->stopped, true);
	return true;
}

void stop_task_left_locked(struct process *p, bool *ret_notify)
{
	*ret_notify = p->live > 0 && stop_complete_locked(p);
}

/* Whoever waits for a worker to go takes part in no stop until it has gone: the worker, running, does not stop. */
bool stop_spares(const struct task *t)
{
	return t->worker && t->async && task_async_ops->leaving(t);
}

bool stop_due(const struct task *t)
{
	const struct process *p = t->process;

	return READ_ONCE(p->stop_signal) && !stop_spares(t) && !(ptrace_is_traced(t) && t->stop_seen == READ_ONCE(p->stops));
}

static void sleep_stopped(struct task *t, uint32_t stop)
{
	struct process *p = t->process;

	freeze_halt_begin(t);
	for (;;) {
		thread_prepare_sleep(THREAD_STOPPED);
		if (!READ_ONCE(p->stop_signal) || READ_ONCE(p->stops) != stop || ptrace_is_traced(t) || stop_spares(t) ||
		    (READ_ONCE(t->thread.work) & THREAD_WORK_EXIT))
			break;
		(void)thread_sleep(HAL_TIMER_NEVER);
	}
	thread_cancel_sleep();
	freeze_halt_end(t);
}

/* Counts the running thread in, once a stop; the signal of the stop, or 0: it is over. */
static int take_part(struct task *t, uint32_t *ret_stop)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	bool complete = false;
	int signo = p->group_exit ? 0 : p->stop_signal;

	*ret_stop = p->stops;
	if (signo && t->stop_seen != p->stops) {
		t->stop_seen = p->stops;
		p->stopped_tasks++;
		complete = stop_complete_locked(p);
	}
	spin_unlock_irq(&p->signal_lock, flags);
	if (complete)
		stop_notify_parent(p, false);
	return signo;
}

/* The running thread leaves a stop that others have not come to yet. */
static void leave_stop(struct task *t, uint32_t stop)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);

	if (p->stop_signal && p->stops == stop && !p->stopped)
		p->stopped_tasks--;
	spin_unlock_irq(&p->signal_lock, flags);
}

/* Its tracer has let the running thread go on: the stop, if it is still that one, is over for it. */
static void pass(struct task *t, uint32_t stop)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);

	if (p->stop_signal && p->stops == stop && ptrace_is_traced(t))
		p->stops_passed++;
	spin_unlock_irq(&p->signal_lock, flags);
}

void stop_here(struct task *t)
{
	uint32_t stop;
	int signo = take_part(t, &stop);

	if (!signo)
		return;
	if (!ptrace_is_traced(t))
		sleep_stopped(t, stop);
	if (stop_spares(t)) {
		leave_stop(t, stop);
		return;
	}
	if (!ptrace_is_traced(t) || !READ_ONCE(t->process->stop_signal) || READ_ONCE(t->process->stops) != stop)
		return;
	trace_group_stop(t, signo);
	pass(t, stop);
}

static void child_info(struct signal_info *info, struct process *p, int code, int status)
{
	struct task *t = process_any_task_locked(p);

	*info = (struct signal_info){ .signo = SIGCHLD, .code = code };
	info->fields._sigchld._pid = pid_number_in(p->id, p->parent->pid_ns);
	info->fields._sigchld._uid = t ? task_own_cred(t)->uid : 0;
	info->fields._sigchld._status = status;
}

void stop_notify_parent(struct process *p, bool continued)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct process *parent = p->parent;
	int signo = continued ? SIGCONT : READ_ONCE(p->stop_signal);
	struct signal_info info;

	if (parent && signo && !trace_is_own_locked(p)) {
		p->wait_stopped = (uint8_t)(continued ? 0 : signo);
		p->wait_continued = continued;
		child_info(&info, p, continued ? CLD_CONTINUED : CLD_STOPPED, signo);
		if (!(READ_ONCE(LOAD_ACQUIRE(parent->actions)->action[SIGCHLD - 1].flags) & SA_NOCLDSTOP))
			(void)signal_send_process(parent, &info);
		wake_all(&parent->child_wait);
	}
	spin_unlock_irq(&proc_lock, flags);
}
