/* SPDX-License-Identifier: MIT */
/*
 * Waiting for children: wait4(2) and waitid(2). One pass over the children, under proc_lock, finds one with something to report and
 * takes the report (and, of a zombie, the process) in the same breath, so that two waiting threads never get the same one. Whoever
 * changes a child's state does so under proc_lock and then wakes its parent's child_wait. Threads that the process traces come after its
 * children (ptrace_wait.c).
 */
#include "proc_internal.h"
#include <cloudos/child.h>
#include <linux/wait.h>

static bool matches_locked(const struct process *c, const struct wait_query *q)
{
	if (q->type == P_PID && pid_number_seen(c->id) != q->id)
		return false;
	if (q->type == P_PIDFD && (!c->handle || c->handle != q->handle))
		return false;
	if (q->type == P_PGID && (q->id ? pid_number_seen(c->group) != q->id : c->group != process_self()->group))
		return false;
	if ((q->options & __WNOTHREAD) && c->creator_tid != task_self()->tid)
		return false;
	if (q->options & __WALL)
		return true;
	return (c->exit_signal != SIGCHLD) == ((q->options & __WCLONE) != 0);
}

static void report_locked(struct process *c, int code, int status, struct wait_report *ret)
{
	struct task *t = process_any_task_locked(c);

	*ret = (struct wait_report){ .pid = pid_number_seen(c->id), .code = code, .status = status,
				     .uid = uid_out(t ? task_own_cred(t)->uid : c->exit_uid) };
	process_usage_locked(c, &ret->usage);
	usage_add(&ret->usage, &c->children_usage);
}

static void report_zombie_locked(struct process *c, struct wait_query *q)
{
	int status, code = exit_code_of(c->exit_status, &status);
	struct process *self = process_self();

	report_locked(c, code, status, &q->report);
	q->report.wait_status = c->exit_status;
	if (q->options & WNOWAIT)
		return;
	usage_add(&self->children_usage, &q->report.usage);
	process_reap_locked(c);
	list_add_tail(&q->reaped, &c->sibling);
}

/* Takes what there is to report of one child; false: nothing. */
static bool take_locked(struct process *c, struct wait_query *q)
{
	if (c->state == PROCESS_ZOMBIE) {
		if (!(q->options & WEXITED) || c->traced_leader) /* a tracer's first */
			return false;
		report_zombie_locked(c, q);
		return true;
	}
	if ((q->options & WSTOPPED) && c->wait_stopped && READ_ONCE(c->stopped) && !trace_is_own_locked(c)) {
		report_locked(c, CLD_STOPPED, c->wait_stopped, &q->report);
		q->report.wait_status = c->wait_stopped << 8 | 0x7f;
		if (!(q->options & WNOWAIT))
			c->wait_stopped = 0;
		return true;
	}
	if ((q->options & WCONTINUED) && c->wait_continued) {
		report_locked(c, CLD_CONTINUED, SIGCONT, &q->report);
		q->report.wait_status = 0xffff;
		if (!(q->options & WNOWAIT))
			c->wait_continued = false;
		return true;
	}
	return false;
}

/* 1: reported; 0: nothing yet; -ECHILD: no such child. */
static int scan(struct wait_query *q)
{
	struct process *self = process_self(), *c, *tmp;
	unsigned long flags = spin_lock_irq(&proc_lock);
	int result = -ECHILD, traced;

	list_for_each_safe(c, tmp, &self->children, sibling) {
		if (!matches_locked(c, q))
			continue;
		result = take_locked(c, q);
		if (result)
			break;
	}
	if (result <= 0) {
		traced = trace_wait_locked(q);
		result = max(result, traced);
	}
	spin_unlock_irq(&proc_lock, flags);
	return result;
}

int process_wait(struct wait_query *q)
{
	int result, err = 0;

	list_init(&q->reaped);
	list_init(&q->released);
	result = scan(q);
	if (result == 0 && !(q->options & WNOHANG))
		err = wait_event_interruptible(&process_self()->child_wait, (result = scan(q)) != 0);
	trace_released_put(&q->released, &q->reaped);
	return err < 0 ? err : result;
}
