/* SPDX-License-Identifier: MIT */
/*
 * Control groups. Each worker, a thread of the model's program, has a group of its own with two below it. It makes children of several kinds, moves
 * them between its two and one that all share, freezes, thaws, stops and kills them, limits how many they are and how long they run, and makes and
 * removes the groups meanwhile. The reference knows where each child is and what each group was told.
 *
 * G1  cgroup.procs lists the children that are there, and the own ones of those that fork; a group is populated if and only if somebody is
 * G2  a group that was told to freeze becomes frozen, whatever its members do; nothing that is frozen takes a step; it goes on when it is told to
 * G3  of a group that was killed nobody is left, whoever was born meanwhile
 * G4  there are never more than pids.max by births, and pids.current is 0 in the end
 * G5  whoever waits for a change of cgroup.events hears of it
 * G6  a group with somebody in it, or below, is not removed; an empty one is
 * G7  who runs, runs on: a limit of time delays only
 */
#include "program.h"

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/io.h>
#include <cloudos/panic.h>
#include <cloudos/string.h>
#include <linux/fcntl.h>
#include <linux/sched.h>
#include <linux/wait.h>

#define WORKERS	    3
#define MEMBERS_MAX 4 /* children of a worker at a time */
#define LEAVES	    2
#define BIRTHS_MAX  400 /* of grandchildren, in all: programs are not without number */
#define TRIES	    60
#define REST_NS	    20000
#define STEP_NS	    100000
#define WAIT_MS	    5
#define PATH_SIZE   64
#define TEXT_SIZE   256

enum kind { SLEEPS, COUNTS, FORKS, KINDS };
enum place { TOP, LEAF_0, LEAF_1, SHARED, PLACES }; /* of a worker's groups; children are in the last three */

struct member {
	int pid; /* 0: none */
	enum kind kind;
	enum place place;
	bool stopped;
	unsigned steps; /* that it has made */
};

struct group {
	bool there, freeze, limited;
};

struct own {
	struct group groups[PLACES];
	struct member members[MEMBERS_MAX];
};

static struct own owns[WORKERS];
static unsigned working, births;

/* ---- files ---- */

static void path_of(unsigned worker, enum place place, const char *file, char ret[PATH_SIZE])
{
	const char *slash = *file ? "/" : "";

	if (place == SHARED)
		fmt_string(ret, PATH_SIZE, "/c/shared%s%s", slash, file);
	else if (place == TOP)
		fmt_string(ret, PATH_SIZE, "/c/%u%s%s", worker, slash, file);
	else
		fmt_string(ret, PATH_SIZE, "/c/%u/%d%s%s", worker, place - LEAF_0, slash, file);
}

/* The path in user memory. */
static uaddr_t name(unsigned worker, enum place place, const char *file)
{
	char path[PATH_SIZE] = { 0 };

	path_of(worker, place, file, path);
	user_write(user_scratch(), path, sizeof(path));
	return user_scratch();
}

static bool wants_memory(int64_t result)
{
	return result == -ENOMEM && model_may_fail();
}

static int open_file(unsigned worker, enum place place, const char *file, int flags)
{
	int64_t fd = -ENOMEM;

	for (int i = 0; i < TRIES && (fd == -ENOMEM || fd == -ENFILE); i++)
		fd = user_call(__NR_openat, (uint64_t)AT_FDCWD, name(worker, place, file), (uint64_t)flags, 0);
	return (int)fd;
}

static int64_t write_text(unsigned worker, enum place place, const char *file, const char *text)
{
	char copy[32] = { 0 };
	int fd = open_file(worker, place, file, O_WRONLY);
	int64_t n;

	if (fd < 0)
		return fd;
	str_copy(copy, sizeof(copy), text);
	user_write(user_scratch() + PATH_SIZE, copy, sizeof(copy));
	do
		n = user_call(__NR_write, (uint64_t)fd, user_scratch() + PATH_SIZE, strlen(text));
	while (wants_memory(n));
	user_call(__NR_close, (uint64_t)fd);
	return n > 0 ? 0 : n;
}

static int64_t write_number(unsigned worker, enum place place, const char *file, int number)
{
	char text[16];

	fmt_string(text, sizeof(text), "%d", number);
	return write_text(worker, place, file, text);
}

static int64_t read_open(int fd, char ret[TEXT_SIZE])
{
	int64_t n;

	do
		n = user_call(__NR_pread64, (uint64_t)fd, user_scratch() + PATH_SIZE, TEXT_SIZE - 1, 0);
	while (wants_memory(n));
	if (n >= 0) {
		user_read(ret, user_scratch() + PATH_SIZE, TEXT_SIZE);
		ret[n] = '\0';
	}
	return n;
}

static bool read_text(unsigned worker, enum place place, const char *file, char ret[TEXT_SIZE])
{
	int fd = open_file(worker, place, file, O_RDONLY);
	int64_t n = fd < 0 ? fd : read_open(fd, ret);

	if (fd >= 0)
		user_call(__NR_close, (uint64_t)fd);
	return n >= 0;
}

static bool contains(const char *text, const char *part)
{
	for (; *text; text++)
		if (memcmp(text, part, min(strlen(part), strlen(text))) == 0 && strlen(text) >= strlen(part))
			return true;
	return false;
}

/* The number at the start of a file, or behind `word` in it; -1: it cannot be had. */
static int64_t number_in(unsigned worker, enum place place, const char *file)
{
	char text[TEXT_SIZE];
	int64_t value = 0;

	if (!read_text(worker, place, file, text) || text[0] < '0' || text[0] > '9')
		return -1;
	for (const char *c = text; *c >= '0' && *c <= '9'; c++)
		value = value * 10 + (*c - '0');
	return value;
}

static void rest_ns(uint64_t ns)
{
	uaddr_t at = user_scratch() + 448;

	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
	user_call(__NR_nanosleep, at, 0);
}

/* G5: until cgroup.events says `part`. */
static bool comes(unsigned worker, enum place place, const char *part)
{
	int fd = open_file(worker, place, "cgroup.events", O_RDONLY);
	char text[TEXT_SIZE] = "";
	bool waited_in_vain = false, there = false;
	uaddr_t at = user_scratch() + 448;

	if (fd < 0)
		return programs_may_die();
	for (int i = 0; i < TRIES && !there; i++) {
		if (read_open(fd, text) < 0)
			break;
		there = contains(text, part);
		if (there && waited_in_vain)
			model_failed(__FILE__, __LINE__, "%s came, and nobody was told", part);
		if (there)
			break;
		user_store(at, (uint32_t)fd | (uint64_t)POLLPRI << 32);
		waited_in_vain = user_call(__NR_poll, at, 1, WAIT_MS) == 0;
	}
	user_call(__NR_close, (uint64_t)fd);
	return there;
}

/* ---- children ---- */

static void grandchild(uint64_t steps)
{
	for (uint64_t i = 0; i < steps; i++)
		user_call(__NR_getpid);
	user_exit(0);
}

static void child(uint64_t number)
{
	struct member *m = &owns[number / MEMBERS_MAX].members[number % MEMBERS_MAX];

	for (unsigned i = 0;; i++) {
		if (m->kind == SLEEPS)
			user_call(__NR_pause);
		else
			rest_ns(i % 8 ? 1000 : STEP_NS); /* busy enough to be caught at anything, and no more */
		m->steps++;
		if (m->kind == FORKS && births < BIRTHS_MAX) {
			births++;
			(void)user_fork(grandchild, i % 4);
			while (user_call(__NR_wait4, UINT64_MAX, 0, i % 3 ? WNOHANG : 0, 0) > 0)
				;
		}
	}
}

static bool frozen_now(const struct own *o, enum place place)
{
	return place != SHARED && (o->groups[place].freeze || o->groups[TOP].freeze);
}

static void make(struct model_op *op, struct own *o, unsigned worker)
{
	unsigned slot = (unsigned)model_below(op, MEMBERS_MAX);
	struct member *m = &o->members[slot];
	enum place place = LEAF_0 + (enum place)model_below(op, 3);
	enum kind kind = (enum kind)model_below(op, KINDS);
	int64_t pid, result;

	if (m->pid || !o->groups[place].there || o->groups[place].limited)
		return;
	*m = (struct member){ .kind = kind, .place = place };
	pid = user_fork(child, worker * MEMBERS_MAX + slot);
	if (pid < 0)
		return;
	result = write_number(worker, place, "cgroup.procs", (int)pid);
	if (result < 0) { /* it may have died of no memory, or is where it was born */
		MODEL_CHECK(programs_may_die());
		user_call(__NR_kill, (uint64_t)pid, SIGKILL);
		user_call(__NR_wait4, (uint64_t)pid, 0, 0, 0);
		return;
	}
	m->pid = (int)pid;
}

static void reap(struct member *m)
{
	int64_t result = user_call(__NR_wait4, (uint64_t)m->pid, 0, 0, 0);

	MODEL_CHECK(result == m->pid || programs_may_die());
	m->pid = 0;
}

static void move(struct model_op *op, struct own *o, unsigned worker)
{
	struct member *m = &o->members[model_below(op, MEMBERS_MAX)];
	enum place to = LEAF_0 + (enum place)model_below(op, 3);
	int64_t result;

	if (!m->pid || m->kind == FORKS || !o->groups[to].there)
		return;
	result = write_number(worker, to, "cgroup.procs", m->pid);
	MODEL_CHECK(result == 0 || programs_may_die());
	if (result == 0)
		m->place = to;
}

static void stop(struct model_op *op, struct own *o)
{
	struct member *m = &o->members[model_below(op, MEMBERS_MAX)];

	if (!m->pid)
		return;
	user_call(__NR_kill, (uint64_t)m->pid, m->stopped ? SIGCONT : SIGSTOP);
	m->stopped = !m->stopped;
}

/* ---- groups ---- */

static void freeze(struct model_op *op, struct own *o, unsigned worker)
{
	enum place place = (enum place)model_below(op, 3);
	struct group *g = &o->groups[place];

	if (!g->there || write_text(worker, place, "cgroup.freeze", g->freeze ? "0" : "1") < 0)
		return;
	g->freeze = !g->freeze;
}

/* G2 */
static void check_frozen(struct own *o, unsigned worker, enum place place)
{
	unsigned steps[MEMBERS_MAX];

	if (!comes(worker, place, "frozen 1") && !programs_may_die())
		model_failed(__FILE__, __LINE__, "group %d of worker %u does not freeze", place, worker);
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		steps[i] = o->members[i].steps;
	rest_ns(2 * STEP_NS);
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		if (o->members[i].pid && (place == TOP ? o->members[i].place != SHARED : o->members[i].place == place) &&
		    o->members[i].steps != steps[i] && !programs_may_die())
			model_failed(__FILE__, __LINE__, "process %d is frozen, and runs", o->members[i].pid);
}

/* G2, G7 */
static void check_runs(struct own *o, unsigned worker)
{
	for (unsigned i = 0; i < MEMBERS_MAX; i++) {
		struct member *m = &o->members[i];
		unsigned steps = m->steps;

		if (!m->pid || m->stopped || m->kind != COUNTS || frozen_now(o, m->place))
			continue;
		for (int turn = 0; turn < TRIES && m->steps == steps; turn++)
			rest_ns(REST_NS << min(turn, 8));
		if (m->steps == steps && !programs_may_die())
			model_failed(__FILE__, __LINE__, "process %d of worker %u is not frozen, and does nothing", m->pid, worker);
	}
}

static unsigned count_in(const struct own *o, enum place place)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		n += o->members[i].pid && (place == TOP ? o->members[i].place != SHARED : o->members[i].place == place);
	return n;
}

/* G1 */
static void check_members(struct own *o, unsigned worker, enum place place)
{
	char text[TEXT_SIZE], number[16];
	bool there;

	if (!read_text(worker, place, "cgroup.procs", text))
		return;
	for (unsigned i = 0; i < MEMBERS_MAX; i++) {
		fmt_string(number, sizeof(number), "%d\n", o->members[i].pid);
		there = contains(text, number);
		if (o->members[i].pid && o->members[i].place == place && !there && !programs_may_die())
			model_failed(__FILE__, __LINE__, "process %d is not in group %d of worker %u: %s", o->members[i].pid, place, worker, text);
	}
	if (place == SHARED || programs_may_die() || !read_text(worker, place, "cgroup.events", text))
		return;
	if (count_in(o, place) > 0)
		MODEL_CHECK(contains(text, "populated 1"));
}

/* G3 */
static void kill_group(struct own *o, unsigned worker, enum place place)
{
	int64_t result = write_text(worker, place, "cgroup.kill", "1");

	MODEL_CHECK(result == 0 || programs_may_die());
	if (result < 0)
		return;
	for (unsigned i = 0; i < MEMBERS_MAX; i++) {
		struct member *m = &o->members[i];

		if (m->pid && (place == TOP ? m->place != SHARED : m->place == place))
			reap(m);
	}
	if (!comes(worker, place, "populated 0") && !programs_may_die())
		model_failed(__FILE__, __LINE__, "group %d of worker %u was killed, and somebody is left", place, worker);
}

/* Nobody is counted, not even who has died and is not reaped yet. */
static bool is_vacant(unsigned worker, enum place place)
{
	if (!comes(worker, place, "populated 0"))
		return false;
	for (int i = 0; i < TRIES && number_in(worker, place, "pids.current") != 0; i++)
		rest_ns(REST_NS);
	return number_in(worker, place, "pids.current") == 0;
}

/* G4: so many, of which one is there already. */
static void limit(struct model_op *op, struct own *o, unsigned worker)
{
	enum place place = LEAF_0 + (enum place)model_below(op, LEAVES);
	struct member *m = &o->members[0];
	int64_t most = 1 + (int64_t)model_below(op, 3), n;

	if (!o->groups[place].there || count_in(o, place) > 0 || m->pid || write_text(worker, TOP, "cgroup.subtree_control", "+pids") < 0)
		return;
	if (is_vacant(worker, place) && write_number(worker, place, "pids.max", (int)most) == 0) {
		*m = (struct member){ .kind = FORKS, .place = place };
		n = user_fork(child, worker * MEMBERS_MAX);
		if (n > 0) {
			m->pid = (int)n;
			MODEL_CHECK(write_number(worker, place, "cgroup.procs", m->pid) == 0 || programs_may_die());
			for (int i = 0; i < 3; i++) {
				n = number_in(worker, place, "pids.current");
				if (n > most + 1) /* a child that it had before it came here is its reaper's */
					model_failed(__FILE__, __LINE__, "%ld processes where %ld may be", (long)n, (long)most);
				rest_ns(REST_NS);
			}
			kill_group(o, worker, place);
			if (m->pid)
				reap(m);
		}
	}
	(void)write_text(worker, place, "pids.max", "max");
	(void)write_text(worker, TOP, "cgroup.subtree_control", "-pids");
}

static void limit_time(struct model_op *op, struct own *o, unsigned worker)
{
	static const char *const limits[] = { "1000 10000", "2000 5000", "max 100000" };
	enum place place = LEAF_0 + (enum place)model_below(op, LEAVES);

	if (!o->groups[place].there || write_text(worker, TOP, "cgroup.subtree_control", "+cpu") < 0)
		return; /* somebody may be in the top group: no */
	(void)write_text(worker, place, "cpu.weight", model_chance(op, 50) ? "10" : "1000");
	(void)write_text(worker, place, "cpu.max", limits[model_below(op, 3)]);
	check_runs(o, worker);
	if (model_chance(op, 50))
		(void)write_text(worker, TOP, "cgroup.subtree_control", "-cpu");
}

/* G6 */
static void make_or_remove(struct model_op *op, struct own *o, unsigned worker)
{
	enum place place = LEAF_0 + (enum place)model_below(op, LEAVES);
	struct group *g = &o->groups[place];
	int64_t result;

	if (!g->there) {
		result = user_call(__NR_mkdirat, (uint64_t)AT_FDCWD, name(worker, place, ""), 0755);
		MODEL_CHECK(result == 0 || programs_may_die());
		*g = (struct group){ .there = result == 0 };
		return;
	}
	result = user_call(__NR_unlinkat, (uint64_t)AT_FDCWD, name(worker, place, ""), AT_REMOVEDIR);
	MODEL_CHECK(result == 0 || result == -EBUSY || programs_may_die());
	if (count_in(o, place) > 0 && !programs_may_die())
		MODEL_EQUAL(result, -EBUSY);
	if (result == 0)
		g->there = false;
}

/* ---- the threads ---- */

static void act(struct model_op *op, unsigned worker)
{
	struct own *o = &owns[worker];
	enum place place = (enum place)model_below(op, 3);
	uint64_t what = model_below(op, 20);

	if (what < 5)
		make(op, o, worker);
	else if (what < 8)
		move(op, o, worker);
	else if (what < 11)
		freeze(op, o, worker);
	else if (what < 13 && o->groups[place].there && frozen_now(o, place))
		check_frozen(o, worker, place);
	else if (what == 13)
		check_runs(o, worker);
	else if (what == 14)
		stop(op, o);
	else if (what == 15 && o->groups[place].there)
		check_members(o, worker, place);
	else if (what == 16 && o->groups[place].there)
		kill_group(o, worker, place);
	else if (what == 17 && !frozen_now(o, LEAF_0) && !frozen_now(o, LEAF_1))
		limit(op, o, worker);
	else if (what == 18)
		limit_time(op, o, worker);
	else if (what == 19)
		make_or_remove(op, o, worker);
}

static void work(uint64_t worker)
{
	struct model_op op = MODEL_OPS(worker);

	user_place((unsigned)worker);
	while (model_next(&op)) {
		act(&op, (unsigned)worker);
		model_state(owns[worker].groups[TOP].freeze ^ (uint64_t)count_in(&owns[worker], TOP) << 8 ^ worker << 28);
	}
	working--;
	if (worker)
		user_exit_thread(0);
}

/* What stays: the mount, and the controllers of the first level. */
static void prepare(void)
{
	struct path at;
	struct file *f;
	char plus[] = "+pids +cpu";
	struct io_iter from;
	int64_t pos = 0;

	programs_prepare();
	if (vfs_mkdir(AT_FDCWD, "/c", 0700) < 0 || path_lookup(AT_FDCWD, "/c", LOOKUP_DIRECTORY, &at) < 0 ||
	    vfs_mount(&at, "cgroup2", "cgroup2", "", 0) < 0 || vfs_open(AT_FDCWD, "/c/cgroup.subtree_control", O_WRONLY, 0, &f) < 0)
		panic("cgroup2 cannot be mounted");
	io_iter_kernel(&from, plus, sizeof(plus) - 1);
	if (file_write(f, &from, &pos) < 0)
		panic("no controllers");
	file_put(f);
	path_put(&at);
}

static void set_up(void)
{
	MODEL_EQUAL(user_call(__NR_mkdirat, (uint64_t)AT_FDCWD, name(0, SHARED, ""), 0755), 0);
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		owns[worker].groups[SHARED].there = true;
		for (enum place place = TOP; place < SHARED; place++) {
			MODEL_EQUAL(user_call(__NR_mkdirat, (uint64_t)AT_FDCWD, name(worker, place, ""), 0755), 0);
			owns[worker].groups[place].there = true;
		}
	}
}

static void remove_group(unsigned worker, enum place place)
{
	if (owns[worker].groups[place].there)
		MODEL_EQUAL(user_call(__NR_unlinkat, (uint64_t)AT_FDCWD, name(worker, place, ""), AT_REMOVEDIR), 0);
}

/* Everybody ends, frozen or not; then the groups are empty, and can be removed. */
static void finish(void)
{
	MODEL_EQUAL(write_text(0, SHARED, "cgroup.kill", "1"), 0);
	for (unsigned worker = 0; worker < WORKERS; worker++)
		MODEL_EQUAL(write_text(worker, TOP, "cgroup.kill", "1"), 0);
	for (unsigned worker = 0; worker < WORKERS; worker++)
		for (unsigned i = 0; i < MEMBERS_MAX; i++)
			if (owns[worker].members[i].pid)
				reap(&owns[worker].members[i]);
	while (user_call(__NR_wait4, UINT64_MAX, 0, 0, 0) > 0)
		;
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		MODEL_CHECK(comes(worker, TOP, "populated 0"));
		for (enum place place = SHARED; place-- > TOP;)
			remove_group(worker, place);
	}
	MODEL_CHECK(comes(0, SHARED, "populated 0"));
	for (int i = 0; i < TRIES && number_in(0, SHARED, "pids.current") > 0; i++)
		rest_ns(REST_NS << min(i, 8)); /* G4: orphans are reaped by process 1 */
	MODEL_EQUAL(number_in(0, SHARED, "pids.current"), 0);
	remove_group(0, SHARED);
}

static void wait_for_threads(void)
{
	uint64_t ns = REST_NS;

	for (unsigned turns = 0; working; turns++) {
		rest_ns(ns);
		ns *= 2;
		if (turns == 30)
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

/* The groups of a program that has died. */
static void clean_up(void)
{
	char path[PATH_SIZE];

	model_recover();
	for (unsigned worker = 0; worker < WORKERS; worker++)
		for (enum place place = PLACES; place-- > TOP;) {
			path_of(worker, place, "", path);
			(void)vfs_rmdir(AT_FDCWD, path);
		}
}

static void run(void)
{
	memset(owns, 0, sizeof(owns));
	births = 0;
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
	if (!programs_ended_well())
		clean_up();
}

MODEL_DEFINE(cgroups, .what = "control groups: members, freezing, killing, limits", .prepare = prepare, .run = run, .cpus = 4,
	     .operations = 40);
