/* SPDX-License-Identifier: MIT */
/*
 * cloudos.strace=1: every call of every program into the kernel log, one line when it is made and one when it returns, so that a
 * call that blocks is seen, and the lines of several CPUs stay apart.
 */
#define LOG_SUBSYSTEM "strace"
#include <cloudos/format.h>
#include <cloudos/log.h>
#include <cloudos/thread.h>
#include <cloudos/uaccess.h>
#include "syscall_internal.h"

#define STRACE_STRING_MAX 64 /* bytes of a string argument that are shown */

static int print_string(char *buf, size_t size, uaddr_t at)
{
	char text[STRACE_STRING_MAX + 1];
	int64_t n = copy_string_from_user(text, at, sizeof(text));

	if (n == -EFAULT)
		return fmt_string(buf, size, "%#lx", (unsigned long)at);
	text[STRACE_STRING_MAX] = '\0';
	return fmt_string(buf, size, "\"%s\"%s", text, n < 0 ? "..." : "");
}

static int print_arg(char *buf, size_t size, enum syscall_arg_kind kind, uint64_t value)
{
	switch (kind) {
	case SYSCALL_ARG_STR:
		return print_string(buf, size, value);
	case SYSCALL_ARG_FD:
	case SYSCALL_ARG_SIG:
		return fmt_string(buf, size, "%d", (int)value);
	case SYSCALL_ARG_INT:
		return fmt_string(buf, size, "%ld", (long)value);
	case SYSCALL_ARG_UINT:
		return fmt_string(buf, size, "%lu", (unsigned long)value);
	case SYSCALL_ARG_OCT:
		return fmt_string(buf, size, "%#lo", (unsigned long)value);
	default:
		return value ? fmt_string(buf, size, "%#lx", (unsigned long)value) : fmt_string(buf, size, "0");
	}
}

void strace_enter(uint64_t number, const struct hal_regs *regs)
{
	const struct syscall_info *info = number < SYSCALL_NUMBERS ? &syscall_infos[number] : NULL;
	struct thread *t = thread_current();
	char line[LOG_LINE_MAX];
	size_t at = 0;

	if (!info || !info->name) {
		log_info("%s[%d] syscall_%lu()", t->name, t->tid, (unsigned long)number);
		return;
	}
	line[0] = '\0';
	for (unsigned i = 0; i < info->args && at < sizeof(line) - 1; i++) {
		if (i > 0)
			at += (size_t)fmt_string(line + at, sizeof(line) - at, ", ");
		if (at < sizeof(line) - 1)
			at += (size_t)print_arg(line + at, sizeof(line) - at, info->kinds[i], hal_abi_syscall_arg(regs, i));
	}
	log_info("%s[%d] %s(%s)", t->name, t->tid, info->name, line);
}

void strace_leave(uint64_t number, int64_t result)
{
	const char *name = number < SYSCALL_NUMBERS ? syscall_infos[number].name : NULL;
	struct thread *t = thread_current();

	log_info("%s[%d] %s = %s%lx", t->name, t->tid, name ? name : "syscall", result < 0 ? "-" : "",
		 (unsigned long)(result < 0 ? -result : result));
}
