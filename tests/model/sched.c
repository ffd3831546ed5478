/* SPDX-License-Identifier: MIT */
/*
 * The scheduler, in four parts.
 *
 *   storm    workers on several CPUs sleep, compute, yield, call each other awake, and change each other's policy, nice and affinity.
 *            A sleep is never short; a call is answered; a thread that was put on a CPU after its affinity was set is on
 *            one of those.
 *   shares   on one CPU, with no faults: of the time in a window each of n threads that compute gets its weight's part, within
 *            SHARE_SLACK quanta; none waits longer than quantum * (sum of w) / w_i + n quanta (queue.c), also beside
 *            threads that sleep and wake, and after others had the CPU for themselves. The CPU's busy and idle times add
 *            up to the clock.
 *   crowd    on all CPUs, with no faults: threads that may run on some of them compute long, sleep, and are taken from one CPU to another.
 *            Once it can run, none waits longer than the bound for the case that all are on one CPU.
 *   order    on one CPU: real-time threads end in the order of their priorities, before all others
 */
#include "model.h"

#include <cloudos/lock.h>
#include <cloudos/thread.h>
#include <linux/sched.h>

#define WORKERS	    4
#define DELAY_NS    60000
#define PATIENCE_NS (60 * NSEC_PER_MSEC)
#define LATE_NS	    (20 * NSEC_PER_MSEC)
#define QUANTUM_NS  (100 * NSEC_PER_USEC)
#define CHUNK_NS    (20 * NSEC_PER_USEC)
#define WINDOW	    60 /* quanta */
#define SHARE_SLACK 3
#define SHARERS	    4
#define RACERS	    4
#define CROWD	    5
#define CROWD_ROUNDS 6
#define CROWD_BOUND (2 * (2 * CROWD + 1) * (QUANTUM_NS / CHUNK_NS + 1)) /* chunks: it may wait before it sleeps, too */
#define LOG_LENGTH  256
#define ANY_CPU	    UINT64_MAX

/* ---- storm ---- */

/* Fields: L = lock; A = atomic. */
static struct member {
	struct thread *thread; /* A: null before it has begun */
	struct mutex lock;
	uint64_t mask, set_ns; /* A: the affinity that it was given, and when that was done */
	uint32_t calls;	       /* A */
	uint64_t called_ns;    /* A */
} members[WORKERS];

/* Whoever was queued after its affinity was set is on one of those CPUs. */
static void look_where(struct member *self)
{
	unsigned long irq = hal_irq_save();
	uint64_t set_ns = __atomic_load_n(&self->set_ns, __ATOMIC_ACQUIRE), mask = READ_ONCE(self->mask);

	if (set_ns != ANY_CPU && thread_current()->queued_ns > set_ns)
		MODEL_CHECK(mask >> hal_cpu_id() & 1);
	hal_irq_restore(irq);
}

static void set_affinity(struct model_op *op, struct member *m)
{
	uint64_t mask = model_draw(op) & ((UINT64_C(1) << hal_cpu_count()) - 1);
	struct thread *t = __atomic_load_n(&m->thread, __ATOMIC_ACQUIRE);

	if (!t)
		return;
	mutex_lock(&m->lock);
	__atomic_store_n(&m->set_ns, ANY_CPU, __ATOMIC_RELEASE);
	hal_point(HAL_POINT_ATOMIC, m);
	if (thread_set_affinity(t, mask)) {
		MODEL_EQUAL(mask, 0);
	} else {
		WRITE_ONCE(m->mask, mask);
		__atomic_store_n(&m->set_ns, hal_clock_ns(), __ATOMIC_RELEASE);
	}
	mutex_unlock(&m->lock);
}

static void set_class(struct model_op *op, struct member *m)
{
	static const uint8_t policies[] = {SCHED_NORMAL, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, SCHED_NORMAL};
	unsigned policy = policies[model_below(op, ARRAY_SIZE(policies))];
	bool rt = policy == SCHED_FIFO || policy == SCHED_RR;
	int nice = (int)model_below(op, 40) - 20;
	unsigned priority = rt ? 1 + (unsigned)model_below(op, 99) : 0;
	struct thread *t = __atomic_load_n(&m->thread, __ATOMIC_ACQUIRE);

	if (!t)
		return;
	MODEL_EQUAL(thread_set_nice(t, nice), 0);
	MODEL_EQUAL(thread_set_policy(t, policy, priority), 0);
	MODEL_CHECK(thread_set_policy(t, policy, rt ? 0 : 1) != 0 && thread_set_nice(t, 20) != 0);
}

static void call(struct member *m)
{
	struct thread *t = __atomic_load_n(&m->thread, __ATOMIC_ACQUIRE);

	if (!t)
		return;
	__atomic_store_n(&m->called_ns, hal_clock_ns(), __ATOMIC_RELAXED);
	__atomic_fetch_add(&m->calls, 1, __ATOMIC_SEQ_CST);
	(void)thread_wake(t);
}

/* Sleeps until it is called or the patience is at an end. */
static void answer(struct member *self)
{
	uint64_t deadline_ns = hal_clock_ns() + PATIENCE_NS;
	bool slept = false;

	for (;;) {
		thread_prepare_sleep(THREAD_SLEEPING);
		if (__atomic_load_n(&self->calls, __ATOMIC_SEQ_CST) > 0)
			break;
		slept = true;
		if (thread_sleep(deadline_ns))
			continue;
		MODEL_CHECK(hal_clock_ns() >= deadline_ns);
		break;
	}
	(void)thread_cancel_sleep();
	if (__atomic_exchange_n(&self->calls, 0, __ATOMIC_SEQ_CST) > 0 && slept)
		MODEL_CHECK(hal_clock_ns() - self->called_ns < LATE_NS);
}

static void delay(struct model_op *op)
{
	uint64_t delay_ns = model_below(op, DELAY_NS), until_ns = hal_clock_ns() + delay_ns;

	thread_delay(delay_ns);
	MODEL_CHECK(hal_clock_ns() >= until_ns);
}

static void storm(unsigned worker)
{
	struct member *self = &members[worker];
	struct model_op op = MODEL_OPS(worker);

	__atomic_store_n(&self->thread, thread_current(), __ATOMIC_RELEASE);
	while (model_next(&op)) {
		struct member *other = &members[model_below(&op, WORKERS)];
		uint64_t what = model_below(&op, 16);

		if (what < 3)
			set_affinity(&op, other);
		else if (what < 5)
			set_class(&op, other);
		else if (what < 8)
			call(other);
		else if (what < 10)
			answer(self);
		else if (what < 12)
			delay(&op);
		else if (what < 14)
			model_compute(model_below(&op, DELAY_NS));
		else
			thread_yield();
		look_where(self);
		model_state((uint64_t)thread_current()->policy << 8 ^ self->mask << 16 ^ hal_cpu_id());
	}
	mutex_lock(&self->lock);
	__atomic_store_n(&self->thread, NULL, __ATOMIC_RELEASE);
	mutex_unlock(&self->lock);
	for (unsigned i = 0; i < WORKERS; i++)
		call(&members[i]);
}

/* ---- shares ---- */

static struct {
	uint64_t begin_ns, end_ns, weights;
	bool sleepers; /* some of them sleep now and then */
} window;

static struct sharer {
	uint64_t run_ns, longest_ns;
	bool sleeps;
	uint32_t weight;
} sharers[SHARERS];

static uint64_t own_run_ns(void)
{
	uint64_t run_ns, wait_ns;

	thread_times(thread_current(), &run_ns, &wait_ns);
	return run_ns;
}

/* Computes until then, and notes the longest time in which it did not get on. */
static void compute_until(struct sharer *s, struct model_op *op, uint64_t until_ns)
{
	uint64_t now = hal_clock_ns(), before;

	while (now < until_ns) {
		before = now;
		model_compute(CHUNK_NS);
		now = hal_clock_ns();
		s->longest_ns = max(s->longest_ns, now - before);
		if (s->sleeps && model_chance(op, 10)) {
			thread_delay(model_below(op, 3 * QUANTUM_NS));
			now = hal_clock_ns();
		}
	}
}

static void share(unsigned worker)
{
	struct sharer *s = &sharers[worker];
	struct model_op op = MODEL_OPS(100 + worker);
	uint64_t run_ns;

	if (!model_next(&op))
		op.draws = sim_generator(0, worker);
	(void)thread_set_nice(thread_current(), (int)model_below(&op, 13) - 6);
	s->weight = thread_current()->weight;
	__atomic_fetch_add(&window.weights, s->weight, __ATOMIC_RELAXED);
	s->sleeps = window.sleepers && model_chance(&op, 50);
	if (window.sleepers)
		thread_delay(model_below(&op, WINDOW / 2 * QUANTUM_NS)); /* the others are alone until then */
	compute_until(s, &op, window.begin_ns);
	run_ns = own_run_ns();
	s->longest_ns = 0;
	compute_until(s, &op, window.end_ns);
	s->run_ns = own_run_ns() - run_ns;
}

static void check_shares(void)
{
	uint64_t length_ns = window.end_ns - window.begin_ns;

	for (unsigned i = 0; i < SHARERS; i++) {
		const struct sharer *s = &sharers[i];
		uint64_t due_ns = length_ns * s->weight / window.weights, slack_ns = SHARE_SLACK * (QUANTUM_NS + CHUNK_NS);
		uint64_t bound_ns = (QUANTUM_NS + CHUNK_NS) * (window.weights / s->weight + 1 + SHARERS);

		if (s->longest_ns > bound_ns)
			model_failed(__FILE__, __LINE__, "thread %u waited %lu ns, its bound is %lu", i,
				     (unsigned long)s->longest_ns, (unsigned long)bound_ns);
		if (!window.sleepers && (s->run_ns + slack_ns < due_ns || s->run_ns > due_ns + slack_ns))
			model_failed(__FILE__, __LINE__, "thread %u ran %lu ns, its share is %lu", i,
				     (unsigned long)s->run_ns, (unsigned long)due_ns);
	}
}

/* Busy and idle time of CPU 0 at a moment at which both are charged. */
static uint64_t charged_ns(uint64_t *ret_now)
{
	struct sched_cpu_stats stats;

	thread_delay(QUANTUM_NS);
	sched_cpu_get_stats(0, &stats);
	*ret_now = hal_clock_ns();
	return stats.busy_ns + stats.idle_ns;
}

static void shares(bool sleepers)
{
	uint64_t began_ns, ended_ns, before_ns = charged_ns(&began_ns), sum_ns, passed_ns;

	window.sleepers = sleepers;
	window.weights = 0;
	window.begin_ns = hal_clock_ns() + 5 * QUANTUM_NS;
	window.end_ns = window.begin_ns + WINDOW * QUANTUM_NS;
	model_workers(SHARERS, share);
	check_shares();
	sum_ns = charged_ns(&ended_ns) - before_ns;
	passed_ns = ended_ns - began_ns;
	MODEL_CHECK(sum_ns <= passed_ns + CHUNK_NS && passed_ns <= sum_ns + CHUNK_NS);
}

/* ---- crowd ---- */

/*
 * When the chunks began that were computed on each CPU, the last of them: lateness is counted in those, since the world may let a whole CPU
 * wait. Each CPU writes its own.
 */
static struct {
	uint64_t began_ns[LOG_LENGTH];
	uint32_t next;
} logs[HAL_CPU_MAX];

/* Of the running thread: run time beyond its chunks. While its CPU waited, it counted as running, and pays for it. */
static uint64_t charged_beyond(unsigned chunks)
{
	uint64_t run_ns = own_run_ns();

	return run_ns - min(run_ns, chunks * CHUNK_NS);
}

static void compute_chunk(void)
{
	unsigned long irq = hal_irq_save();
	unsigned cpu = hal_cpu_id();

	logs[cpu].began_ns[logs[cpu].next++ % LOG_LENGTH] = hal_clock_ns();
	hal_irq_restore(irq);
	model_compute(CHUNK_NS);
}

/* Of the running thread, which could run on this CPU alone from then on. */
static void check_lateness(uint64_t since_ns, unsigned own_chunks)
{
	unsigned cpu = hal_cpu_id(), chunks = 0;
	uint64_t bound = CROWD_BOUND + CROWD * charged_beyond(own_chunks) / CHUNK_NS;

	for (unsigned i = 0; i < LOG_LENGTH; i++)
		chunks += logs[cpu].began_ns[i] > since_ns;
	if (chunks > bound)
		model_failed(__FILE__, __LINE__, "%u chunks were computed on CPU %u while it waited, the bound is %u", chunks, cpu, (unsigned)bound);
}

static void be_in_crowd(unsigned worker)
{
	struct model_op op = MODEL_OPS(300 + worker);
	uint64_t mask, sleep_ns, until_ns;
	unsigned chunks = 0;

	if (!model_next(&op))
		op.draws = sim_generator(2, worker);
	mask = model_chance(&op, 50) ? UINT64_C(1) << model_below(&op, hal_cpu_count())
				     : 1 + model_below(&op, (UINT64_C(1) << hal_cpu_count()) - 1);
	(void)thread_set_affinity(thread_current(), mask);
	for (unsigned round = 0; round < CROWD_ROUNDS; round++) {
		sleep_ns = model_below(&op, 4 * QUANTUM_NS);
		until_ns = hal_clock_ns() + sleep_ns;
		thread_delay(sleep_ns);
		if ((mask & (mask - 1)) == 0)
			check_lateness(until_ns, chunks);
		for (uint64_t left = model_below(&op, model_chance(&op, 30) ? 6 * CROWD_BOUND : 20); left > 0; left--, chunks++)
			compute_chunk();
	}
}

/* ---- order ---- */

static uint32_t ended[RACERS], racers_ended;

/* Takes its rank, then races: nobody of a lower rank ends before it. */
static void race(unsigned worker)
{
	struct model_op op = MODEL_OPS(200 + worker);
	unsigned priority;
	bool rr;

	if (!model_next(&op))
		op.draws = sim_generator(1, worker);
	priority = (unsigned)model_below(&op, 5);
	rr = model_chance(&op, 50);
	(void)thread_set_policy(thread_current(), SCHED_FIFO, 99);
	thread_delay(QUANTUM_NS + worker); /* until all are here */
	(void)thread_set_policy(thread_current(), !priority ? SCHED_NORMAL : rr ? SCHED_RR : SCHED_FIFO, priority);
	sched_point();
	for (unsigned i = 0; i < 2 * QUANTUM_NS / CHUNK_NS; i++)
		model_compute(CHUNK_NS);
	ended[racers_ended++] = priority;
}

static void order(void)
{
	racers_ended = 0;
	model_workers(RACERS, race);
	for (unsigned i = 1; i < RACERS; i++)
		MODEL_CHECK(ended[i - 1] >= ended[i]);
}

/* ---- all of it ---- */

static void run(void)
{
	uint64_t slice_ns = sched_slice_ns();

	for (unsigned i = 0; i < WORKERS; i++) {
		mutex_init(&members[i].lock, RANK_INODE);
		members[i].set_ns = ANY_CPU;
	}
	sched_set_slice_ns(QUANTUM_NS);
	model_workers(WORKERS, storm);
	model_recover();
	model_workers(CROWD, be_in_crowd);
	(void)thread_set_affinity(thread_current(), 1);
	shares(false);
	shares(true);
	order();
	(void)thread_set_affinity(thread_current(), UINT64_MAX);
	sched_set_slice_ns(slice_ns);
}

MODEL_DEFINE(sched, .what = "the scheduler", .run = run, .cpus = 4, .operations = 40);
