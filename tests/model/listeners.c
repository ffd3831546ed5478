/* SPDX-License-Identifier: MIT */
/*
 * Filters that ask another program. The model's program has a filter with a listener; its children make calls that it asks about, and three threads
 * take those and answer, give descriptors, look whether a call is still there, and send signals. The reference knows each call by its argument,
 * which no other has, and what was said of it.
 *
 * L1  What is taken is a call that is being made, and is not taken by another; its id is new.
 * L2  A call returns what was answered, once, for it; or EINTR if there was a signal.
 * L3  An answer is refused (ENOENT, EINPROGRESS) only if there has been one, or the caller was sent a signal.
 * L4  A descriptor that is given is the file, where it was said to be; with an answer it is the call's result.
 * L5  While nobody has taken a call, the listener is readable; who waits for a call gets it.
 * L6  In the end all calls have come back, and nothing is left over.
 */
#include "program.h"

#include <asm/ioctl.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/panic.h>
#include <cloudos/string.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kcmp.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/wait.h>
#include <sim/trace.h>

#define WORKERS	   3
#define CALLERS	   4 /* at a time */
#define CALLS_MAX  1024
#define HELD_MAX   6
#define REST_NS	   20000
#define ROUNDS_MAX 24
#define ASKED	   __NR_getppid
#define PROGRAM	   (USER_GLOBALS + 0x1000)
#define AT_FIXED   40 /* the descriptor of those that are given with SETFD */

/* As numbers that fit the call. */
static const unsigned receive_cmd = SECCOMP_IOCTL_NOTIF_RECV, send_cmd = SECCOMP_IOCTL_NOTIF_SEND, valid_cmd = SECCOMP_IOCTL_NOTIF_ID_VALID,
		      add_cmd = SECCOMP_IOCTL_NOTIF_ADDFD;

enum said { NOTHING, VALUE, ERROR, GO_ON, DESCRIPTOR };

/* A call that is asked about: its argument is its index. */
struct call {
	unsigned caller;
	bool made, over, disturbed; /* a signal was sent to its caller since it began */
	enum said said;		    /* what was accepted, or is just being said */
	bool saying;
};

struct caller {
	int pid;
	bool living, killed, ended;
	unsigned call; /* the last one */
	bool calling;
	bool pending;	  /* a signal has come, and its handler has not run */
	unsigned sending; /* signals that are just being sent */
};

struct held {
	bool used, busy;
	uint64_t id;
	unsigned call;
};

static struct call calls[CALLS_MAX];
static struct caller callers[CALLERS];
static struct held held[HELD_MAX];
static unsigned call_count, working, taking, signalling;
static int listener, shared_file, self_pid;
static uint64_t last_id;
static bool have_id, over;

static bool starved(int64_t result)
{
	return programs_may_die() && (result == -ENOMEM || result == -EFAULT || result == -EAGAIN || result == -ENFILE);
}

static void rest_ns(uint64_t ns)
{
	uaddr_t at = user_scratch() + 256;

	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
	user_call(__NR_nanosleep, at, 0);
}

/* ---- the children ---- */

static void note_signal(int signo, uaddr_t info, uaddr_t context)
{
	int64_t pid = user_call(__NR_getpid);

	(void)signo;
	(void)info;
	(void)context;
	for (unsigned i = 0; i < CALLERS; i++)
		if (callers[i].pid == pid)
			callers[i].pending = false;
}

static void check_descriptor(int fd)
{
	int64_t self = user_call(__NR_getpid);
	int64_t same = user_call(__NR_kcmp, (uint64_t)self, (uint64_t)self, KCMP_FILE, (uint64_t)fd, (uint64_t)shared_file);

	MODEL_EQUAL(same, 0); /* L4 */
	if (fd != AT_FIXED)
		MODEL_EQUAL(user_call(__NR_close, (uint64_t)fd), 0);
}

/* What came back of a call: L2. */
static void check_result(const struct call *c, unsigned number, int64_t result)
{
	bool good = false;

	switch (c->said) {
	case NOTHING:
		good = result == -EINTR && c->disturbed;
		break;
	case VALUE:
		good = result == 100000 + (int64_t)number;
		break;
	case ERROR:
		good = result == -EXDEV;
		break;
	case GO_ON:
		good = result == self_pid;
		break;
	case DESCRIPTOR:
		good = result >= 0;
		break;
	}
	if (!good && !(result == -EINTR && c->disturbed && c->saying))
		model_failed(__FILE__, __LINE__, "call %u returns %ld, and %d was said of it", number, (long)result, c->said);
	if (good && c->said == DESCRIPTOR)
		check_descriptor((int)result);
}

static void make_call(struct caller *me)
{
	unsigned number = call_count;
	struct call *c = &calls[number];
	int64_t result;

	call_count++;
	*c = (struct call){ .caller = (unsigned)(me - callers), .made = true, .disturbed = me->pending || me->sending };
	me->call = number;
	me->calling = true;
	result = user_call(ASKED, number);
	me->calling = false;
	c->over = true;
	check_result(c, number, result);
}

static void caller_main(uint64_t number)
{
	struct caller *me = &callers[number];

	me->pid = (int)user_call(__NR_getpid);
	while (!over && call_count < CALLS_MAX)
		make_call(me);
	me->ended = true;
	user_exit(0);
}

static void make_caller(struct model_op *op)
{
	unsigned number = (unsigned)model_below(op, CALLERS);
	struct caller *c = &callers[number];
	int64_t pid;

	if (c->living || over)
		return;
	*c = (struct caller){ .living = true };
	pid = user_fork(caller_main, number);
	if (pid < 0) {
		MODEL_CHECK(starved(pid));
		c->living = false;
		return;
	}
	MODEL_CHECK(!c->pid || c->pid == pid);
	c->pid = (int)pid;
}

/* What it does now, and what it will begin before the signal has come, may be interrupted. */
static void disturb(struct caller *c)
{
	if (c->calling)
		calls[c->call].disturbed = true;
}

static void reap(struct caller *c, bool wait)
{
	uaddr_t status = user_scratch();
	int64_t pid;

	if (!c->living || c->pid <= 0)
		return;
	pid = user_call(__NR_wait4, (uint64_t)c->pid, status, wait ? 0 : WNOHANG, 0);
	if (pid == 0 || starved(pid) || (pid == -ECHILD && (!wait || programs_may_die())))
		return;
	MODEL_EQUAL(pid, c->pid);
	MODEL_CHECK(c->ended || c->killed || programs_may_die());
	calls[c->call].disturbed = true;
	*c = (struct caller){ 0 };
}

static void signal_caller(struct model_op *op, int signo)
{
	struct caller *c = &callers[model_below(op, CALLERS)];

	if (!c->living || c->pid <= 0 || taking)
		return;
	signalling++;
	c->sending++;
	c->pending = true;
	disturb(c);
	c->killed |= signo == SIGKILL;
	user_call(__NR_kill, (uint64_t)c->pid, (uint64_t)signo);
	signalling--;
	c->sending -= c->sending > 0; /* it may be another's place by now */
}

/* ---- the threads that answer ---- */

/* A call that is made again after a signal that came to nothing is asked about again, too. */
static void note_taken(struct held *h)
{
	uaddr_t at = user_scratch();
	uint64_t id = user_load(at), number = user_load(at + offsetof(struct seccomp_notif, data.args));
	const struct call *c;

	MODEL_CHECK(number < call_count); /* L1 */
	c = &calls[number];
	MODEL_CHECK(c->made && (!c->over || c->disturbed) && (c->said == NOTHING || c->disturbed));
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (held[i].used && (held[i].id == id || (held[i].call == number && !c->disturbed)))
			model_failed(__FILE__, __LINE__, "call %lu is taken twice", (unsigned long)number);
	if (have_id && id == last_id)
		model_failed(__FILE__, __LINE__, "an id comes again");
	last_id = id;
	have_id = true;
	*h = (struct held){ .used = true, .id = id, .call = (unsigned)number };
}

static struct held *free_held(void)
{
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (!held[i].used && !held[i].busy)
			return &held[i];
	return NULL;
}

/* Is there a call that nobody has taken, and that stays until somebody does? */
static bool somebody_waits(void)
{
	for (unsigned i = 0; i < CALLERS; i++) {
		const struct caller *c = &callers[i];
		bool taken = false;

		for (unsigned k = 0; k < HELD_MAX; k++)
			taken |= held[k].used && held[k].call == c->call;
		if (c->living && !c->killed && c->calling && !calls[c->call].disturbed && calls[c->call].said == NOTHING && !taken)
			return true;
	}
	return false;
}

static bool is_readable(uaddr_t at)
{
	user_store(at, (uint32_t)listener | (uint64_t)POLLIN << 32);
	return user_call(__NR_poll, at, 1, 0) == 1 && (user_load(at) >> 48 & POLLIN);
}

/* L5: waits for the call, which is about to come. Where programs may die no thread but one that can be left behind waits. */
static void take(uint64_t worker)
{
	uaddr_t at = user_scratch();
	struct held *h;
	int64_t result;

	if (programs_may_die() && (worker == 0 || !is_readable(at + 128)))
		return;
	h = free_held();
	if (!h || taking || signalling || !somebody_waits())
		return;
	h->busy = true;
	taking++;
	for (unsigned i = 0; i < sizeof(struct seccomp_notif); i += 8)
		user_store(at + i, 0);
	result = user_call(__NR_ioctl, (uint64_t)listener, receive_cmd, at);
	if (result == 0)
		note_taken(h);
	else
		MODEL_CHECK(starved(result) || (result == -ENOENT && programs_may_die()));
	taking--;
	h->busy = false;
}

static bool is_gone(const struct call *c)
{
	return c->over || c->disturbed || c->said != NOTHING || programs_may_die();
}

static enum said choose_said(struct model_op *op)
{
	static const enum said ways[] = { VALUE, ERROR, GO_ON };

	return ways[model_below(op, 3)];
}

/* L3. */
static void check_accepted(const struct held *h, struct call *c, int64_t result, enum said was)
{
	c->saying = false;
	if (result >= 0)
		return;
	MODEL_CHECK(result == -ENOENT || result == -EINPROGRESS || result == -EBUSY || result == -ESRCH || result == -EINTR || starved(result));
	c->said = was;
	if (!is_gone(c))
		model_failed(__FILE__, __LINE__, "an answer to call %u gives %ld", h->call, (long)result);
}

static void answer(struct model_op *op, struct held *h)
{
	struct call *c = &calls[h->call];
	enum said says = choose_said(op), was = c->said;
	uaddr_t at = user_scratch();
	int64_t result;

	if (was == NOTHING)
		c->said = says;
	c->saying = true;
	user_store(at, h->id);
	user_store(at + 8, says == VALUE ? 100000 + h->call : 0);
	user_store(at + 16, (says == ERROR ? (uint32_t)-EXDEV : 0) | (says == GO_ON ? (uint64_t)SECCOMP_USER_NOTIF_FLAG_CONTINUE << 32 : 0));
	result = user_call(__NR_ioctl, (uint64_t)listener, send_cmd, at);
	if (result == 0 && was != NOTHING && !c->disturbed)
		model_failed(__FILE__, __LINE__, "call %u is answered twice", h->call);
	check_accepted(h, c, result, was);
}

static void give(struct model_op *op, struct held *h, bool send)
{
	bool fixed = model_chance(op, 50), known = calls[h->call].said == NOTHING;
	struct call *c = &calls[h->call];
	enum said was = c->said;
	uaddr_t at = user_scratch();
	int64_t result;

	if (!known)
		return;
	if (send)
		c->said = DESCRIPTOR;
	c->saying = send;
	user_store(at, h->id);
	user_store(at + 8, (fixed ? SECCOMP_ADDFD_FLAG_SETFD : 0) | (send ? SECCOMP_ADDFD_FLAG_SEND : 0) | (uint64_t)(uint32_t)shared_file << 32);
	user_store(at + 16, fixed ? AT_FIXED : 0);
	result = user_call(__NR_ioctl, (uint64_t)listener, add_cmd, at);
	if (result >= 0)
		MODEL_CHECK(!fixed || result == AT_FIXED);
	if (send)
		check_accepted(h, c, result, was);
	else
		MODEL_CHECK(result >= 0 || is_gone(c) || result == -EMFILE);
}

static void look(const struct held *h)
{
	const struct call *c = &calls[h->call];
	uaddr_t at = user_scratch();
	int64_t result;

	user_store(at, h->id);
	result = user_call(__NR_ioctl, (uint64_t)listener, valid_cmd, at);
	MODEL_CHECK(result == 0 || result == -ENOENT || starved(result));
	if (result == -ENOENT && !is_gone(c))
		model_failed(__FILE__, __LINE__, "call %u is not there any more", h->call);
}

static void use_held(struct model_op *op, unsigned what)
{
	struct held *h = &held[model_below(op, HELD_MAX)];

	if (!h->used || h->busy)
		return;
	h->busy = true;
	if (what < 4) {
		answer(op, h);
		h->used = false;
	} else if (what < 6) {
		give(op, h, true);
		h->used = false;
	} else if (what < 8) {
		give(op, h, false);
	} else {
		look(h);
	}
	h->busy = false;
}

static void act(struct model_op *op, uint64_t worker)
{
	unsigned what = (unsigned)model_below(op, 24);

	if (what < 3)
		make_caller(op);
	else if (what < 10)
		take(worker);
	else if (what < 19)
		use_held(op, what - 10);
	else if (what == 19)
		signal_caller(op, SIGUSR1);
	else if (what == 20)
		signal_caller(op, SIGKILL);
	else if (what == 21)
		reap(&callers[model_below(op, CALLERS)], false);
	else
		rest_ns(model_below(op, REST_NS));
}

static void work(uint64_t worker)
{
	struct model_op op = MODEL_OPS(worker);

	user_place((unsigned)worker);
	while (model_next(&op)) {
		act(&op, worker);
		model_state(call_count ^ worker << 28);
	}
	working--;
	if (worker)
		user_exit_thread(0);
}

/* ---- beginning and end ---- */

static void install(void)
{
	const struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ASKED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	uint64_t program[2] = { ARRAY_SIZE(code), PROGRAM + 64 };

	user_write(PROGRAM, program, sizeof(program));
	user_write(PROGRAM + 64, code, sizeof(code));
	listener = (int)user_call(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, PROGRAM);
	shared_file = (int)user_call(__NR_eventfd2, 0, 0);
	self_pid = (int)user_call(__NR_getpid);
	MODEL_CHECK(listener >= 0 && shared_file >= 0);
	MODEL_EQUAL(user_action(SIGUSR1, note_signal, 0, 0), 0);
}

/* The rest is told to go on, until nobody asks any more. */
static void finish(void)
{
	over = true;
	for (unsigned i = 0; i < HELD_MAX; i++)
		held[i] = (struct held){ 0 };
	user_call(__NR_close, (uint64_t)listener); /* what waits comes back */
	for (unsigned i = 0; i < call_count; i++)
		calls[i].disturbed = calls[i].saying = true;
	for (unsigned i = 0; i < CALLERS; i++) {
		callers[i].killed |= callers[i].living;
		if (callers[i].living && callers[i].pid > 0)
			user_call(__NR_kill, (uint64_t)callers[i].pid, SIGKILL);
		reap(&callers[i], true);
	}
}

static void wait_for_threads(void)
{
	uint64_t ns = REST_NS;

	for (unsigned turns = 0; working; turns++) {
		rest_ns(ns);
		ns *= 2;
		if (turns == ROUNDS_MAX && programs_may_die())
			return;
		if (turns == ROUNDS_MAX)
			model_failed(__FILE__, __LINE__, "%u threads never come back", working);
	}
}

/* L5: whoever calls is heard, and comes back when it is answered. */
static void answer_the_rest(void)
{
	uaddr_t at = user_scratch();

	for (unsigned rounds = 0; rounds < CALLERS; rounds++) {
		struct call *c;
		uint64_t number;

		if (!somebody_waits() || programs_may_die())
			return;
		for (unsigned i = 0; i < sizeof(struct seccomp_notif); i += 8)
			user_store(at + i, 0);
		MODEL_EQUAL(user_call(__NR_ioctl, (uint64_t)listener, receive_cmd, at), 0);
		number = user_load(at + offsetof(struct seccomp_notif, data.args));
		MODEL_CHECK(number < call_count);
		c = &calls[number];
		c->said = VALUE;
		user_store(at + 8, 100000 + number);
		user_store(at + 16, 0);
		MODEL_CHECK(user_call(__NR_ioctl, (uint64_t)listener, send_cmd, at) == 0 || is_gone(c) || c->disturbed);
	}
}

static bool all_have_returned(void)
{
	for (unsigned i = 0; i < call_count; i++)
		if (calls[i].said != NOTHING && !calls[i].over && !calls[i].disturbed)
			return false;
	return true;
}

/* L2: what was answered comes back. */
static void wait_for_calls(void)
{
	uint64_t ns = REST_NS;

	for (unsigned turns = 0; !all_have_returned() && !programs_may_die(); turns++) {
		rest_ns(ns);
		ns *= 2;
		if (turns == ROUNDS_MAX)
			model_failed(__FILE__, __LINE__, "a call that was answered never comes back");
	}
}

static void program(uint64_t arg)
{
	bool armed = sim_faults_armed();

	(void)arg;
	sim_faults_arm(false);
	user_prepare_stack();
	install();
	working = WORKERS;
	for (uint64_t i = 1; i < WORKERS; i++)
		MODEL_CHECK(user_clone(USER_THREAD, 0, work, i) > 0);
	sim_faults_arm(armed);
	work(0);
	wait_for_threads();
	model_recover();
	answer_the_rest();
	wait_for_calls();
	finish();
	user_finished();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(listeners, .what = "filters that ask another program, which answers, gives descriptors, and sends signals", .prepare = programs_prepare,
	     .run = run, .cpus = 4, .operations = 60);
