/* SPDX-License-Identifier: MIT */
/*
 * System calls. src/kernel/syscall/table/<family>.tbl hold one row a call; tools/gen_syscalls.py makes from them the prototypes of
 * the handlers (syscalls_gen.h: `int64_t sys_read(int fd, uaddr_t buf, size_t count);`), the dispatch tables, strace's names
 * and argument kinds, and docs/ABI.md. Numbers come from <asm/unistd.h>: a call that the architecture lacks falls out by itself.
 */
#ifndef CLOUDOS_SYSCALL_H
#define CLOUDOS_SYSCALL_H

#include <cloudos/types.h>

struct hal_user;

/* Runs the call that u's registers ask for and leaves the result in them. Called by proc's user loop, interrupts on; may sleep. */
void syscall_dispatch(struct hal_user *u);

#endif
