/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of processes. The model's program makes children, and descriptors of them in all ways there are, and then kills, polls, waits
 * and takes files through those, in three threads that share one table, while numbers are made to come again as often as can be. The
 * reference knows for each descriptor which child it is of.
 *
 * D1  A descriptor is ready only if its child had a reason to end, and is once it has ended; who polls it for that comes back.
 * D2  Of a child that was reaped it gives ESRCH, ECHILD and readiness, whoever has the number now; before, never ESRCH or ECHILD.
 * D3  A signal through it arrives at its child and at nobody else: who dies of SIGKILL was killed.
 * D4  What waitid reports through it is its child, once, with the status that it ended with.
 * D5  A file that is taken is the child's file of that number.
 * D6  process_mrelease takes the memory of a process that is about to end, and of no other.
 * D7  Numbers are unique among what was not reaped. In the end nothing is left over.
 *
 * A call that reaps may have done so before its caller can note it: while one is under way, a child may be gone without a note.
 */
#include "program.h"

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/panic.h>
#include <cloudos/string.h>
#include <linux/fcntl.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <sim/trace.h>

#define WORKERS	     3 /* threads; number 0 is the main one */
#define CHILDREN_MAX 128
#define HELD_MAX     12 /* descriptors at a time */
#define CODES	     32
#define REST_NS	     20000
#define FILE_NAME    (USER_GLOBALS + 0x1000)
#define LAST_PID     "/p/sys/kernel/ns_last_pid"
#define TURNS_MAX    20 /* of waiting for a thread, twice as long each time */
#define SHARED_FILES 3 /* eventfds that all have, at the numbers below */

struct child {
	int pid; /* 0: not known yet */
	bool made, ends, killed, reaped;
	bool seen_end; /* somebody has seen that it has ended */
	bool shares;   /* the program's memory */
	bool told;     /* SIGKILL has been sent, and the call is over */
	unsigned code;
	struct sim_generator draws;
};

/* A descriptor. While a thread uses one no other does. */
struct held {
	int fd, child;
	bool open, busy;
};

static struct child children[CHILDREN_MAX];
static struct held held[HELD_MAX];
static unsigned child_count, reaping, working;
static int shared[SHARED_FILES], last_pid_file;
static bool lost; /* a call that may have reaped failed for want of memory */

static bool starved(int64_t result)
{
	return programs_may_die() && (result == -ENOMEM || result == -EFAULT || result == -EAGAIN || result == -ENFILE);
}

/* It is, or somebody other than the caller may be about to note it. `own`: calls of the caller's that count in `reaping`. */
static bool may_be_gone(const struct child *c, unsigned own)
{
	return c->reaped || reaping > own || lost;
}

static bool may_end(const struct child *c)
{
	return c->ends || c->killed || programs_may_die();
}

static void rest_ns(uint64_t ns)
{
	uaddr_t at = user_scratch();

	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
	user_call(__NR_nanosleep, at, 0);
}

/* ---- children ---- */

static void child_main(uint64_t number)
{
	struct child *c = &children[number];
	int pid = (int)user_call(__NR_getpid);

	MODEL_CHECK(!c->pid || c->pid == pid);
	c->pid = pid;
	if (!c->ends)
		for (;;)
			user_call(__NR_pause);
	rest_ns(sim_generate_below(&c->draws, REST_NS));
	user_exit((int)c->code);
}

static void learn_pid(struct child *c, int pid)
{
	MODEL_CHECK(!c->pid || c->pid == pid);
	c->pid = pid;
	if (c->reaped) /* before the call that made it came back: the number may be another's now */
		return;
	for (unsigned i = 0; i < child_count; i++)
		if (&children[i] != c && children[i].pid == pid && !may_be_gone(&children[i], 0))
			model_failed(__FILE__, __LINE__, "process id %d is given twice", pid);
}

/* Makes a child, with its descriptor if flags say so: CLONE_PIDFD. Its number, or -1. */
static int make_child(struct model_op *op, uint64_t flags, int *ret_fd)
{
	unsigned number = child_count;
	struct child *c = &children[number];
	int64_t pid;

	if (child_count == CHILDREN_MAX)
		return -1;
	child_count++;
	*c = (struct child){.made = true, .ends = model_chance(op, 50), .code = (unsigned)model_below(op, CODES)};
	c->shares = flags & CLONE_VM;
	c->draws = sim_generator(model_draw(op), 0);
	user_store(user_scratch(), UINT64_MAX);
	pid = user_clone(flags | SIGCHLD, user_scratch(), child_main, number);
	if (pid < 0) {
		MODEL_CHECK(starved(pid));
		c->made = false;
		return -1;
	}
	learn_pid(c, (int)pid);
	*ret_fd = (int)user_load32(user_scratch());
	return (int)number;
}

static struct child *find(int pid)
{
	for (unsigned i = 0; i < child_count; i++)
		if (children[i].made && children[i].pid == pid && !children[i].reaped)
			return &children[i];
	for (unsigned i = 0; i < child_count; i++)
		if (children[i].made && !children[i].pid && !children[i].reaped) {
			children[i].pid = pid;
			return &children[i];
		}
	model_failed(__FILE__, __LINE__, "process %d, which nobody made or which was reaped, is reported", pid);
}

static void check_reported(struct child *c, int code, int status)
{
	if (c->reaped)
		model_failed(__FILE__, __LINE__, "process %d is reported twice", c->pid);
	c->reaped = true;
	if (code == CLD_EXITED ? c->ends && status == (int)c->code : c->killed && status == SIGKILL)
		return;
	if (!programs_may_die())
		model_failed(__FILE__, __LINE__, "process %d: code %d, status %d", c->pid, code, status);
}

static void reap_any(void)
{
	uaddr_t info = user_scratch();
	int64_t result;
	int pid;

	user_store(info + 8, 0);
	user_store(info + 16, 0);
	reaping++;
	result = user_call(__NR_waitid, P_ALL, 0, info, WEXITED | WNOHANG, 0);
	MODEL_CHECK(result == 0 || result == -ECHILD || starved(result));
	lost |= starved(result);
	pid = result == 0 ? (int)user_load32(info + 16) : 0;
	if (pid)
		check_reported(find(pid), (int)user_load32(info + 8), (int)user_load32(info + 24));
	reaping--;
}

/* ---- descriptors ---- */

static struct held *free_slot(void)
{
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (!held[i].open && !held[i].busy)
			return &held[i];
	return NULL;
}

static struct held *choose(struct model_op *op)
{
	struct held *h = &held[model_below(op, HELD_MAX)];

	return h->open && !h->busy ? h : NULL;
}

static void hold(struct held *h, int fd, int child)
{
	*h = (struct held){.fd = fd, .child = child, .open = true};
}

static void close_held(struct held *h)
{
	h->busy = true;
	MODEL_EQUAL(user_call(__NR_close, (uint64_t)h->fd), 0);
	*h = (struct held){.fd = -1};
}

static void make_with_fd(struct model_op *op)
{
	struct held *h = free_slot();
	int fd, child;

	if (!h)
		return;
	h->busy = true;
	child = make_child(op, model_chance(op, 30) ? CLONE_PIDFD | CLONE_VM : CLONE_PIDFD, &fd);
	h->busy = false;
	if (child >= 0)
		hold(h, fd, child);
}

/* By its number. If the child may have been reaped meanwhile, the number may be another's: nobody can tell. */
static void open_by_number(struct model_op *op)
{
	struct child *c = child_count ? &children[model_below(op, child_count)] : NULL;
	struct held *h = free_slot();
	bool before;
	int64_t fd;

	if (!h || !c || !c->pid || c->reaped)
		return;
	before = may_be_gone(c, 0);
	h->busy = true;
	fd = user_call(__NR_pidfd_open, (uint64_t)c->pid, model_below(op, 2) ? O_NONBLOCK : 0);
	h->busy = false;
	if (fd < 0) {
		MODEL_CHECK(starved(fd) || ((fd == -ESRCH || fd == -EINVAL) && (before || may_be_gone(c, 0))));
		return;
	}
	hold(h, (int)fd, (int)(c - children));
	if (before || may_be_gone(c, 0))
		close_held(h);
}

/* What a call through a descriptor may say of a child that is gone, and must. */
static void check_gone(const struct child *c, int64_t result, int64_t error, bool was_reaped, unsigned own)
{
	if (result == error ? may_be_gone(c, own) : !was_reaped)
		return;
	model_failed(__FILE__, __LINE__, "process %d %s, and a call through its descriptor gives %ld", c->pid,
		     was_reaped ? "was reaped" : "is there", (long)result);
}

static void send(const struct held *h, int signo)
{
	struct child *c = &children[h->child];
	bool was_reaped = c->reaped;
	int64_t result;

	if (signo)
		c->killed = true;
	result = user_call(__NR_pidfd_send_signal, (uint64_t)h->fd, (uint64_t)signo, 0, 0);
	MODEL_CHECK(result == 0 || result == -ESRCH);
	check_gone(c, result, -ESRCH, was_reaped, 0);
	c->told |= signo == SIGKILL;
}

/* timeout_ms -1: until it ends, which it must be about to. */
static void poll_held(const struct held *h, int timeout_ms)
{
	struct child *c = &children[h->child];
	bool ended = c->reaped || c->seen_end;
	uaddr_t at = user_scratch();
	int64_t result;

	user_store(at, (uint32_t)h->fd | (uint64_t)POLLIN << 32);
	result = user_call(__NR_poll, at, 1, (uint64_t)(int64_t)timeout_ms);
	if (starved(result))
		return;
	MODEL_CHECK(result == 0 || result == 1);
	if (result == 0 && (ended || timeout_ms < 0))
		model_failed(__FILE__, __LINE__, "process %d has ended, and its descriptor is not ready", c->pid);
	if (result == 0)
		return;
	MODEL_EQUAL(user_load(at) >> 48, POLLIN);
	if (!may_end(c) && !c->reaped)
		model_failed(__FILE__, __LINE__, "process %d lives, and its descriptor is ready", c->pid);
	c->seen_end = true;
}

/* What was reported of child c, if anything. */
static void check_wait(struct child *c, bool keep, bool ended, uaddr_t info)
{
	int pid = (int)user_load32(info + 16);

	if (pid == 0) {
		MODEL_CHECK(!ended);
		return;
	}
	MODEL_EQUAL(pid, c->pid);
	MODEL_CHECK(may_end(c));
	if (!keep)
		check_reported(c, (int)user_load32(info + 8), (int)user_load32(info + 24));
}

static void wait_held(const struct held *h, bool keep)
{
	struct child *c = &children[h->child];
	bool was_reaped = c->reaped, ended = c->seen_end;
	uaddr_t info = user_scratch();
	int64_t result;

	user_store(info + 8, 0);
	user_store(info + 16, 0);
	reaping += !keep;
	result = user_call(__NR_waitid, P_PIDFD, (uint64_t)h->fd, info, WEXITED | WNOHANG | (keep ? WNOWAIT : 0), 0);
	MODEL_CHECK(result == 0 || result == -ECHILD || starved(result));
	if (starved(result))
		lost |= !keep;
	else
		check_gone(c, result, -ECHILD, was_reaped, !keep);
	if (result == 0)
		check_wait(c, keep, ended, info);
	reaping -= !keep;
}

/* A file of the child's, which is this program's of the same number. */
static void take_file(struct model_op *op, const struct held *h)
{
	const struct child *c = &children[h->child];
	int number = shared[model_below(op, SHARED_FILES)];
	bool was_reaped = c->reaped, ended = c->seen_end;
	int64_t self = user_call(__NR_getpid), fd, same;

	fd = user_call(__NR_pidfd_getfd, (uint64_t)h->fd, (uint64_t)number, 0);
	if (fd < 0) {
		MODEL_CHECK(starved(fd) || (fd == -ESRCH && (may_end(c) || may_be_gone(c, 0))));
		return;
	}
	MODEL_CHECK(!was_reaped && !ended);
	same = user_call(__NR_kcmp, (uint64_t)self, (uint64_t)self, KCMP_FILE, (uint64_t)fd, (uint64_t)number);
	MODEL_EQUAL(same, 0);
	MODEL_EQUAL(user_call(__NR_close, (uint64_t)fd), 0);
}

static void release(const struct held *h)
{
	struct child *c = &children[h->child];
	bool told = c->told, ended = c->seen_end;
	int64_t result = user_call(__NR_process_mrelease, (uint64_t)h->fd, 0);

	MODEL_CHECK(result == 0 || result == -EINVAL || result == -ESRCH);
	if (result == 0 ? ended || c->shares || !may_end(c) : result == -EINVAL ? told && !c->shares : !may_end(c) && !may_be_gone(c, 0))
		model_failed(__FILE__, __LINE__, "taking the memory of process %d gives %ld", c->pid, (long)result);
}

/* The next child gets the number of one that is gone, if nobody has it. */
static void rewind_numbers(struct model_op *op)
{
	const struct child *c = child_count ? &children[model_below(op, child_count)] : NULL;
	char digits[16] = "";
	int64_t result;
	int len;

	if (!c || !c->reaped || c->pid < 2)
		return;
	len = fmt_string(digits, sizeof(digits), "%d", c->pid - 1);
	user_write(user_scratch(), digits, sizeof(digits));
	result = user_call(__NR_write, (uint64_t)last_pid_file, user_scratch(), (uint64_t)len);
	MODEL_CHECK(result == len || starved(result));
}

/* ---- the threads ---- */

static void use_held(struct model_op *op, struct held *h, unsigned what)
{
	const struct child *c = &children[h->child];

	h->busy = true;
	if (what == 0)
		send(h, 0);
	else if (what == 1)
		send(h, SIGKILL);
	else if (what == 2)
		poll_held(h, 0);
	else if (what == 3 && (c->ends || c->killed))
		poll_held(h, -1);
	else if (what == 4)
		wait_held(h, model_chance(op, 30));
	else if (what == 5)
		take_file(op, h);
	else if (what == 7)
		release(h);
	h->busy = false;
	if (what == 6)
		close_held(h);
}

static void act(struct model_op *op)
{
	unsigned what = (unsigned)model_below(op, 16);
	struct held *h;
	int fd;

	switch (what) {
	case 0:
	case 1:
		make_with_fd(op);
		break;
	case 2:
		(void)make_child(op, 0, &fd);
		break;
	case 3:
	case 4:
		open_by_number(op);
		break;
	case 5:
		reap_any();
		break;
	case 6:
		rewind_numbers(op);
		break;
	case 7:
		rest_ns(model_below(op, REST_NS));
		break;
	default:
		h = choose(op);
		if (h)
			use_held(op, h, what - 8);
	}
}

static void work(uint64_t worker)
{
	struct model_op op = MODEL_OPS(worker);

	user_place((unsigned)worker);
	while (model_next(&op)) {
		act(&op);
		model_state(child_count ^ reaping << 8 ^ worker << 28);
	}
	working--;
	if (worker)
		user_exit_thread(0);
}

/* What stays: a mount of /proc, so that numbers can be told where to go on. */
static void prepare(void)
{
	struct path at;
	struct file *f;

	programs_prepare();
	if (vfs_mkdir(AT_FDCWD, "/p", 0700) < 0 || path_lookup(AT_FDCWD, "/p", LOOKUP_DIRECTORY, &at) < 0 ||
	    vfs_mount(&at, "proc", "proc", "", 0) < 0 || vfs_open(AT_FDCWD, LAST_PID, O_WRONLY, 0, &f) < 0)
		panic("/proc cannot be mounted");
	file_put(f);
	path_put(&at);
}

static void set_up(void)
{
	char name[32] = LAST_PID;

	user_write(FILE_NAME, name, sizeof(name));
	last_pid_file = (int)user_call(__NR_open, FILE_NAME, O_WRONLY, 0);
	MODEL_CHECK(last_pid_file >= 0);
	for (unsigned i = 0; i < SHARED_FILES; i++) {
		shared[i] = (int)user_call(__NR_eventfd2, i, 0);
		MODEL_CHECK(shared[i] >= 0);
	}
}

/* All children end; every descriptor says so, also after their numbers were used again. */
static void finish(void)
{
	uaddr_t status = user_scratch();
	int64_t pid;

	for (unsigned i = 0; i < HELD_MAX; i++)
		if (held[i].open)
			send(&held[i], SIGKILL);
	for (unsigned i = 0; i < child_count; i++)
		if (children[i].made && children[i].pid && !children[i].reaped) {
			children[i].killed = true;
			user_call(__NR_kill, (uint64_t)children[i].pid, SIGKILL);
		}
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (held[i].open)
			poll_held(&held[i], -1);
	while ((pid = user_call(__NR_wait4, UINT64_MAX, status, 0, 0)) > 0)
		find((int)pid)->reaped = true;
	MODEL_EQUAL(pid, -ECHILD);
	for (unsigned i = 0; i < HELD_MAX; i++) {
		if (!held[i].open)
			continue;
		children[held[i].child].reaped = true;
		send(&held[i], 0);
		wait_held(&held[i], false);
		poll_held(&held[i], 0);
		close_held(&held[i]);
	}
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

static void program(uint64_t arg)
{
	bool armed = sim_faults_armed();

	(void)arg;
	sim_faults_arm(false);
	user_prepare_stack();
	set_up();
	working = WORKERS;
	for (uint64_t i = 1; i < WORKERS; i++)
		MODEL_CHECK(user_clone(USER_THREAD, 0, work, i) > 0);
	sim_faults_arm(armed);
	work(0);
	wait_for_threads();
	model_recover();
	finish();
	user_finished();
}

static void run(void)
{
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(pidfds, .what = "descriptors of processes, while numbers are used again", .prepare = prepare, .run = run, .cpus = 4,
	     .operations = 40);
