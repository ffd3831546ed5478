/* SPDX-License-Identifier: MIT */
/*
 * Deadlines on a wall clock that is set. Threads of one process sleep until a time on it, wait for timers of both kinds, and set it, forwards and
 * backwards; it also steps by itself where the scenario has it so, which nobody is told of: a keeper sets it right where that would let all wait long.
 *
 *   W1  Nobody comes back before his time, as long as the clock was not set meanwhile.
 *   W2  Whose time has come because the clock was set comes back soon, though he would have waited long.
 *   W3  A timer that is to be cancelled says so if, and only if, the clock was set since it was armed; and never waits on.
 *   W4  What is left of a timer agrees with the clock.
 */
#include "program.h"

#include <asm/fcntl.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <hal/hal.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/time.h>
#include <linux/timerfd.h>

#define WORKERS	 4
#define NEAR_MAX UINT64_C(60000)	/* ns */
#define FAR	 UINT64_C(1000000000)	/* ns: nobody sleeps as long, unless he was forgotten or nobody sets the clock */
#define SOON	 UINT64_C(100000000)	/* ns: time enough for a thread to come back */
#define TID	 0x800

/* Who waits: until when on the wall clock, and since when on the other one that has come. */
static struct wait {
	bool waits;
	uint64_t target, due;
} waits[WORKERS];

static uint32_t sets;	       /* begun so far */
static unsigned setting;       /* and not ended */
static unsigned working;
static bool keeping;
static uint64_t ended;
static uint64_t offset; /* of the clocks, as it was set last; 0: not yet */
static bool stepped;	/* it was not always so: W2 is not looked at any more */

static uint64_t offset_now(void)
{
	return hal_wall_ns() - (uint64_t)hal_clock_ns();
}

static uaddr_t store_time(unsigned slot, uint64_t ns)
{
	uaddr_t at = user_scratch() + slot * 16;

	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
	return at;
}

static void rest(uint64_t ns)
{
	user_call(__NR_nanosleep, store_time(6, ns), 0);
}

/* ---- the reference ---- */

static void notice_steps(void)
{
	if (!setting && offset && offset_now() != offset)
		stepped = true;
}

struct before {
	uint32_t sets;
	uint64_t offset, clock;
	bool quiet; /* nobody was just setting it */
};

static struct before look(void)
{
	return (struct before){.sets = sets, .offset = offset_now(), .clock = (uint64_t)hal_clock_ns(), .quiet = setting == 0};
}

/* Nobody has set the clock since, and it has not stepped by itself. */
static bool undisturbed(const struct before *b)
{
	return b->quiet && sets == b->sets && offset_now() == b->offset;
}

static void note_due(struct wait *w)
{
	if (hal_wall_ns() < w->target)
		w->due = 0;
	else if (!w->due)
		w->due = (uint64_t)hal_clock_ns();
}

static void begin_wait(unsigned worker, uint64_t target)
{
	waits[worker] = (struct wait){.waits = true, .target = target};
	note_due(&waits[worker]);
}

/* W1, W2; `came`: the wait ended because its time has come. */
static void end_wait(unsigned worker, const struct before *b, bool came)
{
	struct wait *w = &waits[worker];
	uint64_t clock = (uint64_t)hal_clock_ns();

	w->waits = false;
	if (came && undisturbed(b))
		MODEL_CHECK(hal_wall_ns() >= w->target);
	notice_steps();
	if (w->due && !stepped && !programs_may_die() && clock > w->due + SOON)
		model_failed(__FILE__, __LINE__, "the time came %lu ns ago", (unsigned long)(clock - w->due));
	ended++;
}

static void set_to(uint64_t wall)
{
	uaddr_t at = store_time(0, wall);
	uint64_t begun = (uint64_t)hal_clock_ns(), by = setting;

	notice_steps();
	setting++;
	sets++;
	MODEL_EQUAL(user_call(__NR_clock_settime, CLOCK_REALTIME, at), 0);
	if (by || setting > 1 || wall - offset_now() < begun || wall - offset_now() > (uint64_t)hal_clock_ns())
		stepped = true; /* or two at once: who knows in which order */
	offset = offset_now();
	for (unsigned i = 0; i < WORKERS; i++)
		if (waits[i].waits)
			note_due(&waits[i]);
	setting--;
}

static void set_clock(struct model_op *op)
{
	uint64_t by = model_chance(op, 50) ? FAR + model_below(op, NEAR_MAX) : model_below(op, NEAR_MAX), now = hal_wall_ns();

	set_to(model_chance(op, 60) || now < 4 * FAR ? now + by : now - by);
}

/* Until all are done. */
static void keep(uint64_t arg)
{
	(void)arg;
	while (working) {
		uint64_t first = UINT64_MAX;

		rest(SOON);
		for (unsigned i = 0; i < WORKERS; i++)
			if (waits[i].waits)
				first = min(first, waits[i].target);
		if (working && first != UINT64_MAX && first > hal_wall_ns() + 4 * FAR)
			set_to(first);
	}
	keeping = false;
	user_exit_thread(0);
}

static uint64_t draw_target(struct model_op *op)
{
	uint64_t now = hal_wall_ns();

	return model_chance(op, 20) && now > NEAR_MAX ? now - model_below(op, NEAR_MAX) :
						       now + (model_chance(op, 50) ? FAR : 0) + model_below(op, NEAR_MAX);
}

/* ---- waiting ---- */

static void sleep_until(struct model_op *op, unsigned worker)
{
	uint64_t target = draw_target(op);
	uaddr_t at = store_time(0, target);
	struct before b = look();
	int64_t result;

	begin_wait(worker, target);
	result = user_call(__NR_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, at, 0);
	end_wait(worker, &b, true);
	MODEL_EQUAL(result, 0);
}

static void store_setting(unsigned slot, uint64_t value, uint64_t interval)
{
	store_time(slot, interval);
	store_time(slot + 1, value);
}

/* W4 */
static void check_left(int64_t fd, uint64_t target)
{
	uaddr_t at = user_scratch() + 64;
	struct before b = look();
	uint64_t wall = hal_wall_ns(), left;

	if (user_call(__NR_timerfd_gettime, (uint64_t)fd, at) != 0)
		return;
	left = user_load(at + 16) * NSEC_PER_SEC + user_load(at + 24);
	if (!undisturbed(&b))
		return;
	MODEL_CHECK(left <= (target > wall ? target - wall : 0));
	MODEL_CHECK(left > 0 || hal_wall_ns() >= target);
}

static void wait_for_file(struct model_op *op, unsigned worker)
{
	bool cancel = model_chance(op, 50);
	uint64_t target = draw_target(op), flags = TFD_TIMER_ABSTIME | (cancel ? TFD_TIMER_CANCEL_ON_SET : 0);
	int64_t fd = user_call(__NR_timerfd_create, CLOCK_REALTIME, 0), result;
	uaddr_t count = user_scratch() + 96;
	struct before b;

	if (fd < 0) {
		MODEL_CHECK(model_may_fail());
		return;
	}
	store_setting(0, target, 0);
	b = look();
	begin_wait(worker, target);
	result = user_call(__NR_timerfd_settime, (uint64_t)fd, flags, user_scratch(), 0);
	MODEL_EQUAL(result, 0);
	if (model_chance(op, 50))
		check_left(fd, target);
	user_store(count, 0);
	result = user_call(__NR_read, (uint64_t)fd, count, 8);
	if (result == -ECANCELED) {
		MODEL_CHECK(cancel && !(b.quiet && sets == b.sets)); /* W3 */
		waits[worker].waits = false;
	} else {
		MODEL_CHECK(result == 8 && user_load(count) == 1);
		end_wait(worker, &b, true);
	}
	MODEL_EQUAL(user_call(__NR_close, (uint64_t)fd), 0);
}

/* A POSIX timer, whose signal is waited for. */
static void wait_for_timer(struct model_op *op, unsigned worker)
{
	uint64_t target = draw_target(op), set = UINT64_C(1) << (SIGRTMIN + worker - 1);
	uaddr_t event = user_scratch() + 128, id = user_scratch() + 200, mask = user_scratch() + 208;
	struct before b;
	int64_t result;

	memset(&b, 0, sizeof(b));
	user_store(event, 0);
	user_store(event + 8, (uint64_t)SIGEV_SIGNAL << 32 | (SIGRTMIN + worker));
	user_store(id, 0);
	user_store(mask, set);
	result = user_call(__NR_timer_create, CLOCK_REALTIME, event, id);
	if (result < 0) {
		MODEL_CHECK(model_may_fail());
		return;
	}
	store_setting(0, target, 0);
	b = look();
	begin_wait(worker, target);
	MODEL_EQUAL(user_call(__NR_timer_settime, user_load32(id), TIMER_ABSTIME, user_scratch(), 0), 0);
	result = user_call(__NR_rt_sigtimedwait, mask, 0, 0, 8);
	end_wait(worker, &b, true);
	MODEL_EQUAL(result, (int64_t)(SIGRTMIN + worker));
	MODEL_EQUAL(user_call(__NR_timer_delete, user_load32(id)), 0);
}

/* ---- workers ---- */

static void work(uint64_t worker)
{
	struct model_op op = MODEL_OPS(worker);

	user_place((unsigned)worker);
	while (model_next(&op)) {
		switch (model_below(&op, 6)) {
		case 0:
			sleep_until(&op, (unsigned)worker);
			break;
		case 1:
			wait_for_file(&op, (unsigned)worker);
			break;
		case 2:
			wait_for_timer(&op, (unsigned)worker);
			break;
		case 3:
			rest(model_below(&op, NEAR_MAX));
			break;
		default:
			set_clock(&op);
			break;
		}
		model_state(ended ^ sets << 8);
	}
	working--;
	if (worker)
		user_exit_thread(0);
}

static void program(uint64_t arg)
{
	bool armed = sim_faults_armed();

	(void)arg;
	sim_faults_arm(false);
	user_prepare_stack();
	MODEL_EQUAL(user_mask(SIG_BLOCK, ~UINT64_C(0)), 0); /* timers' signals are waited for */
	working = WORKERS;
	for (uint64_t i = 1; i < WORKERS; i++)
		MODEL_CHECK(user_clone(USER_THREAD, 0, work, i) > 0);
	keeping = true;
	MODEL_CHECK(user_clone(USER_THREAD, 0, keep, 0) > 0);
	sim_faults_arm(armed);
	work(0);
	for (uint64_t ns = NEAR_MAX; working || keeping; ns *= 2)
		rest(ns);
	model_recover();
	user_finished();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(deadlines, .what = "times on a wall clock that is set", .prepare = programs_prepare, .run = run, .cpus = 4, .operations = 24);
