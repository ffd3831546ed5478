/* SPDX-License-Identifier: MIT */
/* seccomp(2), and prctl's way to it. Programs come from user memory, are copied once and checked then (security/bpf.c). */
#include <cloudos/cred.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/seccomp.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <linux/capability.h>
#include "filter.h"
#include "syscall_internal.h"
#include "syscalls_gen.h"

#define FLAGS_KNOWN (SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH)

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

static int install(const struct sock_filter *insns, size_t n, unsigned flags)
{
	struct seccomp_filter *f, *prev;
	int result;

	do {
		prev = own_filter(task_self());
		result = seccomp_create(insns, n, FILTER_ARCH, prev, (flags & SECCOMP_FILTER_FLAG_LOG) != 0, &f);
		if (result == 0) {
			result = task_seccomp_install(f, (flags & SECCOMP_FILTER_FLAG_TSYNC) != 0);
			if (result != 0)
				seccomp_put(f);
		}
		seccomp_put(prev);
	} while (result == -EAGAIN);
	return result > 0 && (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH) ? -ESRCH : result;
}

static int set_filter(unsigned flags, uaddr_t program)
{
	struct sock_filter *insns;
	size_t n;
	int err;

	if (flags & ~(unsigned)FLAGS_KNOWN)
		return -EINVAL;
	err = copy_program(program, &insns, &n);
	if (err < 0)
		return err;
	if (!READ_ONCE(task_self()->no_new_privs) && !cred_capable_here(thread_current()->cred, CAP_SYS_ADMIN))
		err = -EACCES;
	else
		err = install(insns, n, flags);
	kfree(insns);
	return err;
}

static int action_known(uaddr_t at)
{
	static const uint32_t known[] = {
		SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO, SECCOMP_RET_LOG, SECCOMP_RET_ALLOW,
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
