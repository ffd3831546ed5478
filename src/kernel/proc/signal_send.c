/* SPDX-License-Identifier: MIT */
/*
 * Sending signals: from the kernel, from kill(2) and its kin, from timers in interrupts.
 *
 * A signal is put on a queue (the process's, or one thread's) and a thread that has it unblocked is told. What happens at once,
 * at the time of sending: an ignored signal that nobody blocks is dropped; SIGKILL marks every thread for exit; SIGCONT ends a stop
 * and takes pending stop signals back, and the other way round. All the rest happens when the thread is about to return to user
 * mode (signal_deliver.c).
 *
 * Locking: the target's signal_lock (S). Whoever names a target by a number holds proc_lock around it.
 */
#include "proc_internal.h"
#include <cloudos/ptrace.h>
#include <linux/capability.h>

_Static_assert(offsetof(struct signal_info, fields) == offsetof(siginfo_t, _sifields), "laid out as siginfo_t");
_Static_assert(sizeof(struct signal_info) <= sizeof(siginfo_t), "a prefix of siginfo_t");

void signal_info_kernel(struct signal_info *info, int signo)
{
	*info = (struct signal_info){ .signo = signo, .code = SI_KERNEL };
}

void signal_info_user(struct signal_info *info, int signo, int code)
{
	*info = (struct signal_info){ .signo = signo, .code = code };
	info->fields._kill._pid = process_number(process_self());
	info->fields._kill._uid = thread_current()->cred->uid;
}

bool signal_has_sender(const struct signal_info *info)
{
	if (info->signo == SIGCHLD && info->code > 0 && info->code <= NSIGCHLD)
		return true;
	return info->code == SI_USER || (info->code < 0 && info->code != SI_TIMER && info->code != SI_SIGIO);
}

/* Does it come from the kernel, or from a process that those of p's namespace do not see? Else p's init is spared what it has no handler for. */
static bool from_above(const struct process *p, const struct signal_info *info)
{
	if (info->code > 0 || !signal_has_sender(info))
		return info->code == SI_KERNEL;
	return !task_current() || !pid_number_in(process_self()->id, p->pid_ns);
}

bool signal_ignored(const struct process *p, int signo)
{
	uint64_t handler = READ_ONCE(LOAD_ACQUIRE(p->actions)->action[signo - 1].handler);

	if (handler == SIGNAL_ACTION_IGNORE)
		return true;
	return handler == SIGNAL_ACTION_DEFAULT && (p->is_init || (signal_bit(signo) & SIGNALS_IGNORED_BY_DEFAULT));
}

void signal_wake(struct task *t)
{
	thread_post(&t->thread, THREAD_WORK_SIGNAL);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* it sets its state first, and then looks at its work */
	if (READ_ONCE(t->thread.state) == THREAD_INTERRUPTIBLE)
		thread_wake_state(&t->thread, THREAD_INTERRUPTIBLE);
}

void signal_group_exit_locked(struct process *p, int status, struct task *except)
{
	struct task *t;

	if (p->group_exit)
		return;
	WRITE_ONCE(p->group_exit, true);
	p->exit_status = status;
	WRITE_ONCE(p->stop_signal, 0);
	WRITE_ONCE(p->stopped, false);
	list_for_each(t, &p->tasks, process_link) {
		if (t == except)
			continue;
		thread_post(&t->thread, THREAD_WORK_EXIT);
		if (!thread_wake_state(&t->thread, THREAD_INTERRUPTIBLE))
			thread_wake_state(&t->thread, THREAD_STOPPED);
	}
}

/* The thread that is to take a signal: the running one if it may, else the first that may, else none. */
static struct task *choose_locked(struct process *p, uint64_t bit)
{
	struct task *t = task_current();

	if (t && t->process == p && !(t->blocked & bit) && !list_empty(&t->process_link))
		return t;
	list_for_each(t, &p->tasks, process_link)
		if (!(t->blocked & bit))
			return t;
	return NULL;
}

static void flush_everywhere_locked(struct process *p, uint64_t mask)
{
	struct task *t;

	signal_queue_flush_locked(p, &p->pending, mask);
	list_for_each(t, &p->tasks, process_link)
		signal_queue_flush_locked(p, &t->pending, mask);
}

/* What a signal does at the moment of being sent. */
static void send_effects_locked(struct process *p, int signo, uint64_t bit)
{
	if (bit & SIGNALS_STOP) {
		flush_everywhere_locked(p, signal_bit(SIGCONT));
	} else if (signo == SIGCONT) {
		flush_everywhere_locked(p, SIGNALS_STOP);
		stop_continue_locked(p);
	}
}

/*
 * Is it of no use to queue the signal? Blocked signals are kept: the program may get a handler before it unblocks them. A tracer sees all.
 */
static bool dropped_locked(struct process *p, struct task *target, int signo)
{
	return target && !ptrace_is_traced(target) && signal_ignored(p, signo) && !(target->waiting_for & signal_bit(signo));
}

/* SIGKILL and SIGSTOP pass an init by, but from above; nothing passes process 1. */
static bool spared(const struct process *p, bool above)
{
	return p->is_init && (!above || p == process_init);
}

#define SIGNALS_CORE \
	(SIGNALS_SYNCHRONOUS | signal_bit(SIGQUIT) | signal_bit(SIGABRT) | signal_bit(SIGXCPU) | signal_bit(SIGXFSZ))

/* What ends a program, and asks neither it nor a tracer, does not wait for a frozen one to go on (as on Linux, where it may leave no core). */
static bool ends_frozen_locked(const struct process *p, const struct task *target, int signo)
{
	if (!READ_ONCE(target->freeze) || p->is_init || p->stop_signal || ptrace_is_traced(target))
		return false;
	if ((signal_bit(signo) & (SIGNALS_STOP | SIGNALS_IGNORED_BY_DEFAULT | SIGNALS_CORE)) || (target->waiting_for & signal_bit(signo)))
		return false;
	return READ_ONCE(LOAD_ACQUIRE(p->actions)->action[signo - 1].handler) == SIGNAL_ACTION_DEFAULT;
}

int signal_send_locked(struct process *p, struct task *only, const struct signal_info *info)
{
	uint64_t bit = signal_bit(info->signo);
	bool above = p->is_init && from_above(p, info);
	struct signal_info stranger;
	struct task *target;
	int err;

	if (p->group_exit && info->signo == SIGKILL)
		coredump_killed_locked(p);
	if (p->task_count == 0 || p->group_exit)
		return 0;
	if (unlikely(bit & (SIGNALS_STOP | signal_bit(SIGCONT))))
		send_effects_locked(p, info->signo, bit);
	if (info->signo == SIGKILL) {
		if (!spared(p, above))
			signal_group_exit_locked(p, SIGKILL, NULL);
		return 0;
	}
	target = only ? (only->blocked & bit ? NULL : only) : choose_locked(p, bit);
	if (dropped_locked(p, target, info->signo) && (info->signo != SIGSTOP || spared(p, above)))
		return 0;
	if (target && unlikely(ends_frozen_locked(p, target, info->signo))) {
		signal_group_exit_locked(p, info->signo, NULL);
		return 0;
	}
	if (unlikely(p->pid_ns != &pid_namespace_first) && info->code <= 0 && from_above(p, info)) {
		stranger = *info;
		stranger.fields._kill._pid = 0;
		info = &stranger;
	}
	err = signal_queue_add_locked(p, only ? &only->pending : &p->pending, info);
	if (err < 0)
		return err;
	if (target)
		signal_wake(target);
	signalfd_notify_locked(p);
	return 0;
}

bool signal_send_entry_locked(struct process *p, struct task *only, struct signal_entry *e)
{
	struct signal_queue *q = only ? &only->pending : &p->pending;
	uint64_t bit = signal_bit(e->info.signo);
	struct task *target = only ? (only->blocked & bit ? NULL : only) : choose_locked(p, bit);

	if (p->task_count == 0 || p->group_exit || dropped_locked(p, target, e->info.signo))
		return false;
	list_add_tail(&q->entries, &e->link);
	WRITE_ONCE(q->set, q->set | bit);
	if (target)
		signal_wake(target);
	signalfd_notify_locked(p);
	return true;
}

int signal_send_process(struct process *p, const struct signal_info *info)
{
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	int err = signal_send_locked(p, NULL, info);

	spin_unlock_irq(&p->signal_lock, flags);
	return err;
}

int signal_send_task(struct task *t, const struct signal_info *info)
{
	struct process *p = t->process;
	unsigned long flags = spin_lock_irq(&p->signal_lock);
	int err = list_empty(&t->process_link) ? 0 : signal_send_locked(p, t, info);

	spin_unlock_irq(&p->signal_lock, flags);
	return err;
}

void signal_process(struct process *p, int signo)
{
	struct signal_info info;

	signal_info_kernel(&info, signo);
	(void)signal_send_process(p, &info);
}

/* As Linux says SIGPIPE and SIGXFSZ: as if the program had sent them to itself. */
void signal_self(int signo)
{
	struct signal_info info;

	signal_info_user(&info, signo, SI_USER);
	(void)signal_send_task(task_self(), &info);
}

bool signal_is_ignored(int signo)
{
	struct task *t = task_self();

	return (t->blocked & signal_bit(signo)) || signal_ignored(t->process, signo);
}

/* ---- kill(2) ---- */

static bool may_signal_locked(struct process *p, int signo)
{
	const struct cred *own = thread_current()->cred;
	struct task *t = p == process_self() ? NULL : process_any_task_locked(p);
	const struct cred *other = t ? task_own_cred(t) : own; /* of a zombie nothing is left to protect */

	if (own == other || own->euid == other->suid || own->euid == other->uid || own->uid == other->suid ||
	    own->uid == other->uid || cred_capable_over(own, other->user_ns, CAP_KILL))
		return true;
	return signo == SIGCONT && p->session && p->session == process_self()->session;
}

int signal_kill_process_locked(struct process *p, const struct signal_info *info)
{
	if (!may_signal_locked(p, info->signo))
		return -EPERM;
	return info->signo ? signal_send_process(p, info) : 0;
}

static int kill_group_locked(struct pid_entry *group, const struct signal_info *info)
{
	int result = -ESRCH;
	struct process *p;

	if (!group)
		return -ESRCH;
	list_for_each(p, &group->members, group_link) {
		int err = signal_kill_process_locked(p, info);

		if (result != 0)
			result = err;
	}
	return result;
}

static int kill_all_locked(const struct signal_info *info)
{
	int result = -ESRCH;
	struct pid_namespace *ns = pid_namespace_current();

	for (int pid = pid_next_in_locked(ns, 1); pid > 0; pid = pid_next_in_locked(ns, pid)) {
		struct process *p = pid_lookup_in_locked(ns, pid)->process;
		int err;

		if (p == process_self())
			continue;
		err = signal_kill_process_locked(p, info);
		if (result == -ESRCH || err != -EPERM)
			result = err == -EPERM ? -EPERM : 0;
	}
	return result;
}

static int kill_locked(int pid, const struct signal_info *info)
{
	struct pid_entry *e;

	if (pid == -1)
		return kill_all_locked(info);
	if (pid <= 0)
		return kill_group_locked(pid ? pid_lookup_locked(-pid) : process_self()->group, info);
	e = pid_lookup_locked(pid);
	if (!e || (!e->process && !e->task))
		return -ESRCH;
	return signal_kill_process_locked(e->process ? e->process : e->task->process, info);
}

int signal_kill(int pid, const struct signal_info *info)
{
	unsigned long flags;
	int err;

	if (pid == INT32_MIN)
		return -ESRCH;
	flags = spin_lock_irq(&proc_lock);
	err = kill_locked(pid, info);
	spin_unlock_irq(&proc_lock, flags);
	return err;
}

static int kill_thread_locked(int tgid, int tid, const struct signal_info *info)
{
	struct pid_entry *e = pid_lookup_locked(tid);
	struct task *t = e ? e->task : NULL;

	if (!t || (tgid > 0 && pid_number_seen(t->process->id) != tgid))
		return -ESRCH;
	if (!may_signal_locked(t->process, info->signo))
		return -EPERM;
	return info->signo ? signal_send_task(t, info) : 0;
}

int signal_kill_thread(int tgid, int tid, const struct signal_info *info)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	int err = kill_thread_locked(tgid, tid, info);

	spin_unlock_irq(&proc_lock, flags);
	return err;
}
