/* SPDX-License-Identifier: MIT */
/* What filters of system calls bring about (seccomp(2)): the decision is security/seccomp.c's. */
#define LOG_SUBSYSTEM "seccomp"
#include <cloudos/child.h>
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <cloudos/ptrace.h>
#include <cloudos/seccomp.h>
#include <cloudos/signal.h>
#include <cloudos/task.h>
#include <asm/unistd.h>
#include <linux/audit.h>
#include "filter.h"
#include "syscall_internal.h"

#define ERRNO_MAX      4095
#define SYS_SECCOMP    1 /* si_code of a SIGSYS that a filter sends (asm-generic/siginfo.h) */
_Static_assert(SYSCALL_NUMBERS <= SECCOMP_CALLS, "every call is prepared for");

static struct seccomp_data data_of(const struct hal_regs *regs, uint64_t number)
{
	struct seccomp_data d = { .nr = (int)number, .arch = FILTER_ARCH, .instruction_pointer = hal_abi_pc(regs) };

	for (unsigned i = 0; i < SYSCALL_ARGS; i++)
		d.args[i] = hal_abi_syscall_arg(regs, i);
	return d;
}

static const char *name_of(uint64_t number)
{
	const char *name = number < SYSCALL_NUMBERS ? syscall_infos[number].name : NULL;

	return name ? name : "unknown";
}

static void say(const char *what, uint64_t number)
{
	log_limited(LOG_INFO, 8, "%s[%d]: a filter %s system call %lu (%s)", thread_current()->name, thread_current()->tid, what,
		    (unsigned long)number, name_of(number));
}

static struct signal_info sigsys_of(const struct seccomp_data *d, uint32_t value)
{
	struct signal_info info = { .signo = SIGSYS, .code = SYS_SECCOMP, .error = (int)(value & SECCOMP_RET_DATA) };

	info.fields._sigsys._call_addr = (void *)(uintptr_t)d->instruction_pointer;
	info.fields._sigsys._syscall = d->nr;
	info.fields._sigsys._arch = d->arch;
	return info;
}

static _Noreturn void end_process(struct hal_user *u, const struct seccomp_data *d, uint32_t value)
{
	struct signal_info info = sigsys_of(d, value);

	say("ends its process for", (uint32_t)d->nr);
	hal_abi_call_rollback(&u->regs); /* as a core file shows it */
	process_die(&info);
}

/* The thread alone, if there are others. */
static _Noreturn void end_thread(struct task *t, struct hal_user *u, const struct seccomp_data *d, uint32_t value)
{
	if (READ_ONCE(t->process->live) == 1)
		end_process(u, d, value);
	say("ends it for", (uint32_t)d->nr);
	task_exit(SIGSYS);
}

/* The registers stay as the call had them, so that a handler may make the call itself and put in its result. */
static void send_sigsys(struct task *t, struct hal_user *u, const struct seccomp_data *d, uint32_t value)
{
	struct signal_info info = sigsys_of(d, value);

	hal_abi_call_rollback(&u->regs);
	t->no_restart = true; /* what is in the result register is no result */
	signal_force(&info);
}

static bool strict_forbids(uint64_t number)
{
	if (number == __NR_read || number == __NR_write || number == __NR_exit || number == __NR_rt_sigreturn)
		return false;
	say("(strict mode) ends it for", number);
	task_exit(SIGKILL);
}

/* `f`: the filter that says so; null: none, the call is allowed. May sleep. */
static bool carry_out(struct task *t, struct hal_user *u, const struct seccomp_filter *f, const struct seccomp_data *d, uint32_t value)
{
	uint64_t number = (uint32_t)d->nr;
	int64_t result;

	switch (value & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		return false;
	case SECCOMP_RET_LOG:
		say("reports", number);
		return false;
	case SECCOMP_RET_ERRNO:
		if (f && f->log)
			say("refuses", number);
		hal_abi_set_result(&u->regs, -(int64_t)min(value & SECCOMP_RET_DATA, (uint32_t)ERRNO_MAX));
		return true;
	case SECCOMP_RET_TRACE: /* nobody who wants to know traces */
		hal_abi_set_result(&u->regs, -ENOSYS);
		return true;
	case SECCOMP_RET_USER_NOTIF:
		if (!seccomp_ask_listener(f, d, &result))
			return false;
		hal_abi_set_result(&u->regs, result);
		return true;
	case SECCOMP_RET_TRAP:
		if (f && f->log)
			say("traps", number);
		send_sigsys(t, u, d, value);
		return true;
	case SECCOMP_RET_KILL_THREAD:
		end_thread(t, u, d, value);
	default:
		end_process(u, d, value);
	}
}

/*
 * The tracer has its say, and what it makes of the call goes through the filters again, which cannot ask it twice. True: settled, and
 * *ret_forbidden says how.
 */
static bool ask_tracer(struct hal_user *u, uint32_t value, int64_t *number, bool *ret_forbidden)
{
	const struct seccomp_filter *by;
	struct seccomp_data data;

	if ((value & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_TRACE || !ptrace_seccomp(u, value & SECCOMP_RET_DATA, number))
		return false;
	*ret_forbidden = *number < 0;
	if (*ret_forbidden)
		return true;
	data = data_of(&u->regs, (uint64_t)*number);
	value = seccomp_decide(LOAD_ACQUIRE(task_self()->seccomp), &data, &by);
	if ((value & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_TRACE)
		*ret_forbidden = carry_out(task_self(), u, by, &data, value);
	return true;
}

bool filter_forbids(struct hal_user *u, int64_t *number)
{
	struct task *t = task_self();
	uint8_t mode = LOAD_ACQUIRE(t->seccomp_mode);
	const struct seccomp_filter *f, *by;
	struct seccomp_data data;
	uint32_t value;
	bool forbidden;

	if (mode == SECCOMP_MODE_DISABLED || ptrace_suspends_seccomp(t))
		return false;
	if (mode == SECCOMP_MODE_STRICT)
		return strict_forbids((uint64_t)*number);
	f = LOAD_ACQUIRE(t->seccomp);
	if (likely(seccomp_allows(f, (uint64_t)*number)))
		return false;
	data = data_of(&u->regs, (uint64_t)*number);
	value = seccomp_decide(f, &data, &by);
	if (unlikely(ask_tracer(u, value, number, &forbidden)))
		return forbidden;
	return carry_out(t, u, by, &data, value);
}
