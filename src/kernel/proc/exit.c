/* SPDX-License-Identifier: MIT */
/*
 * The end of tasks and processes.
 *
 * A task gives back what it used (memory, descriptors, paths), while others can still find it but not those (`gone`); then it is
 * unlinked under proc_lock, and its thread ends. With the last task the process becomes a zombie: its children go over to the
 * nearest subreaper or to process 1, groups that this orphans are hung up, the parent is told. It is reaped when the parent
 * waits, or at once where the parent wants no zombies. What reaping unlinks hangs on the process and is freed with it.
 */
#define LOG_SUBSYSTEM "proc"
#include "proc_internal.h"
#include <cloudos/cgroup.h>
#include <cloudos/child.h>
#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include <linux/ptrace.h>

#define NSEC_PER_TICK UINT64_C(10000000) /* siginfo counts time in hundredths of a second */

void usage_add(struct task_usage *to, const struct task_usage *more)
{
	to->run_ns += more->run_ns;
	to->system_ns += more->system_ns;
	to->faults_minor += more->faults_minor;
	to->faults_major += more->faults_major;
	to->switches += more->switches;
	to->preemptions += more->preemptions;
	to->peak_resident_pages = max(to->peak_resident_pages, more->peak_resident_pages);
	for (int i = 0; i < 2; i++) {
		to->io_bytes[i] += more->io_bytes[i];
		to->io_calls[i] += more->io_calls[i];
	}
}

void task_usage_now(struct task *t, struct task_usage *ret)
{
	uint64_t run, wait;

	thread_times(&t->thread, &run, &wait);
	*ret = (struct task_usage){
		.run_ns = run,
		.system_ns = min(READ_ONCE(t->thread.system_ns), run),
		.switches = READ_ONCE(t->thread.switches),
		.preemptions = READ_ONCE(t->thread.preemptions),
		.io_bytes = { READ_ONCE(t->io_bytes[0]), READ_ONCE(t->io_bytes[1]) },
		.io_calls = { READ_ONCE(t->io_calls[0]), READ_ONCE(t->io_calls[1]) },
	};
}

static void usage_add_space(struct task_usage *u, const struct vm_space *s)
{
	u->faults_minor += READ_ONCE(s->faults_minor);
	u->faults_major += READ_ONCE(s->faults_major);
	u->peak_resident_pages = max(u->peak_resident_pages, READ_ONCE(s->peak_resident));
}

void process_usage_locked(struct process *p, struct task_usage *ret)
{
	struct task *t, *any = process_any_task_locked(p);
	struct vm_space *s = any && !any->gone ? LOAD_ACQUIRE(any->thread.vm) : NULL;
	unsigned long flags;

	flags = spin_lock_irq(&p->signal_lock);
	*ret = p->dead_usage;
	list_for_each(t, &p->tasks, process_link) {
		struct task_usage one;

		task_usage_now(t, &one);
		usage_add(ret, &one);
	}
	spin_unlock_irq(&p->signal_lock, flags);
	if (s)
		usage_add_space(ret, s);
}

void process_usage(struct process *p, struct task_usage *ret, struct task_usage *ret_children)
{
	unsigned long flags = spin_lock_irq(&proc_lock);

	process_usage_locked(p, ret);
	*ret_children = p->children_usage;
	spin_unlock_irq(&proc_lock, flags);
}

/* The running task's space goes: its figures stay with the process. */
void usage_keep_space(struct task *t)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);

	usage_add_space(&p->dead_usage, t->thread.vm);
	spin_unlock_irq(&p->signal_lock, flags);
}

/* ---- telling the parent ---- */

int exit_code_of(int status, int *ret_status)
{
	bool exited = (status & 0x7f) == 0;

	*ret_status = exited ? status >> 8 & 0xff : status & 0x7f;
	return exited ? CLD_EXITED : status & EXIT_STATUS_CORE ? CLD_DUMPED : CLD_KILLED;
}

static void child_exit_info(struct signal_info *info, const struct process *p, int signo)
{
	int status, code = exit_code_of(p->exit_status, &status);

	*info = (struct signal_info){ .signo = signo, .code = code };
	info->fields._sigchld._pid = pid_number_in(p->id, p->parent->pid_ns);
	info->fields._sigchld._uid = p->exit_uid;
	info->fields._sigchld._status = status;
	info->fields._sigchld._utime = (__kernel_clock_t)((p->dead_usage.run_ns - p->dead_usage.system_ns) / NSEC_PER_TICK);
	info->fields._sigchld._stime = (__kernel_clock_t)(p->dead_usage.system_ns / NSEC_PER_TICK);
}

bool process_is_unwanted_locked(const struct process *p)
{
	const struct signal_action *action = &LOAD_ACQUIRE(p->parent->actions)->action[SIGCHLD - 1];

	return p->exit_signal == SIGCHLD &&
	       (READ_ONCE(action->handler) == SIGNAL_ACTION_IGNORE || (READ_ONCE(action->flags) & SA_NOCLDWAIT));
}

/* Returns true when the parent wants no zombie. */
static bool tell_parent_locked(struct process *p)
{
	struct process *parent = p->parent;
	const struct signal_action *action = &LOAD_ACQUIRE(parent->actions)->action[SIGCHLD - 1];
	bool child = p->exit_signal == SIGCHLD;
	bool ignored = child && READ_ONCE(action->handler) == SIGNAL_ACTION_IGNORE;
	struct signal_info info;

	if (signal_valid(p->exit_signal) && !ignored) { /* what is ignored by default is kept for who blocks it */
		child_exit_info(&info, p, p->exit_signal);
		(void)signal_send_process(parent, &info);
	}
	wake_all(&parent->child_wait);
	if (parent->pid_ns->ended && parent == parent->pid_ns->init)
		return true; /* it waits for the end of all, but for nobody's status */
	return process_is_unwanted_locked(p);
}

void process_reap_locked(struct process *p)
{
	p->state = PROCESS_REAPED;
	cgroup_reaped_locked(p);
	process_handle_reaped_locked(p);
	list_del(&p->sibling);
	group_leave_locked(p, &p->left);
	p->id->process = NULL;
	p->left_id = pid_drop_locked(p->id);
	p->id = NULL;
	p->parent = NULL;
}

void process_put_list(struct list *reaped)
{
	struct process *p, *tmp;

	list_for_each_safe(p, tmp, reaped, sibling) {
		list_del(&p->sibling);
		process_put(p);
	}
}

/* ---- the children of a process that ends ---- */

static uint32_t subreapers; /* ever made: without any, the way up need not be walked */

void process_set_subreaper(bool on)
{
	struct process *p = process_self();
	unsigned long flags = spin_lock_irq(&proc_lock);

	p->subreaper = on;
	subreapers += on;
	spin_unlock_irq(&proc_lock, flags);
}

static struct process *reaper_of_locked(struct process *p)
{
	if (subreapers)
		for (struct process *a = p->parent; a && a->pid_ns == p->pid_ns; a = a->parent)
			if (a->subreaper && a->state == PROCESS_ALIVE)
				return a;
	return p->pid_ns->init ? p->pid_ns->init : process_init;
}

static void death_signals_locked(struct process *child)
{
	struct signal_info info;
	struct task *t;

	list_for_each(t, &child->tasks, process_link) {
		uint8_t signo = READ_ONCE(t->death_signal);

		if (!signo)
			continue;
		signal_info_user(&info, signo, SI_USER);
		(void)signal_send_process(child, &info);
	}
}

static void reparent_locked(struct process *child, struct process *reaper, struct list *reaped)
{
	struct process *parent = child->parent;

	child->parent = reaper;
	list_del(&child->sibling);
	list_add_tail(&reaper->children, &child->sibling);
	WRITE_ONCE(child->exit_signal, SIGCHLD);
	if (child->state == PROCESS_ALIVE) {
		death_signals_locked(child);
		group_hang_up_if_orphaned_locked(child, parent, NULL);
	} else if (!child->traced_leader) {
		process_zombie_told_locked(child, reaped);
	}
}

void process_zombie_told_locked(struct process *p, struct list *reaped)
{
	if (!tell_parent_locked(p))
		return;
	process_reap_locked(p);
	list_add_tail(reaped, &p->sibling);
}

/*
 * `reaped` collects processes, linked by `sibling`, whose last reference the caller puts once proc_lock is released; `released` threads that
 * were traced.
 */
static void process_dies_locked(struct process *p, struct list *reaped, struct list *released)
{
	struct process *child, *tmp, *reaper = reaper_of_locked(p);

	if (p == process_init)
		panic("process 1 (%s) ended with status %#x", p->last_name, (unsigned)p->exit_status);
	p->state = PROCESS_ZOMBIE;
	process_handle_ended_locked(p);
	list_for_each_safe(child, tmp, &p->children, sibling)
		reparent_locked(child, reaper, reaped);
	group_hang_up_if_orphaned_locked(p, p->parent, p);
	if (!trace_zombie_withheld_locked(p, released))
		process_zombie_told_locked(p, reaped);
}

/* ---- the end of a task ---- */

static void leave_process_locked(struct task *t)
{
	struct process *p = t->process;
	struct task_usage mine;
	unsigned long flags;

	task_usage_now(t, &mine);
	flags = spin_lock_irq(&p->signal_lock);
	signal_queue_flush_locked(p, &t->pending, UINT64_MAX);
	list_del(&t->process_link);
	usage_add(&p->dead_usage, &mine);
	ADD_ONCE(p->task_count, -1);
	if (p->task_count == 0) {
		signal_queue_flush_locked(p, &p->pending, UINT64_MAX);
		str_copy(p->last_name, sizeof(p->last_name), t->thread.name);
		p->exit_uid = t->thread.cred->uid;
	} else if (p->exec_task && p->task_count == 1) {
		thread_wake_state(&p->exec_task->thread, THREAD_STOPPED);
	}
	spin_unlock_irq(&p->signal_lock, flags);
}

static void unlink_task(struct task *t, int status)
{
	struct process *p = t->process;
	struct list reaped = LIST_INIT(reaped), released = LIST_INIT(released);
	struct pid_entry *id = NULL;
	unsigned long flags = spin_lock_irq(&proc_lock);

	leave_process_locked(t);
	cgroup_ends_locked(p, t, p->task_count == 0);
	t->id->task = NULL;
	if (!trace_exits_locked(t, status)) {
		id = pid_drop_locked(t->id);
		t->id = NULL;
	}
	if (p->task_count == 0)
		process_dies_locked(p, &reaped, &released);
	spin_unlock_irq(&proc_lock, flags);
	pid_entry_free(id);
	trace_released_put(&released, &reaped);
}

/* Counts the task out; true: it was the last. */
static bool begin_exit(struct task *t, int status)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	bool last, stop_done;

	ADD_ONCE(p->live, -1);
	last = p->live == 0;
	if (!p->group_exit && t->tid == p->pid)
		p->exit_status = status;
	stop_task_left_locked(p, &stop_done);
	task_uncount(p->account);
	spin_unlock_irq(&p->signal_lock, flags);
	if (stop_done)
		stop_notify_parent(p, false);
	return last;
}

static void give_back(struct task *t)
{
	unsigned long flags = spin_lock_irq(&proc_lock);

	t->gone = true;
	spin_unlock_irq(&proc_lock, flags);
	vm_space_switch(NULL);
	task_vfork_done(t);
	fd_table_put(t->thread.files);
	t->thread.files = NULL;
	fs_context_leave(t->thread.fs);
	t->thread.fs = NULL;
	task_namespaces_put(t);
}

void task_exit(int status)
{
	struct task *t = task_self();
	struct process *p = t->process;
	bool last;

	if (coredump_halt(t))
		status = READ_ONCE(p->exit_status);
	if (t->async && !t->worker)
		task_async_ops->leave(t);
	trace_tracer_exits(t);
	trace_event(t, PTRACE_EVENT_EXIT, (uint64_t)status);
	last = begin_exit(t, status);
	if (t->worker)
		task_async_ops->worker_gone(t);
	futex_exit_robust(t);
	futex_exit_pi(t, true);
	futex_clear_tid(t);
	if (last) {
		timers_exit(p);
		usage_keep_space(t);
		session_leader_exit(p);
	}
	if (t->sem_undo)
		task_sem_undo_ops->leave(t);
	give_back(t);
	if (last && p->is_init && p != process_init)
		pid_namespace_end(t);
	unlink_task(t, status);
	thread_exit();
}

void process_exit_group(int status)
{
	struct task *t = task_self();
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);

	signal_group_exit_locked(p, status, t);
	spin_unlock_irq(&p->signal_lock, flags);
	task_exit(status);
}
