/* SPDX-License-Identifier: MIT */
/*
 * From a user program's registers to the handler of its call and back. The tables are generated (tools/gen_syscalls.py); this file
 * only bounds the number, lets filters and the tracer look where a thread has any (THREAD_WORK_TRACE), and says once in a while which
 * call a program missed.
 */
#define LOG_SUBSYSTEM "syscall"
#include <cloudos/cmdline.h>
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <cloudos/proc.h>
#include <cloudos/ptrace.h>
#include <cloudos/service.h>
#include <cloudos/syscall.h>
#include "syscall_internal.h"

static bool tracing;

/* Says so once for each number, and more quietly for a call that the table names as absent: programs do without those. */
static int64_t absent(uint64_t number)
{
	static uint64_t said[SYSCALL_NUMBERS / 64];
	const char *name = number < SYSCALL_NUMBERS ? syscall_infos[number].name : NULL;
	uint64_t bit = UINT64_C(1) << (number % 64);

	if (number < SYSCALL_NUMBERS && (__atomic_fetch_or(&said[number / 64], bit, __ATOMIC_RELAXED) & bit))
		return -ENOSYS;
	log_limited(name ? LOG_DEBUG : LOG_INFO, 8, "%s[%d]: system call %lu (%s) is not there", thread_current()->name,
		    thread_current()->tid, (unsigned long)number, name ? name : "unknown");
	return -ENOSYS;
}

static int64_t call(uint64_t number, const struct hal_regs *regs)
{
	if (unlikely(number >= SYSCALL_NUMBERS || !syscall_entries[number]))
		return absent(number);
	return syscall_entries[number](regs);
}

static void logged_call(struct hal_user *u, uint64_t number)
{
	int64_t result;

	if (tracing)
		strace_enter(number, &u->regs);
	result = call(number, &u->regs);
	if (tracing)
		strace_leave(number, result);
	hal_abi_set_result(&u->regs, result);
}

/*
 * A call that somebody looks at before it is made: a tracer first, then filters, of which one may ask the tracer again. The tracer may put
 * another call in its place, or none (a negative number), as which a call of no known number does not count.
 */
static __attribute__((noinline)) void watched_call(struct hal_user *u, uint64_t number)
{
	int64_t wanted = (int64_t)number;

	if (ptrace_is_traced(task_self()))
		wanted = ptrace_call_enter(u, wanted);
	if ((wanted >= 0 || wanted == (int64_t)number) && !filter_forbids(u, &wanted))
		logged_call(u, (uint64_t)wanted);
	if (ptrace_is_traced(task_self()))
		ptrace_call_leave(u);
}

void syscall_dispatch(struct hal_user *u)
{
	uint64_t number = hal_abi_syscall_number(&u->regs);

	if (likely(!(READ_ONCE(thread_current()->work) & THREAD_WORK_TRACE)))
		hal_abi_set_result(&u->regs, call(number, &u->regs));
	else
		watched_call(u, number);
}

static int syscall_start(void)
{
	tracing = process_traced = cmdline_flag("cloudos.strace", false);
	process_syscall = syscall_dispatch;
	return 0;
}
SERVICE_DEFINE(syscall, .requires = SERVICE_REQUIRES("proc"), .start = syscall_start, .flags = SERVICE_ESSENTIAL);
