/* SPDX-License-Identifier: MIT */
/*
 * To whom the signals of open files go (vfs/file_signal.c). A file outlives whom it was told to tell, so it keeps numbers, and when their bearers
 * were born: whoever has a number later is not meant. Groups go by the number alone.
 *
 * The right to send is that of who named the owner (F_SETOWN), by the ids that he had then, as on Linux.
 */
#include "proc_internal.h"
#include <cloudos/cred.h>
#include <cloudos/file_signal.h>
#include <linux/fcntl.h>
#include <linux/poll.h>

#define SIGNALS_WITH_CODES (SIGNALS_SYNCHRONOUS | signal_bit(SIGCHLD)) /* for these POLL_IN would mean something else */

static int name(int type, int32_t number, struct file_owner *ret)
{
	const struct cred *c = thread_current()->cred;
	unsigned long flags = spin_lock_irq(&proc_lock);
	const struct pid_entry *e = number ? pid_lookup_locked(number) : process_self()->id;
	int err = e ? 0 : -ESRCH;

	if (e) {
		*ret = (struct file_owner){ .type = type, .pid = e->numbers[0].number, .uid = c->uid, .euid = c->euid };
		if (type == F_OWNER_PID && e->process)
			ret->born_ns = e->process->start_ns;
		else if (type == F_OWNER_TID && e->task)
			ret->born_ns = e->task->process->start_ns;
	}
	spin_unlock_irq(&proc_lock, flags);
	return err;
}

static int32_t number(const struct file_owner *o)
{
	return pid_seen(o->pid);
}

/* ---- sending; proc_lock is held ---- */

static bool may_send_locked(const struct file_owner *o, const struct task *t)
{
	const struct cred *c = task_own_cred(t);

	return o->euid == 0 || o->euid == c->suid || o->euid == c->uid || o->uid == c->suid || o->uid == c->uid;
}

static void send_to_locked(const struct file_owner *o, struct process *p, struct task *only, int signo, int code, int fd)
{
	static const uint32_t bands[] = { [POLL_IN] = POLLIN | POLLRDNORM, [POLL_OUT] = POLLOUT | POLLWRNORM | POLLWRBAND,
					  [POLL_MSG] = POLLIN | POLLRDNORM | POLLMSG };
	const struct task *any = only ? only : process_any_task_locked(p);
	struct signal_info info = { .signo = signo, .code = signo && (SIGNALS_WITH_CODES & signal_bit(signo)) ? SI_SIGIO : code };

	if (!any || !may_send_locked(o, any))
		return;
	spin_lock(&p->signal_lock);
	if (signo) {
		info.fields._sigpoll._band = bands[code];
		info.fields._sigpoll._fd = fd;
	}
	if (!signo || signal_send_locked(p, only, &info) < 0) {
		signal_info_kernel(&info, SIGIO);
		(void)signal_send_locked(p, only, &info);
	}
	spin_unlock(&p->signal_lock);
}

static void send(const struct file_owner *o, int signo, int code, int fd)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct pid_entry *e = pid_lookup_global_locked(o->pid);
	struct process *p;

	if (e && o->type == F_OWNER_PGRP) {
		list_for_each(p, &e->members, group_link)
			send_to_locked(o, p, NULL, signo, code, fd);
	} else if (e && o->type == F_OWNER_PID && e->process && e->process->start_ns == o->born_ns) {
		send_to_locked(o, e->process, NULL, signo, code, fd);
	} else if (e && o->type == F_OWNER_TID && e->task && e->task->process->start_ns == o->born_ns) {
		send_to_locked(o, e->task->process, e->task, signo, code, fd);
	}
	spin_unlock_irq(&proc_lock, flags);
}

static const struct file_signal_ops ops = { .name = name, .number = number, .send = send };

void file_signals_init(void)
{
	file_signal_ops = &ops;
}
