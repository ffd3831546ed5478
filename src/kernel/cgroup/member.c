/* SPDX-License-Identifier: MIT */
/*
 * Who is in which group. A child is born into its parent's group, or into the one that CLONE_INTO_CGROUP names; writing its number to
 * cgroup.procs moves a process with all its threads. Counting is proc_lock's; that lock is never held for more than one process at a time.
 */
#include <cloudos/freeze.h>
#include <cloudos/proc.h>
#include <cloudos/signal.h>
#include <cloudos/string.h>
#include "cgroup_internal.h"

/* ---- C2 ---- */

static void populate_locked(struct cgroup *cg, bool more)
{
	for (; cg; cg = cg->parent) {
		cg->populated += more ? 1 : UINT32_MAX;
		if (cg->populated != (more ? 1 : 0))
			return;
		cgroup_tell(cg, EVENT_STATE);
	}
}

static void count_tasks_locked(struct cgroup *cg, uint32_t come, uint32_t go)
{
	bool had = cg->tasks > 0;

	ASSERT(cg->tasks + come >= go);
	ADD_ONCE(cg->tasks, come - go);
	if (had != (cg->tasks > 0))
		populate_locked(cg, !had);
}

/* ---- births and deaths ---- */

int cgroup_charge_locked(struct cgroup *cg)
{
	if (cg->dead)
		return -ENODEV;
	if (!cgroup_is_root(cg) && cg->subtree_control)
		return -EBUSY;
	return pids_charge_locked(cg);
}

void cgroup_uncharge_locked(struct cgroup *cg)
{
	pids_give_locked(cg, 1, NULL);
}

static struct sched_group *group_of(struct cgroup *cg)
{
	return cgroup_is_root(cg) ? NULL : &cg->sched;
}

void cgroup_born_locked(struct process *p, struct task *t, bool elsewhere)
{
	struct cgroup *cg = p->cgroup;

	count_tasks_locked(cg, 1, 0);
	if (unlikely(elsewhere || (t->thread.affinity & READ_ONCE(cpus_online) & ~cg->cpus_effective)))
		cpuset_apply(t, cg);
	if (elsewhere)
		memory_enter_locked(t, cg);
	if (likely(cgroup_is_root(cg)))
		return;
	thread_set_group(&t->thread, group_of(cg));
	if (cg->freezing)
		task_freeze_locked(t, true);
	cgroup_frozen_update_locked(cg);
	if (cg->killing)
		signal_process(p, SIGKILL);
}

void cgroup_space_changed_locked(struct task *t)
{
	memory_enter_locked(t, t->process->cgroup);
}

void cgroup_ends_locked(struct process *p, struct task *t, bool last)
{
	struct cgroup *cg = p->cgroup;

	if (t->frozen)
		cgroup_task_froze_locked(t, false);
	if (t->freeze)
		task_freeze_locked(t, false);
	thread_set_group(&t->thread, NULL); /* what it still does is the system's */
	count_tasks_locked(cg, 0, 1);
	cgroup_frozen_update_locked(cg);
	if (!last)
		pids_give_locked(cg, 1, NULL);
}

void cgroup_reaped_locked(struct process *p)
{
	pids_give_locked(p->cgroup, 1, NULL);
}

/* ---- all that are in one ---- */

void cgroup_each_task_locked(struct process *p, void (*fn)(struct task *t, void *arg), void *arg)
{
	struct task *t;

	list_for_each(t, &p->tasks, process_link)
		fn(t, arg);
}

struct selection {
	const struct cgroup *cg;
	bool below;
	void (*fn)(struct process *p, void *arg);
	void *arg;
};

static void select_process(struct process *p, void *arg)
{
	const struct selection *s = arg;

	if (s->below ? cgroup_below(p->cgroup, s->cg) : p->cgroup == s->cg)
		s->fn(p, s->arg);
}

void cgroup_each_process(struct cgroup *cg, bool below, void (*fn)(struct process *p, void *arg), void *arg)
{
	struct selection s = { cg, below, fn, arg };
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool any = below ? cg->populated > 0 : cg->tasks > 0;

	spin_unlock_irq(&proc_lock, flags);
	assert_mutex_held(&cgroup_mutex);
	if (any)
		process_for_each(select_process, &s);
}

static struct cgroup *group_of_process(struct process *p, bool *ret_lives)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct cgroup *cg = p->cgroup;

	*ret_lives = p->task_count > 0;
	spin_unlock_irq(&proc_lock, flags);
	return cg;
}

static void list_threads(struct process *p, struct text_out *o)
{
	struct namespace *pids = procfs_pid_ops->pids();

	for (int tid = 0; (tid = procfs_pid_ops->next_thread(pids, process_pid(p), tid)) > 0;)
		out_printf(o, "%d\n", tid);
}

int cgroup_list(struct cgroup *cg, bool threads, struct text_out *o)
{
	struct process *p;
	int number = 0;
	bool lives;

	while ((p = process_next(number, &number))) {
		if (group_of_process(p, &lives) == cg && lives) { /* compared, and not followed: it may be another's by now */
			if (threads)
				list_threads(p, o);
			else
				out_printf(o, "%d\n", number);
		}
		process_put(p);
	}
	return 0;
}

/* ---- moving ---- */

int cgroup_may_move_locked(struct cgroup *from, struct cgroup *to, const struct cred *who)
{
	const struct cgroup *top = cgroup_namespace_root();
	struct inode *procs;
	int err;

	if (READ_ONCE(cgroup_delegates) && (!cgroup_below(from, top) || !cgroup_below(to, top)))
		return -ENOENT;
	procs = cgroup_procs_inode_locked(cgroup_common(from, to));
	if (!procs)
		return -ENODEV;
	err = inode_permission(procs, MAY_WRITE, who);
	inode_put(procs);
	return err;
}

struct move {
	struct cgroup *from, *to;
	uint32_t frozen;
};

static void move_task(struct task *t, void *arg)
{
	struct move *m = arg;

	m->frozen += t->frozen;
	memory_enter_locked(t, m->to);
	thread_set_group(&t->thread, group_of(m->to));
	sched_unthrottle(&t->thread); /* by other limits now */
	if (m->from->cpus_effective != m->to->cpus_effective)
		cpuset_apply(t, m->to);
}

static void freeze_task(struct task *t, void *cg)
{
	task_freeze_locked(t, ((struct cgroup *)cg)->freezing);
}

/* Everything about p that its group counts goes over. False: it is a zombie, which stays. */
static bool move_locked(struct process *p, struct cgroup *from, struct cgroup *to)
{
	struct move m = { from, to, 0 };
	struct cgroup *common = cgroup_common(from, to);
	uint32_t n = p->task_count;

	if (n == 0)
		return false;
	cgroup_each_task_locked(p, move_task, &m);
	pids_give_locked(from, n, common);
	pids_take_locked(to, n, common);
	from->frozen_tasks -= m.frozen;
	to->frozen_tasks += m.frozen;
	count_tasks_locked(to, n, 0);
	count_tasks_locked(from, 0, n);
	p->cgroup = to;
	cgroup_each_task_locked(p, freeze_task, to);
	cgroup_frozen_update_locked(from);
	cgroup_frozen_update_locked(to);
	return true;
}

static void move(struct process *p, struct cgroup *from, struct cgroup *to)
{
	unsigned long flags;
	bool moved;

	cgroup_get(to);
	flags = spin_lock_irq(&proc_lock);
	moved = move_locked(p, from, to);
	spin_unlock_irq(&proc_lock, flags);
	cgroup_put(moved ? from : to);
}

/* The process that a number, of it or of one of its threads, stands for: with a reference. 0 is the running one. */
static int find(const char *text, struct process **ret)
{
	struct process *p;
	uint64_t number;
	struct task *t;

	if (str_to_u64(text, 10, &number) < 0 || number > INT32_MAX)
		return -EINVAL;
	p = number ? process_find(pid_global((int)number)) : process_self();
	if (!number)
		process_get(p);
	if (!p && (t = task_find((int)number))) {
		p = t->process;
		process_get(p);
		task_put(t);
	}
	if (!p)
		return -ESRCH;
	*ret = p;
	return 0;
}

static int check_place_locked(const struct cgroup *to)
{
	if (to->dead)
		return -ENODEV;
	return !cgroup_is_root(to) && to->subtree_control ? -EBUSY : 0; /* C4 */
}

static int try_move_locked(struct process *p, struct cgroup *to, const struct file *writer, bool thread)
{
	struct cgroup *from = p->cgroup; /* by cgroup_mutex it stays */
	int err = cgroup_may_move_locked(from, to, writer->cred);

	if (err == 0)
		err = check_place_locked(to);
	if (err == 0 && thread && from != to)
		err = -EOPNOTSUPP; /* a thread does not leave its process */
	if (err == 0 && from != to)
		move(p, from, to);
	return err;
}

int cgroup_move(struct cgroup *to, const char *text, const struct file *writer, bool thread)
{
	struct process *p;
	int err = find(text, &p);

	if (err < 0)
		return err;
	mutex_lock(&cgroup_mutex);
	err = try_move_locked(p, to, writer, thread);
	mutex_unlock(&cgroup_mutex);
	process_put(p);
	return err;
}

int cgroup_open_for_child(int fd, struct cgroup **ret)
{
	struct file *f = fd_get(fd);
	struct cgroup *to = f ? cgroup_of_file(f) : NULL;
	struct inode *procs;
	int err = to ? 0 : -EBADF;

	if (to) {
		cgroup_get(to);
		mutex_lock(&cgroup_mutex);
		procs = cgroup_procs_inode_locked(to);
		err = procs ? inode_permission(procs, MAY_WRITE, thread_current()->cred) : -ENOENT;
		if (procs)
			inode_put(procs);
		if (err == 0)
			err = cgroup_may_move_locked(process_self()->cgroup, to, thread_current()->cred);
		if (err == 0)
			err = check_place_locked(to);
		mutex_unlock(&cgroup_mutex);
		if (err == 0)
			*ret = to;
		else
			cgroup_put(to);
	}
	if (f)
		file_put(f);
	return err;
}

/* ---- killing ---- */

static void set_killing(struct cgroup *top, bool on)
{
	cgroup_for_each(cg, top) {
		unsigned long flags = spin_lock_irq(&proc_lock);

		cg->killing = on;
		spin_unlock_irq(&proc_lock, flags);
	}
}

static void kill_process(struct process *p, void *unused)
{
	(void)unused;
	if (p != process_init)
		signal_process(p, SIGKILL);
}

/* Whoever forks meanwhile has a child that dies at once: none gets away. */
int cgroup_kill(struct cgroup *cg)
{
	mutex_lock(&cgroup_mutex);
	set_killing(cg, true);
	cgroup_each_process(cg, true, kill_process, NULL);
	set_killing(cg, false);
	mutex_unlock(&cgroup_mutex);
	return 0;
}
