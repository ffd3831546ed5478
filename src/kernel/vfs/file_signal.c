/* SPDX-License-Identifier: MIT */
/*
 * Signals that an open file sends (fcntl(2), "Managing signals"). What it needs for that is allocated with the first word about it, and stays.
 *
 * O_ASYNC: waiters on the queues that the file announces its readiness on, as epoll has them. Their function runs under a queue's lock, from where no
 * signal can be sent: it notes what happened and lets a kernel timer go off at once, which sends. What happens in between is one signal.
 *
 * Locking: `lock` (RANK_POLL, interrupts off) guards owner, signal and descriptor; `async_mutex` who waits. Events are atomic.
 */
#include <asm/poll.h>
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <cloudos/errno.h>
#include <cloudos/file_signal.h>
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/timer.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include <linux/fcntl.h>

#define QUEUES_MAX 2 /* that a file announces on, as for epoll */

struct async_waiter {
	struct waiter waiter;
	struct wait_queue *queue;
	struct file_signals *of;
};

struct file_signals {
	struct spinlock lock;
	struct file_owner owner; /* by lock */
	int signo, fd;		 /* likewise; signo 0: SIGIO, without more */
	uint32_t mode;		 /* C: the file's */
	uint32_t events;	 /* A: not sent yet */
	uint32_t waiter_count;	 /* by async_mutex; 0: not O_ASYNC */
	struct async_waiter waiters[QUEUES_MAX];
	struct timer timer;
};

const struct file_signal_ops *file_signal_ops;
static struct mutex async_mutex = MUTEX_INIT(async_mutex, RANK_EPOLL); /* around the poll operations of any file */

static void send(struct timer *t);

static struct file_signals *signals_of(struct file *f)
{
	struct file_signals *fresh, *none = NULL;

	if (LOAD_ACQUIRE(f->signals))
		return f->signals;
	fresh = kzalloc(sizeof(*fresh));
	if (!fresh)
		return NULL;
	spin_init(&fresh->lock, RANK_POLL);
	fresh->owner.type = F_OWNER_TID;
	fresh->mode = f->mode;
	fresh->fd = -1;
	timer_setup(&fresh->timer, send);
	if (__atomic_compare_exchange_n(&f->signals, &none, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return fresh;
	kfree(fresh);
	return none;
}

/* ---- whom and which ---- */

static int set_owner(struct file *f, const struct file_owner *owner)
{
	struct file_signals *s = signals_of(f);
	unsigned long flags;

	if (!s)
		return -ENOMEM;
	flags = spin_lock_irq(&s->lock);
	s->owner = *owner;
	spin_unlock_irq(&s->lock, flags);
	return 0;
}

int file_set_owner(struct file *f, int type, int32_t number)
{
	struct file_owner owner = { .type = type };
	int err;

	if (type != F_OWNER_TID && type != F_OWNER_PID && type != F_OWNER_PGRP)
		return -EINVAL;
	err = number ? file_signal_ops->name(type, number, &owner) : 0;
	return err < 0 ? err : set_owner(f, &owner);
}

int file_set_owner_self(struct file *f)
{
	struct file_owner owner;
	int err = file_signal_ops->name(F_OWNER_PID, 0, &owner);

	return err < 0 ? err : set_owner(f, &owner);
}

static struct file_owner owner_of(struct file_signals *s, int *ret_signo, int *ret_fd)
{
	unsigned long flags = spin_lock_irq(&s->lock);
	struct file_owner owner = s->owner;

	*ret_signo = s->signo;
	*ret_fd = s->fd;
	spin_unlock_irq(&s->lock, flags);
	return owner;
}

void file_get_owner(struct file *f, int *ret_type, int32_t *ret_number)
{
	struct file_signals *s = LOAD_ACQUIRE(f->signals);
	struct file_owner owner = { .type = F_OWNER_TID };
	int signo, fd;

	if (s)
		owner = owner_of(s, &signo, &fd);
	*ret_type = owner.type;
	*ret_number = owner.pid ? file_signal_ops->number(&owner) : 0;
}

int file_set_signal(struct file *f, int signo)
{
	struct file_signals *s = signals_of(f);
	unsigned long flags;

	if (!s)
		return -ENOMEM;
	flags = spin_lock_irq(&s->lock);
	WRITE_ONCE(s->signo, signo);
	spin_unlock_irq(&s->lock, flags);
	return 0;
}

int file_get_signal(struct file *f)
{
	struct file_signals *s = LOAD_ACQUIRE(f->signals);

	return s ? READ_ONCE(s->signo) : 0;
}

int file_signal_fd(struct file *f, int fd)
{
	struct file_signals *s = signals_of(f);
	unsigned long flags;

	if (!s)
		return -ENOMEM;
	flags = spin_lock_irq(&s->lock);
	s->fd = fd;
	spin_unlock_irq(&s->lock, flags);
	return 0;
}

static void send_code(struct file_signals *s, int code)
{
	int signo, fd;
	struct file_owner owner = owner_of(s, &signo, &fd);

	if (owner.pid)
		file_signal_ops->send(&owner, signo, code, fd);
}

void file_send_signal(struct file *f, int code)
{
	struct file_signals *s = LOAD_ACQUIRE(f->signals);

	if (s)
		send_code(s, code);
}

/* ---- O_ASYNC ---- */

/* The end of the other side is announced on both queues: one signal. */
static void send(struct timer *t)
{
	struct file_signals *s = container_of(t, struct file_signals, timer);
	uint32_t events = __atomic_exchange_n(&s->events, 0, __ATOMIC_ACQ_REL);
	bool in = (events & POLLIN) && (s->mode & FILE_READ), out = (events & POLLOUT) && (s->mode & FILE_WRITE);

	if (in)
		send_code(s, POLL_IN);
	if (out && !(in && (events & POLLHUP)))
		send_code(s, POLL_OUT);
}

static bool note_event(struct waiter *w, uint32_t events)
{
	struct file_signals *s = container_of(w, struct async_waiter, waiter)->of;

	__atomic_fetch_or(&s->events, events, __ATOMIC_ACQ_REL);
	timer_arm(&s->timer, 0);
	return false; /* it takes nothing from those who wait */
}

struct add_table {
	struct poll_table table;
	struct file_signals *signals;
};

static void add_waiter(struct poll_table *pt, struct wait_queue *q)
{
	struct file_signals *s = container_of(pt, struct add_table, table)->signals;
	struct async_waiter *w = &s->waiters[s->waiter_count];

	ASSERT(s->waiter_count < QUEUES_MAX);
	s->waiter_count++;
	waiter_init(&w->waiter, WAIT_ANY, false);
	w->waiter.fn = note_event;
	w->queue = q;
	w->of = s;
	wait_add(q, &w->waiter);
}

static void stop_waiting(struct file_signals *s)
{
	while (s->waiter_count > 0) {
		struct async_waiter *w = &s->waiters[--s->waiter_count];

		wait_remove(w->queue, &w->waiter);
	}
	(void)timer_cancel(&s->timer);
	WRITE_ONCE(s->events, 0);
}

int file_set_async(struct file *f, int fd, bool on)
{
	struct file_signals *s = signals_of(f);
	struct add_table add = { .table.add = add_waiter, .signals = s };

	if (!s || file_signal_fd(f, fd) < 0)
		return -ENOMEM;
	mutex_lock(&async_mutex);
	if (!on)
		stop_waiting(s);
	else if (s->waiter_count == 0)
		(void)file_poll(f, &add.table);
	mutex_unlock(&async_mutex);
	return 0;
}

void file_signals_free(struct file *f)
{
	struct file_signals *s = f->signals;

	stop_waiting(s);
	kfree(s);
}
