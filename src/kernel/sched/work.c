/* SPDX-License-Identifier: MIT */
/*
 * Work queues: one list, served by up to four threads. Order is first come, first served; with
 * several workers pieces run side by side. Locking: work_lock (RANK_POLL, interrupts off).
 */
#include <cloudos/log.h>
#include <cloudos/service.h>
#include <cloudos/wait.h>
#include <cloudos/work.h>
#include "sched_internal.h"

static struct spinlock work_lock = SPINLOCK_INIT(RANK_POLL);
static struct list queue = LIST_INIT(queue);
static struct wait_queue arrived = WAIT_QUEUE_INIT(arrived), drained = WAIT_QUEUE_INIT(drained);
static uint64_t queued, finished; /* pieces, ever; by work_lock */

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

static struct work *take(void)
{
	unsigned long irq = spin_lock_irq(&work_lock);
	struct work *w = NULL;

	if (!list_empty(&queue)) {
		w = list_first(&queue, struct work, link);
		list_del(&w->link);
		w->queued = false;
	}
	spin_unlock_irq(&work_lock, irq);
	return w;
}

static void count_finished(void)
{
	unsigned long irq = spin_lock_irq(&work_lock);

	ADD_ONCE(finished, 1);
	spin_unlock_irq(&work_lock, irq);
	wake_all(&drained);
}

static void worker(void *arg)
{
	(void)arg;
	for (;;) {
		struct work *w;

		wait_event(&arrived, (w = take()) != NULL);
		w->fn(w);
		count_finished();
	}
}

void work_flush(void)
{
	uint64_t goal = READ_ONCE(queued);

	wait_event(&drained, READ_ONCE(finished) >= goal);
}

int work_start_workers(void)
{
	for (unsigned i = 0; i < min(cpus_online_count(), 4u); i++) {
		int err = thread_spawn("worker", worker, NULL);

		if (err && i == 0)
			return err;
	}
	return 0;
}
SERVICE_DEFINE(work, .start = work_start_workers, .flags = SERVICE_ESSENTIAL);
