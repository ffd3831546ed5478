/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of processes (pidfds). A number may be given to another process once its own was reaped; a descriptor cannot: it says
 * then that there is nobody.
 *
 * Between the file and the process stands a handle, one a process, made with the first descriptor. It is small, and all that a forgotten
 * descriptor keeps: the process itself goes as it would without. It goes through three states, under proc_lock:
 *
 *   the process lives		process set,  ended false
 *   it is a zombie		process set,  ended true	poll(2) says POLLIN, from here on
 *   it was reaped		process null, ended true
 *
 * H1  handle->process is null, or a process that has not been reaped and whose `handle` is this one.
 * H2  The handle of a process never changes once it is set.
 *
 * The process holds its handle until its storage is freed, each file holds it, too. Whoever wants the process takes proc_lock and looks.
 */
#include "proc_internal.h"
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/inspect.h>
#include <cloudos/pidfd.h>
#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include <cloudos/wait.h>

/* Fields: T = proc_lock; A = atomic. */
struct process_handle {
	struct refcount refs;
	struct process *process; /* T; compared without */
	bool ended;		 /* A, written under T */
	struct wait_queue end;	 /* woken when `ended` becomes true */
};

static struct process_handle *handle_alloc(void)
{
	struct process_handle *h = kmalloc(sizeof(*h));

	if (!h)
		return NULL;
	refcount_init(&h->refs, 1);
	h->process = NULL;
	h->ended = false;
	wait_queue_init(&h->end);
	return h;
}

struct process *process_of_handle_locked(struct process_handle *h)
{
	return h->process;
}

void process_handle_put(struct process_handle *h)
{
	if (refcount_put(&h->refs))
		kfree(h);
}

/* A reference to p's handle, which becomes *spare (taken over, null then) if it has none. */
static struct process_handle *handle_get_locked(struct process *p, struct process_handle **spare)
{
	if (!p->handle) {
		p->handle = *spare;
		*spare = NULL;
		p->handle->process = p;
		p->handle->ended = p->state != PROCESS_ALIVE;
	}
	refcount_get(&p->handle->refs);
	return p->handle;
}

void process_handle_ended_locked(struct process *p)
{
	if (!p->handle)
		return;
	WRITE_ONCE(p->handle->ended, true);
	wake_events(&p->handle->end, POLLIN | POLLRDNORM, false);
}

void process_handle_reaped_locked(struct process *p)
{
	if (p->handle)
		WRITE_ONCE(p->handle->process, NULL);
}

/* ---- the file ---- */

static uint32_t pidfd_poll(struct file *f, struct poll_table *pt)
{
	struct process_handle *h = f->private;

	poll_wait(pt, &h->end);
	return READ_ONCE(h->ended) ? POLLIN | POLLRDNORM : 0;
}

static void pidfd_release(struct file *f)
{
	process_handle_put(f->private);
}

static int pidfd_name(struct file *f, char *buf, size_t size)
{
	(void)f;
	return fmt_string(buf, size, "anon_inode:[pidfd]");
}

static void pidfd_fdinfo(struct file *f, struct text_out *o)
{
	struct pid_namespace *ns = pid_namespace_current();
	const struct process_handle *h = f->private;
	unsigned long flags = spin_lock_irq(&proc_lock);
	int numbers[PID_NAMESPACE_DEPTH + 1] = { -1 };
	unsigned n = h->process ? pid_numbers_below(h->process->id, ns, numbers) : 1;

	spin_unlock_irq(&proc_lock, flags);
	out_printf(o, "Pid:\t%d\nNSpid:", numbers[0]);
	for (unsigned i = 0; i < n; i++)
		out_printf(o, "\t%d", numbers[i]);
	out_printf(o, "\n");
}

static const struct file_ops pidfd_ops = {
	.poll = pidfd_poll,
	.release = pidfd_release,
	.name = pidfd_name,
	.fdinfo = pidfd_fdinfo,
};

/* Takes over the handle's reference when it succeeds. */
static int handle_file(struct process_handle *h, uint32_t flags, struct file **ret)
{
	return file_create_anonymous(&pidfd_ops, h, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR | flags, 0, ret);
}

static int find_process_locked(int pid, struct process **ret)
{
	struct pid_entry *e = pid_lookup_locked(pid);

	if (!e)
		return -ESRCH;
	if (!e->process)
		return -EINVAL; /* a thread's, or all that is left is a group or a session */
	*ret = e->process;
	return 0;
}

int pidfd_file_create(int pid, uint32_t flags, struct file **ret)
{
	struct process_handle *spare = handle_alloc(), *h = NULL;
	struct process *p;
	unsigned long irq;
	int err;

	if (!spare)
		return -ENOMEM;
	irq = spin_lock_irq(&proc_lock);
	err = find_process_locked(pid, &p);
	if (err == 0)
		h = handle_get_locked(p, &spare);
	spin_unlock_irq(&proc_lock, irq);
	if (spare)
		process_handle_put(spare);
	if (err < 0)
		return err;
	err = handle_file(h, flags, ret);
	if (err < 0)
		process_handle_put(h);
	return err;
}

int pidfd_file_create_new(struct process *p, struct file **ret)
{
	struct process_handle *spare = handle_alloc(), *h;
	int err;

	if (!spare)
		return -ENOMEM;
	h = handle_get_locked(p, &spare);
	err = handle_file(h, 0, ret);
	if (err < 0)
		process_handle_put(h);
	return err;
}

struct process_handle *pidfd_handle(const struct file *f)
{
	return f->ops == &pidfd_ops ? f->private : NULL;
}

/* ---- what one does with it ---- */

int pidfd_kill(struct process_handle *h, const struct signal_info *info)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = h->process ? signal_kill_process_locked(h->process, info) : -ESRCH;

	spin_unlock_irq(&proc_lock, flags);
	return err;
}

bool pidfd_is_self(struct process_handle *h)
{
	const struct task *t = task_self();

	return t->tid == t->process->pid && READ_ONCE(h->process) == t->process;
}

/* With a reference: a table's lock is not taken inside proc_lock, for which interrupts wait that came while it was held. */
static int get_table_locked(struct process *p, struct fd_table **ret)
{
	struct task *t = p ? process_any_task_locked(p) : NULL;
	int err;

	if (!t || t->gone)
		return -ESRCH;
	err = inspect_check_locked(t, INSPECT_REAL);
	if (err < 0)
		return err;
	*ret = LOAD_ACQUIRE(t->thread.files);
	fd_table_get(*ret);
	return 0;
}

int pidfd_get_file(struct process_handle *h, int fd, struct file **ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct fd_table *table = NULL;
	int err = get_table_locked(h->process, &table);

	spin_unlock_irq(&proc_lock, flags);
	if (err < 0)
		return err;
	*ret = fd_table_lookup(table, fd);
	fd_table_put(table);
	return *ret ? 0 : -EBADF;
}

int pidfd_get_vm(struct process_handle *h, struct vm_space **ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = inspect_get_vm_locked(h->process ? process_any_task_locked(h->process) : NULL, INSPECT_FS, ret);

	spin_unlock_irq(&proc_lock, flags);
	return err;
}

/* ---- process_mrelease(2) ---- */

/* The space that p's threads use still, and how many do; null: none. */
static struct vm_space *used_space_locked(struct process *p, uint32_t *ret_users)
{
	struct vm_space *s = NULL;
	struct task *t;

	*ret_users = 0;
	list_for_each(t, &p->tasks, process_link) {
		if (t->gone)
			continue;
		s = LOAD_ACQUIRE(t->thread.vm);
		++*ret_users;
	}
	return s;
}

/* All threads of a process have the same space: one of them tells. */
static bool lives_in_locked(struct process *p, const struct vm_space *s)
{
	uint32_t users;

	return used_space_locked(p, &users) == s && (!READ_ONCE(p->group_exit) || READ_ONCE(p->core_state) == CORE_BEING_WRITTEN);
}

static bool others_live_in_locked(const struct process *p, const struct vm_space *s)
{
	struct pid_namespace *ns = &pid_namespace_first;

	for (int pid = pid_next_in_locked(ns, 0); pid > 0; pid = pid_next_in_locked(ns, pid)) {
		struct process *other = pid_lookup_in_locked(ns, pid)->process;

		if (other != p && lives_in_locked(other, s))
			return true;
	}
	return false;
}

static int get_dying_vm_locked(struct process *p, struct vm_space **ret)
{
	uint32_t users;
	struct vm_space *s = p ? used_space_locked(p, &users) : NULL;

	if (!s)
		return -ESRCH;
	if (!READ_ONCE(p->group_exit) || READ_ONCE(p->core_state) == CORE_BEING_WRITTEN) /* the core file is to be whole */
		return -EINVAL;
	if (refcount_read(&s->users) > users && others_live_in_locked(p, s)) /* the count is high for passers-by, too */
		return -EINVAL;
	vm_space_get(s);
	*ret = s;
	return 0;
}

int pidfd_get_dying_vm(struct process_handle *h, struct vm_space **ret)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = get_dying_vm_locked(h->process, ret);

	spin_unlock_irq(&proc_lock, flags);
	return err;
}
