/* SPDX-License-Identifier: MIT */
/*
 * Wait queues. A waiter is a thread (woken) or a function (poll, epoll: called, under the queue's lock, interrupts off). `events`
 * is a mask of what happened, in poll(2)'s bits; waiters that ask for none of them are passed over.
 */
#ifndef CLOUDOS_WAIT_H
#define CLOUDOS_WAIT_H

#include <cloudos/errno.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/thread.h>

#define WAIT_ANY UINT32_MAX

struct wait_queue {
	struct spinlock lock;
	struct list waiters;
};

struct waiter {
	struct list link;
	struct thread *thread;				    /* woken, if fn is null */
	bool (*fn)(struct waiter *, uint32_t events);	    /* true: counts as woken */
	uint32_t events;				    /* which it wants */
	bool exclusive;					    /* wake_one() stops at the first of these */
};

#define WAIT_QUEUE_INIT(name) { .lock = SPINLOCK_INIT(RANK_WAIT), .waiters = LIST_INIT((name).waiters) }

static inline void wait_queue_init(struct wait_queue *q)
{
	spin_init(&q->lock, RANK_WAIT);
	list_init(&q->waiters);
}

/* Puts a waiter on the queue (exclusive ones at the end) / takes it off. Any context. */
void wait_add(struct wait_queue *q, struct waiter *w);
void wait_remove(struct wait_queue *q, struct waiter *w);

/* Wake what waits for any of `events`; wake_one at most one exclusive waiter (and all that are not). Any context. Cheap if nobody waits. */
void wake_events(struct wait_queue *q, uint32_t events, bool one);

static inline void wake_all(struct wait_queue *q)
{
	wake_events(q, WAIT_ANY, false);
}

static inline void wake_one(struct wait_queue *q)
{
	wake_events(q, WAIT_ANY, true);
}

void waiter_init(struct waiter *w, uint32_t events, bool exclusive);

/*
 * The end of a wait: takes *w off. A wake-up that came since the thread last said that it will sleep, and that it has no use for (it goes
 * because of an earlier one, a signal or the time), is passed on: what wake_one() announced may be another's.
 */
void wait_end(struct wait_queue *q, struct waiter *w);

/* One round of waiting: 0 (look again), -ERESTARTSYS (a signal, interruptible only) or -ETIMEDOUT. */
int wait_round(enum thread_state state, uint64_t deadline_ns);

/*
 * Sleeps until `condition`; 0, -ERESTARTSYS or -ETIMEDOUT (the condition wins over both). The condition is looked at with
 * no lock of the queue held; wakers change it first, then wake.
 */
#define wait_until(queue, task_state, deadline_ns, condition)                    \
	({                                                                       \
		int wait_result = 0;                                             \
		if (!(condition)) {                                              \
			struct waiter wait_self;                                 \
			waiter_init(&wait_self, WAIT_ANY, true);                 \
			wait_add(queue, &wait_self);                             \
			for (;;) {                                               \
				thread_prepare_sleep(task_state);                \
				if (condition) {                                 \
					wait_result = 0;                         \
					break;                                   \
				}                                                \
				if (wait_result)                                 \
					break;                                   \
				wait_result = wait_round(task_state, deadline_ns); \
			}                                                        \
			wait_end(queue, &wait_self);                             \
		}                                                                \
		wait_result;                                                     \
	})

#define wait_event(queue, condition) \
	((void)wait_until(queue, THREAD_SLEEPING, HAL_TIMER_NEVER, condition))
#define wait_event_interruptible(queue, condition) \
	wait_until(queue, THREAD_INTERRUPTIBLE, HAL_TIMER_NEVER, condition)
#define wait_event_deadline(queue, deadline_ns, condition) \
	wait_until(queue, THREAD_INTERRUPTIBLE, deadline_ns, condition)

#endif
