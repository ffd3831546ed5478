/* SPDX-License-Identifier: MIT */
/*
 * The life of a user thread: run user code, see to why it stopped, look for work, again.
 *
 * CPU time is exact (the scheduler's); its split into user and system time is sampled, so that entering the kernel costs no clock
 * reads: one entry in TIME_SAMPLE is timed and counts TIME_SAMPLE times. A prime, lest it beat with a program's own period.
 */
#include "proc_internal.h"
#include <cloudos/uaccess.h>
#include <cloudos/vm.h>

#define TIME_SAMPLE 61

void (*process_syscall)(struct hal_user *u);

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
		process_exit_group(SIGKILL); /* out of memory: vm has said so */
	fault_signal(t, error.signo, error.code, exit->addr);
}

static inline uint64_t sample_begin(struct task *t)
{
	if (likely(--t->sample != 0))
		return 0;
	t->sample = TIME_SAMPLE;
	return hal_clock_ns();
}

static inline void sample_end(struct task *t, uint64_t from)
{
	if (unlikely(from != 0))
		t->thread.system_ns += (hal_clock_ns() - from) * TIME_SAMPLE;
}

/* What stands in thread.work. Interrupts on. */
static void see_to_work(struct task *t, bool from_call)
{
	uint32_t work = READ_ONCE(t->thread.work);

	if (work & THREAD_WORK_RESCHEDULE)
		schedule();
	if (work & (THREAD_WORK_SIGNAL | THREAD_WORK_EXIT | THREAD_WORK_RESTORE_MASK))
		signal_deliver(t, from_call);
}

/* A thread that was just cloned writes its id where it was asked to, in its own memory. */
static void begin(struct task *t)
{
	t->sample = TIME_SAMPLE;
	if (t->set_child_tid)
		(void)put_user(t->tid, t->set_child_tid);
}

void task_main(void *task)
{
	struct task *t = task;
	struct hal_exit exit;
	bool from_call = false;

	begin(t);
	for (;;) {
		uint64_t sample;

		hal_irq_disable();
		while (unlikely(READ_ONCE(t->thread.work) & ~(uint32_t)THREAD_WORK_TRACE)) {
			hal_irq_enable();
			see_to_work(t, from_call);
			from_call = false;
			hal_irq_disable();
		}
		switch (hal_user_run(&t->user, &exit)) {
		case HAL_EXIT_SYSCALL:
			sample = sample_begin(t);
			process_syscall(&t->user);
			sample_end(t, sample);
			from_call = true;
			break;
		case HAL_EXIT_FAULT:
			sample = sample_begin(t);
			page_fault(t, &exit);
			sample_end(t, sample);
			from_call = false;
			break;
		case HAL_EXIT_TRAP:
			fault_signal(t, exit.signo, exit.code, exit.addr);
			from_call = false;
			break;
		case HAL_EXIT_INTERRUPT:
			from_call = false;
			break;
		}
	}
}
