/* SPDX-License-Identifier: MIT */
/*
 * Tracing. The model's program has children that count their steps, send themselves signals, look at a word of memory, fork, and end; two of
 * its threads trace them, each its own, and a rival, a child as well, tries to do so, too, and goes without a word. Tracers attach in both ways,
 * interrupt, listen, let go on in all ways with and without the signal, write the word, stop, continue and kill.
 *
 * T1  A tracee that is stopped does nothing until its tracer resumes it, or it is killed.
 * T2  wait reports a stop once; a request to a tracee that was reported as stopped succeeds, unless it is killed.
 * T3  One tracer at a time; who is none gets ESRCH.
 * T4  A signal that a tracee sends itself has been handled when the call is over, or its tracer has taken it away.
 * T5  The stops of calls are entry, exit, entry, ...
 * T6  What a tracer writes it reads, and the tracee alone.
 * T7  The parent finds each child once, with its status; a tracer that is not the parent before it. In the end nothing is left over.
 */
#include "program.h"

#include <asm/signal.h>
#include <cloudos/errno.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <sim/trace.h>

#define TRACERS	   2 /* threads of the program */
#define CHILDREN   4
#define STEPS	   60
#define REST_NS	   20000
#define TURNS_MAX  20
#define OWN_SIGNAL 40
#define CODES	   32
#define NO_SIGNAL  0
#define WORD(n)	   (USER_GLOBALS + 0x8000 + (uint64_t)(n) * 64)

enum owner { NOBODY, PROGRAM, RIVAL };
enum expect { ANY_STOP, AN_ENTRY, AN_EXIT };

struct child {
	int pid;
	enum owner owner;
	bool releasing; /* its owner is about to let it go */
	unsigned trying, tie; /* how many try to attach; the number of the tie that there is, or was */
	unsigned ties;	/* that were tried or ended so far */
	bool stopped, seized, killed, ending, reaped;
	bool rival_looks; /* it may have been told, and not noted it yet */
	bool told; /* the tracer that is not the parent has been told of its end */
	int stop;  /* as wait4 has it, without its first byte */
	enum expect expect;
	uint64_t steps, steps_at_stop, word;
	unsigned sent, handled, taken, unsure; /* OWN_SIGNAL; unsure: a tracer went while it may have stopped for one */
	unsigned code;
	struct sim_generator draws;
};

static struct child children[CHILDREN];
static unsigned wait_options; /* of wait4 */
static unsigned working, child_of[1024];
static bool rival_goes;
static int rival_pid;

static bool starved(int64_t result)
{
	return programs_may_die() && (result == -ENOMEM || result == -EFAULT || result == -EAGAIN);
}

/* Nothing is certain of one that is about to end. */
static bool may_end(const struct child *c)
{
	return c->killed || c->ending || programs_may_die();
}

static void rest_ns(uint64_t ns)
{
	uaddr_t at = user_scratch();

	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
	user_call(__NR_nanosleep, at, 0);
}

static int64_t trace(uint64_t request, const struct child *c, uint64_t addr, uint64_t data)
{
	return user_call(__NR_ptrace, request, (uint64_t)c->pid, addr, data);
}

/* ---- children ---- */

static void handle(int signo, uaddr_t info, uaddr_t context)
{
	(void)signo;
	(void)info;
	(void)context;
	children[child_of[user_number()]].handled++;
}

static void send_itself(struct child *c)
{
	int64_t result;

	c->sent++;
	result = user_call(__NR_tgkill, (uint64_t)c->pid, (uint64_t)c->pid, OWN_SIGNAL);
	if (result == -EAGAIN && programs_may_die()) {
		c->sent--;
		return;
	}
	MODEL_EQUAL(result, 0);
	if (c->handled + c->taken > c->sent || c->handled + c->taken + c->unsure < c->sent)
		model_failed(__FILE__, __LINE__, "child %u: %u signals, %u handled, %u taken away", (unsigned)(c - children), c->sent,
			     c->handled, c->taken);
}

static void grandchild(uint64_t code)
{
	user_exit((int)code);
}

static void fork_once(void)
{
	int64_t pid = user_fork(grandchild, 3);
	uaddr_t status = user_scratch();

	if (pid < 0) {
		MODEL_CHECK(starved(pid));
		return;
	}
	MODEL_EQUAL(user_call(__NR_wait4, (uint64_t)pid, status, 0, 0), pid);
	MODEL_CHECK(user_load32(status) == 3 << 8 || programs_may_die());
}

/* It may have been stopped, and the word written, behind the access. */
static void look_at_word(struct child *c, unsigned number)
{
	uint64_t least = c->word, word = user_load(WORD(number));

	MODEL_CHECK(word >= least && word <= c->word);
}

static void step(struct child *c, unsigned number)
{
	switch (sim_generate_below(&c->draws, 6)) {
	case 0:
		send_itself(c);
		break;
	case 1:
		look_at_word(c, number);
		break;
	case 2:
		rest_ns(sim_generate_below(&c->draws, REST_NS));
		break;
	case 3:
		if (sim_generate_below(&c->draws, 4) == 0)
			fork_once();
		break;
	default:
		MODEL_EQUAL(user_call(__NR_getpid), c->pid);
	}
	c->steps++;
}

static void child_main(uint64_t number)
{
	struct child *c = &children[number];

	child_of[user_number()] = (unsigned)number;
	user_prepare_stack();
	MODEL_EQUAL(user_action(OWN_SIGNAL, handle, SA_RESTART, 0), 0);
	c->pid = (int)user_call(__NR_getpid);
	for (unsigned i = 0; i < STEPS; i++)
		step(c, (unsigned)number);
	c->ending = true;
	user_exit((int)c->code);
}

/* ---- what wait4 says ---- */

static void check_end(struct child *c, uint32_t status, bool parent)
{
	bool killed = status == SIGKILL && c->killed, ended = status == c->code << 8 && c->ending;

	if (!killed && !ended && !programs_may_die())
		model_failed(__FILE__, __LINE__, "process %d ended with status %#x", c->pid, status);
	MODEL_CHECK(parent ? !c->reaped : !c->told);
	if (parent)
		MODEL_CHECK(c->owner != RIVAL || c->told || c->releasing || c->rival_looks);
	if (parent)
		c->reaped = true;
	else
		c->told = true;
	c->owner = NOBODY;
	c->stopped = false;
}

static void check_call_stop(struct child *c)
{
	uaddr_t at = user_scratch() + 64;
	int64_t result = trace(PTRACE_GETEVENTMSG, c, 0, at);
	uint64_t message;

	if (result == -ESRCH && may_end(c))
		return;
	MODEL_EQUAL(result, 0);
	message = user_load(at);
	MODEL_CHECK(message == PTRACE_EVENTMSG_SYSCALL_ENTRY || message == PTRACE_EVENTMSG_SYSCALL_EXIT);
	if (c->expect != ANY_STOP && (message == PTRACE_EVENTMSG_SYSCALL_ENTRY) != (c->expect == AN_ENTRY))
		model_failed(__FILE__, __LINE__, "process %d stops at the %s of a call", c->pid, c->expect == AN_ENTRY ? "exit" : "entry");
	c->expect = message == PTRACE_EVENTMSG_SYSCALL_ENTRY ? AN_EXIT : AN_ENTRY;
}

static void check_stop(struct child *c, uint32_t status, enum owner me)
{
	MODEL_EQUAL(status & 0xff, 0x7f);
	MODEL_EQUAL(c->owner, me);
	MODEL_CHECK(!c->stopped); /* once */
	c->stop = (int)(status >> 8);
	c->stopped = true;
	c->steps_at_stop = c->steps;
	if (c->stop == (SIGTRAP | 0x80))
		check_call_stop(c);
}

static void look_at(struct child *c, enum owner me)
{
	uaddr_t at = user_scratch();
	bool stopped = c->stopped && c->owner == me;
	int64_t result = user_call(__NR_wait4, (uint64_t)c->pid, at, wait_options, 0);
	uint32_t status;

	if (result == 0 || starved(result) || (result == -ECHILD && (me == RIVAL || c->reaped)))
		return;
	MODEL_EQUAL(result, c->pid);
	status = user_load32(at);
	if ((status & 0xff) != 0x7f)
		check_end(c, status, me == PROGRAM);
	else if (stopped)
		model_failed(__FILE__, __LINE__, "process %d is reported twice", c->pid);
	else
		check_stop(c, status, me);
}

static void look(struct child *c, enum owner me)
{
	c->rival_looks |= me == RIVAL;
	look_at(c, me);
	c->rival_looks &= me != RIVAL;
}

/* ---- requests ---- */

static void check_result(const struct child *c, int64_t result)
{
	if (result != 0 && !(result == -ESRCH && may_end(c)) && !starved(result))
		model_failed(__FILE__, __LINE__, "a request to process %d, which is stopped, gives %ld", c->pid, (long)result);
	if (c->steps != c->steps_at_stop && !may_end(c))
		model_failed(__FILE__, __LINE__, "process %d runs while it is stopped", c->pid);
}

static void attach(struct model_op *op, struct child *c, enum owner me)
{
	bool seize = model_chance(op, 60), possible = c->owner == NOBODY && !c->releasing && !c->trying;
	unsigned ties = ++c->ties;
	int64_t result;

	c->trying++;
	result = trace(seize ? PTRACE_SEIZE : PTRACE_ATTACH, c, 0, 0);

	c->trying--;
	if (result == 0) {
		MODEL_CHECK(c->owner == NOBODY || c->releasing || programs_may_die());
		c->owner = me;
		c->tie++;
		c->releasing = c->stopped = false;
		c->seized = seize;
		c->expect = ANY_STOP;
		return;
	}
	MODEL_CHECK(result == -EPERM || result == -ESRCH);
	if (possible && c->owner == NOBODY && c->ties == ties && !may_end(c))
		model_failed(__FILE__, __LINE__, "process %d, which nobody traces, cannot be: %ld", c->pid, (long)result);
}

/* What to resume it with; a signal of the tracee's own that is not passed is taken away. */
static int signal_to_pass(struct model_op *op, struct child *c)
{
	if (c->stop > 64 || c->stop == SIGTRAP) /* of a call, without PTRACE_O_TRACESYSGOOD */
		return NO_SIGNAL;
	if (c->stop == OWN_SIGNAL && model_chance(op, 40)) {
		c->taken++;
		return NO_SIGNAL;
	}
	if (c->stop == SIGSTOP && model_chance(op, 60))
		return NO_SIGNAL;
	return c->stop;
}

static void resume(struct model_op *op, struct child *c, uint64_t request)
{
	int signo = signal_to_pass(op, c);
	bool taken = c->stop == OWN_SIGNAL && signo == NO_SIGNAL;
	unsigned tie = c->tie;
	int64_t result;

	if (c->steps != c->steps_at_stop && !may_end(c))
		model_failed(__FILE__, __LINE__, "process %d runs while it is stopped", c->pid);
	c->stopped = false;
	if (request != PTRACE_SYSCALL)
		c->expect = ANY_STOP;
	if (request == PTRACE_DETACH) {
		c->releasing = true;
		c->ties++;
	}
	result = trace(request, c, 0, (uint64_t)signo);
	if (request == PTRACE_DETACH && c->tie == tie) {
		c->owner = NOBODY;
		c->releasing = false;
	}
	if (result == 0 || (result == -ESRCH && may_end(c))) {
		c->taken -= result != 0 && taken;
		return;
	}
	model_failed(__FILE__, __LINE__, "resuming process %d gives %ld", c->pid, (long)result);
}

static void write_word(struct child *c)
{
	unsigned number = (unsigned)(c - children);
	uint64_t value = c->word + 1;
	uaddr_t at = user_scratch();
	int64_t result = trace(PTRACE_POKEDATA, c, WORD(number), value);

	if (result == -EIO && programs_may_die())
		return;
	check_result(c, result);
	if (result != 0)
		return;
	c->word = value;
	result = trace(PTRACE_PEEKDATA, c, WORD(number), at);
	check_result(c, result);
	if (result == 0)
		MODEL_EQUAL(user_load(at), value);
	MODEL_EQUAL(user_load(WORD(number)), 0);
}

static void set_options(struct child *c)
{
	check_result(c, trace(PTRACE_SETOPTIONS, c, 0, PTRACE_O_TRACESYSGOOD));
}

static void listen(struct child *c)
{
	int64_t result = trace(PTRACE_LISTEN, c, 0, 0);

	if (result == 0) {
		MODEL_CHECK(c->seized && c->stop >> 8 == PTRACE_EVENT_STOP);
		c->stopped = false;
	} else if (!may_end(c)) {
		MODEL_CHECK(result == -EIO && !(c->seized && c->stop >> 8 == PTRACE_EVENT_STOP));
	}
}

static void ask_as_stranger(struct child *c, enum owner me)
{
	bool stranger = c->owner != me;
	int64_t result;

	if (!stranger)
		return;
	result = trace(PTRACE_SETOPTIONS, c, 0, 0);
	if (result != -ESRCH && c->owner != me)
		model_failed(__FILE__, __LINE__, "a request to process %d, which is another's, gives %ld", c->pid, (long)result);
}

static void use_stopped(struct model_op *op, struct child *c)
{
	switch (model_below(op, 8)) {
	case 0:
		resume(op, c, PTRACE_DETACH);
		break;
	case 1:
	case 2:
		resume(op, c, PTRACE_CONT);
		break;
	case 3:
	case 4:
		resume(op, c, PTRACE_SYSCALL);
		break;
	case 5:
		write_word(c);
		break;
	case 6:
		set_options(c);
		break;
	default:
		listen(c);
	}
}

static void send(struct child *c, int signo)
{
	int64_t result;

	c->killed |= signo == SIGKILL;
	result = user_call(__NR_kill, (uint64_t)c->pid, (uint64_t)signo);
	MODEL_CHECK(result == 0 || (result == -ESRCH && c->reaped));
}

static void act(struct model_op *op, struct child *c, enum owner me)
{
	unsigned what = (unsigned)model_below(op, 16);

	if (c->reaped || !c->pid)
		return;
	if (c->owner == me && c->stopped && what < 8) {
		use_stopped(op, c);
		return;
	}
	switch (what) {
	case 0:
	case 1:
	case 2:
		if (c->owner != me)
			attach(op, c, me);
		break;
	case 3:
		if (c->owner == me && c->seized)
			(void)trace(PTRACE_INTERRUPT, c, 0, 0);
		break;
	case 4:
		ask_as_stranger(c, me);
		break;
	case 5:
		if (me == PROGRAM)
			send(c, model_chance(op, 50) ? SIGSTOP : SIGCONT);
		break;
	case 6:
		if (me == PROGRAM && model_chance(op, 15))
			send(c, SIGKILL);
		break;
	case 7:
		rest_ns(model_below(op, REST_NS));
		break;
	default:
		look(c, me);
	}
}

/* ---- the tracers ---- */

/* The rival ends: its tracees are free, and run. One may have stopped for a signal that is lost with it, if it has been told. */
static void leave(void)
{
	for (unsigned i = 0; i < CHILDREN; i++)
		if (children[i].owner == RIVAL) {
			children[i].releasing = true;
			children[i].unsure++;
		}
	user_exit(0);
}

static void rival(uint64_t worker)
{
	struct model_op op = MODEL_OPS(worker);

	user_place((unsigned)worker);
	while (model_next(&op) && !rival_goes)
		act(&op, &children[model_below(&op, CHILDREN)], RIVAL);
	leave();
}

static void work(uint64_t worker)
{
	struct model_op op = MODEL_OPS(worker);

	user_place((unsigned)worker);
	while (model_next(&op)) {
		act(&op, &children[model_below(&op, CHILDREN / TRACERS) * TRACERS + worker], PROGRAM);
		model_state(children[0].stop ^ (uint64_t)children[1].stop << 16 ^ (uint64_t)children[2].owner << 32 ^ worker << 40);
	}
	/* Its tracees are its own to let go. */
	for (unsigned i = (unsigned)worker; i < CHILDREN; i += TRACERS)
		if (children[i].owner == PROGRAM) {
			children[i].releasing = true;
			children[i].unsure++;
		}
	working--;
	if (worker)
		user_exit_thread(0);
}

static void wait_for_threads(void)
{
	uint64_t ns = REST_NS;

	for (unsigned turns = 0; working; turns++) {
		rest_ns(ns);
		ns *= 2;
		if (turns == TURNS_MAX)
			model_failed(__FILE__, __LINE__, "%u threads never come back", working);
	}
}

/* What the main thread traces it lets go, one by one; then all run to their ends, and nobody has to be killed for it. */
static void finish(void)
{
	uaddr_t status = user_scratch();
	uint64_t ns = REST_NS;
	unsigned left = 0;

	rival_goes = true;
	wait_options |= __WNOTHREAD; /* the other thread may not have let go yet of what it traced */
	MODEL_EQUAL(user_call(__NR_wait4, (uint64_t)rival_pid, status, 0, 0), rival_pid);
	for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
		left = 0;
		for (unsigned i = 0; i < CHILDREN; i++) {
			struct child *c = &children[i];

			if (c->reaped)
				continue;
			left++;
			send(c, SIGCONT);
			c->owner = i % TRACERS == 0 ? c->owner : NOBODY; /* the other thread has ended */
			c->releasing = true;
			if (!c->stopped || c->owner != PROGRAM)
				look(c, PROGRAM);
			if (!c->reaped && c->stopped && c->owner == PROGRAM) {
				c->taken += c->stop == OWN_SIGNAL;
				(void)trace(PTRACE_DETACH, c, 0, 0);
				c->stopped = false;
				c->owner = NOBODY;
			}
		}
		if (!left)
			return;
		rest_ns(ns);
		ns *= 2;
	}
	model_failed(__FILE__, __LINE__, "%u children never end", left);
}

static void make_children(struct model_op *op)
{
	for (unsigned i = 0; i < CHILDREN; i++) {
		int64_t pid;

		children[i] = (struct child){.code = (unsigned)model_below(op, CODES), .draws = sim_generator(model_draw(op), 0)};
		pid = user_fork(child_main, i);
		MODEL_CHECK(pid > 0);
		children[i].pid = (int)pid;
	}
	rival_pid = (int)user_fork(rival, TRACERS);
	MODEL_CHECK(rival_pid > 0);
}

static void program(uint64_t arg)
{
	bool armed = sim_faults_armed();
	struct model_op op = MODEL_OPS(TRACERS + 1);

	(void)arg;
	sim_faults_arm(false);
	user_prepare_stack();
	user_store(WORD(CHILDREN), 1); /* the children's words lie in a page that all share until they are written */
	rival_goes = false;
	wait_options = __WALL | WNOHANG;
	if (model_next(&op))
		make_children(&op);
	working = TRACERS;
	for (uint64_t i = 1; i < TRACERS; i++)
		MODEL_CHECK(user_clone(USER_THREAD, 0, work, i) > 0);
	sim_faults_arm(armed);
	work(0);
	wait_for_threads();
	model_recover();
	if (rival_pid)
		finish();
	user_finished();
}

static void run(void)
{
	rival_pid = 0;
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(ptrace, .what = "tracers, rivals, and what they see of their tracees", .prepare = programs_prepare, .run = run, .cpus = 4,
	     .operations = 150);
