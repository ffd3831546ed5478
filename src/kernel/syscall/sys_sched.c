/* SPDX-License-Identifier: MIT */
/* Scheduling parameters of threads: policy, priority, nice value, affinity (sched(7)). */
#include <cloudos/cgroup.h>
#include <cloudos/errno.h>
#include <cloudos/limits.h>
#include <cloudos/rseq.h>
#include <cloudos/string.h>
#include <cloudos/task.h>
#include <cloudos/uaccess.h>
#include <cloudos/vm.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/time_types.h>
#include "syscalls_gen.h"

#define POLICY_RT_MAX 99

int64_t sys_sched_yield(void)
{
	thread_yield();
	return 0;
}

/* With a reference; pid 0 is the running thread. The affinity calls know no wrong numbers, only ones that nobody has. */
static int find_any(int pid, struct task **ret)
{
	*ret = task_find(pid ? pid : task_number(task_self()));
	return *ret ? 0 : -ESRCH;
}

static int find(int pid, struct task **ret)
{
	return pid < 0 ? -EINVAL : find_any(pid, ret);
}

/* ---- affinity ---- */

int64_t sys_sched_getaffinity(int pid, size_t size, uaddr_t mask)
{
	struct task *t;
	uint64_t cpus;
	int err;

	if (size < sizeof(cpus) || size % sizeof(uint64_t))
		return -EINVAL;
	err = find_any(pid, &t);
	if (err < 0)
		return err;
	cpus = READ_ONCE(t->thread.affinity) & READ_ONCE(cpus_online);
	task_put(t);
	return put_user(cpus, mask) < 0 ? -EFAULT : (int64_t)sizeof(cpus);
}

int64_t sys_sched_setaffinity(int pid, size_t size, uaddr_t mask)
{
	uint64_t cpus = 0;
	struct task *t;
	int err;

	if (copy_from_user(&cpus, mask, min(size, sizeof(cpus))) < 0)
		return -EFAULT;
	err = find_any(pid, &t);
	if (err < 0)
		return err;
	err = task_may_schedule(t) ? cgroup_set_affinity(t, cpus) : -EPERM; /* the running thread moves on its way to user mode */
	task_put(t);
	return err;
}

/* ---- policy and priority ---- */

int64_t sys_sched_getscheduler(int pid)
{
	struct task *t;
	int result = find(pid, &t);

	if (result < 0)
		return result;
	result = READ_ONCE(t->thread.policy);
	task_put(t);
	return result;
}

static bool is_real_time(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* RLIMIT_RTPRIO lets an unprivileged program have so much priority, and lowering is always allowed. */
static bool may_set(struct task *t, int policy, int priority)
{
	if (!task_may_schedule(t))
		return false;
	if (cred_capable(thread_current()->cred, CAP_SYS_NICE) || !is_real_time(policy))
		return true;
	return (uint64_t)priority <= READ_ONCE(t->process->limits[RLIMIT_RTPRIO].rlim_cur) ||
	       (policy == READ_ONCE(t->thread.policy) && priority <= READ_ONCE(t->thread.rt_priority));
}

/* policy -1: the one that it has. */
static int set_policy(int pid, int policy, int priority)
{
	struct task *t;
	int err = find(pid, &t);

	if (err < 0)
		return err;
	if (policy < 0)
		policy = READ_ONCE(t->thread.policy);
	if (priority < 0 || priority > POLICY_RT_MAX || is_real_time(policy) != (priority > 0))
		err = -EINVAL;
	else if (!may_set(t, policy, priority))
		err = -EPERM;
	else
		err = thread_set_policy(&t->thread, (unsigned)policy, (unsigned)priority);
	task_urgency_changed(t);
	task_put(t);
	return err;
}

int64_t sys_sched_setscheduler(int pid, int policy, uaddr_t param)
{
	struct sched_param p;

	if (!param || pid < 0 || policy < 0)
		return -EINVAL;
	if (get_user(p, param) < 0)
		return -EFAULT;
	return set_policy(pid, policy & ~SCHED_RESET_ON_FORK, p.sched_priority);
}

int64_t sys_sched_setparam(int pid, uaddr_t param)
{
	struct sched_param p;

	if (!param || pid < 0)
		return -EINVAL;
	return get_user(p, param) < 0 ? -EFAULT : set_policy(pid, -1, p.sched_priority);
}

int64_t sys_sched_getparam(int pid, uaddr_t param)
{
	struct sched_param p;
	struct task *t;
	int err;

	if (!param)
		return -EINVAL;
	err = find(pid, &t);
	if (err < 0)
		return err;
	p.sched_priority = READ_ONCE(t->thread.rt_priority);
	task_put(t);
	return put_user(p, param);
}

static int64_t priority_bound(int policy, int real_time)
{
	if (is_real_time(policy))
		return real_time;
	return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE ? 0 : -EINVAL;
}

int64_t sys_sched_get_priority_max(int policy)
{
	return priority_bound(policy, POLICY_RT_MAX);
}

int64_t sys_sched_get_priority_min(int policy)
{
	return priority_bound(policy, 1);
}

int64_t sys_sched_rr_get_interval(int pid, uaddr_t interval)
{
	struct __kernel_timespec ts;
	struct task *t;
	uint64_t ns;
	int err = find(pid, &t);

	if (err < 0)
		return err;
	ns = READ_ONCE(t->thread.policy) == SCHED_FIFO ? 0 : sched_slice_ns();
	task_put(t);
	ts = (struct __kernel_timespec){ .tv_sec = (int64_t)(ns / NSEC_PER_SEC), .tv_nsec = (int64_t)(ns % NSEC_PER_SEC) };
	return put_user(ts, interval);
}

int64_t sys_sched_getattr(int pid, uaddr_t attr, unsigned size, unsigned flags)
{
	struct sched_attr a = { .size = sizeof(a) };
	struct task *t;
	int err;

	if (!attr || flags || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
		return -EINVAL;
	err = find(pid, &t);
	if (err < 0)
		return err;
	a.size = min((uint32_t)sizeof(a), size);
	a.sched_policy = READ_ONCE(t->thread.policy);
	a.sched_nice = READ_ONCE(t->thread.nice);
	a.sched_priority = READ_ONCE(t->thread.rt_priority);
	task_put(t);
	return copy_to_user(attr, &a, a.size);
}

static int set_nice(struct task *t, int nice, bool may)
{
	uint64_t allowed = READ_ONCE(t->process->limits[RLIMIT_NICE].rlim_cur);

	nice = max(-20, min(nice, 19));
	if (!may)
		return -EPERM;
	if (nice < READ_ONCE(t->thread.nice) && (uint64_t)(20 - nice) > allowed && !cred_capable(thread_current()->cred, CAP_SYS_NICE))
		return -EACCES;
	(void)thread_set_nice(&t->thread, nice);
	task_urgency_changed(t);
	return 0;
}

int64_t sys_sched_setattr(int pid, uaddr_t attr, unsigned flags)
{
	struct sched_attr a;
	struct task *t;
	uint32_t size;
	int err;

	if (!attr || pid < 0 || flags)
		return -EINVAL;
	if (get_user(size, attr) < 0)
		return -EFAULT;
	if (size == 0)
		size = SCHED_ATTR_SIZE_VER0;
	if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
		return -E2BIG;
	memset(&a, 0, sizeof(a));
	if (copy_from_user(&a, attr, min((size_t)size, sizeof(a))) < 0)
		return -EFAULT;
	if (a.sched_flags & ~(uint64_t)SCHED_FLAG_RESET_ON_FORK)
		return -EINVAL;
	err = set_policy(pid, (int)a.sched_policy, (int)a.sched_priority);
	if (err < 0 || is_real_time((int)a.sched_policy))
		return err;
	err = find(pid, &t);
	if (err < 0)
		return err;
	err = set_nice(t, a.sched_nice, task_may_schedule(t));
	task_put(t);
	return err;
}

/* ---- nice values ---- */

static void find_best(struct task *t, void *arg)
{
	int *best = arg;

	*best = min(*best, (int)READ_ONCE(t->thread.nice));
}

/* The raw call answers 20 - nice, so that no answer looks like an error. */
int64_t sys_getpriority(int which, int who)
{
	int best = 20, n = task_for_each_priority(which, who, find_best, &best);

	if (n <= 0)
		return n < 0 ? n : -ESRCH;
	return 20 - best;
}

struct renice {
	int nice, err;
};

static void renice_one(struct task *t, void *arg)
{
	struct renice *r = arg;
	int err = set_nice(t, r->nice, task_may_schedule_locked(t));

	if (err < 0)
		r->err = err;
}

int64_t sys_setpriority(int which, int who, int nice)
{
	struct renice r = { .nice = nice };
	int n = task_for_each_priority(which, who, renice_one, &r);

	if (n <= 0)
		return n < 0 ? n : -ESRCH;
	return r.err;
}

/* ---- CPUs ---- */

int64_t sys_getcpu(uaddr_t cpu, uaddr_t node)
{
	uint32_t here = hal_cpu_id(), zero = 0;

	if ((cpu && put_user(here, cpu) < 0) || (node && put_user(zero, node) < 0))
		return -EFAULT;
	return 0;
}

static void fence(void *arg)
{
	(void)arg;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#define MEMBARRIER_OFFERED                                                                                   \
	(MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |                      \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |  \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)

/* What a CPU may have fetched of the program before is fetched again. */
static void fence_code(void *arg)
{
	fence(arg);
	hal_cpu_refetch();
}

/* Every form interrupts every other CPU: more than asked for, never less. */
static int64_t barrier_everywhere(void (*fn)(void *))
{
	fn(NULL);
	cpus_call(READ_ONCE(cpus_online), fn, NULL);
	return 0;
}

int64_t sys_membarrier(int command, unsigned flags, int cpu)
{
	struct vm_space *s = thread_current()->vm;

	if (command == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ ? flags & ~(unsigned)MEMBARRIER_CMD_FLAG_CPU : flags)
		return -EINVAL;
	switch (command) {
	case MEMBARRIER_CMD_QUERY:
		return MEMBARRIER_OFFERED;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
		__atomic_fetch_or(&s->membarriers, (uint32_t)command, __ATOMIC_RELAXED);
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		if (!(READ_ONCE(s->membarriers) & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
			return -EPERM;
		return barrier_everywhere(fence);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		if (!(READ_ONCE(s->membarriers) & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE))
			return -EPERM;
		return barrier_everywhere(fence_code);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
		if (!(READ_ONCE(s->membarriers) & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ))
			return -EPERM;
		rseq_restart_others(flags ? cpu : -1);
		return 0;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		return barrier_everywhere(fence);
	default:
		return -EINVAL;
	}
}
