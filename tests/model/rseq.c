/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences. Four threads with an area each enter and leave sequences, move from CPU to CPU, signal each other, interrupt each
 * other by membarrier(2), and fork. A sequence is a few accesses to memory: the description says that the address at which scripts access
 * memory is in one.
 *
 * R1  Whenever a thread runs, its area has the number of the CPU on which it runs, twice.
 * R2  A thread that was switched away from, or ran a handler, in a sequence, has left it; and nobody leaves for another reason.
 * R3  In a handler, and after leaving, the pointer to the description is null.
 * R4  Who is in a sequence when another thread calls membarrier leaves before that call has returned, or with its next access.
 * R5  A forked child has its parent's area; a new thread has none, and one that takes its area back can register it again.
 */
#include "program.h"

#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/thread.h>
#include <linux/membarrier.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/wait.h>

#define WORKERS	     4
#define SIGNATURE    0 /* what stands in the text */
#define AREA_SIZE    32
#define AREA(w)	     (USER_GLOBALS + 0x2000 + (w) * 64)
#define SECTION	     (USER_GLOBALS + 0x3000) /* the one description */
#define WORD	     (USER_GLOBALS + 0x4000)
#define ABORT	     (USER_TEXT + 0x280)
#define ACCESSES_MAX 6 /* of a short sequence */
#define LONGER	     10 /* times: a long one */
#define REST_NS	     20000
#define TURNS_MAX    20

struct member {
	int tid;
	bool registered;
	unsigned section, barred; /* the sequence that it is in, or 0; the last that a barrier was made for */
	unsigned handlers;
};

static struct member members[WORKERS];
static unsigned section_count, working, bars_under_way;
static uint64_t bars; /* begun */
static unsigned worker_of[1024];

static unsigned own(void)
{
	return worker_of[user_number()];
}

static void rest_ns(uint64_t ns)
{
	uaddr_t at = user_scratch();

	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
	user_call(__NR_nanosleep, at, 0);
}

static bool starved(int64_t result)
{
	return programs_may_die() && (result == -ENOMEM || result == -EFAULT || result == -EAGAIN);
}

static int64_t rseq(unsigned w, unsigned flags)
{
	return user_call(__NR_rseq, AREA(w), AREA_SIZE, flags, SIGNATURE);
}

static void check_cpu(unsigned w)
{
	uint64_t ids = user_load(AREA(w)), here = hal_cpu_id();

	if (members[w].registered)
		MODEL_EQUAL(ids, here | here << 32);
}

static void handle(int signo, uaddr_t info, uaddr_t context)
{
	unsigned w = own();

	(void)signo;
	(void)info;
	(void)context;
	members[w].handlers++;
	if (members[w].registered)
		MODEL_EQUAL(user_load(AREA(w) + offsetof(struct rseq, rseq_cs)), 0);
	check_cpu(w);
}

static uint64_t switches(void)
{
	const struct thread *t = thread_current();

	return t->switches + t->preemptions;
}

/* A few accesses; what makes it leave is looked for after each. */
static void run_section(unsigned w, struct model_op *op)
{
	struct member *m = &members[w];
	unsigned from, handlers, left = 1 + (unsigned)model_below(op, ACCESSES_MAX * (model_chance(op, 40) ? LONGER : 1));
	bool diverted = false, must, barring = bars_under_way > 0;
	uint64_t before, bars_before = bars;

	if (!m->registered)
		return;
	user_store(AREA(w) + offsetof(struct rseq, rseq_cs), SECTION);
	from = user_diversions();
	before = switches();
	handlers = m->handlers;
	m->section = ++section_count;
	while (left-- && !diverted) {
		(void)user_load(WORD);
		diverted = user_diversions() != from;
		must = switches() != before || m->handlers != handlers || m->barred == m->section;
		if (diverted ? !must && !barring && bars == bars_before : must)
			model_failed(__FILE__, __LINE__, "thread %d %s its sequence%s%s%s", m->tid, diverted ? "leaves" : "stays in",
				     switches() != before ? ", switched away from" : "", m->handlers != handlers ? ", signalled" : "",
				     m->barred == m->section ? ", told by membarrier" : "");
	}
	m->section = 0;
	if (diverted)
		MODEL_EQUAL(user_load(AREA(w) + offsetof(struct rseq, rseq_cs)), 0);
	else
		user_store(AREA(w) + offsetof(struct rseq, rseq_cs), 0);
}

/* Who was in a sequence from the call's start to its end must leave that one. */
static void bar(unsigned w)
{
	unsigned sections[WORKERS];

	for (unsigned i = 0; i < WORKERS; i++)
		sections[i] = members[i].section;
	bars++;
	bars_under_way++;
	MODEL_EQUAL(user_call(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0), 0);
	bars_under_way--;
	for (unsigned i = 0; i < WORKERS; i++)
		if (i != w && sections[i] && members[i].section == sections[i])
			members[i].barred = sections[i];
}

static void register_again(unsigned w)
{
	struct member *m = &members[w];
	int64_t result;

	if (!m->registered) {
		MODEL_EQUAL(rseq(w, 0), 0);
		m->registered = true;
		return;
	}
	MODEL_EQUAL(rseq(w, 0), -EBUSY);
	m->registered = false;
	result = rseq(w, RSEQ_FLAG_UNREGISTER);
	if (starved(result)) {
		m->registered = true;
		return;
	}
	MODEL_EQUAL(result, 0);
	MODEL_EQUAL(user_load(AREA(w)) >> 32, (uint32_t)RSEQ_CPU_ID_UNINITIALIZED);
	MODEL_EQUAL(rseq(w, RSEQ_FLAG_UNREGISTER), -EINVAL);
}

static void move(struct model_op *op)
{
	user_store(user_scratch(), model_draw(op) | 1);
	MODEL_EQUAL(user_call(__NR_sched_setaffinity, 0, sizeof(uint64_t), user_scratch()), 0);
}

/* The child's areas are copies; its own is where its maker's is. */
static void child_main(uint64_t w)
{
	uint64_t ids = user_load(AREA(w)), here = hal_cpu_id();
	int64_t result;

	if (members[w].registered)
		MODEL_EQUAL(ids, here | here << 32);
	result = rseq((unsigned)w, RSEQ_FLAG_UNREGISTER);
	MODEL_CHECK(result == (members[w].registered ? 0 : -EINVAL) || starved(result));
	user_exit(0);
}

static void make_child(unsigned w)
{
	int64_t pid = user_fork(child_main, w), got;

	if (pid < 0) {
		MODEL_CHECK(starved(pid));
		return;
	}
	got = user_call(__NR_wait4, (uint64_t)pid, 0, 0, 0);
	MODEL_CHECK(got == pid || starved(got));
}

static void act(unsigned w, struct model_op *op)
{
	const struct member *other = &members[model_below(op, WORKERS)];
	unsigned what = (unsigned)model_below(op, 16);

	switch (what) {
	case 0:
		register_again(w);
		break;
	case 1:
		move(op);
		break;
	case 2:
	case 3:
		if (other->tid)
			(void)user_call(__NR_tkill, (uint64_t)other->tid, SIGUSR1);
		break;
	case 4:
	case 5:
		bar(w);
		break;
	case 6:
		make_child(w);
		break;
	case 7:
		rest_ns(model_below(op, REST_NS));
		break;
	case 8:
		user_call(__NR_sched_yield);
		break;
	default:
		run_section(w, op);
	}
	check_cpu(w);
}

static void work(uint64_t worker)
{
	unsigned w = (unsigned)worker;
	struct model_op op = MODEL_OPS(worker);

	worker_of[user_number()] = w;
	if (w) {
		MODEL_EQUAL(rseq(w, RSEQ_FLAG_UNREGISTER), -EINVAL);
		register_again(w);
	}
	members[w].tid = (int)user_call(__NR_gettid);
	while (model_next(&op)) {
		act(w, &op);
		model_state(section_count ^ (uint64_t)members[w].handlers << 16 ^ worker << 28);
	}
	members[w].tid = 0;
	working--;
	if (worker)
		user_exit_thread(0);
}

static void set_up(void)
{
	const struct rseq_cs section = {.start_ip = USER_ACCESS_PC, .post_commit_offset = 4, .abort_ip = ABORT};

	user_write(SECTION, &section, sizeof(section));
	user_store(WORD, 0);
	for (unsigned i = 0; i < WORKERS; i++)
		user_store(AREA(i), 0);
	MODEL_EQUAL(user_action(SIGUSR1, handle, SA_RESTART, 0), 0);
	MODEL_EQUAL(user_call(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0), 0);
}

static void program(uint64_t arg)
{
	bool armed = sim_faults_armed();
	uint64_t ns = REST_NS;

	(void)arg;
	sim_faults_arm(false);
	user_prepare_stack();
	set_up();
	register_again(0); /* first: the others do not inherit it */
	working = WORKERS;
	for (uint64_t i = 1; i < WORKERS; i++)
		MODEL_CHECK(user_clone(USER_THREAD, 0, work, i) > 0);
	sim_faults_arm(armed);
	work(0);
	for (unsigned turns = 0; working; turns++, ns *= 2) {
		rest_ns(ns);
		if (turns == TURNS_MAX)
			model_failed(__FILE__, __LINE__, "%u threads never come back", working);
	}
	model_recover();
	user_finished();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(rseq, .what = "restartable sequences, migration, signals, membarrier", .prepare = programs_prepare, .run = run, .cpus = 4,
	     .operations = 60);
