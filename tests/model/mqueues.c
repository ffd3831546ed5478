/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues. Processes share one queue, through which numbered messages go in all ways there are, and make queues of their own,
 * of which they know all.
 *
 *   Q1  What is sent is received once, or is left in the queue; what failed to be sent is not. A receiver finds the messages of one sender and
 *       one priority in their order.
 *   Q2  A queue that nobody else uses gives its messages by priority, and in their order within one; a full one and an empty one say so, and poll
 *       tells it before.
 *   Q3  Of those who wait the most urgent one is served first.
 *   Q4  Who asked to be told is told once, of the first message in the empty queue, and not after a descriptor was closed.
 *   Q5  No time-out is early. What a user may have in queues is not exceeded, and all of it comes back.
 *
 * A lost wake-up is a deadlock; what is left over, the world counts.
 */
#include "program.h"

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/fs.h>
#include <cloudos/mqueue.h>
#include <cloudos/string.h>
#include <cloudos/task.h>
#include <linux/resource.h>
#include <linux/wait.h>

#define WORKERS	   3
#define PRIORITIES 3
#define COUNT_MAX  3  /* messages of the shared queue */
#define SIZE_MAX_  24 /* bytes of a message: sender, number, priority */
#define OWN_COUNT  6
#define NAP_MAX_NS UINT64_C(100000000)
#define NAPS_MAX   12 /* for a child that is to sleep, twice as long each time */
#define CHARGE(count) ((count) * (SIZE_MAX_ + 48) + (count) * 48)

static int shared;
static int64_t pids[WORKERS];
static unsigned told[WORKERS]; /* notifications that came */

static struct {
	uint64_t sent[WORKERS][PRIORITIES], received[WORKERS][PRIORITIES];
	uint64_t last[WORKERS + 1][WORKERS][PRIORITIES]; /* by receiver, sender and priority */
} mail;

static void nap(uint64_t ns)
{
	uaddr_t at = user_scratch();

	user_store(at, 0);
	user_store(at + 8, ns);
	user_call(__NR_nanosleep, at, 0);
}

static bool starved(int64_t result)
{
	return (result == -ENOMEM && model_may_fail()) || (result == -EFAULT && programs_may_die());
}

/* ---- queues ---- */

static uaddr_t store_name(unsigned number)
{
	char name[8] = "q0";

	name[1] = (char)('0' + number);
	user_write(user_scratch(), name, sizeof(name));
	return user_scratch();
}

static void close_queue(int64_t q)
{
	MODEL_EQUAL(user_call(__NR_close, (uint64_t)q), 0);
}

static void remove_queue(unsigned number)
{
	int64_t result = user_call(__NR_mq_unlink, store_name(number));

	MODEL_CHECK(result == 0 || starved(result));
}

/* Numbers below WORKERS are the workers' own; flags of O_NONBLOCK. */
static int64_t open_queue(unsigned number, uint64_t count, uint64_t flags)
{
	uaddr_t name = store_name(number), attr = name + 64;
	int64_t q;
	struct mq_attr a = {.mq_maxmsg = (__kernel_long_t)count, .mq_msgsize = SIZE_MAX_};

	user_write(attr, &a, sizeof(a));
	q = user_call(__NR_mq_open, name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, attr);
	if (q == -EEXIST && model_may_fail()) /* there was no memory to remove it */
		remove_queue(number);
	return q;
}

static void end_queue(unsigned number, int64_t q)
{
	close_queue(q);
	remove_queue(number);
}

/* Until deadline_ns from now; 0: for ever. */
static uaddr_t store_deadline(uint64_t ns)
{
	uaddr_t at = user_scratch() + 256;
	uint64_t until = hal_wall_ns() + ns;

	if (!ns)
		return 0;
	user_store(at, until / NSEC_PER_SEC);
	user_store(at + 8, until % NSEC_PER_SEC);
	return at;
}

static int64_t send(int64_t q, unsigned sender, uint64_t number, unsigned priority, uint64_t ns)
{
	uaddr_t at = user_scratch(), until;

	user_store(at, sender);
	user_store(at + 8, number);
	user_store(at + 16, priority);
	until = store_deadline(ns);
	return user_call(__NR_mq_timedsend, (uint64_t)q, at, SIZE_MAX_, priority, until);
}

struct got {
	uint64_t sender, number;
	unsigned priority;
};

static int64_t receive(int64_t q, uint64_t ns, struct got *ret)
{
	uaddr_t at = user_scratch(), priority = at + 128, until = store_deadline(ns);
	int64_t result = user_call(__NR_mq_timedreceive, (uint64_t)q, at, SIZE_MAX_, priority, until);

	if (result < 0)
		return result;
	MODEL_EQUAL(result, SIZE_MAX_);
	*ret = (struct got){user_load(at), user_load(at + 8), user_load32(priority)};
	MODEL_EQUAL(user_load(at + 16), ret->priority);
	return result;
}

/* ---- the shared queue ---- */

/* When a call began, on both clocks: the wall clock may be set meanwhile. */
struct moment {
	uint64_t wall, clock;
};

static struct moment now(void)
{
	return (struct moment){hal_wall_ns(), hal_clock_ns()};
}

static void check_failure(int64_t result, uint64_t ns, struct moment start)
{
	if (result == -EINTR || starved(result))
		return;
	if (result != -ETIMEDOUT || !ns)
		model_failed(__FILE__, __LINE__, "a call gives %ld", (long)result);
	MODEL_CHECK(hal_wall_ns() >= start.wall + ns || hal_clock_ns() >= start.clock + ns); /* Q5 */
}

static void send_shared(struct model_op *op, unsigned worker)
{
	unsigned priority = (unsigned)model_below(op, PRIORITIES);
	uint64_t *sent = &mail.sent[worker][priority], ns = model_chance(op, 40) || programs_may_die() ? 1 + model_below(op, 60000) : 0;
	struct moment start = now();
	int64_t result;

	++*sent;
	result = send(shared, worker, *sent, priority, ns);
	if (result == 0)
		return;
	--*sent;
	check_failure(result, ns, start);
}

static void check_got(unsigned receiver, const struct got *g)
{
	uint64_t *last;

	MODEL_CHECK(g->sender < WORKERS && g->priority < PRIORITIES);
	last = &mail.last[receiver][g->sender][g->priority];
	if (g->number <= *last || (g->number > mail.sent[g->sender][g->priority] && !programs_may_die()))
		model_failed(__FILE__, __LINE__, "message %lu of %lu at priority %u comes after %lu", (unsigned long)g->number,
			     (unsigned long)g->sender, g->priority, (unsigned long)*last);
	*last = g->number;
	mail.received[g->sender][g->priority]++;
}

static void receive_shared(struct model_op *op, unsigned worker)
{
	uint64_t ns = model_chance(op, 40) || programs_may_die() ? 1 + model_below(op, 60000) : 0;
	struct moment start = now();
	struct got g;
	int64_t result = receive(shared, ns, &g);

	if (result < 0)
		check_failure(result, ns, start);
	else
		check_got(worker, &g);
}

/* ---- a queue of one's own ---- */

static unsigned poll_events(int64_t q)
{
	uaddr_t at = user_scratch();
	int64_t result;

	user_store(at, (uint32_t)q | (uint64_t)(POLLIN | POLLOUT) << 32);
	result = user_call(__NR_poll, at, 1, 0);
	MODEL_CHECK(result >= 0 || starved(result));
	return result < 0 ? UINT32_MAX : (unsigned)(user_load(at) >> 48);
}

static void check_events(int64_t q, unsigned count, unsigned room)
{
	unsigned events = poll_events(q);

	if (events != UINT32_MAX)
		MODEL_EQUAL(events, (count > 0 ? POLLIN : 0) | (count < room ? POLLOUT : 0));
}

/* What the reference has in the queue, in the order of sending: the one that must come out next. */
struct own {
	unsigned priority[OWN_COUNT];
	uint64_t number[OWN_COUNT];
	unsigned count;
};

static void take_next(struct own *o, const struct got *g)
{
	unsigned best = 0;

	for (unsigned i = 1; i < o->count; i++)
		if (o->priority[i] > o->priority[best])
			best = i;
	MODEL_EQUAL(g->priority, o->priority[best]);
	MODEL_EQUAL(g->number, o->number[best]);
	o->count--;
	for (unsigned i = best; i < o->count; i++) {
		o->priority[i] = o->priority[i + 1];
		o->number[i] = o->number[i + 1];
	}
}

static void own_queue(struct model_op *op, unsigned worker)
{
	unsigned room = 1 + (unsigned)model_below(op, OWN_COUNT), steps = 2 + (unsigned)model_below(op, 16);
	int64_t q = open_queue(worker, room, O_NONBLOCK), result;
	struct own o = {.count = 0};
	struct got g;

	if (q < 0) {
		MODEL_CHECK(model_may_fail());
		return;
	}
	for (unsigned i = 0; i < steps; i++) {
		if (model_chance(op, 60)) {
			unsigned priority = (unsigned)model_below(op, PRIORITIES);

			result = send(q, worker, i, priority, 0);
			if (result != (o.count == room ? -EAGAIN : 0) && !starved(result))
				model_failed(__FILE__, __LINE__, "with %u of %u messages, sending gives %ld", o.count, room, (long)result);
			if (result == 0) {
				o.priority[o.count] = priority;
				o.number[o.count++] = i;
			}
		} else {
			result = receive(q, 0, &g);
			MODEL_CHECK(result == (o.count ? SIZE_MAX_ : -EAGAIN) || starved(result));
			if (result > 0)
				take_next(&o, &g);
		}
		if (!model_may_fail())
			check_events(q, o.count, room);
	}
	end_queue(worker, q); /* with what is in it */
}

/* ---- who waits ---- */

static struct {
	int64_t queue;
	unsigned turn[2]; /* as the how-manieth each was served; 0: not yet */
	bool about[2];
	bool sends;
} crowds[WORKERS];

static void wait_in_crowd(uint64_t arg)
{
	unsigned worker = (unsigned)arg >> 1, i = arg & 1;
	struct got g;
	int64_t result;

	user_call(__NR_setpriority, PRIO_PROCESS, 0, i ? 0 : 5);
	user_store(user_scratch() + 128, 0); /* it is there, so that no fault sleeps in the call */
	crowds[worker].about[i] = true;
	result = crowds[worker].sends ? send(crowds[worker].queue, worker, i, 0, 0) : receive(crowds[worker].queue, 0, &g);
	MODEL_CHECK(result >= 0 || programs_may_die());
	if (!crowds[worker].sends && result >= 0)
		crowds[worker].turn[i] = 1 + (unsigned)g.number;
	user_exit(0);
}

static bool is_asleep(int64_t pid)
{
	struct task *t = task_find((int)pid);
	bool asleep = t && READ_ONCE(t->thread.state) == THREAD_INTERRUPTIBLE;

	if (t)
		task_put(t);
	return asleep;
}

static bool wait_for_sleep(const int64_t children[2], unsigned worker)
{
	uint64_t ns = 20000;

	for (unsigned i = 0; i < NAPS_MAX; i++, ns *= 2) {
		if (crowds[worker].about[0] && crowds[worker].about[1] && is_asleep(children[0]) && is_asleep(children[1]))
			return true;
		nap(ns);
	}
	return false;
}

static void reap(int64_t pid)
{
	if (pid > 0)
		while (user_call(__NR_wait4, (uint64_t)pid, 0, 0, 0) == -EINTR)
			;
	else
		MODEL_CHECK(model_may_fail());
}

/* Serves both: what comes out first is numbered 0. */
static void serve(unsigned worker, bool known)
{
	int64_t q = crowds[worker].queue;
	struct got g;

	if (!crowds[worker].sends) {
		for (unsigned i = 0; i < 2; i++)
			while (send(q, worker, i, 0, 0) == -EINTR)
				;
		return;
	}
	for (unsigned i = 0; i < 3; i++) { /* the one that filled it, and theirs */
		while (receive(q, 0, &g) == -EINTR)
			;
		if (i > 0)
			crowds[worker].turn[g.number & 1] = i;
	}
	if (known)
		MODEL_CHECK(crowds[worker].turn[1] < crowds[worker].turn[0]);
}

static void crowd(struct model_op *op, unsigned worker)
{
	int64_t children[2], q;
	bool known;

	if (model_may_fail())
		return;
	crowds[worker].sends = model_chance(op, 50);
	q = open_queue(worker, 1, 0);
	MODEL_CHECK(q >= 0);
	crowds[worker].queue = q;
	crowds[worker].about[0] = crowds[worker].about[1] = false;
	crowds[worker].turn[0] = crowds[worker].turn[1] = 0;
	if (crowds[worker].sends)
		MODEL_EQUAL(send(q, worker, 9, 0, 0), 0);
	for (unsigned i = 0; i < 2; i++)
		children[i] = user_fork(wait_in_crowd, worker << 1 | i);
	MODEL_CHECK(children[0] > 0 && children[1] > 0);
	known = wait_for_sleep(children, worker);
	serve(worker, known);
	for (unsigned i = 0; i < 2; i++)
		reap(children[i]);
	if (known && !crowds[worker].sends) /* Q3 */
		MODEL_CHECK(crowds[worker].turn[1] == 1 && crowds[worker].turn[0] == 2);
	end_queue(worker, q);
}

/* ---- notification ---- */

static void told_of_message(int signo, uaddr_t info, uaddr_t context)
{
	(void)signo;
	(void)context;
	told[user_load(info + offsetof(siginfo_t, si_value))]++;
}

static int64_t ask(int64_t q, uint64_t worker)
{
	uaddr_t at = user_scratch();
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};

	e.sigev_value.sival_ptr = (void *)worker;
	user_write(at, &e, sizeof(e));
	return user_call(__NR_mq_notify, (uint64_t)q, at);
}

/* Its child ends with the registration that it has. */
static void ask_and_end(uint64_t worker)
{
	int64_t result = ask(crowds[worker].queue, worker);

	MODEL_CHECK(result == 0 || starved(result));
	user_exit(0);
}

static void notification(struct model_op *op, unsigned worker)
{
	unsigned before = told[worker], expected = 0;
	int64_t q, second;
	struct got g;

	if (model_may_fail())
		return;
	q = open_queue(worker, 2, O_NONBLOCK);
	MODEL_CHECK(q >= 0);
	crowds[worker].queue = q;
	if (model_chance(op, 30))
		reap(user_fork(ask_and_end, worker));
	MODEL_EQUAL(ask(q, worker), 0);
	MODEL_EQUAL(ask(q, worker), -EBUSY);
	if (model_chance(op, 30)) {
		second = user_call(__NR_dup, (uint64_t)q);
		MODEL_CHECK(second >= 0);
		close_queue(second);
	} else {
		expected = 1;
	}
	for (unsigned i = 0; i < 2; i++) {
		MODEL_EQUAL(send(q, worker, i, 0, 0), 0);
		MODEL_EQUAL(told[worker] - before, expected); /* Q4 */
	}
	MODEL_EQUAL(ask(q, worker), 0); /* and not busy */
	MODEL_CHECK(receive(q, 0, &g) > 0 && receive(q, 0, &g) > 0);
	MODEL_EQUAL(told[worker] - before, expected);
	end_queue(worker, q);
}

/* ---- limits ---- */

static int64_t set_limit(uint64_t bytes)
{
	uaddr_t at = user_scratch();

	user_store(at, bytes);
	user_store(at + 8, MQ_BYTES_MAX);
	return user_call(__NR_prlimit64, 0, RLIMIT_MSGQUEUE, at, 0);
}

/* No queue is made beyond what all of the user's together may have, and one is up to that. */
static void limit(struct model_op *op, unsigned worker)
{
	uint64_t count = 1 + model_below(op, OWN_COUNT);
	int64_t q;

	if (model_may_fail())
		return;
	MODEL_EQUAL(set_limit(CHARGE(count) + CHARGE(COUNT_MAX) - 1), 0);
	q = open_queue(worker, count, 0);
	MODEL_EQUAL(q, -EMFILE);
	MODEL_EQUAL(set_limit(CHARGE(COUNT_MAX) + WORKERS * CHARGE(OWN_COUNT)), 0); /* what all have at most */
	q = open_queue(worker, count, 0);
	MODEL_CHECK(q >= 0);
	end_queue(worker, q);
	MODEL_EQUAL(set_limit(MQ_BYTES_MAX), 0);
}

/* ---- all of it ---- */

static void nothing(int signo, uaddr_t info, uaddr_t context)
{
	(void)signo;
	(void)info;
	(void)context;
}

static void interrupt(int64_t pid)
{
	if (pid > 0)
		user_call(__NR_kill, (uint64_t)pid, SIGUSR1);
}

static void operation(struct model_op *op, unsigned worker)
{
	switch (model_below(op, 14)) {
	case 0:
	case 1:
	case 2:
	case 3:
		return send_shared(op, worker);
	case 4:
	case 5:
	case 6:
	case 7:
		return receive_shared(op, worker);
	case 8:
	case 9:
		return own_queue(op, worker);
	case 10:
		return crowd(op, worker);
	case 11:
		return notification(op, worker);
	case 12:
		return limit(op, worker);
	default:
		return interrupt(pids[model_below(op, WORKERS)]);
	}
}

static void work(uint64_t worker)
{
	struct model_op op = MODEL_OPS(worker);

	user_place((unsigned)worker);
	while (model_next(&op)) {
		operation(&op, (unsigned)worker);
		model_state(mail.sent[0][0] << 32 ^ mail.received[1][1] << 16 ^ told[worker]);
	}
	user_exit(0);
}

/* A sender that waits for room while nobody receives is helped by the first process, and a receiver is interrupted. */
static void wait_for_workers(unsigned n)
{
	uint64_t ns = 50000;
	struct got g;

	while (n > 0) {
		int64_t pid = user_call(__NR_wait4, UINT64_MAX, 0, WNOHANG, 0);

		if (pid > 0)
			n--;
		else if (receive(shared, 1, &g) >= 0)
			check_got(WORKERS, &g);
		else
			nap(ns = min(ns * 2, NAP_MAX_NS)); /* slow CPUs must get on between two signals */
		for (unsigned i = 0; i < WORKERS; i++)
			interrupt(pids[i]);
	}
}

static void take_down(void)
{
	struct got g;

	while (receive(shared, 1, &g) >= 0)
		check_got(WORKERS, &g);
	for (unsigned i = 0; i < WORKERS && !programs_may_die(); i++)
		for (unsigned p = 0; p < PRIORITIES; p++)
			MODEL_EQUAL(mail.sent[i][p], mail.received[i][p]); /* Q1 */
	end_queue(WORKERS, shared);
}

static void program(uint64_t arg)
{
	unsigned started = 0;

	(void)arg;
	sim_faults_arm(false);
	user_action(SIGUSR1, nothing, 0, 0);
	user_action(SIGUSR2, told_of_message, 0, 0);
	user_prepare_stack();
	shared = (int)open_queue(WORKERS, COUNT_MAX, 0);
	MODEL_CHECK(shared >= 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		pids[i] = user_fork(work, i);
		started += pids[i] > 0;
	}
	sim_faults_arm(true);
	wait_for_workers(started);
	model_recover();
	take_down();
	user_finished();
	user_exit(0);
}

/* What programs that died have left behind. */
static void clear(void)
{
	char name[] = "q0";

	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
	for (unsigned i = 0; i <= WORKERS; i++) {
		name[1] = (char)('0' + i);
		(void)mqueue_unlink(name);
	}
	vfs_release_kernel_thread();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
	model_recover();
	if (programs_may_die())
		clear();
}

MODEL_DEFINE(mqueues, .what = "POSIX message queues", .prepare = programs_prepare, .run = run, .cpus = 4, .operations = 60);
