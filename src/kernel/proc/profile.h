/* SPDX-License-Identifier: MIT */
/* The profiler: what its files share, and where threads come upon it. See profile.c. */
#ifndef PROC_PROFILE_H
#define PROC_PROFILE_H

#include "profile_table.h"

#define PROFILE_USER_FRAMES   64u
#define PROFILE_KERNEL_FRAMES 48u

struct task;

/* On the way to user mode, with THREAD_WORK_PROFILE: the running task's samples get their user frames. May sleep. */
void profile_settle(struct task *t);

/* A task whose thread has ended, or never ran: its samples go without. Any context. */
void profile_task_gone(struct task *t);

/* The running task's user frames, innermost first, as far as they can be followed; how many. May sleep (profile_user.c). */
uint32_t profile_user_frames(struct task *t, struct profile_table *table, struct profile_frame *ret, uint32_t max);

#endif
