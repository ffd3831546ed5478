/* SPDX-License-Identifier: MIT */
/* Freezing tasks (proc/freeze.c): for whoever decides which ones. */
#ifndef CLOUDOS_FREEZE_H
#define CLOUDOS_FREEZE_H

#include <cloudos/types.h>

struct task;

/* t, which lives, is to freeze, or to go on. proc_lock held. */
void task_freeze_locked(struct task *t, bool on);

#endif
