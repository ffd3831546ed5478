/* SPDX-License-Identifier: MIT */
/*
 * Signals. The model's program has three children of two threads each; all send signals to each other (kill, tgkill, sigqueue,
 * process groups, timers), change their masks, wait for signals, read them, and sleep in calls that signals interrupt. The
 * program itself stops and continues its children.
 *
 * S1  A queued real-time signal arrives exactly once, with its value, at the thread or process that it was sent to; those of one sender
 *     in order (not looked at where two threads, or handlers that may nest, take them).
 * S2  A standard signal arrives at least once after it was sent, and not more often than it was sent.
 * S3  No handler runs for a signal that the thread blocks, and sigtimedwait and signalfd give only what they were asked for.
 * S4  EINTR only if a handler ran; with SA_RESTART a call that can be restarted never gives it.
 * S5  A child that is reported as stopped does nothing until it is continued; the statuses of wait4 are right.
 * S6  SA_ONSTACK handlers run on the alternate stack; an SA_RESETHAND handler runs once for each time that it is set.
 *
 * All own their stacks and scratch memory before the operations begin, and fork no more: so memory faults meet only calls that
 * allocate, and nobody dies of them.
 */
#include "program.h"

#include <asm/poll.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <hal/hal.h>
#include <linux/sched.h>
#include <linux/signalfd.h>
#include <linux/time.h>
#include <linux/wait.h>
#include <sim/trace.h>

#define CHILDREN     3
#define THREADS	     2 /* of each */
#define WORKERS	     (1 + CHILDREN * THREADS)
#define SENDS_MAX    1024
#define NESTING_MAX  5 /* sends of the signal whose handler may nest, to each process */
#define DELAY_MAX    30000
#define DRAIN_TURNS  100
#define ALARM_US     20000
#define REST_NS	     10000
#define REST_MAX     10000000
#define ALTSTACK(w)  (USER_GLOBALS + 0x10000 + (uint64_t)(w) * 0x10000)
#define ALTSTACK_LEN 0xe000

/* What is sent. */
#define QUEUED_FIRST 35
#define NESTING	     37 /* SA_NODEFER */
#define QUEUED_LAST  37
#define BY_TIMER     41
#define STANDARD     SIGUSR1
#define LEFT_OVER    50 /* blocked for ever, and pending when its thread or process ends */
#define BIT(signo)   (UINT64_C(1) << ((signo) - 1))
#define ALL_BITS     (BIT(35) | BIT(36) | BIT(37) | BIT(BY_TIMER) | BIT(STANDARD) | BIT(SIGALRM) | BIT(SIGWINCH))

struct member {
	int tid;
	uint64_t mask;	   /* by the reference */
	bool mask_changes; /* it is in a call that changes it */
	uint32_t handlers, handlers_breaking; /* that have run; those without SA_RESTART */
	uint64_t steps;
	bool ready, done;
};

struct group {
	int pid;
	struct member members[THREADS];
	uint64_t flags[65], masks[65]; /* of the actions */
	uint32_t sent[65], received[65];
	bool expected[65];
	uint32_t outstanding; /* queued signals that were sent and not received */
	uint32_t nesting;
};

static struct group groups[CHILDREN];

struct send {
	unsigned group, member; /* member THREADS: any */
	int signo;
	unsigned sender;
	bool sent, received;
};

static struct send sends[SENDS_MAX];
static unsigned send_count;
static uint64_t last_from[WORKERS][CHILDREN][THREADS + 1][65];
static unsigned senders_left;
static bool begun; /* all children are ready */

/* Who runs: each worker's number, by its thread's. */
static unsigned worker_of[1024];

static struct group *own_group(void)
{
	return &groups[(worker_of[user_number()] - 1) / THREADS];
}

static struct member *own_member(void)
{
	return &own_group()->members[(worker_of[user_number()] - 1) % THREADS];
}

static void rest_ns(uint64_t ns)
{
	uaddr_t at = user_scratch() + 192;

	user_store(at, 0);
	user_store(at + 8, ns);
	user_call(__NR_nanosleep, at, 0);
}

/* For loops that look again and again: longer each time, so that the CPUs have time for what is waited for. */
static void rest_longer(uint64_t *ns)
{
	rest_ns(*ns);
	if (*ns < REST_MAX)
		*ns *= 2;
}

/* ---- receiving ---- */

static void receive_queued(struct group *g, unsigned member, int signo, uint64_t value, bool ordered)
{
	struct send *s = &sends[value];
	uint64_t *last;

	if (value >= send_count || s->signo != signo || &groups[s->group] != g || (s->member < THREADS && s->member != member))
		model_failed(__FILE__, __LINE__, "signal %d with value %lu arrives at the wrong place", signo, (unsigned long)value);
	if (s->received)
		model_failed(__FILE__, __LINE__, "signal %d with value %lu arrives twice", signo, (unsigned long)value);
	s->received = true;
	g->outstanding--;
	if (!ordered || s->member == THREADS || signo == NESTING)
		return;
	last = &last_from[s->sender][s->group][s->member][signo];
	if (*last > value)
		model_failed(__FILE__, __LINE__, "signal %d with value %lu arrives after %lu", signo, (unsigned long)value,
			     (unsigned long)*last);
	*last = value;
}

/* `ordered`: nothing that came later can have been seen before. */
static void receive(int signo, uaddr_t info, bool ordered)
{
	struct group *g = own_group();
	unsigned member = (worker_of[user_number()] - 1) % THREADS;
	uint64_t value;

	if (signo < QUEUED_FIRST) {
		g->expected[signo] = false;
		g->received[signo]++;
		MODEL_CHECK(g->received[signo] <= g->sent[signo] || signo == SIGALRM);
		return;
	}
	value = user_load(info + 24);
	receive_queued(g, member, signo, value, ordered);
}

static void handle(int signo, uaddr_t info, uaddr_t context)
{
	struct group *g = own_group();
	struct member *m = own_member();
	uint64_t mask = m->mask;
	uaddr_t alternate = ALTSTACK(worker_of[user_number()]);

	(void)context;
	m->steps++;
	if (!m->mask_changes && mask & BIT(signo))
		model_failed(__FILE__, __LINE__, "a handler runs for signal %d, which is blocked", signo);
	if (g->flags[signo] & SA_ONSTACK)
		MODEL_CHECK(user_stack_pointer() - alternate < ALTSTACK_LEN);
	m->handlers++;
	if (!(g->flags[signo] & SA_RESTART))
		m->handlers_breaking++;
	m->mask |= g->masks[signo] | (g->flags[signo] & SA_NODEFER ? 0 : BIT(signo));
	receive(signo, info, true);
	if (m->handlers % 2)
		user_call(__NR_sched_yield); /* on the way out of which what is not blocked is delivered */
	m->mask = mask;
}

/* ---- sending ---- */

static struct send *note_send(unsigned group, unsigned member, int signo, unsigned sender)
{
	struct send *s = &sends[send_count++];

	MODEL_CHECK(send_count <= SENDS_MAX);
	*s = (struct send){.group = group, .member = member, .signo = signo, .sender = sender};
	groups[group].outstanding++;
	return s;
}

static void queue_one(struct model_op *op)
{
	unsigned group = (unsigned)model_below(op, CHILDREN), member = (unsigned)model_below(op, THREADS + 1);
	int signo = QUEUED_FIRST + (int)model_below(op, QUEUED_LAST - QUEUED_FIRST + 1);
	struct group *g = &groups[group];
	uaddr_t info = user_scratch();
	uint64_t value = send_count;
	struct send *s;
	int64_t result;

	if (signo == NESTING && ++g->nesting > NESTING_MAX)
		return;
	s = note_send(group, member, signo, (unsigned)op->worker);
	user_store(info, (uint64_t)signo);
	user_store(info + 8, (uint32_t)SI_QUEUE);
	user_store(info + 16, (uint64_t)op->worker);
	user_store(info + 24, value);
	if (member == THREADS)
		result = user_call(__NR_rt_sigqueueinfo, (uint64_t)g->pid, (uint64_t)signo, info);
	else
		result = user_call(__NR_rt_tgsigqueueinfo, (uint64_t)g->pid, (uint64_t)g->members[member].tid, (uint64_t)signo, info);
	if (result == -EAGAIN && programs_may_die()) {
		MODEL_CHECK(!s->received);
		s->received = true; /* it was not sent */
		g->outstanding--;
		return;
	}
	MODEL_EQUAL(result, 0);
	s->sent = true;
}

static void expect_standard(unsigned group, int signo)
{
	groups[group].sent[signo]++;
	groups[group].expected[signo] = true;
}

static void send_standard(struct model_op *op)
{
	unsigned group = (unsigned)model_below(op, CHILDREN), member = (unsigned)model_below(op, THREADS + 1);
	struct group *g = &groups[group];

	if (model_chance(op, 30)) { /* children 1 and 2 share a group */
		expect_standard(1, STANDARD);
		expect_standard(2, STANDARD);
		MODEL_EQUAL(user_call(__NR_kill, (uint64_t)-groups[1].pid, STANDARD), 0);
		return;
	}
	expect_standard(group, STANDARD);
	if (member == THREADS)
		MODEL_EQUAL(user_call(__NR_kill, (uint64_t)g->pid, STANDARD), 0);
	else
		MODEL_EQUAL(user_call(__NR_tgkill, (uint64_t)g->pid, (uint64_t)g->members[member].tid, STANDARD), 0);
}

/* A handler that the kernel takes away when it runs; behind it the signal is ignored. */
static void send_once(struct model_op *op)
{
	unsigned group = (unsigned)model_below(op, CHILDREN);

	MODEL_EQUAL(user_call(__NR_kill, (uint64_t)groups[group].pid, SIGWINCH), 0);
}

/* ---- what only children do ---- */

static void set_once(struct group *g)
{
	g->sent[SIGWINCH]++;
	MODEL_EQUAL(user_action(SIGWINCH, handle, SA_RESETHAND | SA_RESTART, 0), 0);
}

static void change_mask(struct member *m, struct model_op *op)
{
	uint64_t set = model_draw(op) & ALL_BITS & model_draw(op);
	int how = (int)model_below(op, 3);

	m->mask_changes = true;
	MODEL_EQUAL(user_mask(how, set), 0);
	m->mask = how == SIG_BLOCK ? m->mask | set : how == SIG_UNBLOCK ? m->mask & ~set : set;
	m->mask_changes = false;
}

static void wait_for_signals(struct model_op *op)
{
	uint64_t set = model_draw(op) & ALL_BITS & ~BIT(SIGWINCH);
	uaddr_t at = user_scratch();
	int64_t result;

	user_store(at, set);
	user_store(at + 8, 0);
	user_store(at + 16, model_below(op, DELAY_MAX));
	result = user_call(__NR_rt_sigtimedwait, at, at + 32, at + 8, 8);
	if (result == -EAGAIN || result == -EINTR) /* also by a stop, or a signal that the other thread took */
		return;
	MODEL_CHECK(result > 0 && result < 65 && set & BIT(result));
	receive((int)result, at + 32, false); /* handlers may have run on the way here */
}

static void set_alarm(uint64_t us)
{
	uaddr_t at = user_scratch() + 64;

	user_store(at, 0); /* again and again: the other thread may take some */
	user_store(at + 8, us ? ALARM_US : 0);
	user_store(at + 16, 0);
	user_store(at + 24, us);
	MODEL_EQUAL(user_call(__NR_setitimer, ITIMER_REAL, at, 0), 0);
}

/* The same through a descriptor, which is polled for a while first. */
static void read_signals(struct model_op *op)
{
	uint64_t set = model_draw(op) & ALL_BITS & ~BIT(SIGWINCH), ns = model_below(op, DELAY_MAX);
	uaddr_t at = user_scratch(), read = at + 64, info = at + 256;
	int64_t fd, result;
	uint32_t signo;

	user_store(at, set);
	fd = user_call(__NR_signalfd4, UINT64_MAX, at, 8, SFD_NONBLOCK);
	if (fd < 0) {
		MODEL_CHECK(programs_may_die());
		return;
	}
	user_store(at, (uint32_t)fd | (uint64_t)POLLIN << 32);
	user_store(at + 8, 0);
	user_store(at + 16, ns);
	result = user_call(__NR_ppoll, at, 1, at + 8, 0, 0);
	MODEL_CHECK(result == 0 || result == 1 || result == -EINTR || (result == -ENOMEM && programs_may_die()));
	result = user_call(__NR_read, (uint64_t)fd, read, sizeof(struct signalfd_siginfo));
	if (result != -EAGAIN) {
		MODEL_EQUAL(result, sizeof(struct signalfd_siginfo));
		signo = user_load32(read + offsetof(struct signalfd_siginfo, ssi_signo));
		MODEL_CHECK(signo > 0 && signo < 65 && set & BIT(signo));
		user_store(info + 24, user_load(read + offsetof(struct signalfd_siginfo, ssi_ptr)));
		receive((int)signo, info, false);
	}
	MODEL_EQUAL(user_call(__NR_close, (uint64_t)fd), 0);
}

/* Of the first thread alone: there is one alarm clock a process. */
static void suspend(struct group *g, struct member *m, struct model_op *op)
{
	uint64_t set = model_draw(op) & ALL_BITS & ~BIT(SIGALRM);
	uint32_t handlers = m->handlers;

	if (m != &g->members[0])
		return;
	set_alarm(10 + model_below(op, DELAY_MAX) / 1000);
	user_store(user_scratch(), set);
	m->mask_changes = true;
	MODEL_EQUAL(user_call(__NR_rt_sigsuspend, user_scratch(), 8), -EINTR);
	m->mask_changes = false;
	MODEL_CHECK(m->handlers != handlers);
	set_alarm(0);
}

/* Calls that are restarted, or not: a timer's descriptor, a sleep. */
static void interrupted_read(struct member *m, struct model_op *op)
{
	uaddr_t at = user_scratch();
	int64_t fd = user_call(__NR_timerfd_create, 1 /* CLOCK_MONOTONIC */, 0), result;
	uint32_t breaking = m->handlers_breaking;

	if (fd < 0) {
		MODEL_CHECK(programs_may_die());
		return;
	}
	user_store(at, 0);
	user_store(at + 8, 0);
	user_store(at + 16, 0);
	user_store(at + 24, 1 + model_below(op, DELAY_MAX));
	MODEL_EQUAL(user_call(__NR_timerfd_settime, (uint64_t)fd, 0, at, 0), 0);
	result = user_call(__NR_read, (uint64_t)fd, at + 64, 8);
	if (result == -EINTR)
		MODEL_CHECK(m->handlers_breaking != breaking);
	else
		MODEL_EQUAL(result, 8);
	MODEL_EQUAL(user_call(__NR_close, (uint64_t)fd), 0);
}

static void interrupted_sleep(struct member *m, struct model_op *op)
{
	uaddr_t at = user_scratch();
	uint64_t ns = model_below(op, DELAY_MAX), from = hal_clock_ns();
	uint32_t handlers = m->handlers;
	int64_t result;

	user_store(at, 0);
	user_store(at + 8, ns);
	result = user_call(__NR_nanosleep, at, at + 16);
	if (result == -EINTR)
		MODEL_CHECK(m->handlers != handlers);
	else
		MODEL_CHECK(result == 0 && hal_clock_ns() >= from + ns);
}

/* A timer of POSIX that fires once. */
static void set_timer(struct group *g, struct model_op *op)
{
	uaddr_t at = user_scratch();
	uint64_t value = send_count;
	struct send *s = note_send((unsigned)(g - groups), THREADS, BY_TIMER, (unsigned)op->worker);
	int64_t result;

	user_store(at, value);				/* sigev_value */
	user_store(at + 8, BY_TIMER | (uint64_t)SIGEV_SIGNAL << 32); /* sigev_signo, sigev_notify */
	user_store(at + 16, 0);
	result = user_call(__NR_timer_create, 1, at, at + 64);
	if (result < 0) {
		MODEL_CHECK(programs_may_die());
		s->received = true;
		g->outstanding--;
		return;
	}
	user_store(at + 128, 0);
	user_store(at + 136, 0);
	user_store(at + 144, 0);
	user_store(at + 152, 1 + model_below(op, DELAY_MAX));
	MODEL_EQUAL(user_call(__NR_timer_settime, (uint32_t)user_load(at + 64), 0, at + 128, 0), 0);
	s->sent = true;
}

static void work(struct group *g, struct member *m, struct model_op *op)
{
	m->steps++;
	switch (model_below(op, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		queue_one(op);
		break;
	case 4:
	case 5:
		send_standard(op);
		break;
	case 6:
		send_once(op);
		break;
	case 7:
		set_once(g);
		break;
	case 8:
		change_mask(m, op);
		break;
	case 9:
		wait_for_signals(op);
		break;
	case 10:
		suspend(g, m, op);
		break;
	case 11:
		interrupted_read(m, op);
		break;
	case 12:
		interrupted_sleep(m, op);
		break;
	case 13:
		set_timer(g, op);
		break;
	default:
		read_signals(op);
		break;
	}
}

/* ---- a child's life ---- */

static bool drained(const struct group *g)
{
	return g->outstanding == 0 && !g->expected[STANDARD];
}

/* All that was sent arrives, now that nothing is blocked. */
static void drain(struct group *g, struct member *m)
{
	unsigned turns = 0;
	uint64_t rest = REST_NS;

	m->mask_changes = true;
	MODEL_EQUAL(user_mask(SIG_SETMASK, BIT(LEFT_OVER)), 0);
	m->mask = 0;
	m->mask_changes = false;
	while (senders_left || !drained(g)) {
		m->steps++;
		rest_longer(&rest);
		if (!senders_left && ++turns == DRAIN_TURNS)
			model_failed(__FILE__, __LINE__, "process %d: %u signals never arrive%s", g->pid, g->outstanding,
				     g->expected[STANDARD] ? ", nor SIGUSR1" : "");
	}
	MODEL_EQUAL(user_call(__NR_rt_sigpending, user_scratch(), 8), 0);
	MODEL_EQUAL(user_load(user_scratch()) & ALL_BITS, 0);
}

static void set_alternate_stack(unsigned worker)
{
	uaddr_t at = user_scratch();

	user_store(at, ALTSTACK(worker));
	user_store(at + 8, 0);
	user_store(at + 16, ALTSTACK_LEN);
	MODEL_EQUAL(user_call(__NR_sigaltstack, at, 0), 0);
	for (uaddr_t page = 0; page < ALTSTACK_LEN; page += PAGE_SIZE)
		user_store(ALTSTACK(worker) + page, 0);
}

static void member_main(uint64_t worker)
{
	struct group *g = &groups[(worker - 1) / THREADS];
	struct member *m = &g->members[(worker - 1) % THREADS];
	struct model_op op = MODEL_OPS(worker);
	uint64_t rest = REST_NS;

	worker_of[user_number()] = (unsigned)worker;
	user_place((unsigned)worker);
	user_prepare_stack();
	set_alternate_stack((unsigned)worker);
	m->tid = (int)user_call(__NR_gettid);
	m->mask = ALL_BITS; /* inherited */
	m->ready = true;
	while (!begun)
		rest_longer(&rest);
	while (model_next(&op)) {
		work(g, m, &op);
		model_state(m->mask ^ g->outstanding << 20 ^ m->handlers << 8 ^ worker << 28);
	}
	senders_left--;
	drain(g, m);
	user_call(__NR_tgkill, (uint64_t)g->pid, (uint64_t)m->tid, LEFT_OVER);
	m->done = true;
	if (worker % THREADS == 0)
		user_exit_thread(0);
	while (!g->members[1].done)
		rest_longer(&rest);
	user_call(__NR_kill, (uint64_t)g->pid, LEFT_OVER);
}

static void set_actions(struct group *g)
{
	static const int signals[] = {35, 36, 37, BY_TIMER, STANDARD, SIGALRM};
	struct sim_generator draws = sim_generator(model_operations(), (uint64_t)(g - groups));

	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++) {
		int signo = signals[i];

		g->flags[signo] = SA_SIGINFO | (sim_generate_below(&draws, 2) ? SA_RESTART : 0) |
				  (sim_generate_below(&draws, 2) ? SA_ONSTACK : 0) | (signo == NESTING ? SA_NODEFER : 0);
		g->masks[signo] = sim_generate_below(&draws, 2) ? sim_generate(&draws) & ALL_BITS : 0;
		MODEL_EQUAL(user_action(signo, handle, g->flags[signo], g->masks[signo]), 0);
	}
	g->flags[SIGWINCH] = SA_RESETHAND | SA_RESTART;
}

static void child(uint64_t number)
{
	struct group *g = &groups[number];
	uint64_t worker = 1 + number * THREADS;

	worker_of[user_number()] = (unsigned)worker;
	set_actions(g);
	MODEL_CHECK(user_clone(USER_THREAD, 0, member_main, worker + 1) > 0);
	member_main(worker);
	user_exit((int)number);
}

/* ---- the parent ---- */

static uint64_t steps_of(const struct group *g)
{
	return g->members[0].steps + g->members[1].steps;
}

static void expect_status(const struct group *g, int options, uint32_t expected)
{
	uaddr_t at = user_scratch();

	MODEL_EQUAL(user_call(__NR_wait4, (uint64_t)g->pid, at, (uint64_t)options), g->pid);
	MODEL_EQUAL((uint32_t)user_load(at), expected);
}

/* Stops a child, sees that it stands still, and lets it go on. */
static void stop_one(struct model_op *op)
{
	struct group *g = &groups[model_below(op, CHILDREN)];
	bool by_user = model_below(op, 2);
	int signo = by_user ? SIGTSTP : SIGSTOP;
	uint64_t steps;

	MODEL_EQUAL(user_call(__NR_kill, (uint64_t)g->pid, (uint64_t)signo), 0);
	expect_status(g, WUNTRACED, (uint32_t)signo << 8 | 0x7f);
	steps = steps_of(g);
	if (model_below(op, 2))
		rest_ns(model_below(op, DELAY_MAX));
	MODEL_EQUAL(user_call(__NR_wait4, (uint64_t)g->pid, 0, WNOHANG | WUNTRACED), 0);
	MODEL_EQUAL(steps_of(g), steps);
	MODEL_EQUAL(user_call(__NR_kill, (uint64_t)g->pid, SIGCONT), 0);
	expect_status(g, WCONTINUED, 0xffff);
}

static bool all_ready(void)
{
	for (unsigned i = 0; i < CHILDREN; i++)
		for (unsigned j = 0; j < THREADS; j++)
			if (!groups[i].members[j].ready)
				return false;
	return true;
}

static void start_children(void)
{
	uint64_t rest = REST_NS;

	MODEL_EQUAL(user_mask(SIG_BLOCK, ALL_BITS), 0);
	senders_left = WORKERS;
	for (unsigned i = 0; i < CHILDREN; i++) {
		groups[i].pid = (int)user_fork(child, i);
		MODEL_CHECK(groups[i].pid > 0);
		MODEL_EQUAL(user_call(__NR_setpgid, (uint64_t)groups[i].pid, i == 2 ? (uint64_t)groups[1].pid : 0), 0);
	}
	while (!all_ready())
		rest_longer(&rest);
	user_prepare_stack(); /* again: since the forks its pages are shared */
}

static void program(uint64_t arg)
{
	struct model_op op = MODEL_OPS(0);
	bool armed = sim_faults_armed();

	(void)arg;
	sim_faults_arm(false);
	user_prepare_stack();
	start_children();
	sim_faults_arm(armed);
	begun = true;
	while (model_next(&op)) {
		unsigned what = (unsigned)model_below(&op, 8);

		if (what < 3)
			stop_one(&op);
		else if (what < 5)
			queue_one(&op);
		else if (what < 7)
			send_standard(&op);
		else
			send_once(&op);
	}
	senders_left--;
	for (unsigned i = 0; i < CHILDREN; i++)
		expect_status(&groups[i], 0, i << 8);
	model_recover();
	MODEL_EQUAL(user_call(__NR_wait4, UINT64_MAX, 0, 0), -ECHILD);
	for (unsigned i = 0; i < send_count; i++)
		MODEL_CHECK(sends[i].received);
	user_finished();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(signals, .what = "kill, sigqueue, masks, handlers, descriptors, restarted calls, stops", .prepare = programs_prepare, .run = run,
	     .cpus = 4, .operations = 12);
