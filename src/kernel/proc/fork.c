/* SPDX-License-Identifier: MIT */
/*
 * clone(2). First everything is checked, then everything is allocated, into a task that nobody can find; then, under proc_lock, the
 * child is linked in, which cannot fail but for a number and for a process that is just going down; last it is started.
 *
 * A half-made task is undone by dropping what its pointers hold: each is null or a reference.
 */
#include "proc_internal.h"
#include <cloudos/cgroup.h>
#include <cloudos/clone.h>
#include <cloudos/pidfd.h>
#include <cloudos/ptrace.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include <linux/capability.h>
#include <linux/ptrace.h>

#define CLONE_KNOWN                                                                                         \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK | CLONE_PARENT | CLONE_THREAD |    \
	 CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED |       \
	 CLONE_UNTRACED | CLONE_CHILD_SETTID | CLONE_IO | CLONE_PTRACE | CLONE_CLEAR_SIGHAND | CLONE_PIDFD |          \
	 CLONE_INTO_CGROUP)

static int check_flags(const struct clone_request *r)
{
	uint64_t flags = r->flags;

	if (flags & ~(uint64_t)(CLONE_KNOWN | CLONE_NAMESPACES))
		return -EINVAL;
	if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((flags & CLONE_THREAD) &&
	    ((flags & (CLONE_NEWUSER | CLONE_NEWPID)) || task_self()->pid_ns_children != process_self()->pid_ns))
		return -EINVAL; /* a process is in one namespace */
	if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
		return -EINVAL;
	if ((flags & CLONE_CLEAR_SIGHAND) && (flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((flags & CLONE_PARENT) && process_self()->is_init)
		return -EINVAL;
	if ((flags & CLONE_INTO_CGROUP) && (flags & CLONE_THREAD))
		return -EOPNOTSUPP; /* a thread is in its process's group */
	if ((flags & CLONE_PIDFD) && (flags & (CLONE_DETACHED | CLONE_THREAD)))
		return -EINVAL;
	if ((flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID) && r->pidfd == r->parent_tid)
		return -EINVAL;
	return task_check_namespaces(flags);
}

/* ---- the parts of a task ---- */

static int clone_files(struct task *t, struct task *from, uint64_t flags)
{
	if (flags & CLONE_FILES) {
		fd_table_get(from->thread.files);
		t->thread.files = from->thread.files;
	} else {
		t->thread.files = fd_table_copy(from->thread.files);
	}
	if (!t->thread.files)
		return -ENOMEM;
	return task_clone_fs(t, from, flags);
}

static int clone_space(struct task *t, struct task *from, uint64_t flags)
{
	int err = 0;

	if (flags & CLONE_VM) {
		vm_space_get(from->thread.vm);
		t->thread.vm = from->thread.vm;
	} else {
		err = vm_space_fork(from->thread.vm, &t->thread.vm);
	}
	if (err == 0)
		t->thread.space = &t->thread.vm->sched;
	return err;
}

static int clone_actions(struct process *p, struct process *from, uint64_t flags)
{
	unsigned long irq;

	if (flags & CLONE_SIGHAND) {
		refcount_get(&from->actions->refs);
		p->actions = from->actions;
		return 0;
	}
	p->actions = signal_actions_alloc();
	if (!p->actions)
		return -ENOMEM;
	irq = spin_lock_irq(&from->signal_lock);
	signal_actions_copy(p->actions, from->actions);
	spin_unlock_irq(&from->signal_lock, irq);
	if (flags & CLONE_CLEAR_SIGHAND)
		signal_actions_reset(p->actions, true);
	return 0;
}

static void clone_limits(struct process *p, struct process *old)
{
	unsigned long flags = spin_lock_irq(&old->signal_lock);

	p->account = old->account;
	account_hold(p->account);
	memcpy(p->limits, old->limits, sizeof(p->limits));
	spin_unlock_irq(&old->signal_lock, flags);
}

static int clone_process(struct task *t, struct task *from, const struct clone_request *r)
{
	struct process *old = from->process, *p = process_alloc();

	if (!p)
		return -ENOMEM;
	t->process = p;
	clone_limits(p, old);
	p->dumpable = READ_ONCE(old->dumpable);
	p->core_filter = READ_ONCE(old->core_filter);
	p->oom_score_adj = READ_ONCE(old->oom_score_adj);
	p->oom_score_adj_min = READ_ONCE(old->oom_score_adj_min);
	p->personality = READ_ONCE(old->personality);
	p->creator_tid = from->tid;
	p->exit_signal = r->flags & CLONE_PARENT ? READ_ONCE(old->exit_signal) : r->exit_signal;
	return clone_actions(p, old, r->flags);
}

static void clone_registers(struct task *t, struct task *from, const struct clone_request *r)
{
	hal_user_fork(&t->user, task_fpu(t), &from->user);
	if (unlikely(hal_abi_stepping(&t->user)))
		hal_abi_step(&t->user, false);
	hal_abi_clone(&t->user, r->stack, (r->flags & CLONE_SETTLS) != 0, r->tls);
	t->blocked = from->blocked;
	if (!(r->flags & CLONE_VM) || (r->flags & CLONE_VFORK))
		t->altstack = from->altstack;
	if (!(r->flags & CLONE_VM))
		rseq_fork(t, from);
	if (r->flags & CLONE_CHILD_SETTID)
		t->set_child_tid = r->child_tid;
	if (r->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = r->child_tid;
	t->timer_slack_ns = from->timer_slack_ns;
	t->mempolicy = from->mempolicy;
	t->io_priority = READ_ONCE(from->io_priority);
}

static int clone_parts(struct task *t, struct task *from, const struct clone_request *r)
{
	int err;

	if (r->flags & CLONE_THREAD) {
		process_get(from->process);
		t->process = from->process;
	} else {
		err = clone_process(t, from, r);
		if (err < 0)
			return err;
	}
	err = task_clone_cred(t, from, r->flags);
	if (err < 0)
		return err;
	if ((r->flags & CLONE_SYSVSEM) && task_sem_undo_ops) {
		err = task_sem_undo_ops->share(t, from);
		if (err < 0)
			return err;
	}
	err = clone_files(t, from, r->flags);
	if (err == 0)
		err = task_clone_namespaces(t, from, r->flags);
	if (err < 0)
		return err;
	if (!(r->flags & CLONE_THREAD)) {
		t->process->pid_ns = t->pid_ns_children;
		namespace_get(&t->process->pid_ns->base);
	}
	clone_registers(t, from, r);
	return clone_space(t, from, r->flags);
}

/* CLONE_PIDFD: a file and a number for it, which nobody sees before the child is linked in. */
struct child_fd {
	struct file *file; /* null: none was asked for */
	int fd;
};

static void child_fd_undo(const struct child_fd *c)
{
	if (!c->file)
		return;
	fd_release(c->fd);
	file_put(c->file);
}

static int clone_pidfd(struct task *t, const struct clone_request *r, struct child_fd *ret)
{
	struct child_fd c;
	int err;

	if (!(r->flags & CLONE_PIDFD))
		return 0;
	c.fd = fd_reserve(0, true);
	if (c.fd < 0)
		return c.fd;
	err = pidfd_file_create_new(t->process, &c.file);
	if (err < 0) {
		fd_release(c.fd);
		return err;
	}
	if (put_user(c.fd, r->pidfd)) {
		child_fd_undo(&c);
		return -EFAULT;
	}
	*ret = c;
	return 0;
}

/* Drops what a task that never ran holds. */
static void clone_undo(struct task *t)
{
	if (t->thread.vm)
		vm_space_put(t->thread.vm);
	if (t->thread.files)
		fd_table_put(t->thread.files);
	if (t->thread.fs)
		fs_context_leave(t->thread.fs);
	task_namespaces_put(t);
	if (t->sem_undo)
		task_sem_undo_ops->leave(t);
	task_discard(t);
}

/* ---- linking it in ---- */

static int link_thread_locked(struct task *t, struct process *p)
{
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	int err = -ERESTARTNOINTR;

	if (!p->group_exit && !p->exec_task && !(p->stop_signal && stop_due(task_self())))
		err = task_count(p->account, t->thread.cred, p->limits[RLIMIT_NPROC].rlim_cur);
	if (err == 0) {
		task_seccomp_inherit_locked(t);
		list_add_tail(&p->tasks, &t->process_link);
		ADD_ONCE(p->task_count, 1);
		ADD_ONCE(p->live, 1);
	}
	spin_unlock_irq(&p->signal_lock, flags);
	return err;
}

/* Under its lock: whoever sees the mark has been told to exit, too, and goes no further than the end of the call. */
static bool is_exiting(struct process *p)
{
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	bool exiting = p->group_exit;

	spin_unlock_irq(&p->signal_lock, flags);
	return exiting;
}

/* The parent is the caller, or with CLONE_PARENT another; if that one is about to end, the child goes the way of its other children. */
static int link_process_locked(struct task *t, struct process *p, struct process *parent, struct process *caller)
{
	int err = is_exiting(caller) ? -ERESTARTNOINTR : link_thread_locked(t, p);

	if (err < 0)
		return err;
	p->pid = t->tid;
	if (p->pid_ns->init == NULL) { /* number 1 */
		p->is_init = true;
		p->pid_ns->init = p;
	}
	p->id = t->id;
	p->id->process = p;
	p->id->uses++;
	p->parent = parent;
	list_add_tail(&parent->children, &p->sibling);
	process_get(p); /* of the children list */
	group_join_locked(p, parent->group, parent->session);
	return 0;
}

/* Its numbers, and room in its group. */
static int assign_locked(struct pid_entry *id, struct cgroup *cg, const struct clone_request *r)
{
	int err = pid_assign_locked(id, r->set_tid, r->set_tid_count);

	if (err == 0) {
		err = cgroup_charge_locked(cg);
		if (err < 0)
			(void)pid_drop_locked(id);
	}
	return err;
}

/* `into`: the group that the child is born into, null: its parent's. */
static int link_locked(struct task *t, struct pid_entry *id, struct task *from, const struct clone_request *r, struct cgroup *into, unsigned event)
{
	struct process *parent = r->flags & CLONE_PARENT ? from->process->parent : from->process;
	struct cgroup *cg = into ? into : from->process->cgroup;
	int err = assign_locked(id, cg, r);

	if (err < 0)
		return err;
	t->id = id;
	t->tid = pid_number_global(id);
	t->own_tid = pid_number_in(id, t->process->pid_ns);
	t->thread.tid = t->tid;
	if (r->flags & CLONE_THREAD)
		err = link_thread_locked(t, t->process);
	else
		err = link_process_locked(t, t->process, parent, from->process);
	if (err < 0) {
		cgroup_uncharge_locked(cg);
		(void)pid_drop_locked(id);
		return err;
	}
	id->task = t;
	if (!(r->flags & CLONE_THREAD)) {
		cgroup_get(cg);
		t->process->cgroup = cg;
	}
	cgroup_born_locked(t->process, t, into != NULL);
	if ((r->flags & CLONE_PTRACE) || event)
		trace_inherit_locked(t, from);
	if (r->flags & CLONE_VFORK) {
		refcount_get(&from->refs);
		t->vfork_parent = from;
		from->vfork_pending = true;
	}
	return 0;
}

static uint64_t started; /* T, read freely */

uint64_t task_started(void)
{
	return READ_ONCE(started);
}

/* May the caller choose the child's numbers? */
static int check_set_tid(const struct clone_request *r, const struct pid_namespace *ns)
{
	const struct cred *c = thread_current()->cred;

	if (r->set_tid_count > ns->level + 1)
		return -EINVAL;
	for (unsigned i = 0; i < r->set_tid_count; i++, ns = ns->parent) {
		struct user_namespace *owner = namespace_owner(&ns->base);

		if (r->set_tid[i] < 1 || r->set_tid[i] >= PID_LIMIT)
			return -EINVAL;
		if (!cred_capable_over(c, owner, CAP_SYS_ADMIN) && !cred_capable_over(c, owner, CAP_CHECKPOINT_RESTORE))
			return -EPERM;
	}
	return 0;
}

static int clone_link(struct task *t, struct task *from, const struct clone_request *r, unsigned event)
{
	struct pid_entry *id = pid_entry_alloc(t->process->pid_ns);
	struct cgroup *into = NULL;
	unsigned long flags;
	int err = id ? 0 : -ENOMEM;

	if (err == 0 && (r->flags & CLONE_INTO_CGROUP))
		err = cgroup_open_for_child(r->cgroup, &into);
	if (err == 0) {
		flags = spin_lock_irq(&proc_lock);
		err = link_locked(t, id, from, r, into, event);
		if (err == 0)
			ADD_ONCE(started, 1);
		spin_unlock_irq(&proc_lock, flags);
	}
	if (into)
		cgroup_put(into);
	if (err < 0)
		pid_entry_free(id);
	return err;
}

/* Until the child execs or exits, or this process is killed. THREAD_STOPPED: only SIGKILL and SIGCONT wake it. */
static void vfork_wait(struct task *t)
{
	freeze_halt_begin(t);
	for (;;) {
		thread_prepare_sleep(THREAD_STOPPED);
		if (!__atomic_load_n(&t->vfork_pending, __ATOMIC_ACQUIRE) || (READ_ONCE(t->thread.work) & THREAD_WORK_EXIT))
			break;
		(void)thread_sleep(HAL_TIMER_NEVER);
	}
	thread_cancel_sleep();
	freeze_halt_end(t);
}

void task_vfork_done(struct task *t)
{
	struct task *parent = t->vfork_parent;

	if (!parent)
		return;
	t->vfork_parent = NULL;
	__atomic_store_n(&parent->vfork_pending, false, __ATOMIC_RELEASE);
	thread_wake_state(&parent->thread, THREAD_STOPPED);
	task_put(parent);
}

/* The event that its tracer wants to see of the caller, or 0. */
static unsigned traced_event(const struct task *self, const struct clone_request *r)
{
	unsigned event = PTRACE_EVENT_FORK;

	if (r->flags & CLONE_UNTRACED)
		return 0;
	if (r->flags & CLONE_VFORK)
		event = PTRACE_EVENT_VFORK;
	else if ((r->flags & CLONE_THREAD) || r->exit_signal != SIGCHLD)
		event = PTRACE_EVENT_CLONE;
	return trace_wants(self, event) ? event : 0;
}

int64_t task_clone(const struct clone_request *r)
{
	struct task *self = task_self(), *t;
	struct child_fd pidfd = { NULL, -1 };
	unsigned event = traced_event(self, r);
	int tid, told, err = check_flags(r);

	if (err < 0)
		return err;
	if (unlikely(thread_signal_pending()))
		return -ERESTARTNOINTR;
	t = task_alloc_entry(self->thread.name, task_main);
	if (!t)
		return -ENOMEM;
	err = clone_parts(t, self, r);
	if (err == 0)
		err = check_set_tid(r, t->process->pid_ns);
	if (err == 0)
		err = clone_pidfd(t, r, &pidfd);
	if (err == 0)
		err = clone_link(t, self, r, event);
	if (err < 0) {
		child_fd_undo(&pidfd);
		clone_undo(t);
		return err;
	}
	tid = pid_number_seen(t->id); /* the child may be gone once it has started */
	told = unlikely(ptrace_is_traced(self)) ? trace_number(self, t->id) : 0;
	if (pidfd.file)
		fd_install(pidfd.fd, pidfd.file);
	if (r->flags & CLONE_PARENT_SETTID)
		(void)put_user(tid, r->parent_tid);
	if (!(r->flags & CLONE_THREAD))
		cpu_limit_arm(t->process);
	thread_start(&t->thread);
	if (unlikely(event))
		trace_event(self, event, (uint64_t)told);
	if (r->flags & CLONE_VFORK) {
		vfork_wait(self);
		trace_event(self, PTRACE_EVENT_VFORK_DONE, (uint64_t)told);
	}
	return tid;
}

int task_clone_thread(const char *name, void (*fn)(void *), void (*setup)(struct task *, void *), void *arg)
{
	const struct clone_request r = { .flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD };
	struct task *self = task_self(), *t = task_alloc_entry(name, fn);
	int err;

	if (!t)
		return -ENOMEM;
	err = clone_parts(t, self, &r);
	if (err == 0) {
		setup(t, arg);
		err = clone_link(t, self, &r, 0);
	}
	if (err < 0)
		clone_undo(t);
	else
		thread_start(&t->thread);
	return err;
}
