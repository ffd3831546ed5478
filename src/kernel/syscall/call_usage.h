/* SPDX-License-Identifier: MIT */
/* Resource usage as system calls report it. */
#ifndef CALL_USAGE_H
#define CALL_USAGE_H

#include <cloudos/task.h>

/* Writes a struct rusage: 0 or -EFAULT. */
int call_put_rusage(uaddr_t to, const struct task_usage *u);

#endif
