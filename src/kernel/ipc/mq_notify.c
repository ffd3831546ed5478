/* SPDX-License-Identifier: MIT */
/*
 * mq_notify(2): one process may ask to be told of the next message that comes into the empty queue (M4).
 *
 * A registration belongs to a program: it goes when the process closes a descriptor of the queue, at its end with all the others; and a
 * program that the process has begun since is not told. One of a process that is gone is none (its descriptors may live on in another that
 * shares them).
 *
 * SIGEV_THREAD is the C library's: it asks for a cookie on a netlink socket, and there are none here.
 */
#include <asm/siginfo.h>
#include <cloudos/signal.h>
#include <linux/stat.h>
#include "mq_internal.h"

void mq_forget_locked(struct mq *q)
{
	struct process *p = q->listener.process;

	q->listener = (struct mq_listener){ 0 };
	if (p)
		process_put(p);
}

bool mq_withdraw_locked(struct mq *q)
{
	if (q->listener.process != process_current() || !q->listener.process)
		return false;
	mq_forget_locked(q);
	return true;
}

static bool is_gone(struct process *p)
{
	return READ_ONCE(p->live) == 0;
}

static void send_signal(const struct mq_listener *l)
{
	struct signal_info info;

	if (l->how != SIGEV_SIGNAL || !l->signo || READ_ONCE(l->process->execs) != l->execs)
		return;
	signal_info_user(&info, l->signo, SI_MESGQ);
	info.fields._rt._pid = process_number_for(l->process);
	info.fields._rt._sigval = l->value;
	(void)signal_send_process(l->process, &info); /* lost where its queue is full, as on Linux */
}

void mq_tell_locked(struct mq *q)
{
	if (!q->listener.process)
		return;
	send_signal(&q->listener);
	mq_forget_locked(q);
}

static int register_locked(struct mq *q, const struct sigevent *event)
{
	struct process *self = process_self();

	if (q->listener.process && !is_gone(q->listener.process))
		return -EBUSY;
	mq_forget_locked(q);
	process_get(self);
	q->listener = (struct mq_listener){
		.process = self,
		.execs = READ_ONCE(self->execs),
		.how = event->sigev_notify,
		.signo = event->sigev_signo,
		.value = event->sigev_value,
	};
	return 0;
}

int mqueue_notify(struct file *f, const struct sigevent *event)
{
	struct mq *q = mq_of(f);
	int error = 0;

	mutex_lock(&q->lock);
	if (event)
		error = register_locked(q, event);
	else
		(void)mq_withdraw_locked(q);
	mutex_unlock(&q->lock);
	return error;
}
