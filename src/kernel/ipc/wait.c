/* SPDX-License-Identifier: MIT */
/*
 * Sleeping on an IPC object. A waiter lies on its thread's stack and in a list of the object. Who wakes it has done for it what it waits
 * for; so a waiter that is done reports that, whatever signal or time-out has come at the same moment, and nothing is done twice or lost.
 *
 * The waker touches waiter and thread under the object's lock, and the sleeper passes through that lock before it goes on: neither can be
 * gone while it is touched.
 */
#include "ipc_internal.h"

int ipc_wait(struct mutex *lock, struct list *before, struct ipc_waiter *w, uint64_t deadline_ns)
{
	int error = 0;

	w->thread = thread_current();
	w->done = false;
	list_add_tail(before, &w->link);
	mutex_unlock(lock);
	for (;;) {
		thread_prepare_sleep(THREAD_INTERRUPTIBLE);
		if (LOAD_ACQUIRE(w->done) || error)
			break;
		error = wait_round(THREAD_INTERRUPTIBLE, deadline_ns);
	}
	thread_cancel_sleep();
	mutex_lock(lock);
	if (w->done)
		return 0;
	list_del(&w->link);
	return error;
}

void ipc_wake(struct ipc_waiter *w)
{
	list_del(&w->link);
	STORE_RELEASE(w->done, true);
	thread_wake(w->thread);
}
