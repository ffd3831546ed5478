/* SPDX-License-Identifier: MIT */
/*
 * Jobs of a task and who runs them.
 *
 *   owned ---- async_arm_poll(), async_arm_timer() ---> armed ---- an event, the time, async_cancel() ---> ready
 *   owned ---- async_work() ---> queued for a worker ---> owned by it
 *   ready ---> owned by whoever takes it: the task itself while it waits for completions (async_attend()), or a worker
 *   owned ---- async_end() ---> over
 *
 * J1  A job has one owner at a time: the thread that runs it; or it is armed, ready, or queued, and then has none.
 * J2  `state` decides who gets an armed job: whoever sets FIRED while ARMED is set and FIRED is not. An event that comes while the job is being
 *     armed only sets FIRED, which the owner sees when he sets ARMED. What comes when it has fired sets AGAIN.
 * J3  Whoever wants a job to end sets `cancelled` first, and then FIRED; an owner sets ARMED first and then looks: one of them sees the other.
 * J4  A task has at least one worker as long as it has jobs, and one that is not at blocking work: what is ready does not wait for what blocks.
 *     When the last one cannot get another beside it (no memory, RLIMIT_NPROC) it does work all the same, but what becomes ready interrupts
 *     it; what it was at is begun again later.
 *
 * Events come under the lock of a file's wait queue, and times from interrupts: there the job is put into a list and somebody woken, no more.
 * A job is over only after its owner has taken it off its queues and timers, so that none of these touches what is gone.
 *
 * Locking: async_task.lock (RANK_ASYNC, interrupts off) is taken under the locks of wait queues. The queues in async_task have no rank, since
 * they are woken under any other's lock, but nothing is called from theirs.
 */
#include "async.h"
#include <asm/poll.h>
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/service.h>
#include <cloudos/task.h>

enum { ARM_ARMED = 1, ARM_FIRED = 2, ARM_AGAIN = 4 };

/* Fields: T = lock; O = by the task itself. */
struct async_task {
	struct spinlock lock;
	struct list jobs;  /* T: all that are not over ... */
	struct list ended; /* T: ... and those of them that the end of the task has cancelled */
	struct list ready; /* T */
	struct list work;  /* T */
	uint32_t workers, blocked; /* T: those there are; those of them at work that may block */
	uint32_t idle;	   /* T */
	struct list busy;  /* T: struct worker.link, those that run a job of `work` */
	bool stop;	   /* T: workers are to exit */
	struct thread *leaving; /* T, read freely: the task, while it waits for the last job or worker to go */
	struct wait_queue idlers;    /* workers without work */
	struct wait_queue attendant; /* the task, while it attends */
	struct file *rings[ASYNC_RINGS_MAX]; /* O */
};

/* What a worker keeps on its stack. */
struct worker {
	struct list link;	/* T */
	struct async_job *job;	/* T */
	struct thread *thread;	/* C */
};

static void unranked_queue_init(struct wait_queue *q)
{
	spin_init(&q->lock, RANK_NONE);
	list_init(&q->waiters);
}

/* ---- handing on ---- */

static void interrupt(struct worker *w)
{
	thread_post(w->thread, THREAD_WORK_SIGNAL);
	thread_wake_state(w->thread, THREAD_INTERRUPTIBLE);
}

/* Under the lock: else t might be gone before it is done. */
static void kick_locked(struct async_task *t)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* what was queued, before the look at who attends */
	if (!list_empty_unlocked(&t->attendant.waiters))
		wake_all(&t->attendant);
	else if (t->blocked < t->workers)
		wake_one(&t->idlers);
	else if (t->blocked > 0 && !list_empty(&t->ready))
		interrupt(list_first(&t->busy, struct worker, link));
}

void async_ready(struct async_job *job)
{
	struct async_task *t = job->task;
	unsigned long irq = spin_lock_irq(&t->lock);

	list_add_tail(&t->ready, &job->link);
	if (t->leaving)
		thread_wake(t->leaving);
	kick_locked(t);
	spin_unlock_irq(&t->lock, irq);
}

void async_work(struct async_job *job)
{
	struct async_task *t = job->task;
	unsigned long irq = spin_lock_irq(&t->lock);

	list_add_tail(&t->work, &job->link);
	job->working = true;
	if (t->leaving)
		thread_wake(t->leaving);
	wake_one(&t->idlers);
	spin_unlock_irq(&t->lock, irq);
}

void async_begin(struct async_job *job, struct async_task *task, struct cred *cred, void (*run)(struct async_job *, bool))
{
	unsigned long irq;

	job->task = task;
	job->run = run;
	job->cred = cred;
	cred_get(cred);
	list_init(&job->link);
	job->working = false;
	job->state = 0;
	job->cancelled = false;
	job->waiter_count = 0;
	job->timed = false;
	irq = spin_lock_irq(&task->lock);
	list_add_tail(&task->jobs, &job->of_task);
	spin_unlock_irq(&task->lock, irq);
}

void async_end(struct async_job *job)
{
	struct async_task *t = job->task;
	unsigned long irq;

	cred_put(job->cred);
	irq = spin_lock_irq(&t->lock);
	list_del(&job->of_task);
	if (t->leaving && list_empty(&t->jobs) && list_empty(&t->ended))
		thread_wake(t->leaving);
	spin_unlock_irq(&t->lock, irq);
}

/* ---- arming ---- */

/* Any context. True: the job was armed, and is the caller's. */
static bool fire(struct async_job *job)
{
	uint32_t before = __atomic_load_n(&job->state, __ATOMIC_RELAXED), after;

	do {
		after = before | ARM_FIRED | (before & ARM_FIRED ? ARM_AGAIN : 0);
	} while (!__atomic_compare_exchange_n(&job->state, &before, after, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return before == ARM_ARMED;
}

static bool event(struct waiter *w, uint32_t events)
{
	struct async_job *job = container_of(w, struct async_waiter, waiter)->job;

	(void)events;
	if (fire(job))
		async_ready(job);
	return true;
}

static void time_is_up(struct timer *timer)
{
	struct async_job *job = container_of(timer, struct async_job, timer);

	if (fire(job))
		async_ready(job);
}

/* The owner lets go; false: something has come already, or the job is cancelled, and it stays his. */
static bool let_go(struct async_job *job)
{
	hal_point(HAL_POINT_ATOMIC, &job->state);
	return !(__atomic_fetch_or(&job->state, ARM_ARMED, __ATOMIC_SEQ_CST) & ARM_FIRED);
}

struct arm_table {
	struct poll_table table;
	struct async_job *job;
	uint32_t events;
};

static void add_waiter(struct poll_table *pt, struct wait_queue *q)
{
	struct arm_table *at = container_of(pt, struct arm_table, table);
	struct async_waiter *w = &at->job->waiters[at->job->waiter_count];

	ASSERT(at->job->waiter_count < ASYNC_QUEUES_MAX);
	at->job->waiter_count++;
	waiter_init(&w->waiter, at->events, false);
	w->waiter.fn = event;
	w->queue = q;
	w->job = at->job;
	wait_add(q, &w->waiter);
}

bool async_arm_poll(struct async_job *job, struct file *f, uint32_t events, uint32_t *ret_mask)
{
	struct arm_table at = { .table.add = add_waiter, .job = job, .events = events };
	uint32_t mask;

	*ret_mask = 0;
	__atomic_exchange_n(&job->state, 0, __ATOMIC_SEQ_CST);
	if (async_cancelled(job))
		return false;
	mask = file_poll(f, &at.table) & events;
	if (mask)
		(void)fire(job);
	if (let_go(job))
		return true;
	if (!mask)
		mask = file_poll(f, NULL) & events;
	*ret_mask = mask;
	return false;
}

bool async_arm_timer(struct async_job *job, uint64_t deadline_ns)
{
	__atomic_exchange_n(&job->state, 0, __ATOMIC_SEQ_CST);
	if (async_cancelled(job))
		return false;
	job->timed = true;
	timer_setup(&job->timer, time_is_up);
	if (deadline_ns != HAL_TIMER_NEVER)
		timer_arm(&job->timer, deadline_ns);
	return let_go(job);
}

bool async_park(struct async_job *job)
{
	__atomic_exchange_n(&job->state, 0, __ATOMIC_SEQ_CST);
	return !async_cancelled(job) && let_go(job);
}

void async_disarm(struct async_job *job)
{
	for (uint32_t i = 0; i < job->waiter_count; i++)
		wait_remove(job->waiters[i].queue, &job->waiters[i].waiter);
	job->waiter_count = 0;
	if (job->timed)
		(void)timer_cancel(&job->timer);
	job->timed = false;
}

void async_rearm_begin(struct async_job *job)
{
	__atomic_fetch_and(&job->state, ~(uint32_t)ARM_AGAIN, __ATOMIC_SEQ_CST);
}

bool async_rearm(struct async_job *job)
{
	uint32_t fired = ARM_ARMED | ARM_FIRED;

	hal_point(HAL_POINT_ATOMIC, &job->state);
	return __atomic_compare_exchange_n(&job->state, &fired, ARM_ARMED, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* ---- cancelling ---- */

bool async_take(struct async_job *job)
{
	return fire(job);
}

bool async_claim(struct async_job *job)
{
	if (!fire(job))
		return false;
	async_ready(job);
	return true;
}

static enum async_found cancel_locked(struct async_task *t, struct async_job *job)
{
	struct worker *w;

	if (job->working) { /* whoever takes it sees that it is cancelled; it need not wait its turn */
		job->working = false;
		list_del(&job->link);
		list_add_tail(&t->ready, &job->link);
		return ASYNC_QUEUED;
	}
	list_for_each(w, &t->busy, link)
		if (w->job == job)
			interrupt(w);
	return ASYNC_RUNNING;
}

enum async_found async_cancel(struct async_job *job)
{
	struct async_task *t = job->task;
	enum async_found found;
	unsigned long irq;

	__atomic_store_n(&job->cancelled, true, __ATOMIC_SEQ_CST);
	if (async_claim(job))
		return ASYNC_WAITED;
	irq = spin_lock_irq(&t->lock);
	found = cancel_locked(t, job);
	kick_locked(t);
	spin_unlock_irq(&t->lock, irq);
	return found;
}

/* ---- running ---- */

static void run(struct async_job *job, bool may_block)
{
	struct cred *cred = job->cred;

	if (cred == thread_current()->cred) {
		job->run(job, may_block);
		return;
	}
	cred_get(cred); /* the job may be over when it comes back */
	task_act_as(cred);
	job->run(job, may_block);
	task_act_as(NULL);
	cred_put(cred);
}

static struct async_job *take_locked(struct list *from)
{
	struct async_job *job;

	if (list_empty(from))
		return NULL;
	job = list_first(from, struct async_job, link);
	list_del(&job->link);
	job->working = false;
	return job;
}

static struct async_job *take_ready(struct async_task *t)
{
	unsigned long irq = spin_lock_irq(&t->lock);
	struct async_job *job = take_locked(&t->ready);

	spin_unlock_irq(&t->lock, irq);
	return job;
}

bool async_any_ready(struct async_task *task)
{
	return !list_empty_unlocked(&task->ready);
}

/* What is left is a worker's. */
static void hand_on(struct async_task *t)
{
	unsigned long irq = spin_lock_irq(&t->lock);

	if (!list_empty(&t->ready))
		kick_locked(t);
	spin_unlock_irq(&t->lock, irq);
}

bool async_run_ready(struct async_task *task)
{
	struct async_job *job = take_ready(task);
	unsigned n = 0;

	if (!job)
		return false;
	while (job) {
		run(job, false);
		sched_point();
		job = ++n < ASYNC_RUN_MAX && !thread_signal_pending() ? take_ready(task) : NULL;
	}
	hand_on(task);
	return true;
}

void async_attend(struct async_task *task, struct waiter *w)
{
	waiter_init(w, WAIT_ANY, false);
	wait_add(&task->attendant, w);
}

void async_leave(struct async_task *task, struct waiter *w)
{
	wait_remove(&task->attendant, w);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* before the look at what is ready: see kick_locked() */
}

/* ---- workers ---- */

static void worker_main(void *task);

/* One more, if there may be; `first`: else there is none, and the caller wants to know. */
static int add_worker(struct async_task *t)
{
	unsigned long irq = spin_lock_irq(&t->lock);
	bool more = t->workers < ASYNC_WORKERS_MAX && !t->stop;
	int err;

	t->workers += more;
	spin_unlock_irq(&t->lock, irq);
	if (!more)
		return -EAGAIN;
	err = task_worker_start("iou-wrk", worker_main, t);
	if (err < 0) {
		irq = spin_lock_irq(&t->lock);
		t->workers--;
		if (t->leaving)
			thread_wake(t->leaving);
		spin_unlock_irq(&t->lock, irq);
	}
	return err;
}

/*
 * What is there for a worker: a job that is ready, or *ret_block, work, for which w->job tells whom to interrupt. Work only if another worker is
 * left, or (alone) cannot be had.
 */
static struct async_job *worker_take(struct async_task *t, struct worker *w, bool alone, bool *ret_block)
{
	unsigned long irq = spin_lock_irq(&t->lock);
	struct async_job *job = take_locked(&t->ready);

	*ret_block = false;
	if (!job && ((alone && t->workers < ASYNC_WORKERS_MAX) || t->blocked + 1 < t->workers))
		job = take_locked(&t->work);
	else if (job)
		w = NULL;
	if (job && w) {
		*ret_block = true;
		w->job = job;
		list_add_tail(&t->busy, &w->link);
		t->blocked++;
	}
	spin_unlock_irq(&t->lock, irq);
	return job;
}

static void worker_done(struct async_task *t, struct worker *w)
{
	unsigned long irq = spin_lock_irq(&t->lock);

	list_del(&w->link);
	w->job = NULL;
	t->blocked--;
	spin_unlock_irq(&t->lock, irq);
}

/* True if there was something to do. */
static bool worker_step(struct async_task *t, struct worker *w)
{
	bool block;
	struct async_job *job = worker_take(t, w, false, &block);

	if (!job && !list_empty_unlocked(&t->work)) /* J4 */
		job = worker_take(t, w, add_worker(t) < 0, &block);
	if (!job)
		return false;
	run(job, block);
	if (block)
		worker_done(t, w);
	sched_point();
	return true;
}

/* Is there anything, or are there too many of us? */
static bool worker_may_go_on(struct async_task *t)
{
	return READ_ONCE(t->stop) || task_worker_pending() || !list_empty_unlocked(&t->ready) ||
	       (!list_empty_unlocked(&t->work) && (READ_ONCE(t->workers) < ASYNC_WORKERS_MAX || READ_ONCE(t->blocked) + 1 < READ_ONCE(t->workers)));
}

/* False: there are enough others who wait for work. */
static bool worker_idle(struct async_task *t)
{
	unsigned long irq = spin_lock_irq(&t->lock);
	bool stay = t->idle < ASYNC_IDLE_MAX && !t->stop;

	t->idle += stay;
	spin_unlock_irq(&t->lock, irq);
	if (!stay)
		return false;
	(void)wait_event_interruptible(&t->idlers, worker_may_go_on(t));
	irq = spin_lock_irq(&t->lock);
	t->idle--;
	spin_unlock_irq(&t->lock, irq);
	return true;
}

static void worker_main(void *task)
{
	struct async_task *t = ((struct task *)task)->async;
	struct worker w = { .thread = thread_current() };

	list_init(&w.link);
	do {
		if (task_worker_pending())
			task_worker_settle();
	} while (worker_step(t, &w) || worker_idle(t));
	task_worker_exit();
}

static void worker_gone(struct task *task)
{
	struct async_task *t = task->async;
	unsigned long irq = spin_lock_irq(&t->lock);

	WRITE_ONCE(task->async, NULL);
	t->workers--;
	if (t->leaving)
		thread_wake(t->leaving);
	spin_unlock_irq(&t->lock, irq);
}

/* ---- the life of a task's part ---- */

struct async_task *async_task_current(void)
{
	return task_self()->async;
}

bool async_in_worker(void)
{
	return task_self()->worker;
}

struct file **async_rings(struct async_task *task)
{
	return task->rings;
}

int async_task_get(struct async_task **ret)
{
	struct task *self = task_self();
	struct async_task *t = self->async;
	int err;

	if (likely(t)) {
		*ret = t;
		return 0;
	}
	t = kzalloc(sizeof(*t));
	if (!t)
		return -ENOMEM;
	spin_init(&t->lock, RANK_ASYNC);
	list_init(&t->jobs);
	list_init(&t->ended);
	list_init(&t->ready);
	list_init(&t->work);
	list_init(&t->busy);
	unranked_queue_init(&t->idlers);
	unranked_queue_init(&t->attendant);
	err = add_worker(t);
	if (err < 0) {
		kfree(t);
		return err;
	}
	self->async = t;
	*ret = t;
	return 0;
}

static bool cancel_some(struct async_task *t)
{
	unsigned long irq = spin_lock_irq(&t->lock);
	unsigned n = 0;

	for (; n < ASYNC_CANCELLED_AT_ONCE && !list_empty(&t->jobs); n++) {
		struct async_job *job = list_first(&t->jobs, struct async_job, of_task);

		list_del(&job->of_task);
		list_add_tail(&t->ended, &job->of_task);
		__atomic_store_n(&job->cancelled, true, __ATOMIC_SEQ_CST);
		if (fire(job))
			list_add_tail(&t->ready, &job->link);
		else
			(void)cancel_locked(t, job);
	}
	spin_unlock_irq(&t->lock, irq);
	return n > 0;
}

static struct async_job *take_any(struct async_task *t)
{
	unsigned long irq = spin_lock_irq(&t->lock);
	struct async_job *job = take_locked(&t->ready);

	if (!job)
		job = take_locked(&t->work);
	spin_unlock_irq(&t->lock, irq);
	return job;
}

static bool nothing_left(struct async_task *t, bool workers_too)
{
	unsigned long irq = spin_lock_irq(&t->lock);
	bool nothing = list_empty(&t->jobs) && list_empty(&t->ended) && (!workers_too || t->workers == 0);

	spin_unlock_irq(&t->lock, irq);
	return nothing;
}

static void set_leaving(struct async_task *t, struct thread *who, bool stop)
{
	unsigned long irq = spin_lock_irq(&t->lock);

	WRITE_ONCE(t->leaving, who);
	WRITE_ONCE(t->stop, stop);
	spin_unlock_irq(&t->lock, irq);
}

static bool leaving(const struct task *worker)
{
	return READ_ONCE(worker->async->leaving) != NULL;
}

/* Ends all jobs: those that wait are run here, cancelled; those that a worker is at, it ends. */
static void end_jobs(struct async_task *t)
{
	struct async_job *job;

	while (cancel_some(t))
		sched_point();
	for (;;) {
		thread_prepare_sleep(THREAD_SLEEPING);
		job = take_any(t);
		if (job || nothing_left(t, false)) {
			thread_cancel_sleep();
			if (!job)
				return;
			run(job, false);
			continue;
		}
		(void)thread_sleep(HAL_TIMER_NEVER);
	}
}

static void end_workers(struct async_task *t)
{
	wake_all(&t->idlers);
	for (;;) {
		thread_prepare_sleep(THREAD_SLEEPING);
		if (nothing_left(t, true))
			break;
		(void)thread_sleep(HAL_TIMER_NEVER);
	}
	thread_cancel_sleep();
}

static void leave(struct task *task)
{
	struct async_task *t = task->async;

	for (unsigned i = 0; i < ASYNC_RINGS_MAX; i++)
		if (t->rings[i])
			file_put(t->rings[i]);
	set_leaving(t, thread_current(), false);
	task_workers_go_on(t);
	end_jobs(t);
	set_leaving(t, thread_current(), true);
	end_workers(t);
	task->async = NULL;
	kfree(t);
}

static int start(void)
{
	static const struct task_async_ops ops = { .leave = leave, .worker_gone = worker_gone, .leaving = leaving };

	task_async_ops = &ops;
	return 0;
}
SERVICE_DEFINE(async, .start = start);
