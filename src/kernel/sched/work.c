/* SPDX-License-Identifier: MIT */
/*
 * Work queues: one list, served by up to four threads. Order is first come, first served; with
 * several workers pieces run side by side, and a later one may end first: so each worker says which one it is at.
 * Locking: work_lock (RANK_POLL, interrupts off).
 */
#include <cloudos/log.h>
#include <cloudos/service.h>
#include <cloudos/wait.h>
#include <cloudos/work.h>
#include "sched_internal.h"

#define WORKERS_MAX 4
#define NOTHING	    UINT64_MAX

static struct spinlock work_lock = SPINLOCK_INIT(RANK_POLL);
static struct list queue = LIST_INIT(queue);
static struct wait_queue arrived = WAIT_QUEUE_INIT(arrived), drained = WAIT_QUEUE_INIT(drained);
static uint64_t queued, taken;		/* pieces, ever, so the number of the last one; by work_lock */
static uint64_t doing[WORKERS_MAX];	/* the number of each worker's piece, or NOTHING; by work_lock */

void work_setup(struct work *w, void (*fn)(struct work *))
{
	list_init(&w->link);
	w->fn = fn;
	w->queued = false;
}

bool work_queue(struct work *w)
{
	unsigned long irq = spin_lock_irq(&work_lock);
	bool fresh = !w->queued;

	if (fresh) {
		w->queued = true;
		list_add_tail(&queue, &w->link);
		ADD_ONCE(queued, 1);
	}
	spin_unlock_irq(&work_lock, irq);
	if (fresh)
		wake_one(&arrived);
	return fresh;
}

static struct work *take(unsigned self)
{
	unsigned long irq = spin_lock_irq(&work_lock);
	struct work *w = NULL;

	if (!list_empty(&queue)) {
		w = list_first(&queue, struct work, link);
		list_del(&w->link);
		w->queued = false;
		doing[self] = ++taken;
	}
	spin_unlock_irq(&work_lock, irq);
	return w;
}

static void finish(unsigned self)
{
	unsigned long irq = spin_lock_irq(&work_lock);

	doing[self] = NOTHING;
	spin_unlock_irq(&work_lock, irq);
	wake_all(&drained);
}

static void worker(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;

	for (;;) {
		struct work *w;

		wait_event(&arrived, (w = take(self)) != NULL);
		w->fn(w);
		finish(self);
	}
}

static bool have_run(uint64_t goal)
{
	unsigned long irq = spin_lock_irq(&work_lock);
	bool all = taken >= goal;

	for (unsigned i = 0; i < WORKERS_MAX; i++)
		all &= doing[i] > goal;
	spin_unlock_irq(&work_lock, irq);
	return all;
}

void work_flush(void)
{
	uint64_t goal = READ_ONCE(queued);

	wait_event(&drained, have_run(goal));
}

int work_start_workers(void)
{
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		doing[i] = NOTHING;
	for (unsigned i = 0; i < min(cpus_online_count(), (unsigned)WORKERS_MAX); i++) {
		int err = thread_spawn("worker", worker, (void *)(uintptr_t)i);

		if (err && i == 0)
			return err;
	}
	return 0;
}
SERVICE_DEFINE(work, .start = work_start_workers, .flags = SERVICE_ESSENTIAL);
