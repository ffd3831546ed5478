/* SPDX-License-Identifier: MIT */
/* Signals. A mask is one 64-bit word on both architectures; every call that takes one says so by its size argument. */
#include <cloudos/clock.h>
#include <cloudos/errno.h>
#include <cloudos/pidfd.h>
#include <cloudos/string.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/user_namespace.h>
#include <cloudos/vfs.h>
#include <asm/fcntl.h>
#include <linux/signalfd.h>
#include "call_fd.h"
#include "call_wait.h"
#include "syscalls_gen.h"

#define MASK_SIZE sizeof(uint64_t)

_Static_assert(sizeof(struct sigaction) == sizeof(struct signal_action) &&
		       offsetof(struct sigaction, sa_mask) == offsetof(struct signal_action, mask) &&
		       offsetof(struct sigaction, sa_flags) == offsetof(struct signal_action, flags),
	       "the kernel's struct sigaction");

/* ---- sending ---- */

int64_t sys_kill(int pid, int sig)
{
	struct signal_info info;

	if (sig < 0 || sig > SIGNAL_COUNT)
		return -EINVAL;
	signal_info_user(&info, sig, SI_USER);
	return signal_kill(pid, &info);
}

static int64_t kill_thread(int tgid, int tid, int sig)
{
	struct signal_info info;

	if (tid <= 0 || sig < 0 || sig > SIGNAL_COUNT)
		return -EINVAL;
	signal_info_user(&info, sig, SI_TKILL);
	return signal_kill_thread(tgid, tid, &info);
}

int64_t sys_tkill(int tid, int sig)
{
	return kill_thread(0, tid, sig);
}

int64_t sys_tgkill(int tgid, int tid, int sig)
{
	return tgid <= 0 ? -EINVAL : kill_thread(tgid, tid, sig);
}

static int get_info(uaddr_t from, struct signal_info *ret)
{
	siginfo_t si;

	if (copy_from_user(&si, from, sizeof(si)) < 0)
		return -EFAULT;
	memcpy(ret, &si, sizeof(*ret));
	return 0;
}

/* Another process must not be told that the kernel, or kill(2), sent it. */
static int check_info(const struct signal_info *info, int sig, bool to_self)
{
	if (sig < 0 || sig > SIGNAL_COUNT)
		return -EINVAL;
	return (info->code >= 0 || info->code == SI_TKILL) && !to_self ? -EPERM : 0;
}

static int get_queued_info(uaddr_t from, int sig, bool to_self, struct signal_info *ret)
{
	int err = get_info(from, ret);

	if (err == 0)
		err = check_info(ret, sig, to_self);
	if (err == 0 && ret->code < 0)
		ret->fields._rt._uid = uid_in(ret->fields._rt._uid);
	ret->signo = sig;
	return err;
}

int64_t sys_rt_sigqueueinfo(int pid, int sig, uaddr_t from)
{
	struct signal_info info;
	int err = get_queued_info(from, sig, pid == process_number(process_self()), &info);

	if (err < 0)
		return err;
	return pid <= 0 ? -ESRCH : signal_kill(pid, &info);
}

int64_t sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, uaddr_t from)
{
	struct signal_info info;
	int err;

	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	err = get_queued_info(from, sig, tid == task_number(task_self()), &info);
	return err < 0 ? err : signal_kill_thread(tgid, tid, &info);
}

/* The details that the caller gives, or those of kill(2). */
static int pidfd_info(struct process_handle *h, int sig, uaddr_t from, struct signal_info *ret)
{
	int err;

	if (!from) {
		signal_info_user(ret, sig, SI_USER);
		return sig < 0 || sig > SIGNAL_COUNT ? -EINVAL : 0;
	}
	err = get_info(from, ret);
	if (err == 0 && ret->signo != sig)
		err = -EINVAL;
	return err ? err : check_info(ret, sig, pidfd_is_self(h));
}

int64_t sys_pidfd_send_signal(int pidfd, int sig, uaddr_t from, unsigned flags)
{
	struct process_handle *h;
	struct signal_info info;
	struct file *f;
	int err = -EBADF;
	bool put;

	if (flags)
		return -EINVAL;
	f = fd_begin(pidfd, &put);
	if (!f)
		return -EBADF;
	h = pidfd_handle(f);
	if (h)
		err = pidfd_info(h, sig, from, &info);
	if (err == 0)
		err = pidfd_kill(h, &info);
	fd_end(f, put);
	return err;
}

/* ---- actions and masks ---- */

int64_t sys_rt_sigaction(int sig, uaddr_t action, uaddr_t old, size_t size)
{
	struct signal_action new, former;
	int err;

	if (size != MASK_SIZE)
		return -EINVAL;
	if (action && get_user(new, action) < 0)
		return -EFAULT;
	err = signal_set_action(sig, action ? &new : NULL, &former);
	if (err == 0 && old && put_user(former, old) < 0)
		return -EFAULT;
	return err;
}

int64_t sys_rt_sigprocmask(int how, uaddr_t set, uaddr_t old, size_t size)
{
	uint64_t blocked = task_self()->blocked, mask;

	if (size != MASK_SIZE)
		return -EINVAL;
	if (set) {
		if (get_user(mask, set) < 0)
			return -EFAULT;
		if (how == SIG_BLOCK)
			signal_set_blocked(blocked | mask);
		else if (how == SIG_UNBLOCK)
			signal_set_blocked(blocked & ~mask);
		else if (how == SIG_SETMASK)
			signal_set_blocked(mask);
		else
			return -EINVAL;
	}
	return old ? put_user(blocked, old) : 0;
}

int64_t sys_rt_sigpending(uaddr_t set, size_t size)
{
	uint64_t pending = signal_pending_set();

	if (size > MASK_SIZE)
		return -EINVAL;
	return copy_to_user(set, &pending, size);
}

int64_t sys_sigaltstack(uaddr_t new, uaddr_t old)
{
	struct hal_altstack wanted, former;
	int err;

	if (new && get_user(wanted, new) < 0)
		return -EFAULT;
	hal_user_sync(&task_self()->user); /* where the stack pointer is */
	err = signal_altstack(new ? &wanted : NULL, &former);
	if (err == 0 && old && put_user(former, old) < 0)
		return -EFAULT;
	return err;
}

int64_t sys_rt_sigreturn(void)
{
	return signal_return();
}

/* ---- waiting ---- */

static int64_t sleep_for_signal(void)
{
	do {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (!thread_signal_pending())
			(void)thread_sleep(HAL_TIMER_NEVER);
	} while (!thread_signal_pending());
	thread_cancel_sleep();
	return -ERESTARTNOHAND;
}

int64_t sys_pause(void)
{
	return sleep_for_signal();
}

int64_t sys_rt_sigsuspend(uaddr_t set, size_t size)
{
	uint64_t mask;

	if (size != MASK_SIZE)
		return -EINVAL;
	if (get_user(mask, set) < 0)
		return -EFAULT;
	signal_mask_begin(mask);
	(void)sleep_for_signal();
	signal_mask_end(true);
	return -ERESTARTNOHAND;
}

int64_t sys_rt_sigtimedwait(uaddr_t set, uaddr_t info, uaddr_t timeout, size_t size)
{
	struct signal_info got;
	siginfo_t si;
	uint64_t mask, deadline;
	int signo;

	if (size != MASK_SIZE)
		return -EINVAL;
	if (get_user(mask, set) < 0)
		return -EFAULT;
	signo = deadline_from_timespec(timeout, &deadline);
	if (signo < 0)
		return signo;
	signo = signal_wait(mask, deadline, &got);
	if (signo < 0 || !info)
		return signo;
	memset(&si, 0, sizeof(si));
	memcpy(&si, &got, sizeof(got));
	return put_user(si, info) < 0 ? -EFAULT : signo;
}

int64_t sys_signalfd4(int fd, uaddr_t set, size_t size, unsigned flags)
{
	struct file *f;
	uint64_t mask;
	bool put;
	int err;

	if (size != MASK_SIZE)
		return -EINVAL;
	if (get_user(mask, set) < 0)
		return -EFAULT;
	if (flags & ~(unsigned)(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	if (fd == -1) {
		err = signalfd_file_create(mask, flags & O_NONBLOCK, &f);
		return err ? err : fd_give(f, flags & SFD_CLOEXEC);
	}
	f = fd_begin(fd, &put);
	if (!f)
		return -EBADF;
	err = signalfd_set_mask(f, mask);
	fd_end(f, put);
	return err ? err : fd;
}

int64_t sys_signalfd(int fd, uaddr_t set, size_t size)
{
	return sys_signalfd4(fd, set, size, 0);
}

int64_t sys_restart_syscall(void)
{
	struct task *t = task_self();
	uint64_t (*fn)(struct task *) = t->restart.fn;

	t->restart.fn = NULL;
	return fn ? (int64_t)fn(t) : -EINTR;
}
