/* SPDX-License-Identifier: MIT */
/* One look at a process for /proc: everything that locks guard is copied at once. */
#include "procfs.h"
#include <cloudos/cgroup.h>

static char state_letter(const struct process *p, const struct task *t)
{
	if (p->state != PROCESS_ALIVE || !t)
		return 'Z';
	switch (READ_ONCE(t->thread.state)) {
	case THREAD_RUNNABLE:
	case THREAD_NEW:
		return 'R';
	case THREAD_SLEEPING:
		return 'D';
	case THREAD_STOPPED:
		if (t->trace.state != TRACE_RUNNING)
			return 't';
		return p->stop_signal ? 'T' : 'D';
	case THREAD_DEAD:
		return 'X';
	default:
		return 'S';
	}
}

static void look_cred(const struct cred *c, struct process_look *ret)
{
	const uint32_t uids[4] = { c->uid, c->euid, c->suid, c->fsuid }, gids[4] = { c->gid, c->egid, c->sgid, c->fsgid };
	const uint64_t caps[5] = { c->cap_inheritable, c->cap_permitted, c->cap_effective, c->cap_bounding, c->cap_ambient };

	memcpy(ret->uid, uids, sizeof(uids));
	memcpy(ret->gid, gids, sizeof(gids));
	memcpy(ret->caps, caps, sizeof(caps));
}

static void look_actions(struct process *p, struct process_look *ret)
{
	const struct signal_actions *actions = LOAD_ACQUIRE(p->actions);

	for (int i = 0; i < SIGNAL_COUNT; i++) {
		uint64_t handler = READ_ONCE(actions->action[i].handler);

		if (handler == SIGNAL_ACTION_IGNORE)
			ret->ignored |= UINT64_C(1) << i;
		else if (handler != SIGNAL_ACTION_DEFAULT)
			ret->caught |= UINT64_C(1) << i;
	}
}

static void look_task(struct task *t, struct process_look *ret)
{
	struct fs_context *fs = t->gone ? NULL : LOAD_ACQUIRE(t->thread.fs);

	memcpy(ret->name, t->thread.name, sizeof(ret->name));
	ret->cpu = READ_ONCE(t->thread.cpu);
	ret->nice = READ_ONCE(t->thread.nice);
	ret->policy = READ_ONCE(t->thread.policy);
	ret->rt_priority = READ_ONCE(t->thread.rt_priority);
	ret->urgency = thread_urgency(&t->thread);
	ret->pending = READ_ONCE(t->pending.set);
	ret->blocked = READ_ONCE(t->blocked);
	ret->no_new_privs = READ_ONCE(t->no_new_privs);
	ret->seccomp_mode = READ_ONCE(t->seccomp_mode);
	ret->seccomp_filters = task_seccomp_depth(t);
	ret->umask = fs ? READ_ONCE(fs->umask) : 0;
	ret->cred = task_own_cred(t);
	look_cred(ret->cred, ret);
	cred_get(ret->cred);
}

static int look_id(const struct pid_entry *e, const struct pid_namespace *ns, struct pid_list *ret)
{
	ret->n = pid_numbers_below(e, ns, ret->numbers);
	return ret->numbers[0];
}

static void look_relations_locked(const struct process *p, const struct pid_namespace *ns, struct process_look *ret)
{
	ret->pid = look_id(p->id, ns, &ret->tgids);
	ret->ppid = p->parent ? pid_number_in(p->parent->id, ns) : 0;
	ret->pgid = look_id(p->group, ns, &ret->pgids);
	ret->sid = look_id(session_id_entry_locked(p), ns, &ret->sids);
	ret->tty = session_tty_number_locked(p);
	ret->exit_signal = p->exit_signal;
	ret->exit_status = p->state == PROCESS_ALIVE ? 0 : p->exit_status;
}

static void look_limits(struct process *p, struct process_look *ret)
{
	unsigned long flags = spin_lock_irq(&p->signal_lock);

	memcpy(ret->limits, p->limits, sizeof(ret->limits));
	spin_unlock_irq(&p->signal_lock, flags);
	ret->queue_limit = ret->limits[RLIMIT_SIGPENDING].rlim_cur;
}

static void look_locked(struct process *p, struct task *t, bool one_thread, const struct pid_namespace *ns, struct process_look *ret)
{
	look_relations_locked(p, ns, ret);
	ret->cgroup = p->cgroup;
	cgroup_get(ret->cgroup);
	ret->tid = look_id(t ? t->id : p->id, ns, &ret->tids);
	ret->tracer = t && t->trace.tracer ? pid_number_in(t->trace.tracer->process->id, ns) : 0;
	ret->state = state_letter(p, t);
	ret->threads = p->task_count;
	ret->start_ns = p->start_ns;
	ret->shared_pending = READ_ONCE(p->pending.set);
	ret->queued = READ_ONCE(p->queued);
	ret->oom_score_adj = READ_ONCE(p->oom_score_adj);
	ret->core_filter = READ_ONCE(p->core_filter);
	ret->personality = READ_ONCE(p->personality);
	look_limits(p, ret);
	look_actions(p, ret);
	ret->children = p->children_usage;
	if (one_thread && t)
		task_usage_now(t, &ret->usage);
	else
		process_usage_locked(p, &ret->usage);
	if (t) {
		look_task(t, ret);
	} else {
		memcpy(ret->name, p->last_name, sizeof(ret->name));
		for (int i = 0; i < 4; i++)
			ret->uid[i] = p->exit_uid;
	}
}

void process_look_end(struct process_look *l)
{
	if (l->cred)
		cred_put(l->cred);
	cgroup_put(l->cgroup);
}

int process_look(struct pid_namespace *ns, int pid, int tid, struct process_look *ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(pid), *thread = tid > 0 ? pid_lookup_global_locked(tid) : NULL;
	struct process *p = e ? e->process : NULL;
	struct task *t = NULL;
	int err = -ESRCH;

	memset(ret, 0, sizeof(*ret));
	if (p) {
		t = thread && thread->task && thread->task->process == p ? thread->task : process_any_task_locked(p);
		look_locked(p, t, tid > 0 && tid != pid, ns, ret);
		err = 0;
	}
	spin_unlock_irq(&proc_lock, flags);
	return err;
}
