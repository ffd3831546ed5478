/* SPDX-License-Identifier: MIT */
/*
 * Freezing: a thread that is told to stands still on its way to user mode until it is told to go on. It counts as frozen (t->frozen, by proc_lock)
 * from when it sleeps. Only its end, a tracer that wants a stop, and a worker's being waited for get it out.
 *
 * A thread that sleeps already in a place where no signal reaches it (a stop, its child's vfork) says so by t->halted, and is counted by who
 * freezes it. The two look crosswise: the one sets `halted` and then looks at `freeze`, the other sets `freeze` and then looks at `halted`.
 */
#include "proc_internal.h"
#include <cloudos/cgroup.h>
#include <cloudos/freeze.h>

bool freeze_due(const struct task *t)
{
	return unlikely(READ_ONCE(t->freeze)) && !stop_spares(t) && !READ_ONCE(t->trace.interrupt);
}

/* Makes the running thread count as frozen, or no longer. False: it is not to freeze. */
static bool count(struct task *t, bool frozen)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	bool good = !frozen || t->freeze;

	if (good && t->frozen != frozen)
		cgroup_task_froze_locked(t, frozen);
	spin_unlock_irq(&proc_lock, flags);
	return good;
}

void freeze_here(struct task *t)
{
	if (!count(t, true))
		return;
	for (;;) {
		thread_prepare_sleep(THREAD_STOPPED);
		if (!freeze_due(t) || (READ_ONCE(t->thread.work) & THREAD_WORK_EXIT))
			break;
		(void)thread_sleep(HAL_TIMER_NEVER);
	}
	thread_cancel_sleep();
	(void)count(t, false);
}

void freeze_halt_begin(struct task *t)
{
	__atomic_store_n(&t->halted, true, __ATOMIC_SEQ_CST);
	hal_point(HAL_POINT_ATOMIC, &t->halted);
	if (unlikely(__atomic_load_n(&t->freeze, __ATOMIC_SEQ_CST)))
		(void)count(t, true);
}

void freeze_halt_end(struct task *t)
{
	__atomic_store_n(&t->halted, false, __ATOMIC_SEQ_CST);
	hal_point(HAL_POINT_ATOMIC, &t->halted);
	if (unlikely(__atomic_load_n(&t->freeze, __ATOMIC_SEQ_CST) || READ_ONCE(t->frozen)))
		(void)count(t, false);
}

void task_freeze_locked(struct task *t, bool on)
{
	if (t->freeze == on)
		return;
	__atomic_store_n(&t->freeze, on, __ATOMIC_SEQ_CST);
	if (!on) {
		thread_wake_state(&t->thread, THREAD_STOPPED);
		return;
	}
	hal_point(HAL_POINT_ATOMIC, &t->freeze);
	if (__atomic_load_n(&t->halted, __ATOMIC_SEQ_CST) && !t->frozen)
		cgroup_task_froze_locked(t, true);
	signal_wake(t);
}
