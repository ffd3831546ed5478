/* SPDX-License-Identifier: MIT */
/* What the generated tables and the dispatcher share. */
#ifndef SYSCALL_INTERNAL_H
#define SYSCALL_INTERNAL_H

#include <cloudos/types.h>
#include <hal/hal.h>

#define SYSCALL_NUMBERS 512 /* above every number of both architectures */
#define SYSCALL_ARGS	6

typedef int64_t (*syscall_entry)(const struct hal_regs *regs);

enum syscall_arg_kind {
	SYSCALL_ARG_INT = 1,
	SYSCALL_ARG_UINT,
	SYSCALL_ARG_HEX,
	SYSCALL_ARG_OCT,
	SYSCALL_ARG_PTR,
	SYSCALL_ARG_STR,
	SYSCALL_ARG_FD,
	SYSCALL_ARG_SIG,
};

struct syscall_info {
	const char *name; /* null: no such call */
	uint8_t args;
	uint8_t kinds[SYSCALL_ARGS];
};

extern const syscall_entry syscall_entries[SYSCALL_NUMBERS]; /* null: absent */
extern const struct syscall_info syscall_infos[SYSCALL_NUMBERS];

/*
 * Does a filter forbid the running task this call (filter.c)? Then the call is not made; what the registers hold is what the program
 * finds. Ends the task or its process where a filter wants that. A tracer that a filter asked may have put another call in its place.
 */
bool filter_forbids(struct hal_user *u, int64_t *number);

/* prctl's PR_GET_SECCOMP and PR_SET_SECCOMP. */
int64_t seccomp_prctl_get(void);
int64_t seccomp_prctl_set(uint64_t mode, uaddr_t program);

/* strace: prints the call before it runs, and its result after. */
void strace_enter(uint64_t number, const struct hal_regs *regs);
void strace_leave(uint64_t number, int64_t result);

#endif
