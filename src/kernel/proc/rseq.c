/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences, rseq(2): stretches of user code that run from start to end on one CPU with nothing in between, or are begun anew.
 *
 * A thread registers an area. The kernel keeps in it the number of the CPU; the thread says there, by a pointer to a description
 * (struct rseq_cs), that it is in a sequence. Whenever the thread has been switched away from, or is about to run a signal handler, and its
 * program counter is within the sequence, it goes on at the sequence's abort address instead. The four bytes in front of that address must be
 * the signature that was registered, so that nobody who can write to the area can choose any address.
 *
 *   switched away		the scheduler sets THREAD_WORK_RSEQ (thread.switch_work): on its way to user mode the thread looks at its sequence
 *			and writes the CPU's number (rseq_resume())
 *   a signal handler	the same look, before the frame keeps the program counter (rseq_before_handler())
 *   membarrier(2)	sets the bit in threads that run on other CPUs
 *
 * A thread without an area pays one test at each switch, and one that was not switched away nothing: the bit is one of those that are tested
 * together on the way to user mode. A switch between the look and user mode sets the bit again, and so do page faults of the look
 * itself that sleep.
 *
 * What is wrong with an area or a description is the program's end, by SIGSEGV, as on Linux. Of Linux 6.1's fields there are the two CPU
 * numbers; flags, which ask not to be restarted, were given up by it and are an error.
 *
 * Locking: none; a thread's area is its own. fork(2) keeps it, for it is in the copied memory; threads and execve(2) begin without.
 */
#include "proc_internal.h"
#include <cloudos/rseq.h>
#include <cloudos/uaccess.h>
#include <cloudos/vm.h>
#include <linux/rseq.h>

/* The structure may have grown in the headers; this is what registers and is checked. */
#define AREA_ALIGN 32

_Static_assert(offsetof(struct rseq, cpu_id_start) == 0 && offsetof(struct rseq, cpu_id) == 4, "written as one word");
_Static_assert(offsetof(struct rseq, rseq_cs) == 8 && offsetof(struct rseq, flags) == 16, "Linux's layout");
_Static_assert(sizeof(struct rseq_cs) == 32, "Linux's layout");

static int put_cpus(const struct task *t, uint32_t start, uint32_t cpu)
{
	const uint32_t ids[2] = { start, cpu };

	return copy_to_user(t->rseq, ids, sizeof(ids));
}

static void set_area(struct task *t, uaddr_t area, uint32_t signature)
{
	t->rseq = area;
	t->rseq_signature = signature;
	t->thread.switch_work = area ? THREAD_WORK_RSEQ : 0;
}

/* ---- rseq(2) ---- */

int rseq_register(uaddr_t area, uint32_t len, uint32_t signature)
{
	struct task *t = task_self();

	if (t->rseq) {
		if (t->rseq != area || len != RSEQ_AREA_SIZE)
			return -EINVAL;
		return t->rseq_signature != signature ? -EPERM : -EBUSY;
	}
	if (!is_aligned(area, AREA_ALIGN) || len != RSEQ_AREA_SIZE)
		return -EINVAL;
	if (!user_range_ok(area, len))
		return -EFAULT;
	set_area(t, area, signature);
	thread_post(&t->thread, THREAD_WORK_RSEQ);
	return 0;
}

int rseq_unregister(uaddr_t area, uint32_t len, uint32_t signature)
{
	struct task *t = task_self();

	if (!t->rseq || t->rseq != area || len != RSEQ_AREA_SIZE)
		return -EINVAL;
	if (t->rseq_signature != signature)
		return -EPERM;
	if (put_cpus(t, 0, (uint32_t)RSEQ_CPU_ID_UNINITIALIZED))
		return -EFAULT;
	rseq_forget(t);
	return 0;
}

void rseq_fork(struct task *t, const struct task *from)
{
	set_area(t, from->rseq, from->rseq_signature);
	t->thread.work |= t->thread.switch_work; /* it does not run yet */
}

void rseq_forget(struct task *t)
{
	set_area(t, 0, 0);
	thread_clear_work(THREAD_WORK_RSEQ);
}

/* ---- leaving a sequence ---- */

static bool inside(const struct rseq_cs *cs, uaddr_t pc)
{
	return pc - cs->start_ip < cs->post_commit_offset;
}

/* The description comes from the program: where it may send the thread is checked. */
static int check_section(const struct task *t, const struct rseq_cs *cs)
{
	uint32_t signature;

	if (cs->version != 0 || cs->start_ip >= HAL_USER_TOP || cs->post_commit_offset >= HAL_USER_TOP - cs->start_ip ||
	    cs->abort_ip >= HAL_USER_TOP || inside(cs, cs->abort_ip))
		return -EINVAL;
	if (get_user(signature, cs->abort_ip - sizeof(signature)))
		return -EFAULT;
	return signature == t->rseq_signature ? 0 : -EINVAL;
}

static int leave_section(struct task *t)
{
	uaddr_t pc = hal_abi_pc(&t->user.regs);
	struct rseq_cs cs;
	uint64_t pointer;
	uint32_t flags;
	int err;

	if (get_user(pointer, t->rseq + offsetof(struct rseq, rseq_cs)))
		return -EFAULT;
	if (!pointer)
		return 0;
	if (copy_from_user(&cs, pointer, sizeof(cs)))
		return -EFAULT;
	err = check_section(t, &cs);
	if (err < 0)
		return err;
	if (inside(&cs, pc)) {
		if (get_user(flags, t->rseq + offsetof(struct rseq, flags)))
			return -EFAULT;
		if (flags || cs.flags)
			return -EINVAL;
	}
	if (put_user((uint64_t)0, t->rseq + offsetof(struct rseq, rseq_cs)))
		return -EFAULT;
	if (inside(&cs, pc))
		hal_abi_set_pc(&t->user.regs, cs.abort_ip);
	return 0;
}

static int look(struct task *t)
{
	uint32_t cpu;
	int err;

	thread_clear_work(THREAD_WORK_RSEQ); /* first: a switch from here on asks for another look */
	err = leave_section(t);
	if (err < 0)
		return err;
	cpu = hal_cpu_id();
	return put_cpus(t, cpu, cpu);
}

void rseq_resume(struct task *t)
{
	struct signal_info segv;

	if (!t->rseq || look(t) == 0)
		return;
	signal_info_kernel(&segv, SIGSEGV);
	signal_force(&segv);
}

int rseq_before_handler(struct task *t)
{
	return look(t);
}

/* ---- membarrier(2) ---- */

static void restart_here(void *space)
{
	struct thread *t = thread_current();

	if (t->space == space && t->switch_work)
		__atomic_fetch_or(&t->work, t->switch_work, __ATOMIC_RELEASE);
}

void rseq_restart_others(int cpu)
{
	struct sched_space *space = thread_current()->space;
	uint64_t mask = cpu < 0 ? UINT64_MAX : cpu < HAL_CPU_MAX ? UINT64_C(1) << cpu : 0;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	cpus_call(mask & __atomic_load_n(&space->cpus, __ATOMIC_SEQ_CST), restart_here, space);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
