/* SPDX-License-Identifier: MIT */
/*
 * What wait(2) tells a tracer of its tracees, and their ends.
 *
 * A traced thread that exits stays, `dead`, among its tracer's tracees until that has waited for it: the tie's reference keeps its
 * storage, and its number stays taken. Of a process's main thread, the end is the process's, whichever thread is the last; so it is told when the
 * process is a zombie, and until then hangs on process.traced_leader. A zombie whose main thread has a tracer that is not the parent is first the
 * tracer's: the parent hears of it, and finds it, once the tracer has waited for it or is gone. If the tracer is the parent, the process is
 * an ordinary zombie, and there is nothing more to the tie; but a parent that wants no zombies gets this one all the same, as a tracer.
 *
 * Lock: proc_lock.
 */
#include "ptrace_internal.h"
#include <cloudos/child.h>
#include <linux/wait.h>

static bool is_leader(const struct task *t)
{
	return t->tid == t->process->pid;
}

static void exit_info_locked(const struct task *t, struct signal_info *ret)
{
	int status, code = exit_code_of(t->trace.exit_status, &status);

	*ret = (struct signal_info){ .signo = SIGCHLD, .code = code };
	ret->fields._sigchld._pid = pid_number_in(t->id, t->trace.tracer->process->pid_ns);
	ret->fields._sigchld._uid = task_own_cred(t)->uid;
	ret->fields._sigchld._status = status;
}

static void tell_exit_locked(struct task *t)
{
	struct process *tracer = t->trace.tracer->process;
	struct signal_info info;

	exit_info_locked(t, &info);
	(void)signal_send_process(tracer, &info);
	wake_all(&tracer->child_wait);
}

bool trace_exits_locked(struct task *t, int status)
{
	struct task_trace *tr = &t->trace;

	if (!tr->tracer)
		return false;
	tr->dead = true;
	tr->code = 0;
	tr->exit_status = status;
	if (is_leader(t))
		t->process->traced_leader = t;
	else
		tell_exit_locked(t);
	return true;
}

/* The tie to a dead thread goes. */
static void untie_locked(struct task *t, struct list *released)
{
	if (t->process->traced_leader == t)
		t->process->traced_leader = NULL;
	trace_unlink_locked(t);
	t->id = pid_drop_locked(t->id);
	list_add_tail(released, &t->trace.link);
}

void trace_forget_locked(struct task *t, struct list *released, struct list *reaped)
{
	struct process *p = t->process;
	bool withheld = p->traced_leader == t && p->state == PROCESS_ZOMBIE;

	untie_locked(t, released);
	if (withheld)
		process_zombie_told_locked(p, reaped);
}

void trace_drop_leader_locked(struct process *p, struct list *released)
{
	if (p->traced_leader)
		untie_locked(p->traced_leader, released);
}

bool trace_zombie_withheld_locked(struct process *p, struct list *released)
{
	struct task *t = p->traced_leader;

	if (!t)
		return false;
	if (t->trace.tracer->process == p->parent && !process_is_unwanted_locked(p)) {
		untie_locked(t, released);
		return false;
	}
	t->trace.exit_status = p->exit_status;
	tell_exit_locked(t);
	return true;
}

void trace_released_put(struct list *released, struct list *reaped)
{
	struct process *p, *next;
	struct task *t, *tmp;

	list_for_each_safe(t, tmp, released, trace.link) {
		list_del(&t->trace.link);
		if (t->trace.dead)
			pid_entry_free(t->id);
		task_put(t);
	}
	list_for_each_safe(p, next, reaped, sibling) {
		list_del(&p->sibling);
		process_put(p);
	}
}

/* ---- wait(2) ---- */

static bool matches_locked(const struct task *t, const struct wait_query *q)
{
	const struct process *p = t->process;

	switch (q->type) {
	case P_PID:
		return pid_number_seen(t->id) == q->id;
	case P_PGID:
		return p->group && (q->id ? pid_number_seen(p->group) == q->id : p->group == process_self()->group);
	case P_PIDFD:
		return is_leader(t) && p->handle && p->handle == q->handle;
	default:
		return true;
	}
}

static void report_locked(struct task *t, int code, int status, int wait_status, struct wait_report *ret)
{
	*ret = (struct wait_report){ .pid = pid_number_seen(t->id), .code = code, .status = status,
				     .wait_status = wait_status, .uid = uid_out(task_own_cred(t)->uid) };
	task_usage_now(t, &ret->usage);
}

static bool take_dead_locked(struct task *t, struct wait_query *q)
{
	struct process *p = t->process;
	struct signal_info info;
	bool own;

	if (!(q->options & WEXITED) || (is_leader(t) && p->state != PROCESS_ZOMBIE))
		return false;
	exit_info_locked(t, &info);
	report_locked(t, info.code, info.fields._sigchld._status, t->trace.exit_status, &q->report);
	if (is_leader(t)) {
		process_usage_locked(p, &q->report.usage);
		usage_add(&q->report.usage, &p->children_usage);
	}
	if (q->options & WNOWAIT)
		return true;
	own = is_leader(t) && p->parent == process_self(); /* it has become that, or wants no zombies: this report is for both */
	if (!own) {
		trace_forget_locked(t, &q->released, &q->reaped);
		return true;
	}
	untie_locked(t, &q->released);
	usage_add(&p->parent->children_usage, &q->report.usage);
	process_reap_locked(p);
	list_add_tail(&q->reaped, &p->sibling);
	return true;
}

static bool take_locked(struct task *t, struct wait_query *q)
{
	struct task_trace *tr = &t->trace;

	if (tr->dead)
		return take_dead_locked(t, q);
	if (tr->state != TRACE_STOPPED || !tr->code)
		return false;
	report_locked(t, CLD_TRAPPED, tr->code, tr->code << 8 | 0x7f, &q->report);
	if (!(q->options & WNOWAIT))
		tr->code = 0;
	return true;
}

/* 1, 0, -ECHILD as of process_wait(). */
static int scan_tracees_locked(struct task *tracer, struct wait_query *q)
{
	struct task *t;
	int result = -ECHILD;

	list_for_each(t, &tracer->tracees, trace.link) {
		if (!matches_locked(t, q))
			continue;
		if (take_locked(t, q))
			return 1;
		result = 0;
	}
	return result;
}

int trace_wait_locked(struct wait_query *q)
{
	struct task *tracer;
	int result = -ECHILD;

	if (q->options & __WNOTHREAD)
		return scan_tracees_locked(task_self(), q);
	list_for_each(tracer, &process_self()->tasks, process_link) {
		int one = scan_tracees_locked(tracer, q);

		result = max(result, one);
		if (result > 0)
			break;
	}
	return result;
}

/* Is the child traced by a thread of the running process, which then sees its stops as a tracer? */
bool trace_is_own_locked(const struct process *c)
{
	const struct task *t = c->id ? c->id->task : NULL;

	return t && t->trace.tracer && t->trace.tracer->process == c->parent;
}
