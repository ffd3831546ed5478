/* SPDX-License-Identifier: MIT */
/* Who gets the CPU, and how much: weights, real time, affinity, parameters. Shares are compared by the scheduler's own clock. */
#include "unit.h"
#include <cloudos/errno.h>
#include <cloudos/sched_group.h>
#include <cloudos/thread.h>
#include <hal/hal.h>
#include <linux/sched.h>

struct spinner {
	struct thread thread;
	bool stop, gone;
	uint64_t turns;
	unsigned cpu_seen;
};

static void spin(void *arg)
{
	struct spinner *s = arg;

	while (!READ_ONCE(s->stop)) {
		ADD_ONCE(s->turns, 1);
		WRITE_ONCE(s->cpu_seen, hal_cpu_id());
		for (int i = 0; i < 200; i++)
			hal_cpu_relax();
		hal_irq_restore(hal_irq_save()); /* where the simulator delivers interrupts */
		sched_point();
	}
}

static void gone(struct thread *t)
{
	__atomic_store_n(&container_of(t, struct spinner, thread)->gone, true, __ATOMIC_RELEASE);
}

static void spinner_start(struct spinner *s, uint64_t cpus, int nice)
{
	*s = (struct spinner){ 0 };
	assert_int_equal(thread_init(&s->thread, "spinner", spin, s), 0);
	s->thread.release = gone;
	s->thread.affinity = cpus;
	assert_int_equal(thread_set_nice(&s->thread, nice), 0);
	thread_start(&s->thread);
}

static uint64_t run_time(struct spinner *s)
{
	uint64_t run, wait;

	thread_times(&s->thread, &run, &wait);
	return run;
}

static uint64_t spinner_stop(struct spinner *s)
{
	uint64_t run, wait;

	thread_times(&s->thread, &run, &wait);
	WRITE_ONCE(s->stop, true);
	while (!__atomic_load_n(&s->gone, __ATOMIC_ACQUIRE))
		thread_delay(NSEC_PER_MSEC);
	return run;
}

static void equal_threads_share_equally(void **state)
{
	static struct spinner s[4];
	uint64_t run[4], total = 0;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		spinner_start(&s[i], 2, 0);
	thread_delay(200 * NSEC_PER_MSEC);
	for (size_t i = 0; i < 4; i++)
		total += run[i] = spinner_stop(&s[i]);
	for (size_t i = 0; i < 3; i++) /* the last ones run alone while the others are being stopped */
		assert_in_range(run[i], total / 4 - total / 8, total / 4 + total / 8);
}

static void nice_weighs(void **state)
{
	static struct spinner a, b;
	uint64_t run_a, run_b;

	(void)state;
	spinner_start(&a, 2, 0);
	spinner_start(&b, 2, 5); /* weight 335 of 1024: about a third */
	thread_delay(200 * NSEC_PER_MSEC);
	run_b = spinner_stop(&b);
	run_a = spinner_stop(&a);
	assert_in_range(run_a * 100 / run_b, 200, 450);
}

/* Starts one on CPU 1 in a group. */
static void spinner_start_in(struct spinner *s, struct sched_group *g)
{
	*s = (struct spinner){ 0 };
	assert_int_equal(thread_init(&s->thread, "spinner", spin, s), 0);
	s->thread.release = gone;
	s->thread.affinity = 2;
	thread_set_group(&s->thread, g);
	thread_start(&s->thread);
}

static void group_start(struct sched_group *g, struct sched_group *parent, uint32_t weight)
{
	sched_group_init(g, parent);
	sched_group_set_shares(g, true);
	sched_group_set_weight(g, weight);
}

/* A group has its share however many threads it has; one outside of groups competes with it as one more. */
static void groups_share_as_one(void **state)
{
	static struct sched_group many, one;
	static struct spinner in_many[3], in_one, outside;
	uint64_t run[3];

	(void)state;
	group_start(&many, NULL, 100);
	group_start(&one, NULL, 300);
	for (size_t i = 0; i < 3; i++)
		spinner_start_in(&in_many[i], &many);
	spinner_start_in(&in_one, &one);
	spinner_start_in(&outside, NULL);
	thread_delay(300 * NSEC_PER_MSEC);
	run[2] = spinner_stop(&outside);
	run[1] = spinner_stop(&in_one);
	run[0] = 0;
	for (size_t i = 0; i < 3; i++)
		run[0] += spinner_stop(&in_many[i]);
	assert_in_range(run[1] * 100 / run[2], 200, 420); /* 3 : 1 */
	assert_in_range(run[0] * 100 / run[2], 60, 180);  /* 1 : 1, and a little while the others are being stopped */
	assert_int_equal(many.load, 0);
	assert_int_equal(one.load, 0);
}

static void groups_in_a_group_share_what_it_has(void **state)
{
	static struct sched_group top, a, b;
	static struct spinner in_a, in_b, outside;
	uint64_t run_a, run_b, run_outside;

	(void)state;
	group_start(&top, NULL, 200);
	group_start(&a, &top, 100);
	group_start(&b, &top, 100);
	spinner_start_in(&in_a, &a);
	spinner_start_in(&in_b, &b);
	spinner_start_in(&outside, NULL);
	thread_delay(300 * NSEC_PER_MSEC);
	run_outside = spinner_stop(&outside);
	run_a = spinner_stop(&in_a);
	run_b = spinner_stop(&in_b);
	assert_in_range(run_a * 100 / run_outside, 65, 150);
	assert_in_range(run_b * 100 / run_outside, 65, 160);
	assert_int_equal(top.load, 0);
	assert_false(a.active || b.active);
}

/* Runs for some milliseconds, and sleeps for a moment. */
static void spin_and_nap(void *arg)
{
	struct spinner *s = arg;

	while (!READ_ONCE(s->stop)) {
		uint64_t until = hal_clock_ns() + 2 * NSEC_PER_MSEC;

		while (hal_clock_ns() < until) {
			hal_cpu_relax();
			hal_irq_restore(hal_irq_save());
			sched_point();
		}
		thread_delay(50 * NSEC_PER_USEC);
	}
}

static void a_nap_is_no_way_around_a_groups_weight(void **state)
{
	static struct sched_group weak;
	static struct spinner napper, outside;
	uint64_t run_napper, run_outside;

	(void)state;
	group_start(&weak, NULL, 1);
	napper = (struct spinner){ 0 };
	assert_int_equal(thread_init(&napper.thread, "napper", spin_and_nap, &napper), 0);
	napper.thread.release = gone;
	napper.thread.affinity = 2;
	thread_set_group(&napper.thread, &weak);
	spinner_start(&outside, 2, 0);
	thread_start(&napper.thread);
	thread_delay(400 * NSEC_PER_MSEC);
	run_napper = run_time(&napper);
	run_outside = spinner_stop(&outside);
	spinner_stop(&napper);
	assert_in_range(run_napper * 100 / run_outside, 0, 12); /* 1, and the first slice */
	assert_int_equal(weak.load, 0);
}

/* What a thread was charged by its share of a weak group is not held against it elsewhere. */
static void who_is_moved_waits_by_its_new_share(void **state)
{
	static struct sched_group weak;
	static struct spinner moved, outside;
	uint64_t before;

	(void)state;
	group_start(&weak, NULL, 1);
	spinner_start_in(&moved, &weak);
	thread_delay(20 * NSEC_PER_MSEC);
	spinner_start(&outside, 2, 0);
	thread_delay(20 * NSEC_PER_MSEC);
	before = run_time(&moved);
	thread_set_group(&moved.thread, NULL);
	thread_delay(60 * NSEC_PER_MSEC);
	assert_in_range(run_time(&moved) - before, 15 * NSEC_PER_MSEC, 45 * NSEC_PER_MSEC);
	spinner_stop(&outside);
	spinner_stop(&moved);
}

static void the_weakest_still_runs(void **state)
{
	static struct spinner strong[3], weak;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		spinner_start(&strong[i], 2, -10);
	spinner_start(&weak, 2, 19);
	thread_delay(150 * NSEC_PER_MSEC);
	assert_true(READ_ONCE(weak.turns) > 0);
	spinner_stop(&weak);
	for (size_t i = 0; i < 3; i++)
		spinner_stop(&strong[i]);
}

static void real_time_goes_first(void **state)
{
	static struct spinner rt, normal;
	uint64_t turns;

	(void)state;
	spinner_start(&normal, 2, 0);
	thread_delay(20 * NSEC_PER_MSEC);
	rt = (struct spinner){ 0 };
	assert_int_equal(thread_init(&rt.thread, "rt", spin, &rt), 0);
	rt.thread.release = gone;
	rt.thread.affinity = 2;
	assert_int_equal(thread_set_policy(&rt.thread, SCHED_FIFO, 10), 0);
	thread_start(&rt.thread);
	thread_delay(20 * NSEC_PER_MSEC);
	turns = READ_ONCE(normal.turns);
	thread_delay(50 * NSEC_PER_MSEC);
	assert_in_range(READ_ONCE(normal.turns) - turns, 0, 1);
	spinner_stop(&rt);
	spinner_stop(&normal);
}

/* Real-time, and asleep again and again beside a thread that shares; then without end. */
static void doze_and_spin(void *arg)
{
	for (unsigned i = 0; i < 20; i++)
		thread_delay(NSEC_PER_MSEC);
	spin(arg);
}

/* Whatever it has slept and run meanwhile, neither is it ahead of the others then, nor behind them. */
static void who_was_real_time_shares_again(void **state)
{
	static struct spinner rt, normal;
	uint64_t before[2], run[2];

	(void)state;
	spinner_start(&normal, 2, 0);
	thread_delay(20 * NSEC_PER_MSEC);
	rt = (struct spinner){ 0 };
	assert_int_equal(thread_init(&rt.thread, "rt", doze_and_spin, &rt), 0);
	rt.thread.release = gone;
	rt.thread.affinity = 2;
	assert_int_equal(thread_set_policy(&rt.thread, SCHED_FIFO, 10), 0);
	thread_start(&rt.thread);
	thread_delay(100 * NSEC_PER_MSEC);
	for (unsigned round = 0; round < 2; round++) { /* its own priority; a lent one */
		if (round)
			thread_lend(&rt.thread, URGENCY_NONE);
		else
			assert_int_equal(thread_set_policy(&rt.thread, SCHED_NORMAL, 0), 0);
		before[0] = run_time(&rt);
		before[1] = run_time(&normal);
		thread_delay(60 * NSEC_PER_MSEC);
		run[0] = run_time(&rt) - before[0];
		run[1] = run_time(&normal) - before[1];
		assert_in_range(run[0], 20 * NSEC_PER_MSEC, 40 * NSEC_PER_MSEC);
		assert_in_range(run[1], 20 * NSEC_PER_MSEC, 40 * NSEC_PER_MSEC);
		thread_lend(&rt.thread, 50);
		thread_delay(60 * NSEC_PER_MSEC);
	}
	spinner_stop(&rt);
	spinner_stop(&normal);
}

static void affinity_is_respected(void **state)
{
	static struct spinner s;

	(void)state;
	spinner_start(&s, 2, 0);
	thread_delay(10 * NSEC_PER_MSEC);
	assert_int_equal(READ_ONCE(s.cpu_seen), 1);
	assert_int_equal(thread_set_affinity(&s.thread, 1), 0);
	thread_delay(30 * NSEC_PER_MSEC);
	assert_int_equal(READ_ONCE(s.cpu_seen), 0);
	assert_int_equal(thread_set_affinity(&s.thread, UINT64_C(1) << 63), -EINVAL);
	spinner_stop(&s);
}

static void waiting_threads_are_stolen_by_idle_cpus(void **state)
{
	static struct spinner s[2];

	(void)state;
	spinner_start(&s[0], 3, 0);
	spinner_start(&s[1], 3, 0);
	thread_delay(30 * NSEC_PER_MSEC);
	assert_int_not_equal(READ_ONCE(s[0].cpu_seen), READ_ONCE(s[1].cpu_seen));
	spinner_stop(&s[0]);
	spinner_stop(&s[1]);
}

static void bad_parameters_are_refused(void **state)
{
	struct thread *t = thread_current();

	(void)state;
	assert_int_equal(thread_set_nice(t, -21), -EINVAL);
	assert_int_equal(thread_set_nice(t, 20), -EINVAL);
	assert_int_equal(thread_set_policy(t, 99, 0), -EINVAL);
	assert_int_equal(thread_set_policy(t, SCHED_FIFO, 0), -EINVAL);
	assert_int_equal(thread_set_policy(t, SCHED_FIFO, 100), -EINVAL);
	assert_int_equal(thread_set_policy(t, SCHED_NORMAL, 1), -EINVAL);
}

static void the_quantum_is_bounded(void **state)
{
	uint64_t before = sched_slice_ns();

	(void)state;
	sched_set_slice_ns(1);
	assert_int_equal(sched_slice_ns(), 100 * NSEC_PER_USEC);
	sched_set_slice_ns(UINT64_MAX);
	assert_int_equal(sched_slice_ns(), NSEC_PER_SEC);
	sched_set_slice_ns(before);
}

static uint32_t called_on;

static void note_cpu(void *arg)
{
	(void)arg;
	__atomic_fetch_or(&called_on, 1u << hal_cpu_id(), __ATOMIC_SEQ_CST);
}

static void calls_reach_other_cpus(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++) {
		called_on = 0;
		cpus_call(UINT64_MAX, note_cpu, NULL);
		assert_int_equal(called_on, 2); /* all but this one */
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		UNIT_TEST(equal_threads_share_equally),
		UNIT_TEST(nice_weighs),
		UNIT_TEST(groups_share_as_one),
		UNIT_TEST(groups_in_a_group_share_what_it_has),
		UNIT_TEST(a_nap_is_no_way_around_a_groups_weight),
		UNIT_TEST(who_is_moved_waits_by_its_new_share),
		UNIT_TEST(the_weakest_still_runs),
		UNIT_TEST(real_time_goes_first),
		UNIT_TEST(who_was_real_time_shares_again),
		UNIT_TEST(affinity_is_respected),
		UNIT_TEST(waiting_threads_are_stolen_by_idle_cpus),
		UNIT_TEST(bad_parameters_are_refused),
		UNIT_TEST(the_quantum_is_bounded),
		UNIT_TEST(calls_reach_other_cpus),
	};

	return UNIT_MAIN(tests, 64, 2);
}
