/* SPDX-License-Identifier: MIT */
/*
 * ptrace(2): takes the requests apart. What is copied from and to the caller's memory goes by way of the kernel's, since the tracee is looked at
 * under a lock (ptrace_with). Requests that are not here give EIO, as on Linux.
 */
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/ptrace.h>
#include <cloudos/rseq.h>
#include <cloudos/seccomp.h>
#include <cloudos/string.h>
#include <cloudos/uaccess.h>
#include <cloudos/vm.h>
#include <linux/capability.h>
#include <linux/elf.h>
#include <linux/ptrace.h>
#include <linux/uio.h>
#include "filter.h"
#include "syscalls_gen.h"

#define OPTIONS_KNOWN ((uint64_t)PTRACE_O_MASK)
#define ERRNO_MAX     4095

/* ---- memory ---- */

static int access_word(int tid, uaddr_t addr, uint64_t *word, bool write)
{
	struct vm_space *s;
	int err = ptrace_get_vm(tid, &s);
	ssize_t done;

	if (err < 0)
		return err == -EPERM ? -EIO : err;
	done = vm_access(s, addr, word, sizeof(*word), write, true);
	vm_space_put(s);
	return done == (ssize_t)sizeof(*word) ? 0 : -EIO;
}

static int64_t peek(int tid, uaddr_t addr, uaddr_t data)
{
	uint64_t word;
	int err = access_word(tid, addr, &word, false);

	return err < 0 ? err : put_user(word, data);
}

/* ---- registers ---- */

struct user_word {
	uint64_t at, value;
	bool write;
};

static int user_word(struct task *t, void *arg)
{
	struct user_word *w = arg;

	return w->write ? hal_abi_user_poke(&t->user, w->at, w->value) : hal_abi_user_peek(&t->user, w->at, &w->value);
}

static int64_t peek_user(int tid, uint64_t at, uaddr_t data)
{
	struct user_word w = { .at = at };
	int err = ptrace_with(tid, user_word, &w);

	return err < 0 ? err : put_user(w.value, data);
}

static int64_t poke_user(int tid, uint64_t at, uint64_t value)
{
	struct user_word w = { .at = at, .value = value, .write = true };

	return ptrace_with(tid, user_word, &w);
}

/* A set of registers, in a buffer of its size. */
struct regset {
	unsigned type;
	bool write;
	size_t len; /* bytes to write */
	void *data;
};

static int regset_locked(struct task *t, void *arg)
{
	const struct regset *r = arg;

	if (r->write)
		return hal_abi_regset_set(&t->user, r->type, r->data, r->len);
	hal_abi_regset_get(&t->user, r->type, r->data);
	return 0;
}

/* len: no more than the set's size. */
static int transfer_regset(int tid, unsigned type, bool write, uaddr_t addr, size_t len)
{
	struct regset r = { .type = type, .write = write, .len = len, .data = kmalloc(hal_abi_regset_size(type)) };
	int err = 0;

	if (!r.data)
		return -ENOMEM;
	if (write)
		err = copy_from_user(r.data, addr, len);
	if (err == 0)
		err = ptrace_with(tid, regset_locked, &r);
	if (err == 0 && !write)
		err = copy_to_user(addr, r.data, len);
	kfree(r.data);
	return err;
}

static size_t regset_unit(unsigned type)
{
	return type == NT_PRFPREG || hal_abi_regset_size(type) % sizeof(uint64_t) ? sizeof(uint32_t) : sizeof(uint64_t);
}

static int nothing(struct task *t, void *arg)
{
	(void)t;
	(void)arg;
	return 0;
}

static int64_t regset(int tid, uint64_t type, uaddr_t vec, bool write)
{
	size_t size = type <= UINT32_MAX ? hal_abi_regset_size((unsigned)type) : 0;
	struct iovec v;
	int err = ptrace_with(tid, nothing, NULL);

	if (err < 0)
		return err;
	if (get_user(v, vec))
		return -EFAULT;
	if (!size || v.iov_len % regset_unit((unsigned)type))
		return -EINVAL;
	v.iov_len = min((size_t)v.iov_len, size);
	err = transfer_regset(tid, (unsigned)type, write, (uaddr_t)(uintptr_t)v.iov_base, v.iov_len);
	return err < 0 ? err : put_user(v.iov_len, vec + offsetof(struct iovec, iov_len));
}

/* ---- signals ---- */

static int64_t put_info(uaddr_t to, const struct signal_info *info)
{
	siginfo_t whole;

	memset(&whole, 0, sizeof(whole));
	memcpy(&whole, info, sizeof(*info));
	return copy_to_user(to, &whole, sizeof(whole));
}

static int get_info_locked(struct task *t, void *arg)
{
	if (!t->trace.has_info)
		return -EINVAL;
	*(struct signal_info *)arg = t->trace.info;
	return 0;
}

static int set_info_locked(struct task *t, void *arg)
{
	if (!t->trace.has_info)
		return -EINVAL;
	t->trace.info = *(const struct signal_info *)arg;
	return 0;
}

static int64_t get_info(int tid, uaddr_t data)
{
	struct signal_info info;
	int err = ptrace_with(tid, get_info_locked, &info);

	return err < 0 ? err : put_info(data, &info);
}

static int64_t set_info(int tid, uaddr_t data)
{
	siginfo_t whole;
	struct signal_info info;

	if (get_user(whole, data))
		return -EFAULT;
	memcpy(&info, &whole, sizeof(info));
	return ptrace_with(tid, set_info_locked, &info);
}

static int64_t peek_infos(int tid, uaddr_t args, uaddr_t data)
{
	struct ptrace_peeksiginfo_args a;
	struct signal_info info;
	int64_t done = 0;

	if (get_user(a, args))
		return -EFAULT;
	if ((a.flags & ~(uint32_t)PTRACE_PEEKSIGINFO_SHARED) || a.nr < 0)
		return -EINVAL;
	while (done < a.nr) {
		int n = ptrace_peek_signals(tid, a.flags & PTRACE_PEEKSIGINFO_SHARED, a.off + (uint64_t)done, 1, &info);

		if (n < 0)
			return n;
		if (n == 0 || thread_signal_pending())
			break;
		if (put_info(data + (uint64_t)done * sizeof(siginfo_t), &info) < 0)
			return done ? done : -EFAULT;
		done++;
		sched_point();
	}
	return done;
}

/* The mask that it will have when it runs on. */
static int get_mask_locked(struct task *t, void *arg)
{
	bool saved = READ_ONCE(t->thread.work) & THREAD_WORK_RESTORE_MASK;

	*(uint64_t *)arg = saved ? t->saved_blocked : t->blocked;
	return 0;
}

static int64_t signal_mask(int tid, uint64_t size, uaddr_t data, bool write)
{
	uint64_t mask = 0;
	int err;

	if (size != sizeof(mask))
		return -EINVAL;
	if (write)
		return get_user(mask, data) ? -EFAULT : ptrace_set_mask(tid, mask);
	err = ptrace_with(tid, get_mask_locked, &mask);
	return err < 0 ? err : put_user(mask, data);
}

/* ---- what it is stopped for, and what else there is to know ---- */

static int get_message_locked(struct task *t, void *arg)
{
	*(uint64_t *)arg = t->trace.message;
	return 0;
}

static int64_t get_message(int tid, uaddr_t data)
{
	uint64_t message;
	int err = ptrace_with(tid, get_message_locked, &message);

	return err < 0 ? err : put_user(message, data);
}

struct call_info {
	struct ptrace_syscall_info info;
	size_t size;
};

static void entry_info(const struct hal_regs *r, __u64 *ret_nr, __u64 ret_args[6])
{
	*ret_nr = hal_abi_syscall_number(r);
	for (unsigned i = 0; i < 6; i++)
		ret_args[i] = hal_abi_syscall_arg(r, i);
}

/* Calls are told from other traps by PTRACE_O_TRACESYSGOOD alone. */
static uint8_t kind_of_call_stop(const struct task_trace *tr)
{
	bool plain = tr->call_stop == PTRACE_SYSCALL_INFO_ENTRY || tr->call_stop == PTRACE_SYSCALL_INFO_EXIT;

	return plain && tr->info.code == SIGTRAP ? PTRACE_SYSCALL_INFO_NONE : tr->call_stop;
}

static int call_info_locked(struct task *t, void *arg)
{
	struct call_info *c = arg;
	struct ptrace_syscall_info *i = &c->info;
	const struct hal_regs *r = &t->user.regs;

	i->op = kind_of_call_stop(&t->trace);
	i->arch = FILTER_ARCH;
	i->instruction_pointer = hal_abi_pc(r);
	i->stack_pointer = hal_abi_sp(r);
	c->size = offsetof(struct ptrace_syscall_info, entry);
	switch (i->op) {
	case PTRACE_SYSCALL_INFO_ENTRY:
		entry_info(r, &i->entry.nr, i->entry.args);
		c->size += sizeof(i->entry);
		break;
	case PTRACE_SYSCALL_INFO_EXIT:
		i->exit.rval = hal_abi_result(r);
		i->exit.is_error = i->exit.rval < 0 && i->exit.rval >= -ERRNO_MAX;
		c->size = offsetof(struct ptrace_syscall_info, exit.is_error) + sizeof(i->exit.is_error);
		break;
	case PTRACE_SYSCALL_INFO_SECCOMP:
		entry_info(r, &i->seccomp.nr, i->seccomp.args);
		i->seccomp.ret_data = (uint32_t)t->trace.message;
		c->size = offsetof(struct ptrace_syscall_info, seccomp.ret_data) + sizeof(i->seccomp.ret_data);
		break;
	}
	return 0;
}

static int64_t call_info(int tid, uint64_t size, uaddr_t data)
{
	struct call_info c;
	int err;

	memset(&c, 0, sizeof(c));
	err = ptrace_with(tid, call_info_locked, &c);
	if (err == 0)
		err = copy_to_user(data, &c.info, min((size_t)size, c.size));
	return err < 0 ? err : (int64_t)c.size;
}

static int rseq_locked(struct task *t, void *arg)
{
	*(struct ptrace_rseq_configuration *)arg = (struct ptrace_rseq_configuration){
		.rseq_abi_pointer = t->rseq,
		.rseq_abi_size = t->rseq ? RSEQ_AREA_SIZE : 0,
		.signature = t->rseq_signature,
	};
	return 0;
}

static int64_t rseq_configuration(int tid, uint64_t size, uaddr_t data)
{
	struct ptrace_rseq_configuration c;
	int err = ptrace_with(tid, rseq_locked, &c);

	if (err == 0)
		err = copy_to_user(data, &c, min((size_t)size, sizeof(c)));
	return err < 0 ? err : (int64_t)sizeof(c);
}

/* ---- filters of system calls ---- */

/* The newest filter of the thread, with a reference: -EINVAL: it has none. */
static int get_filter_locked(struct task *t, void *arg)
{
	unsigned long flags = spin_lock_irq(&t->process->signal_lock);
	struct seccomp_filter *f = t->seccomp_mode == SECCOMP_MODE_FILTER ? t->seccomp : NULL;

	if (f)
		seccomp_get(f);
	*(struct seccomp_filter **)arg = f;
	spin_unlock_irq(&t->process->signal_lock, flags);
	return f ? 0 : -EINVAL;
}

/* The program of the filter that was installed after `index` others: how many instructions it has; they go to `data`, unless that is 0. */
static int64_t get_filter(int tid, uint64_t index, uaddr_t data)
{
	struct seccomp_filter *newest, *f;
	int64_t result = ptrace_with(tid, nothing, NULL);

	if (result < 0)
		return result;
	if (!cred_capable(thread_current()->cred, CAP_SYS_ADMIN) || READ_ONCE(task_self()->seccomp_mode) != SECCOMP_MODE_DISABLED)
		return -EACCES;
	result = ptrace_with(tid, get_filter_locked, &newest);
	if (result < 0)
		return result;
	for (f = newest; f && f->depth - 1 != index; f = f->prev)
		;
	result = f ? (int64_t)f->length : -ENOENT;
	if (f && data && copy_to_user(data, f->program, f->length * sizeof(f->program[0])) < 0)
		result = -EFAULT;
	seccomp_put(newest);
	return result;
}

/* ---- all requests ---- */

/* Who is filtered himself may not free others of their filters. */
static bool may_suspend_seccomp(void)
{
	const struct task *self = task_self();

	return cred_capable(thread_current()->cred, CAP_SYS_ADMIN) && READ_ONCE(self->seccomp_mode) == SECCOMP_MODE_DISABLED &&
	       !ptrace_suspends_seccomp(self);
}

static int check_options(uint64_t options)
{
	if (options & ~OPTIONS_KNOWN)
		return -EINVAL;
	return (options & PTRACE_O_SUSPEND_SECCOMP) && !may_suspend_seccomp() ? -EPERM : 0;
}

static int64_t seize(int tid, uaddr_t addr, uint64_t options)
{
	int err;

	if (addr || (options & ~OPTIONS_KNOWN))
		return -EIO;
	err = check_options(options);
	return err < 0 ? err : ptrace_attach(tid, true, (uint32_t)options);
}

static int64_t set_options(int tid, uint64_t options)
{
	int err = ptrace_with(tid, nothing, NULL);

	if (err == 0)
		err = check_options(options);
	return err < 0 ? err : ptrace_set_options(tid, (uint32_t)options);
}

/* PTRACE_GETREGS and its kin, where the architecture has them; else there is no such request. */
static int64_t other_request(uint64_t request, int tid, uaddr_t data)
{
	unsigned type;
	bool write;
	int err = ptrace_with(tid, nothing, NULL);

	if (err < 0)
		return err;
	if (!hal_abi_regset_request(request, &type, &write))
		return -EIO;
	return transfer_regset(tid, type, write, data, hal_abi_regset_size(type));
}

/* A signal is an int to look at, and an unsigned long to be judged by. */
static int signal_of(uint64_t data)
{
	return data > INT32_MAX ? INT32_MAX : (int)data;
}

static int64_t look(uint64_t request, int tid, uaddr_t addr, uaddr_t data)
{
	switch (request) {
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
		return peek(tid, addr, data);
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
		return access_word(tid, addr, &data, true);
	case PTRACE_PEEKUSR:
		return peek_user(tid, addr, data);
	case PTRACE_POKEUSR:
		return poke_user(tid, addr, data);
	case PTRACE_GETREGSET:
	case PTRACE_SETREGSET:
		return regset(tid, addr, data, request == PTRACE_SETREGSET);
	case PTRACE_GETSIGINFO:
		return get_info(tid, data);
	case PTRACE_SETSIGINFO:
		return set_info(tid, data);
	case PTRACE_PEEKSIGINFO:
		return peek_infos(tid, addr, data);
	case PTRACE_GETSIGMASK:
	case PTRACE_SETSIGMASK:
		return signal_mask(tid, addr, data, request == PTRACE_SETSIGMASK);
	case PTRACE_GETEVENTMSG:
		return get_message(tid, data);
	case PTRACE_GET_SYSCALL_INFO:
		return call_info(tid, addr, data);
	case PTRACE_SECCOMP_GET_FILTER:
		return get_filter(tid, addr, data);
	case PTRACE_GET_RSEQ_CONFIGURATION:
		return rseq_configuration(tid, addr, data);
	default:
		return other_request(request, tid, data);
	}
}

int64_t sys_ptrace(int64_t request, int pid, uaddr_t addr, uaddr_t data)
{
	switch (request) {
	case PTRACE_TRACEME:
		return ptrace_traceme();
	case PTRACE_ATTACH:
		return ptrace_attach(pid, false, 0);
	case PTRACE_SEIZE:
		return seize(pid, addr, data);
	case PTRACE_DETACH:
		return ptrace_detach(pid, signal_of(data));
	case PTRACE_CONT:
	case PTRACE_SYSCALL:
	case PTRACE_SINGLESTEP:
		return ptrace_resume(pid, (int)request, signal_of(data));
	case PTRACE_KILL:
		return ptrace_kill(pid);
	case PTRACE_INTERRUPT:
		return ptrace_interrupt(pid);
	case PTRACE_LISTEN:
		return ptrace_listen(pid);
	case PTRACE_SETOPTIONS:
		return set_options(pid, data);
	default:
		return look((uint64_t)request, pid, addr, data);
	}
}
