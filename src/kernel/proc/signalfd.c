/* SPDX-License-Identifier: MIT */
/*
 * Signals as a file: signalfd(2). A read takes pending signals of the file's mask, as sigtimedwait(2) would: those of the reading thread
 * and of its process, whoever made the file. So the file holds nothing but a mask.
 *
 * Whoever waits for the file waits for the signals of his process. The queues for that are a few, static, and chosen by the process: a
 * watcher (an epoll that another process made, and kept) may then outlive the process whose signals it hears of. Who shares a queue is
 * woken in vain now and then.
 *
 * Locking: the mask is one word, read and written without a lock. Queues are woken under S, behind the change that it guards.
 */
#include "proc_internal.h"
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include <linux/signalfd.h>

#define QUEUES 256

_Static_assert(sizeof(struct signalfd_siginfo) == 128, "Linux's layout");
_Static_assert(offsetof(struct signalfd_siginfo, ssi_ptr) == 48 && offsetof(struct signalfd_siginfo, ssi_addr) == 72 &&
		       offsetof(struct signalfd_siginfo, ssi_call_addr) == 88 && offsetof(struct signalfd_siginfo, ssi_arch) == 96,
	       "Linux's layout");

struct signalfd {
	uint64_t mask; /* A */
};

static struct wait_queue queues[QUEUES];

static struct wait_queue *queue_of(const struct process *p)
{
	return &queues[(unsigned)p->pid % QUEUES];
}

void signalfd_init(void)
{
	for (size_t i = 0; i < QUEUES; i++)
		wait_queue_init(&queues[i]);
}

void signalfd_notify_locked(struct process *p)
{
	wake_events(queue_of(p), POLLIN | POLLRDNORM, false);
}

/* ---- what a reader gets ---- */

enum layout { LAYOUT_KILL, LAYOUT_TIMER, LAYOUT_POLL, LAYOUT_FAULT, LAYOUT_CHILD, LAYOUT_QUEUED, LAYOUT_CALL };

/* Which fields of the union hold something, as far as number and code tell. */
static enum layout layout_of(const struct signal_info *info)
{
	if (info->code == SI_TIMER)
		return LAYOUT_TIMER;
	if (info->code == SI_SIGIO)
		return LAYOUT_POLL;
	if (info->code < 0)
		return LAYOUT_QUEUED;
	if (info->code == SI_USER || info->code >= SI_KERNEL)
		return LAYOUT_KILL;
	if (info->signo == SIGCHLD && info->code <= NSIGCHLD)
		return LAYOUT_CHILD;
	if (info->signo == SIGSYS && info->code <= NSIGSYS)
		return LAYOUT_CALL;
	if (signal_bit(info->signo) & SIGNALS_SYNCHRONOUS)
		return LAYOUT_FAULT;
	return info->code <= NSIGPOLL ? LAYOUT_POLL : LAYOUT_KILL;
}

static void fill(const struct signal_info *info, struct signalfd_siginfo *ret)
{
	const union __sifields *from = &info->fields;

	*ret = (struct signalfd_siginfo){ .ssi_signo = (uint32_t)info->signo, .ssi_errno = info->error, .ssi_code = info->code };
	switch (layout_of(info)) {
	case LAYOUT_KILL:
		ret->ssi_pid = (uint32_t)from->_kill._pid;
		ret->ssi_uid = from->_kill._uid;
		break;
	case LAYOUT_TIMER:
		ret->ssi_tid = (uint32_t)from->_timer._tid;
		ret->ssi_overrun = (uint32_t)from->_timer._overrun;
		ret->ssi_ptr = (uintptr_t)from->_timer._sigval.sival_ptr;
		ret->ssi_int = from->_timer._sigval.sival_int;
		break;
	case LAYOUT_POLL:
		ret->ssi_band = (uint32_t)from->_sigpoll._band;
		ret->ssi_fd = from->_sigpoll._fd;
		break;
	case LAYOUT_FAULT:
		ret->ssi_addr = (uintptr_t)from->_sigfault._addr;
		break;
	case LAYOUT_CHILD:
		ret->ssi_pid = (uint32_t)from->_sigchld._pid;
		ret->ssi_uid = from->_sigchld._uid;
		ret->ssi_status = from->_sigchld._status;
		ret->ssi_utime = (uint64_t)from->_sigchld._utime;
		ret->ssi_stime = (uint64_t)from->_sigchld._stime;
		break;
	case LAYOUT_QUEUED:
		ret->ssi_pid = (uint32_t)from->_rt._pid;
		ret->ssi_uid = from->_rt._uid;
		ret->ssi_ptr = (uintptr_t)from->_rt._sigval.sival_ptr;
		ret->ssi_int = from->_rt._sigval.sival_int;
		break;
	case LAYOUT_CALL:
		ret->ssi_call_addr = (uintptr_t)from->_sigsys._call_addr;
		ret->ssi_syscall = from->_sigsys._syscall;
		ret->ssi_arch = from->_sigsys._arch;
		break;
	}
}

/* ---- the file ---- */

static bool take(const struct signalfd *s, struct signal_info *ret)
{
	struct task *t = task_self();
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	uint64_t mask = READ_ONCE(s->mask);
	bool got = signal_dequeue_locked(p, &t->pending, mask, ret) || signal_dequeue_locked(p, &p->pending, mask, ret);

	spin_unlock_irq(&p->signal_lock, flags);
	return got;
}

/* The first signal, for which a read waits: 0, -EAGAIN, -ERESTARTSYS. */
static int take_first(struct file *f, struct signal_info *ret)
{
	const struct signalfd *s = f->private;

	if (take(s, ret))
		return 0;
	if (READ_ONCE(f->flags) & O_NONBLOCK)
		return -EAGAIN;
	return wait_event_interruptible(queue_of(process_self()), take(s, ret));
}

static ssize_t signalfd_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct signalfd_siginfo out;
	struct signal_info info;
	ssize_t total = 0;
	int err;

	(void)pos;
	if (to->count < sizeof(out))
		return -EINVAL;
	err = take_first(f, &info);
	if (err < 0)
		return err;
	for (;;) {
		fill(&info, &out);
		if (io_copy_to(to, &out, sizeof(out)) != sizeof(out)) /* the signal is lost, as it is on Linux */
			return total ? total : -EFAULT;
		total += (ssize_t)sizeof(out);
		if (to->count < sizeof(out) || !take(f->private, &info))
			return total;
	}
}

static uint32_t signalfd_poll(struct file *f, struct poll_table *pt)
{
	const struct signalfd *s = f->private;
	const struct task *t = task_self();

	poll_wait(pt, queue_of(t->process));
	return (READ_ONCE(t->pending.set) | READ_ONCE(t->process->pending.set)) & READ_ONCE(s->mask) ? POLLIN | POLLRDNORM : 0;
}

static void signalfd_release(struct file *f)
{
	kfree(f->private);
}

static int signalfd_name(struct file *f, char *buf, size_t size)
{
	(void)f;
	return fmt_string(buf, size, "anon_inode:[signalfd]");
}

static void signalfd_fdinfo(struct file *f, struct text_out *o)
{
	const struct signalfd *s = f->private;

	out_printf(o, "sigmask:\t%016lx\n", (unsigned long)READ_ONCE(s->mask));
}

static const struct file_ops signalfd_ops = {
	.read = signalfd_read,
	.poll = signalfd_poll,
	.release = signalfd_release,
	.name = signalfd_name,
	.fdinfo = signalfd_fdinfo,
};

int signalfd_file_create(uint64_t mask, uint32_t flags, struct file **ret)
{
	struct signalfd *s = kmalloc(sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->mask = mask & ~SIGNALS_UNBLOCKABLE;
	err = file_create_anonymous(&signalfd_ops, s, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR | flags, 0, ret);
	if (err < 0)
		kfree(s);
	return err;
}

/* The caller's own readers look again; those of other processes that have the file do with their next signal. */
int signalfd_set_mask(struct file *f, uint64_t mask)
{
	struct signalfd *s = f->private;

	if (f->ops != &signalfd_ops)
		return -EINVAL;
	WRITE_ONCE(s->mask, mask & ~SIGNALS_UNBLOCKABLE);
	wake_all(queue_of(process_self()));
	return 0;
}
