/* SPDX-License-Identifier: MIT */
/*
 * Wait queues, timers and work queues.
 *
 *   tokens    makers add tokens and wake one; takers wait for one, some with a time-out, all exclusive. Each token is taken once, and
 *             nobody sleeps while one is there. A time-out is never early.
 *   events    a watcher on a queue (a function, as poll's) hears of every event that it asked for, from wait_add to wait_remove
 *   timers    each belongs to one worker, which arms and cancels it; any worker takes it off. Its function is never early, never
 *             runs twice at a time, runs once for each time that it was armed (or re-armed itself), and not any more once
 *             timer_cancel() has returned. None is forgotten, nor late because others are due later.
 *   work      a piece runs after it was queued, as often as it was queued afresh; work_flush() returns only when what was queued
 *             before has run
 */
#include "model.h"

#include <cloudos/lock.h>
#include <cloudos/thread.h>
#include <cloudos/timer.h>
#include <cloudos/wait.h>
#include <cloudos/work.h>

#define WORKERS	 4
#define TIMERS	 3 /* of each worker */
#define PIECES	 4
#define ROUNDS	 12
#define DELAY_NS 60000
#define PATIENCE_NS (100 * NSEC_PER_MSEC)
#define LATE_NS	 (30 * NSEC_PER_MSEC) /* in the liveness phase a timer is not later */

/* ---- tokens ---- */

struct pool {
	struct wait_queue there;
	uint32_t tokens;
};

static struct pool pool, round_pool;
static uint64_t made, taken;

static uint64_t made_last_ns;

static bool try_take(struct pool *p)
{
	uint32_t now = __atomic_load_n(&p->tokens, __ATOMIC_SEQ_CST);

	hal_point(HAL_POINT_ATOMIC, p);
	while (now && !__atomic_compare_exchange_n(&p->tokens, &now, now - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	return now > 0;
}

static void put(struct pool *p)
{
	__atomic_fetch_add(&p->tokens, 1, __ATOMIC_SEQ_CST);
	wake_one(&p->there);
}

static void make_token(void)
{
	__atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
	WRITE_ONCE(made_last_ns, hal_clock_ns());
	put(&pool);
}

static void take_in_time(struct model_op *op)
{
	uint64_t delay_ns = model_below(op, DELAY_NS), patient = model_below(op, 2);
	uint64_t deadline_ns = hal_clock_ns() + (patient ? PATIENCE_NS : delay_ns);
	bool at_once = try_take(&pool);
	int error = at_once ? 0 : wait_event_deadline(&pool.there, deadline_ns, try_take(&pool));

	MODEL_CHECK(error == 0 || error == -ETIMEDOUT);
	if (error) {
		MODEL_CHECK(hal_clock_ns() >= deadline_ns);
		return;
	}
	/* Nothing but a wake-up that went astray lets a token lie so long. */
	MODEL_CHECK(at_once || hal_clock_ns() - READ_ONCE(made_last_ns) < LATE_NS);
	__atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
}

static struct wait_queue all_there = WAIT_QUEUE_INIT(all_there);
static uint64_t arrived;

/* Waits until every worker has come here `round` times. */
static void meet(uint64_t round)
{
	if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == round * WORKERS)
		wake_all(&all_there);
	wait_event(&all_there, __atomic_load_n(&arrived, __ATOMIC_SEQ_CST) >= round * WORKERS);
}

/* At the end of a worker: in each round half of them make as many as the others take, and nobody comes twice to make good a wake-up lost. */
static void pass_tokens(unsigned worker)
{
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		meet(round);
		if (worker % 2)
			put(&round_pool);
		else
			wait_event(&round_pool.there, try_take(&round_pool));
	}
}

/* ---- events ---- */

static struct wait_queue event_queue = WAIT_QUEUE_INIT(event_queue);

struct watcher {
	struct waiter waiter;
	uint32_t heard;
};

static bool hear(struct waiter *w, uint32_t events)
{
	MODEL_CHECK(spin_is_locked(&event_queue.lock) && (w->events & events));
	__atomic_fetch_or(&container_of(w, struct watcher, waiter)->heard, events, __ATOMIC_RELAXED);
	return false;
}

static void watch(struct model_op *op)
{
	struct watcher w = {.heard = 0};
	uint32_t mine = 1u << model_below(op, 4), ask = 1u << model_below(op, 4) | mine;

	waiter_init(&w.waiter, ask, model_chance(op, 50));
	w.waiter.fn = hear;
	wait_add(&event_queue, &w.waiter);
	wake_events(&event_queue, mine | 1u << 6, model_chance(op, 50)); /* one of them is enough */
	wake_events(&event_queue, 1u << 7, false);
	wait_remove(&event_queue, &w.waiter);
	MODEL_CHECK(w.heard & mine);
	MODEL_CHECK(!(w.heard & 1u << 7));
}

/* ---- timers ---- */

/* Fields: L = lock; A = atomic. */
struct alarm {
	struct timer timer;
	struct spinlock lock;
	uint64_t due_ns; /* L: what it was last armed for */
	uint64_t repeat; /* L: times that it re-arms itself yet */
	bool expected;	 /* L: armed, and neither fired nor cancelled yet */
	uint32_t inside; /* A: runs of the function at this moment */
	uint32_t cancelling; /* A: those that cancel it at this moment */
	bool quiet;	 /* A: cancelled: may not run */
};

static struct alarm alarms[WORKERS][TIMERS];
static uint64_t fired;

static void arm_locked(struct alarm *a, uint64_t delay_ns)
{
	a->due_ns = hal_clock_ns() + delay_ns;
	a->expected = true;
	timer_arm(&a->timer, a->due_ns);
}

static void fire(struct timer *t)
{
	struct alarm *a = container_of(t, struct alarm, timer);

	MODEL_EQUAL(__atomic_fetch_add(&a->inside, 1, __ATOMIC_SEQ_CST), 0);
	MODEL_CHECK(!__atomic_load_n(&a->quiet, __ATOMIC_SEQ_CST));
	spin_lock(&a->lock);
	/* Re-armed after it had begun: what runs now is what was armed before. */
	if (!timer_armed(t)) {
		/* Or armed again after it had begun, and just taken off: by one who waits for this run to end. */
		MODEL_CHECK(hal_clock_ns() >= a->due_ns || __atomic_load_n(&a->cancelling, __ATOMIC_SEQ_CST) > 0);
		a->expected = false;
		if (a->repeat > 0) {
			a->repeat--;
			arm_locked(a, DELAY_NS / 4);
		}
	}
	spin_unlock(&a->lock);
	hal_point(HAL_POINT_ATOMIC, a);
	__atomic_fetch_add(&fired, 1, __ATOMIC_RELAXED);
	MODEL_CHECK(!__atomic_load_n(&a->quiet, __ATOMIC_SEQ_CST));
	__atomic_fetch_sub(&a->inside, 1, __ATOMIC_SEQ_CST);
}

static bool cancel(struct alarm *a)
{
	bool was_armed;

	__atomic_fetch_add(&a->cancelling, 1, __ATOMIC_SEQ_CST);
	was_armed = timer_cancel(&a->timer);
	__atomic_fetch_sub(&a->cancelling, 1, __ATOMIC_SEQ_CST);
	return was_armed;
}

static void arm(struct model_op *op, struct alarm *a)
{
	uint64_t delay_ns = model_below(op, DELAY_NS), again = model_below(op, 3);
	unsigned long irq = spin_lock_irq(&a->lock);

	__atomic_store_n(&a->quiet, false, __ATOMIC_SEQ_CST);
	a->repeat = again;
	arm_locked(a, delay_ns);
	spin_unlock_irq(&a->lock, irq);
}

/* The owner's: afterwards it does not run, and may be taken apart. */
static void silence(struct alarm *a)
{
	unsigned long irq = spin_lock_irq(&a->lock);

	a->repeat = 0;
	spin_unlock_irq(&a->lock, irq);
	(void)cancel(a);
	MODEL_CHECK(!timer_armed(&a->timer));
	MODEL_EQUAL(__atomic_load_n(&a->inside, __ATOMIC_SEQ_CST), 0);
	__atomic_store_n(&a->quiet, true, __ATOMIC_SEQ_CST);
	irq = spin_lock_irq(&a->lock);
	a->expected = false;
	spin_unlock_irq(&a->lock, irq);
}

/* Anybody's, as a race for the owner, who may arm it again meanwhile. */
static void disturb(struct alarm *a)
{
	unsigned long irq;

	if (!cancel(a))
		return;
	irq = spin_lock_irq(&a->lock);
	if (!timer_armed(&a->timer))
		a->expected = false;
	spin_unlock_irq(&a->lock, irq);
}

/* ---- work ---- */

struct piece {
	struct work work;
	uint64_t delay_ns;
	uint32_t queued, ran; /* A */
};

static struct piece pieces[PIECES];

static void do_piece(struct work *w)
{
	struct piece *p = container_of(w, struct piece, work);
	uint64_t delay_ns = READ_ONCE(p->delay_ns);

	if (delay_ns)
		thread_delay(delay_ns);
	__atomic_fetch_add(&p->ran, 1, __ATOMIC_SEQ_CST);
	MODEL_CHECK(p->ran <= p->queued);
}

static bool queue_once(struct piece *p)
{
	bool fresh;

	__atomic_fetch_add(&p->queued, 1, __ATOMIC_SEQ_CST);
	fresh = work_queue(&p->work);
	if (!fresh)
		__atomic_fetch_sub(&p->queued, 1, __ATOMIC_SEQ_CST);
	return fresh;
}

static void queue_piece(struct model_op *op)
{
	struct piece *p = &pieces[model_below(op, PIECES)];
	uint64_t slow = model_below(op, 4), delay_ns = model_below(op, DELAY_NS), flush = model_below(op, 4);
	uint32_t before;

	WRITE_ONCE(p->delay_ns, slow ? 0 : delay_ns);
	queue_once(p);
	if (flush)
		return;
	before = __atomic_load_n(&p->ran, __ATOMIC_SEQ_CST);
	if (!queue_once(p))
		return;
	work_flush();
	MODEL_CHECK(__atomic_load_n(&p->ran, __ATOMIC_SEQ_CST) > before);
}

/* ---- all of it ---- */

static void operation(struct model_op *op, unsigned worker)
{
	struct alarm *own = &alarms[worker][model_below(op, TIMERS)];
	struct alarm *any = &alarms[model_below(op, WORKERS)][model_below(op, TIMERS)];
	uint64_t what = model_below(op, 16);

	if (what < 2)
		make_token();
	else if (what < 4)
		take_in_time(op);
	else if (what < 6)
		watch(op);
	else if (what < 9)
		arm(op, own);
	else if (what < 11)
		silence(own);
	else if (what < 12)
		disturb(any);
	else if (what < 14)
		queue_piece(op);
	else if (what < 15)
		thread_delay(model_below(op, DELAY_NS));
	else
		(void)thread_set_affinity(thread_current(), UINT64_C(1) << model_below(op, 64) % hal_cpu_count());
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		operation(&op, worker);
		model_state(fired << 16 ^ taken << 8 ^ pool.tokens);
	}
	pass_tokens(worker);
}

/* A timer that is due soon does not wait for one that was armed before it and is due later. */
static void near_before_far(void)
{
	struct alarm *far = &alarms[0][0], *near = &alarms[0][1];
	uint64_t began_ns = hal_clock_ns();
	unsigned long irq = spin_lock_irq(&far->lock);

	__atomic_store_n(&far->quiet, false, __ATOMIC_SEQ_CST);
	arm_locked(far, LATE_NS);
	spin_unlock_irq(&far->lock, irq);
	irq = spin_lock_irq(&near->lock);
	__atomic_store_n(&near->quiet, false, __ATOMIC_SEQ_CST);
	arm_locked(near, DELAY_NS);
	spin_unlock_irq(&near->lock, irq);
	while (READ_ONCE(near->expected) && hal_clock_ns() < began_ns + LATE_NS / 2)
		model_compute(DELAY_NS / 4); /* a sleep would arm another timer */
	MODEL_CHECK(!READ_ONCE(near->expected));
	silence(near);
	silence(far);
}

/* What was armed fires. */
static void settle(void)
{
	uint64_t limit_ns = hal_clock_ns() + LATE_NS;

	for (unsigned i = 0; i < WORKERS * TIMERS; i++) {
		struct alarm *a = &alarms[i / TIMERS][i % TIMERS];

		while (READ_ONCE(a->expected) && hal_clock_ns() < limit_ns)
			thread_delay(DELAY_NS);
		MODEL_CHECK(!READ_ONCE(a->expected));
		silence(a);
	}
}

static void run(void)
{
	wait_queue_init(&pool.there);
	wait_queue_init(&round_pool.there);
	for (unsigned i = 0; i < WORKERS * TIMERS; i++) {
		timer_setup(&alarms[i / TIMERS][i % TIMERS].timer, fire);
		spin_init(&alarms[i / TIMERS][i % TIMERS].lock, RANK_CONSOLE_INPUT);
	}
	for (unsigned i = 0; i < PIECES; i++)
		work_setup(&pieces[i].work, do_piece);
	model_workers(WORKERS, work);
	model_recover();
	settle();
	near_before_far();
	work_flush();
	for (unsigned i = 0; i < PIECES; i++)
		MODEL_EQUAL(pieces[i].ran, pieces[i].queued);
	MODEL_EQUAL(made, taken + pool.tokens);
	MODEL_EQUAL(round_pool.tokens, 0);
}

MODEL_DEFINE(waits, .what = "wait queues, timers, work queues", .run = run, .cpus = 4, .operations = 40);
