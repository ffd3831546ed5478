/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous jobs: what a task has asked for and does not wait for. Requests of io_uring and polls of AIO are jobs. See async.c.
 */
#ifndef ASYNC_H
#define ASYNC_H

#include <cloudos/cred.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/timer.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>

#define ASYNC_WORKERS_MAX 64 /* of one task; what blocks more of them than this waits its turn */
#define ASYNC_IDLE_MAX	  2  /* workers without work that a task keeps */
#define ASYNC_RUN_MAX	  256 /* ready jobs that a task runs at a time */
#define ASYNC_CANCELLED_AT_ONCE 64 /* with interrupts off, or under a spin lock: then others have their turn */
#define ASYNC_QUEUES_MAX  2  /* queues that one file announces on */

struct async_task;
struct async_job;

struct async_waiter {
	struct waiter waiter;
	struct wait_queue *queue;
	struct async_job *job;
};

/* Fields: T = by the lock of `task`; A = atomic; C = constant; O = by whoever owns the job (async.c, J1). */
struct async_job {
	struct async_task *task;	/* C */
	void (*run)(struct async_job *job, bool may_block); /* C: goes on with it, in a thread of the task's process; may sleep */
	struct cred *cred;		/* C: whose rights it has, with a reference */
	struct list of_task;		/* T: among all that are not over */
	struct list link;		/* T: in task->ready or task->work */
	bool working;			/* T: in task->work */
	uint32_t state;			/* A: ARM_* */
	bool cancelled;			/* A: it is to end */
	uint32_t waiter_count;		/* O */
	struct async_waiter waiters[ASYNC_QUEUES_MAX]; /* O */
	struct timer timer;		/* O */
	bool timed;			/* O: the timer may be armed */
};

/* The running task's, made with a first worker if need be. 0, or what task_worker_start() says. */
int async_task_get(struct async_task **ret);

/* Begins a job of the running task with its credentials (or with `cred`, of which it takes a reference); ends one that is owned. */
void async_begin(struct async_job *job, struct async_task *task, struct cred *cred, void (*run)(struct async_job *, bool));
void async_end(struct async_job *job);

/* Hands an owned job on: to whoever is first, to go on with it without waiting; to a worker, where it may wait. Any context. */
void async_ready(struct async_job *job);
void async_work(struct async_job *job);

/*
 * Arms an owned job: it becomes ready (once) when `f` announces one of `events`, or at a time. True: it is no longer the caller's. False: it
 * is still, for it is ready already (*ret_mask: what the file says), or cancelled.
 */
bool async_arm_poll(struct async_job *job, struct file *f, uint32_t events, uint32_t *ret_mask);
bool async_arm_timer(struct async_job *job, uint64_t deadline_ns);

/* Arms an owned job for nothing: async_take() or async_cancel() gets it back. False: it is cancelled, and stays the caller's. */
bool async_park(struct async_job *job);

/* An armed job that became ready is owned again: lets go of queues and timers. May sleep. */
void async_disarm(struct async_job *job);

/* The same, but that it stays on its queues: for jobs that become ready many times. True: armed. False: it is ready again. */
void async_rearm_begin(struct async_job *job);
bool async_rearm(struct async_job *job);

/* A job that is only armed becomes the caller's, or ready: true; false: somebody is at it. The caller keeps it from ending. */
bool async_take(struct async_job *job);
bool async_claim(struct async_job *job);

/* The job is to end soon, wherever it is. What stands in front of it: */
enum async_found { ASYNC_WAITED, ASYNC_QUEUED, ASYNC_RUNNING };
enum async_found async_cancel(struct async_job *job);

static inline bool async_cancelled(const struct async_job *job)
{
	return __atomic_load_n(&job->cancelled, __ATOMIC_ACQUIRE);
}

/*
 * Runs what is ready, for the running task; true if anything was. May sleep. After ASYNC_RUN_MAX jobs, or one if a signal is pending, a worker
 * goes on.
 */
bool async_run_ready(struct async_task *task);

/*
 * A wait of the running task during which it sees to what is ready: between the two calls it is woken for that. It must call async_run_ready()
 * after the second.
 */
void async_attend(struct async_task *task, struct waiter *w);
void async_leave(struct async_task *task, struct waiter *w);
bool async_any_ready(struct async_task *task);

/* What the task keeps for the room above: rings that it has registered. */
#define ASYNC_RINGS_MAX 16
struct file **async_rings(struct async_task *task);

/* The running task's (a worker's: whom it works for), or null. */
struct async_task *async_task_current(void);
bool async_in_worker(void);

#endif
