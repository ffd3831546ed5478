/* SPDX-License-Identifier: MIT */
/*
 * Storage and life of tasks and processes.
 *
 * A task's block holds the task and, behind it, its FPU area. It lives until the thread has left its stack for the last time
 * and the last passer-by has put it. A process is held by its tasks, and by its entry among its parent's children: a zombie is
 * a process with no tasks that nobody has waited for.
 *
 * proc_lock is a grace period, too: what others find through a task (its vm, files, fs, cred) they take a reference to under
 * proc_lock; the task, having put another pointer in place (or set `gone`), passes through proc_lock once before it drops the old
 * object. See proc_settle().
 */
#include "profile.h"
#include "proc_internal.h"
#include <cloudos/cgroup.h>
#include <cloudos/seccomp.h>
#include <cloudos/vfs.h>
#include <cloudos/vm.h>

const struct task_sem_undo_ops *task_sem_undo_ops;
const struct task_ipc_ops *task_ipc_ops;
const struct task_async_ops *task_async_ops;

static struct slab_cache *task_cache, *process_cache, *actions_cache;

static size_t fpu_offset(void)
{
	return align_up(sizeof(struct task), (size_t)HAL_USER_ALIGN);
}

void *task_fpu(struct task *t)
{
	return (char *)t + fpu_offset();
}

int task_caches_init(void)
{
	task_cache = slab_cache_create("task", fpu_offset() + hal_user_fpu_size(), HAL_USER_ALIGN);
	process_cache = slab_cache_create("process", sizeof(struct process), 0);
	actions_cache = slab_cache_create("signal_actions", sizeof(struct signal_actions), 0);
	return task_cache && process_cache && actions_cache ? 0 : -ENOMEM;
}

static void task_free(struct task *t)
{
	profile_task_gone(t);
	if (t->thread.cred)
		cred_put(t->thread.cred);
	if (t->process)
		process_put(t->process);
	seccomp_leave(t->seccomp);
	slab_free(task_cache, t);
}

void task_put(struct task *t)
{
	if (refcount_put(&t->refs))
		task_free(t);
}

static void task_release(struct thread *thread)
{
	task_put(task_of_thread(thread));
}

struct task *task_alloc_entry(const char *name, void (*entry)(void *))
{
	struct task *t = slab_alloc(task_cache);

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	if (thread_init(&t->thread, name, entry, t) < 0) {
		slab_free(task_cache, t);
		return NULL;
	}
	t->thread.work = process_traced ? THREAD_WORK_TRACE : 0;
	t->thread.user = &t->user;
	t->thread.release = task_release;
	refcount_init(&t->refs, 1);
	list_init(&t->process_link);
	list_init(&t->tracees);
	list_init(&t->trace.link);
	inherit_init_task(t);
	signal_queue_init(&t->pending);
	t->altstack.flags = SS_DISABLE;
	t->timer_slack_ns = 50 * NSEC_PER_USEC;
	t->io_priority = 0;
	return t;
}

void task_discard(struct task *t)
{
	thread_fini(&t->thread);
	task_free(t);
}

struct signal_actions *signal_actions_alloc(void)
{
	struct signal_actions *a = slab_alloc(actions_cache);

	if (!a)
		return NULL;
	refcount_init(&a->refs, 1);
	spin_init(&a->lock, RANK_SIGNAL_ACTIONS);
	return a;
}

void signal_actions_put(struct signal_actions *a)
{
	if (refcount_put(&a->refs))
		slab_free(actions_cache, a);
}

struct process *process_alloc(void)
{
	struct process *p = slab_zalloc(process_cache);

	if (!p)
		return NULL;
	refcount_init(&p->refs, 1);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->group_link);
	list_init(&p->tasks);
	list_init(&p->timers);
	wait_queue_init(&p->child_wait);
	wait_queue_init(&p->core_wait);
	spin_init(&p->signal_lock, RANK_SIGNAL);
	signal_queue_init(&p->pending);
	timers_process_init(p);
	p->start_ns = hal_clock_ns();
	p->dumpable = 1;
	p->core_filter = COREDUMP_FILTER_DEFAULT;
	return p;
}

void process_get(struct process *p)
{
	refcount_get(&p->refs);
}

void process_put(struct process *p)
{
	if (!refcount_put(&p->refs))
		return;
	ASSERT(list_empty(&p->tasks) && list_empty(&p->children) && list_empty(&p->timers));
	if (p->actions)
		signal_actions_put(p->actions);
	if (p->account)
		account_put(p->account);
	if (p->handle)
		process_handle_put(p->handle);
	if (p->pid_ns)
		namespace_put(&p->pid_ns->base);
	if (p->cgroup)
		cgroup_put(p->cgroup);
	group_leftovers_free(&p->left);
	pid_entry_free(p->left_id);
	slab_free(process_cache, p);
}

struct task *task_current(void)
{
	struct thread *t = thread_current();

	return t->user ? task_of_thread(t) : NULL;
}

struct process *process_current(void)
{
	struct task *t = task_current();

	return t ? t->process : NULL;
}

int process_pid(const struct process *p)
{
	return p->pid;
}

int process_number(const struct process *p)
{
	return p->id ? pid_number_seen(p->id) : 0;
}

int task_number(const struct task *t)
{
	return t->id ? pid_number_seen(t->id) : 0;
}

struct process *process_find(int pid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(pid);
	struct process *p = e ? e->process : NULL;

	if (p)
		process_get(p);
	spin_unlock_irq(&proc_lock, flags);
	return p;
}

struct task *task_find(int tid)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_locked(tid);
	struct task *t = e ? e->task : NULL;

	if (t)
		refcount_get(&t->refs);
	spin_unlock_irq(&proc_lock, flags);
	return t;
}

void proc_settle(void)
{
	spin_unlock_irq(&proc_lock, spin_lock_irq(&proc_lock));
}

struct task *process_any_task_locked(struct process *p)
{
	struct task *t;

	if (p->id && p->id->task)
		return p->id->task;
	list_for_each(t, &p->tasks, process_link)
		return t;
	return NULL;
}

/* The space, descriptor table or fs context of a process, with a reference, or null when it is past having one. */
struct vm_space *process_get_vm(struct process *p)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *t = process_any_task_locked(p);
	struct vm_space *s = t && !t->gone ? LOAD_ACQUIRE(t->thread.vm) : NULL;

	if (s)
		vm_space_get(s);
	spin_unlock_irq(&proc_lock, flags);
	return s;
}

struct fs_context *process_get_fs(struct process *p)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct task *t = process_any_task_locked(p);
	struct fs_context *fs = t && !t->gone ? LOAD_ACQUIRE(t->thread.fs) : NULL;

	if (fs)
		fs_context_get(fs);
	spin_unlock_irq(&proc_lock, flags);
	return fs;
}

void task_set_name(const char *name)
{
	struct task *t = task_self();
	unsigned long flags = spin_lock_irq(&proc_lock);

	str_copy(t->thread.name, sizeof(t->thread.name), name);
	spin_unlock_irq(&proc_lock, flags);
}

uint64_t process_limit(unsigned resource)
{
	struct process *p = process_current();

	ASSERT(resource < RLIM_NLIMITS);
	return p ? READ_ONCE(p->limits[resource].rlim_cur) : RLIM64_INFINITY;
}
