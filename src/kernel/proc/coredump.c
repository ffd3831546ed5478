/* SPDX-License-Identifier: MIT */
/*
 * Core files (core(5)): when one is written, and the standing still of a process meanwhile. What is in it: coredump_file.c, coredump_notes.c;
 * what it is called: coredump_name.c.
 *
 *   CORE_NONE -- a thread dies of a signal that leaves one; nothing ends the process yet --> CORE_BEING_WRITTEN: all other threads are told to
 *                exit, and halt where they begin to (coredump_halt): their registers are lent, as to a debugger
 *   CORE_BEING_WRITTEN -- all have halted; the file is complete, or cut short --> CORE_OVER: they go on with their ends
 *
 * C1  A thread is waited for if and only if it had not begun its end when the writing was decided on (task.past_core, under S).
 * C2  Nothing but SIGKILL, which cuts the file short, happens to a process meanwhile. It is no zombie before the file is complete.
 * C3  Who gets nothing of it: a process that is not dumpable, one whose RLIMIT_CORE has no room for a page, one that is in execve.
 *
 * Threads of other processes that use the same memory go on, as workers of io_uring do until their task ends: what they change while it is
 * written may be there or not.
 *
 * Lock: S.
 */
#include "coredump.h"
#include <cloudos/fs.h>
#include <linux/fcntl.h>
#include <linux/stat.h>

#define SIGNALS_CORE                                                                                                      \
	(signal_bit(SIGQUIT) | signal_bit(SIGILL) | signal_bit(SIGTRAP) | signal_bit(SIGABRT) | signal_bit(SIGFPE) |      \
	 signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGSYS) | signal_bit(SIGXCPU) | signal_bit(SIGXFSZ))

#define CORE_MODE (S_IRUSR | S_IWUSR)

/* ---- standing still ---- */

/* Counts whom to wait for. False: the process ends, or becomes another, already. */
static bool begin(struct task *self, int signo)
{
	struct process *p = self->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	bool good = !p->group_exit && !p->exec_task;
	struct task *t;

	if (good) {
		signal_group_exit_locked(p, signo, self);
		WRITE_ONCE(p->core_state, CORE_BEING_WRITTEN);
		list_for_each(t, &p->tasks, process_link)
			if (t != self && !t->worker && !t->past_core)
				p->core_missing++;
	}
	spin_unlock_irq(&p->signal_lock, flags);
	return good;
}

static void end(struct process *p, bool written)
{
	unsigned long flags = spin_lock_irq(&p->signal_lock);

	WRITE_ONCE(p->core_state, CORE_OVER);
	if (written)
		WRITE_ONCE(p->exit_status, p->exit_status | EXIT_STATUS_CORE);
	spin_unlock_irq(&p->signal_lock, flags);
	wake_all(&p->core_wait);
}

bool coredump_halt(struct task *t)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	bool halt = p->core_state == CORE_BEING_WRITTEN && !t->worker && !t->past_core;

	t->past_core = true;
	spin_unlock_irq(&p->signal_lock, flags);
	if (!halt)
		return false;
	hal_user_lend(&t->user);
	flags = spin_lock_irq(&p->signal_lock);
	t->core_halted = true;
	WRITE_ONCE(p->core_missing, p->core_missing - 1);
	spin_unlock_irq(&p->signal_lock, flags);
	wake_all(&p->core_wait);
	wait_event(&p->core_wait, READ_ONCE(p->core_state) == CORE_OVER);
	hal_user_reclaim(&t->user);
	return true;
}

void coredump_killed_locked(struct process *p)
{
	struct task *t;

	if (p->core_state != CORE_BEING_WRITTEN)
		return;
	WRITE_ONCE(p->core_killed, true);
	list_for_each(t, &p->tasks, process_link) { /* the one that writes has not been told to end, and waits for memory no longer now */
		thread_post(&t->thread, THREAD_WORK_EXIT);
		thread_wake_state(&t->thread, THREAD_INTERRUPTIBLE);
	}
}

/* Those that stand still, and the dying one first; they stay until end(). 0 or -ENOMEM. */
static int gather(struct core *c)
{
	struct process *p = c->dying->process;
	uint32_t room = READ_ONCE(p->task_count), n = 0;
	unsigned long flags;
	struct task *t;

	c->tasks = kcalloc(room, sizeof(struct task *)); /* there are fewer and fewer: nobody can make one */
	if (!c->tasks)
		return -ENOMEM;
	c->tasks[n++] = c->dying;
	flags = spin_lock_irq(&p->signal_lock);
	list_for_each(t, &p->tasks, process_link)
		if (t != c->dying && t->core_halted && n < room)
			c->tasks[n++] = t;
	spin_unlock_irq(&p->signal_lock, flags);
	c->task_count = n;
	return 0;
}

/* ---- the file ---- */

/* It must be a new one of the dying process's user, which nobody else can read. */
static bool is_fit(const struct file *f)
{
	const struct inode *inode = f->inode;

	return S_ISREG(inode_mode(inode)) && READ_ONCE(inode->nlink) == 1 && READ_ONCE(inode->uid) == thread_current()->cred->fsuid &&
	       (inode_mode(inode) & (S_IRWXU | S_IRGRP | S_IWGRP | S_IXGRP | S_IRWXO)) == CORE_MODE;
}

static int open_file(struct core *c)
{
	char *name = kmalloc(CORE_NAME_MAX);
	int err;

	if (!name)
		return -ENOMEM;
	err = core_name(c, name, CORE_NAME_MAX);
	if (err == 0) {
		(void)vfs_unlink(AT_FDCWD, name); /* an old one; what else is in the way shows when it is made */
		err = vfs_open(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_LARGEFILE, CORE_MODE, &c->file);
	}
	if (err == 0 && !is_fit(c->file)) {
		file_put(c->file);
		err = -EACCES;
	}
	kfree(name);
	return err;
}

/* True: there is a file. */
static bool write_it(struct core *c)
{
	int err = open_file(c);

	if (err < 0)
		return false;
	err = gather(c);
	if (err == 0) {
		hal_user_lend(&c->dying->user);
		err = core_write_file(c);
		hal_user_reclaim(&c->dying->user);
		kfree(c->tasks);
	}
	file_put(c->file);
	return err != -ENOMEM || c->written > 0;
}

bool coredump_write(struct task *t, const struct signal_info *info)
{
	struct process *p = t->process;
	struct core c = { .dying = t, .info = info, .limit = process_limit(RLIMIT_CORE) };
	bool written;

	if (!(signal_bit(info->signo) & SIGNALS_CORE) || READ_ONCE(p->dumpable) != 1 || c.limit < PAGE_SIZE)
		return false;
	if (!begin(t, info->signo))
		return false;
	wait_event(&p->core_wait, READ_ONCE(p->core_missing) == 0);
	written = write_it(&c);
	end(p, written);
	return written;
}
