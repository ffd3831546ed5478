/* SPDX-License-Identifier: MIT */
/*
 * I/O priorities (ioprio_set(2)): kept for each thread and handed to its children. No block device orders its requests by them, as with Linux's
 * scheduler "none".
 */
#include <cloudos/errno.h>
#include <cloudos/limits.h>
#include <cloudos/task.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include "syscalls_gen.h"

#define LEVEL_MASK    (IOPRIO_NR_LEVELS - 1) /* above it, hints that nobody here takes */
#define NICE_A_LEVEL  5

/* What setpriority(2) calls the same set of processes; a number that it does not know for one that is none here. */
static int which_priority(int which)
{
	if (which < IOPRIO_WHO_PROCESS || which > IOPRIO_WHO_USER)
		return -1;
	return which - IOPRIO_WHO_PROCESS + PRIO_PROCESS;
}

/* ---- setting ---- */

static int check(int value)
{
	const struct cred *own = thread_current()->cred;

	if (value < 0 || IOPRIO_PRIO_CLASS(value) != value >> IOPRIO_CLASS_SHIFT)
		return -EINVAL;
	switch (IOPRIO_PRIO_CLASS(value)) {
	case IOPRIO_CLASS_NONE:
		return value & LEVEL_MASK ? -EINVAL : 0;
	case IOPRIO_CLASS_RT:
		return cred_capable(own, CAP_SYS_ADMIN) || cred_capable(own, CAP_SYS_NICE) ? 0 : -EPERM;
	case IOPRIO_CLASS_BE:
	case IOPRIO_CLASS_IDLE:
		return 0;
	default:
		return -EINVAL;
	}
}

struct setting {
	uint16_t value;
	int error; /* the first */
};

/* By proc_lock. */
static void set_one(struct task *t, void *arg)
{
	const struct cred *own = thread_current()->cred, *other = task_own_cred(t);
	struct setting *s = arg;

	if (s->error)
		return;
	if (other->uid == own->euid || other->uid == own->uid || cred_capable(own, CAP_SYS_NICE))
		WRITE_ONCE(t->io_priority, s->value);
	else
		s->error = -EPERM;
}

int64_t sys_ioprio_set(int which, int who, int value)
{
	struct setting s = { .value = (uint16_t)value };
	int n = check(value);

	if (n < 0)
		return n;
	n = task_for_each_priority(which_priority(which), who, set_one, &s);
	return n < 0 ? n : n == 0 ? -ESRCH : s.error;
}

/* ---- asking ---- */

/* One that was not set follows from how the thread shares the CPU. */
static int effective(const struct task *t)
{
	int value = READ_ONCE(t->io_priority), level = (READ_ONCE(t->thread.nice) + 20) / NICE_A_LEVEL;

	if (IOPRIO_PRIO_CLASS(value) != IOPRIO_CLASS_NONE)
		return value;
	if (READ_ONCE(t->thread.rt_priority))
		return IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, level);
	return IOPRIO_PRIO_VALUE(READ_ONCE(t->thread.policy) == SCHED_IDLE ? IOPRIO_CLASS_IDLE : IOPRIO_CLASS_BE, level);
}

static void find_own(struct task *t, void *arg)
{
	*(int *)arg = READ_ONCE(t->io_priority);
}

/* The lower number has the right of way. */
static void find_best(struct task *t, void *arg)
{
	int *best = arg;

	*best = min(*best, effective(t));
}

int64_t sys_ioprio_get(int which, int who)
{
	int value = INT32_MAX;
	int n = task_for_each_priority(which_priority(which), who, which == IOPRIO_WHO_PROCESS ? find_own : find_best, &value);

	return n < 0 ? n : n == 0 ? -ESRCH : value;
}
