/* SPDX-License-Identifier: MIT */
/*
 * The life of a user thread: run user code, see to why it stopped, look for work, again.
 *
 * CPU time is exact (the scheduler's); its split into user and system time is sampled, so that entering the kernel costs no clock
 * reads: one entry in TIME_SAMPLE is timed and counts TIME_SAMPLE times. A prime, lest it beat with a program's own period.
 */
#include "profile.h"
#include "proc_internal.h"
#include <cloudos/ptrace.h>
#include <cloudos/sched_group.h>
#include <cloudos/uaccess.h>
#include <cloudos/memory_group.h>
#include <cloudos/vm.h>

#define TIME_SAMPLE 61

void (*process_syscall)(struct hal_user *u);
bool process_traced;

static void fault_signal(struct task *t, int signo, int code, uaddr_t addr)
{
	struct signal_info info = { .signo = signo, .code = code };

	info.fields._sigfault._addr = (void *)(uintptr_t)addr;
	t->fault_addr = addr;
	signal_force(&info);
}

static void page_fault(struct task *t, const struct hal_exit *exit)
{
	struct vm_fault_error error;

	if (likely(vm_fault(exit->addr, exit->access, &error) == 0))
		return;
	if (error.signo == SIGKILL)
		return; /* out of memory: the process is to end (oom.c), or tries again */
	fault_signal(t, error.signo, error.code, exit->addr);
}

static void sample_end(struct task *t, uint64_t from)
{
	uint64_t ns = (hal_clock_ns() - from) * TIME_SAMPLE;

	WRITE_ONCE(t->thread.system_ns, t->thread.system_ns + ns);
	sched_count_system(ns);
	t->sample = TIME_SAMPLE;
}

static __attribute__((noinline)) void timed_call(struct task *t)
{
	uint64_t from = hal_clock_ns();

	process_syscall(&t->user);
	sample_end(t, from);
}

static void user_fault(struct task *t, const struct hal_exit *exit)
{
	uint64_t from;

	if (likely(--t->sample != 0)) {
		page_fault(t, exit);
		return;
	}
	from = hal_clock_ns();
	page_fault(t, exit);
	sample_end(t, from);
}

/* The thread made single steps for a tracer that is gone. */
static bool stray_step(struct task *t, const struct hal_exit *exit)
{
	if (likely(exit->signo != SIGTRAP) || exit->code != TRAP_TRACE || !hal_abi_stepping(&t->user) || ptrace_is_traced(t))
		return false;
	hal_user_lend(&t->user);
	hal_abi_step(&t->user, false);
	hal_user_reclaim(&t->user);
	return true;
}

/* Whatever is not a system call. Apart, so that the loop around the calls keeps its few values in registers. */
static __attribute__((noinline)) void other_exit(struct task *t, enum hal_exit_kind kind, const struct hal_exit *exit)
{
	if (kind == HAL_EXIT_FAULT)
		user_fault(t, exit);
	else if (kind == HAL_EXIT_TRAP && !stray_step(t, exit))
		fault_signal(t, exit->signo, exit->code, exit->addr);
}

/* What stands in thread.work. Interrupts on. */
static __attribute__((noinline)) void see_to_work(struct task *t, bool from_call)
{
	uint32_t work = READ_ONCE(t->thread.work);

	if (unlikely(work & THREAD_WORK_PROFILE))
		profile_settle(t);
	if (work & THREAD_WORK_RESCHEDULE)
		schedule();
	if (unlikely(work & THREAD_WORK_THROTTLE))
		sched_throttle();
	if (unlikely(work & THREAD_WORK_MEMORY))
		memory_throttle();
	if (work & (THREAD_WORK_SIGNAL | THREAD_WORK_EXIT | THREAD_WORK_RESTORE_MASK))
		signal_deliver(t, from_call);
	if (work & THREAD_WORK_RSEQ)
		rseq_resume(t);
}

/* A thread that was just cloned writes its id where it was asked to, in its own memory. */
static void begin(struct task *t)
{
	t->sample = TIME_SAMPLE;
	if (t->set_child_tid)
		(void)put_user(task_number(t), t->set_child_tid);
}

void task_main(void *task)
{
	enum hal_exit_kind kind = HAL_EXIT_INTERRUPT;
	struct task *t = task;
	struct hal_exit exit;

	begin(t);
	for (;;) {
		hal_irq_disable();
		if (unlikely(READ_ONCE(t->thread.work) & ~(uint32_t)THREAD_WORK_TRACE)) {
			hal_irq_enable();
			see_to_work(t, kind == HAL_EXIT_SYSCALL);
			kind = HAL_EXIT_INTERRUPT;
			continue;
		}
		kind = hal_user_run(&t->user, &exit);
		if (unlikely(kind != HAL_EXIT_SYSCALL))
			other_exit(t, kind, &exit);
		else if (unlikely(--t->sample == 0))
			timed_call(t);
		else
			process_syscall(&t->user);
	}
}
