/* SPDX-License-Identifier: MIT */
/* seccomp(2), and prctl's way to it. Programs come from user memory, are copied once and checked then (security/bpf.c). */
#include <cloudos/cred.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/seccomp.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include <linux/capability.h>
#include "filter.h"
#include "syscall_internal.h"
#include "syscalls_gen.h"

#define FLAGS_KNOWN                                                                                                      \
	(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH | \
	 SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)

/* struct sock_fprog, with a pointer that is an address. */
struct program {
	uint16_t length;
	uint64_t insns;
};
_Static_assert(sizeof(struct program) == sizeof(struct sock_fprog), "as user space has it");
_Static_assert(offsetof(struct program, insns) == offsetof(struct sock_fprog, filter), "as user space has it");

static int copy_program(uaddr_t from, struct sock_filter **ret, size_t *ret_n)
{
	struct sock_filter *insns;
	struct program p;

	if (get_user(p, from) < 0)
		return -EFAULT;
	if (p.length == 0 || p.length > BPF_MAXINSNS)
		return -EINVAL;
	insns = kmalloc(p.length * sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	if (copy_from_user(insns, p.insns, p.length * sizeof(*insns)) < 0) {
		kfree(insns);
		return -EFAULT;
	}
	*ret = insns;
	*ret_n = p.length;
	return 0;
}

/* What the running task has now, with a reference: another thread may be giving it more. */
static struct seccomp_filter *own_filter(struct task *t)
{
	struct seccomp_filter *f;
	unsigned long flags = spin_lock_irq(&t->process->signal_lock);

	f = t->seccomp;
	if (f)
		seccomp_get(f);
	spin_unlock_irq(&t->process->signal_lock, flags);
	return f;
}

/* Gives f, of a new filter, a listener: 0, -EBUSY (the chain has one), -ENOMEM. */
static int add_listener(struct seccomp_filter *f, bool killable, struct file **ret)
{
	int err = seccomp_is_listened_to(f->prev) ? -EBUSY : seccomp_notify_create(killable, &f->notify);

	return err < 0 ? err : seccomp_listener_open(f, ret);
}

/* One try: also -EAGAIN, when another thread has given the running one more filters. *ret_listener: if flags ask for one. */
static int try_install(const struct sock_filter *insns, size_t n, unsigned flags, struct file **ret_listener)
{
	struct seccomp_filter *f, *prev = own_filter(task_self());
	struct file *listener = NULL;
	int result = seccomp_create(insns, n, FILTER_ARCH, prev, (flags & SECCOMP_FILTER_FLAG_LOG) != 0, &f);

	seccomp_put(prev);
	if (result < 0)
		return result;
	if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
		result = add_listener(f, (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) != 0, &listener);
	if (result == 0)
		result = task_seccomp_install(f, (flags & SECCOMP_FILTER_FLAG_TSYNC) != 0);
	if (result == 0) {
		*ret_listener = listener;
		return 0;
	}
	if (listener)
		file_put(listener);
	seccomp_leave(f);
	return result;
}

static int64_t install(const struct sock_filter *insns, size_t n, unsigned flags)
{
	bool listen = flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;
	int fd = listen ? fd_reserve(0, true) : 0, result;
	struct file *listener;

	if (fd < 0)
		return fd;
	do {
		result = try_install(insns, n, flags, &listener);
	} while (result == -EAGAIN);
	if (listen && result == 0)
		fd_install(fd, listener);
	else if (listen)
		fd_release(fd);
	if (result > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
		return -ESRCH;
	return result == 0 ? fd : result;
}

/* What a listener's descriptor and the id of a thread that is out of step would both be the result of, and what only a listener has. */
static bool flags_fit(unsigned flags)
{
	bool listen = flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;

	if (flags & ~(unsigned)FLAGS_KNOWN)
		return false;
	if (listen && (flags & SECCOMP_FILTER_FLAG_TSYNC) && !(flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
		return false;
	return listen || !(flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
}

static int64_t set_filter(unsigned flags, uaddr_t program)
{
	struct sock_filter *insns;
	int64_t result;
	size_t n;

	if (!flags_fit(flags))
		return -EINVAL;
	result = copy_program(program, &insns, &n);
	if (result < 0)
		return result;
	if (!READ_ONCE(task_self()->no_new_privs) && !cred_capable_here(thread_current()->cred, CAP_SYS_ADMIN))
		result = -EACCES;
	else
		result = install(insns, n, flags);
	kfree(insns);
	return result;
}

static int notif_sizes(uaddr_t at)
{
	static const struct seccomp_notif_sizes sizes = {
		.seccomp_notif = sizeof(struct seccomp_notif),
		.seccomp_notif_resp = sizeof(struct seccomp_notif_resp),
		.seccomp_data = sizeof(struct seccomp_data),
	};

	return copy_to_user(at, &sizes, sizeof(sizes));
}

static int action_known(uaddr_t at)
{
	static const uint32_t known[] = {
		SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
		SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE, SECCOMP_RET_LOG, SECCOMP_RET_ALLOW,
	};
	uint32_t action;

	if (get_user(action, at) < 0)
		return -EFAULT;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (action == known[i])
			return 0;
	return -EOPNOTSUPP;
}

int64_t sys_seccomp(unsigned operation, unsigned flags, uaddr_t args)
{
	switch (operation) {
	case SECCOMP_SET_MODE_STRICT:
		return flags || args ? -EINVAL : task_seccomp_strict();
	case SECCOMP_SET_MODE_FILTER:
		return set_filter(flags, args);
	case SECCOMP_GET_ACTION_AVAIL:
		return flags ? -EINVAL : action_known(args);
	case SECCOMP_GET_NOTIF_SIZES:
		return flags ? -EINVAL : notif_sizes(args);
	default:
		return -EINVAL;
	}
}

int64_t seccomp_prctl_get(void)
{
	return READ_ONCE(task_self()->seccomp_mode);
}

int64_t seccomp_prctl_set(uint64_t mode, uaddr_t program)
{
	switch (mode) {
	case SECCOMP_MODE_STRICT:
		return task_seccomp_strict();
	case SECCOMP_MODE_FILTER:
		return set_filter(0, program);
	default:
		return -EINVAL;
	}
}
