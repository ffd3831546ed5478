/* SPDX-License-Identifier: MIT */
/* Wait queues: see <cloudos/wait.h>. queue->lock has RANK_WAIT and is taken with interrupts off. */
#include <cloudos/wait.h>

void waiter_init(struct waiter *w, uint32_t events, bool exclusive)
{
	list_init(&w->link);
	w->thread = thread_current();
	w->fn = NULL;
	w->events = events;
	w->exclusive = exclusive;
}

void wait_add(struct wait_queue *q, struct waiter *w)
{
	unsigned long irq = spin_lock_irq(&q->lock);

	if (w->exclusive)
		list_add_tail(&q->waiters, &w->link);
	else
		list_add(&q->waiters, &w->link);
	spin_unlock_irq(&q->lock, irq);
}

void wait_remove(struct wait_queue *q, struct waiter *w)
{
	unsigned long irq = spin_lock_irq(&q->lock);

	list_del(&w->link);
	spin_unlock_irq(&q->lock, irq);
}

void wait_end(struct wait_queue *q, struct waiter *w)
{
	bool woken = thread_cancel_sleep();

	wait_remove(q, w);
	if (unlikely(woken))
		wake_one(q);
}

void wake_events(struct wait_queue *q, uint32_t events, bool one)
{
	struct waiter *w, *tmp;
	unsigned long irq;

	hal_point(HAL_POINT_WAIT, q);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* what the waker changed, before the look at who waits */
	if (list_empty_unlocked(&q->waiters))
		return;
	irq = spin_lock_irq(&q->lock);
	list_for_each_safe(w, tmp, &q->waiters, link) {
		bool woken;

		if (!(w->events & events))
			continue;
		woken = w->fn ? w->fn(w, events) : thread_wake(w->thread);
		if (one && woken && w->exclusive)
			break;
	}
	spin_unlock_irq(&q->lock, irq);
}

int wait_round(enum thread_state state, uint64_t deadline_ns)
{
	if (state == THREAD_INTERRUPTIBLE && thread_signal_pending())
		return -ERESTARTSYS;
	return thread_sleep(deadline_ns) ? 0 : -ETIMEDOUT;
}
