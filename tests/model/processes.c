/* SPDX-License-Identifier: MIT */
/*
 * The tree of processes. The model's program, a subreaper, starts small trees of processes that fork, clone threads, wait, kill each
 * other, and end in every way there is. The reference is a table of processes.
 *
 * P1  Numbers are unique among what has not been reaped. P2  A child is reported to its parent, or, when that has ended, to the
 * subreaper; once; with a status that it may have ended with. P3  ECHILD means that there is no child. P4  What wait4 says a child
 * used is what the parent's sum grows by. P5  In the end all are reaped, and nothing is left over.
 *
 * A status is right if the process asked for it (an exit call was begun with it, or a signal sent) before it was
 * reported. Where a process may be killed between a call and the note of its result, the child itself notes its number.
 */
#include "program.h"

#include <asm/signal.h>
#include <cloudos/errno.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <sim/trace.h>

#define PROCESSES_MAX 512
#define DEPTH_MAX     3
#define CODES	      32
#define DELAY_NS      30000
#define VFORK_RESTS   5000

struct node {
	int pid; /* 0: not known yet */
	unsigned parent, depth;
	uint32_t codes;	  /* with which it may have exited */
	uint64_t signals; /* of which it may have died */
	bool made, started, ending, reaped;
	bool vfork; /* its maker sleeps until it ends */
	bool threads; /* it has more than one, ever */
	unsigned unreaped; /* children that it has made and not reaped, while single-threaded */
	unsigned waits;	   /* calls of wait4 that it is in */
	struct sim_generator draws;
};

static struct node nodes[PROCESSES_MAX];
static unsigned node_count, lost;

struct thread_start {
	unsigned node;
	struct sim_generator draws;
};

static struct thread_start threads[PROCESSES_MAX];
static unsigned thread_count;

static uint64_t below(struct sim_generator *g, uint64_t n)
{
	return sim_generate_below(g, n);
}

static void call_may_fail(int64_t result)
{
	if (result < 0 && !(programs_may_die() && (result == -ENOMEM || result == -EAGAIN || result == -EFAULT)))
		model_failed(__FILE__, __LINE__, "a call failed with %ld", (long)result);
}

/* ---- making processes ---- */

static void node_main(uint64_t arg);

static void check_unique(int pid, unsigned except)
{
	for (unsigned i = 0; i < node_count; i++)
		if (i != except && nodes[i].pid == pid && !nodes[i].reaped)
			model_failed(__FILE__, __LINE__, "process id %d is given twice", pid);
}

static void learn_pid(unsigned child, int pid)
{
	if (nodes[child].pid)
		MODEL_EQUAL(nodes[child].pid, pid);
	nodes[child].pid = pid;
	check_unique(pid, child);
}

static unsigned make_node(unsigned parent, struct sim_generator *g)
{
	unsigned child = node_count++;

	MODEL_CHECK(child < PROCESSES_MAX);
	nodes[child] = (struct node){
	    .parent = parent,
	    .depth = nodes[parent].depth + 1,
	    .draws = sim_generator(sim_generate(g), 0),
	};
	return child;
}

/* Forks, as a sibling or with vfork's wait now and then. The child, or 0. */
static unsigned make_child(unsigned me, struct sim_generator *g)
{
	uint64_t flags = SIGCHLD, what = below(g, 10);
	unsigned child = make_node(what == 0 && me ? nodes[me].parent : me, g);
	int64_t pid;

	if (what == 0 && me)
		flags |= CLONE_PARENT;
	if (what == 1)
		flags |= CLONE_VFORK;
	nodes[child].vfork = what == 1;
	nodes[child].made = true;
	nodes[nodes[child].parent].unreaped++;
	pid = user_clone(flags, 0, node_main, child);
	if (pid < 0) {
		call_may_fail(pid);
		nodes[child].made = false;
		nodes[nodes[child].parent].unreaped--;
		return 0;
	}
	learn_pid(child, (int)pid);
	if (what == 1)
		MODEL_CHECK(nodes[child].ending || nodes[child].signals || programs_may_die());
	return child;
}

/* ---- waiting ---- */

static bool status_is_right(const struct node *n, uint32_t status)
{
	unsigned signal = status & 0x7f, code = status >> 8 & 0xff;

	if (signal == 0)
		return code < CODES && n->codes >> code & 1;
	if (programs_may_die() && (signal == SIGKILL || signal == SIGSEGV))
		return true;
	return n->signals >> signal & 1;
}

/* The node of a number that somebody was given; it may belong to a process whose maker died before it could note it. */
static struct node *find(int pid)
{
	for (unsigned i = 1; i < node_count; i++)
		if (nodes[i].made && nodes[i].pid == pid)
			return &nodes[i];
	for (unsigned i = 1; i < node_count; i++)
		if (nodes[i].made && !nodes[i].pid && !nodes[i].reaped) {
			nodes[i].pid = pid;
			return &nodes[i];
		}
	model_failed(__FILE__, __LINE__, "process %d, which nobody made, is reported", pid);
}

static bool has_ended(const struct node *n)
{
	return n->ending || n->signals || n->reaped || programs_may_die();
}

static void check_report(unsigned me, const struct node *n, uint32_t status)
{
	if (n->reaped)
		model_failed(__FILE__, __LINE__, "process %d is reported twice", n->pid);
	if (n->parent != me && !(me == 0 && has_ended(&nodes[n->parent])))
		model_failed(__FILE__, __LINE__, "process %d is reported to %d", n->pid, nodes[me].pid);
	if (!status_is_right(n, status))
		model_failed(__FILE__, __LINE__, "process %d ended with status %#x", n->pid, status);
}

static uint64_t children_faults(void)
{
	uaddr_t at = user_scratch() + 256;
	int64_t result = user_call(__NR_getrusage, (uint64_t)RUSAGE_CHILDREN, at);

	call_may_fail(result);
	return result < 0 ? UINT64_MAX : user_load(at + offsetof(struct rusage, ru_minflt));
}

/* One call of wait4, of a thread of node `me`. Its result. */
static int64_t wait_for(unsigned me, int which, int options, bool count)
{
	uaddr_t at = user_scratch();
	uint64_t before = count ? children_faults() : 0, faults;
	int64_t pid;
	struct node *n;

	user_store(at, 0xdead); /* the page is there, and the program's own */
	nodes[me].waits++;
	pid = user_call(__NR_wait4, (uint64_t)which, at, (uint64_t)options, count ? at + 64 : 0);
	nodes[me].waits--;
	if (pid == -EFAULT && programs_may_die())
		lost++;
	else if (pid < 0)
		MODEL_EQUAL(pid, -ECHILD);
	if (pid <= 0)
		return pid;
	n = find((int)pid);
	check_report(me, n, (uint32_t)user_load(at));
	n->reaped = true;
	nodes[n->parent].unreaped--;
	if (count && before != UINT64_MAX && !nodes[me].threads) {
		faults = user_load(at + 64 + offsetof(struct rusage, ru_minflt));
		before += faults;
		faults = children_faults();
		if (faults != UINT64_MAX)
			MODEL_EQUAL(faults, before);
	}
	return pid;
}

static void wait_any(unsigned me, struct sim_generator *g)
{
	bool hang = below(g, 2) != 0, count = below(g, 4) == 0, single;
	int64_t pid;

	if (me == 0)
		hang = false; /* orphans may come to it at any time */
	pid = wait_for(me, -1, hang ? 0 : WNOHANG, count);
	single = me != 0 && !nodes[me].threads && !lost;
	if (single && pid == -ECHILD)
		MODEL_EQUAL(nodes[me].unreaped, 0);
	if (single && pid == 0)
		MODEL_CHECK(!hang && nodes[me].unreaped > 0);
}

/* Looks first (WNOWAIT), then takes: the same child. Single-threaded processes only. */
static void look_and_take(unsigned me)
{
	uaddr_t info = user_scratch();
	int64_t result;
	uint64_t pid;

	user_store(info + 16, 0);
	result = user_call(__NR_waitid, P_ALL, 0, info, WEXITED | WNOWAIT | WNOHANG, 0);
	if (result < 0) {
		MODEL_CHECK(result == -ECHILD || (result == -EFAULT && programs_may_die()));
		return;
	}
	pid = user_load32(info + 16); /* si_pid */
	if (pid == 0 || nodes[me].threads)
		return;
	MODEL_CHECK(find((int)pid)->pid == (int)pid);
	result = wait_for(me, (int)pid, WNOHANG, false);
	MODEL_CHECK(result == (int64_t)pid || (result == -EFAULT && programs_may_die()));
}

/* ---- ending ---- */

static _Noreturn void end(unsigned me, struct sim_generator *g, bool leader)
{
	unsigned code = (unsigned)below(g, CODES);
	int64_t result;

	switch (below(g, 4)) {
	case 0:
		if (leader)
			nodes[me].codes |= UINT32_C(1) << code;
		if (leader && !nodes[me].threads)
			nodes[me].ending = true;
		/* Of a thread that is not the first, the code counts for nothing. */
		if (leader || nodes[me].threads) {
			nodes[me].ending = true;
			user_exit_thread((int)code);
		}
		break;
	case 1:
		nodes[me].signals |= UINT64_C(1) << SIGKILL;
		result = user_call(__NR_kill, (uint64_t)nodes[me].pid, SIGKILL);
		model_failed(__FILE__, __LINE__, "a process survives its SIGKILL (%ld)", (long)result);
	case 2:
		nodes[me].signals |= UINT64_C(1) << SIGTERM;
		result = user_call(__NR_kill, (uint64_t)nodes[me].pid, SIGTERM);
		if (!nodes[me].threads)
			model_failed(__FILE__, __LINE__, "a process survives its SIGTERM (%ld)", (long)result);
		break;
	}
	nodes[me].codes |= UINT32_C(1) << code;
	nodes[me].ending = true;
	user_exit((int)code);
}

/* ---- what processes and threads do ---- */

static void kill_one(struct sim_generator *g)
{
	unsigned victim = (unsigned)below(g, node_count);
	struct node *n = &nodes[victim];
	uint64_t before = n->signals;
	int64_t result;

	if (!victim || !n->pid || n->reaped)
		return;
	n->signals |= UINT64_C(1) << SIGKILL;
	result = user_call(__NR_kill, (uint64_t)n->pid, SIGKILL);
	if (result == -ESRCH) {
		/* It may be reaped, and the one who did so on the way to its note. */
		if (!n->ending && !before && !n->reaped)
			MODEL_CHECK(programs_may_die());
	} else {
		MODEL_EQUAL(result, 0);
	}
}

static void make_thread(unsigned me, struct sim_generator *g);

static void rest(struct sim_generator *g)
{
	uaddr_t at = user_scratch();

	user_store(at, 0);
	user_store(at + 8, below(g, DELAY_NS));
	user_call(__NR_nanosleep, at, 0);
}

static void act(unsigned me, struct sim_generator *g)
{
	unsigned child;

	switch (below(g, 12)) {
	case 0:
	case 1:
	case 2:
		if (nodes[me].depth < DEPTH_MAX)
			make_child(me, g);
		break;
	case 3:
		if (nodes[me].depth < DEPTH_MAX && (child = make_child(me, g)) != 0 && nodes[child].parent == me &&
		    !nodes[me].threads && !nodes[child].reaped)
			MODEL_CHECK(wait_for(me, nodes[child].pid, 0, below(g, 2)) == nodes[child].pid || programs_may_die());
		break;
	case 4:
	case 5:
		if (me)
			make_thread(me, g);
		break;
	case 6:
	case 7:
		wait_any(me, g);
		break;
	case 8:
		if (!nodes[me].threads)
			look_and_take(me);
		break;
	case 9:
		rest(g);
		break;
	case 10:
		kill_one(g);
		break;
	case 11:
		MODEL_EQUAL(user_call(__NR_getpid), nodes[me].pid);
		break;
	}
}

static void thread_main(uint64_t arg)
{
	struct thread_start t = threads[arg];
	struct sim_generator *g = &t.draws;
	int64_t tid = user_call(__NR_gettid);

	MODEL_EQUAL(user_call(__NR_getpid), nodes[t.node].pid);
	MODEL_CHECK(tid != nodes[t.node].pid);
	check_unique((int)tid, UINT32_MAX);
	for (uint64_t i = below(g, 3); i > 0; i--)
		act(t.node, g);
	if (below(g, 3))
		user_exit_thread((int)below(g, CODES));
	end(t.node, g, false);
}

static void make_thread(unsigned me, struct sim_generator *g)
{
	if (thread_count == PROCESSES_MAX)
		return;
	threads[thread_count] = (struct thread_start){.node = me, .draws = sim_generator(sim_generate(g), 1)};
	nodes[me].threads = true;
	nodes[me].codes |= 1; /* the function that returns */
	call_may_fail(user_clone(USER_THREAD, 0, thread_main, thread_count++));
}

/* Who waits for a vfork child dies of SIGKILL at once, not when the child ends. */
static void kill_maker(unsigned maker, struct sim_generator *g)
{
	int64_t pid = nodes[maker].pid;

	nodes[maker].signals |= UINT64_C(1) << SIGKILL;
	user_call(__NR_kill, (uint64_t)pid, SIGKILL);
	for (unsigned i = 0; i < VFORK_RESTS && user_call(__NR_getppid) == pid; i++)
		rest(g);
	MODEL_CHECK(user_call(__NR_getppid) != pid);
}

static void node_main(uint64_t arg)
{
	struct node *n = &nodes[arg];
	struct sim_generator *g = &n->draws;
	int64_t parent;

	learn_pid((unsigned)arg, (int)user_call(__NR_getpid));
	n->started = true;
	user_place((unsigned)arg);
	parent = user_call(__NR_getppid);
	MODEL_CHECK(parent == nodes[n->parent].pid || parent == nodes[0].pid || has_ended(&nodes[n->parent]));
	if (below(g, 4) == 0)
		MODEL_EQUAL(user_call(__NR_setpgid, 0, 0), 0);
	if (n->vfork && n->parent && parent == nodes[n->parent].pid && below(g, 3) == 0)
		kill_maker(n->parent, g);
	for (uint64_t i = below(g, 4); i > 0; i--)
		act((unsigned)arg, g);
	end((unsigned)arg, g, true);
}

static void check_all_reaped(void)
{
	unsigned left = 0, unnoted = lost; /* a process that ends in wait4 cannot note what it was given */

	for (unsigned i = 1; i < node_count; i++) {
		if (nodes[i].made && nodes[i].pid && !nodes[i].reaped) { /* without a number: its maker died first */
			left++;
			sim_note("left: process %d of %d", nodes[i].pid, nodes[nodes[i].parent].pid);
		}
		unnoted += nodes[i].waits;
	}
	MODEL_CHECK(left <= unnoted);
}

static void program(uint64_t arg)
{
	struct model_op op = MODEL_OPS(0);

	(void)arg;
	nodes[0].pid = (int)user_call(__NR_getpid);
	node_count = 1;
	MODEL_EQUAL(user_call(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1), 0);
	while (model_next(&op)) {
		struct sim_generator g = sim_generator(model_draw(&op), 2);

		if (below(&g, 3))
			make_child(0, &g);
		else
			act(0, &g);
		model_state(node_count ^ lost << 10 ^ thread_count << 14 ^ nodes[0].unreaped << 20);
	}
	model_recover();
	while (wait_for(0, -1, 0, false) > 0)
		;
	check_all_reaped();
	user_finished();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(processes, .what = "fork, clone, exit, wait, orphans", .prepare = programs_prepare, .run = run, .cpus = 4,
	     .operations = 10);
