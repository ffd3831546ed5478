/* SPDX-License-Identifier: MIT */
/*
 * Memory of control groups. Workers, processes, touch pages, give them up, put them out, fork over them, write to a file of their own and cut it off, and
 * go from group to group. Between two rounds, when all of them rest, the first process compares what is charged with what there is, sets limits, and
 * removes and makes a group in which there may be pages of files. One group has a limit, now and then, and there is a small swap area.
 *
 * M1  A group's usage is the pages that name it or one below it, and each class of them is counted right; what it has charged itself holds it.
 * M2  What a worker touched is charged to the group that it was in, until it gives it up: in memory, or as a slot of the swap area.
 * M3  Pages of a file are charged to who wrote them, also when his group is gone: then to those above it alone.
 * M4  Only who is in a group with a limit is killed for it, and the group never rests above it.
 * M5  In the end nothing is charged to anybody, and all groups go.
 */
#include "program.h"

#include <asm/fcntl.h>
#include <asm/mman.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/io.h>
#include <cloudos/memory_group.h>
#include <cloudos/panic.h>
#include <cloudos/string.h>
#include <cloudos/swap.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/wait.h>

#define ARENA	    USER_FREE
#define WORKERS	    3
#define PAGES	    40
#define FILE_PAGES  12
#define ROUND	    8  /* operations of a worker between two rests */
#define OTHERS_MAX  16 /* pages of a process that are not in its arena: its stack, what exec made */
#define LIMIT_PAGES 32
#define LIMIT_EXTRA 8 /* of who is dying */
#define SLOTS	    64
#define REST_NS	    20000
#define TRIES	    40
#define PATH_SIZE   64
#define TEXT_SIZE   448
#define NONE	    (-1)

enum group { LIMITED, FREE, REMOVED, OUTSIDE, GROUPS = OUTSIDE };
static const char *const names[GROUPS] = { "limited", "free", "removed" };

static struct worker {
	int pid; /* 0: none */
	unsigned round;	    /* that it has done */
	bool was_limited;   /* it has been in the group with a limit */
	int group;
	int8_t page[PAGES]; /* charged to: a group, or NONE; OUTSIDE: to nobody */
	bool shared[PAGES]; /* a child has had it; its memory may still be somebody's who looks at it when it has ended */
	bool copied[PAGES]; /* perhaps, for that reason, by a write from another group, whose the copy is */
	int8_t file[FILE_PAGES];
	struct model_op op;
} workers[WORKERS];

static bool group_there, limited; /* REMOVED is; LIMITED has a limit */
static unsigned round;

/* ---- the swap area ---- */

static uint8_t device[SLOTS][PAGE_SIZE];

static int transfer(void *unused, bool write, uint64_t first, struct page *const pages[], unsigned n)
{
	(void)unused;
	MODEL_CHECK(first + n <= SLOTS);
	for (unsigned i = 0; i < n; i++)
		memcpy(write ? device[first + i] : page_virt(pages[i]), write ? page_virt(pages[i]) : device[first + i], PAGE_SIZE);
	model_compute(2000);
	return 0;
}

static void release(void *unused)
{
	(void)unused;
}

static const struct swap_backing_ops backing = { .transfer = transfer, .release = release };

static bool turn_on(void)
{
	struct swap_request r = { .ops = &backing, .device = device, .device_pages = SLOTS, .name = "model" };
	uint32_t *words = (uint32_t *)(device[0] + 1024);
	int err;

	words[0] = 1;
	words[1] = SLOTS - 1;
	memcpy(device[0] + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	err = swap_on(&r);
	MODEL_CHECK(!err || (err == -ENOMEM && model_may_fail()));
	return !err;
}

/* ---- files of groups ---- */

static uaddr_t name(const char *group, const char *file)
{
	char path[PATH_SIZE] = { 0 };

	fmt_string(path, sizeof(path), "/m/top%s%s%s%s", *group ? "/" : "", group, *file ? "/" : "", file);
	user_write(user_scratch(), path, sizeof(path));
	return user_scratch();
}

static int64_t open_file(const char *group, const char *file, int flags)
{
	int64_t fd = -ENOMEM;

	for (int i = 0; i < TRIES && (fd == -ENOMEM || fd == -ENFILE); i++)
		fd = user_call(__NR_openat, (uint64_t)AT_FDCWD, name(group, file), (uint64_t)flags, 0);
	return fd;
}

static int64_t write_text(const char *group, const char *file, const char *text)
{
	int64_t fd = open_file(group, file, O_WRONLY), n;
	char copy[32] = { 0 };

	if (fd < 0)
		return fd;
	str_copy(copy, sizeof(copy), text);
	user_write(user_scratch(), copy, sizeof(copy));
	do
		n = user_call(__NR_write, (uint64_t)fd, user_scratch(), strlen(text));
	while (n == -ENOMEM && model_may_fail());
	user_call(__NR_close, (uint64_t)fd);
	return n > 0 ? 0 : n;
}

/* The number behind `word`, in pages; -1: it cannot be had. */
static int64_t pages_in(const char *group, const char *file, const char *word)
{
	int64_t fd = open_file(group, file, O_RDONLY), n, value = 0;
	char text[TEXT_SIZE] = "";
	const char *at = text;

	if (fd < 0)
		return -1;
	n = user_call(__NR_read, (uint64_t)fd, user_scratch(), TEXT_SIZE - 8);
	user_call(__NR_close, (uint64_t)fd);
	if (n <= 0)
		return -1;
	user_read(text, user_scratch(), TEXT_SIZE);
	text[n] = '\0';
	while (*at && memcmp(at, word, strlen(word)) != 0)
		at++;
	for (at += strlen(word); *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (*at - '0');
	return value >> PAGE_SHIFT;
}

static void rest_ns(uint64_t ns)
{
	uaddr_t at = user_scratch() + 448;

	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
	user_call(__NR_nanosleep, at, 0);
}

/* ---- what a worker does ---- */

static struct worker *me(uint64_t number)
{
	return &workers[number];
}

static void child(uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		if (!user_try_store(ARENA + i * PAGE_SIZE, i))
			break;
}

static void touch(struct worker *w, struct model_op *op)
{
	unsigned first = (unsigned)model_below(op, PAGES), n = 1 + (unsigned)model_below(op, PAGES / 2);

	for (unsigned i = first; i < min(first + n, (unsigned)PAGES); i++) {
		user_store(ARENA + i * PAGE_SIZE, i + 1);
		w->copied[i] |= w->shared[i] && w->page[i] != w->group;
		if (w->page[i] == NONE)
			w->page[i] = (int8_t)w->group;
	}
}

static void advise(struct worker *w, struct model_op *op, int advice)
{
	unsigned first = (unsigned)model_below(op, PAGES), n = min(1 + (unsigned)model_below(op, PAGES / 2), PAGES - first);
	int64_t result = user_call(__NR_madvise, ARENA + first * PAGE_SIZE, n * PAGE_SIZE, (uint64_t)advice);

	MODEL_CHECK(result == 0 || programs_may_die());
	if (result == 0 && advice == MADV_DONTNEED) {
		memset(&w->page[first], NONE, n);
		memset(&w->copied[first], false, n);
		memset(&w->shared[first], false, n);
	}
}

static void write_file(struct worker *w, struct model_op *op, uint64_t fd)
{
	uint64_t page = model_below(op, FILE_PAGES);

	if (user_call(__NR_pwrite64, fd, user_scratch(), 8, page * PAGE_SIZE) == 8 && w->file[page] == NONE)
		w->file[page] = (int8_t)w->group;
}

static void cut_file(struct worker *w, struct model_op *op, uint64_t fd)
{
	uint64_t pages = model_below(op, FILE_PAGES);

	if (user_call(__NR_ftruncate, fd, pages * PAGE_SIZE) == 0)
		memset(&w->file[pages], NONE, FILE_PAGES - pages);
}

static void go(struct worker *w, struct model_op *op)
{
	int to = (int)model_below(op, GROUPS);

	if (to == REMOVED && !group_there)
		return;
	if (write_text(names[to], "cgroup.procs", "0") == 0) {
		w->group = to;
		w->was_limited |= to == LIMITED;
	} else {
		MODEL_CHECK(programs_may_die());
	}
}

static void act(struct worker *w, struct model_op *op, uint64_t fd)
{
	uint64_t what = model_below(op, 20);

	if (what < 8)
		touch(w, op);
	else if (what < 10)
		advise(w, op, MADV_DONTNEED);
	else if (what < 12)
		advise(w, op, MADV_PAGEOUT);
	else if (what < 15)
		write_file(w, op, fd);
	else if (what == 15)
		cut_file(w, op, fd);
	else if (what < 18)
		go(w, op);
	else if (user_fork(child, model_below(op, PAGES)) > 0) {
		memset(w->shared, true, sizeof(w->shared));
		user_call(__NR_wait4, UINT64_MAX, 0, 0, 0);
	}
}

static void work(uint64_t number)
{
	struct worker *w = me(number);
	bool more = true;
	int64_t fd;

	user_place((unsigned)number);
	user_prepare_stack();
	fd = user_call(__NR_memfd_create, name("", ""), 0);
	if (fd < 0 || user_call(__NR_mmap, ARENA, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX, 0) < 0) {
		MODEL_CHECK(programs_may_die());
		return;
	}
	for (;;) {
		for (unsigned i = 0; i < ROUND && more && (more = model_next(&w->op)); i++)
			act(w, &w->op, (uint64_t)fd);
		if (!more)
			break;
		w->round++;
		for (unsigned turns = 0; round < w->round; turns++)
			rest_ns(REST_NS << min(turns, 9u));
	}
	w->round = UINT32_MAX;
	for (;;)
		user_call(__NR_pause);
}

/* ---- rounds ---- */

static void forget(struct worker *w)
{
	w->pid = 0;
	w->group = OUTSIDE;
	memset(w->page, NONE, sizeof(w->page));
	memset(w->shared, false, sizeof(w->shared));
	memset(w->copied, false, sizeof(w->copied));
	memset(w->file, NONE, sizeof(w->file));
}

/* M4 */
static void reap_dead(void)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		struct worker *w = me(i);

		if (!w->pid || user_call(__NR_wait4, (uint64_t)w->pid, 0, WNOHANG, 0) != w->pid)
			continue;
		if (!programs_may_die() && !w->was_limited)
			model_failed(__FILE__, __LINE__, "worker %u was killed, and never was in a group with a limit", i);
		forget(w);
	}
}

static bool all_rest(void)
{
	bool rest = true;

	reap_dead();
	for (unsigned i = 0; i < WORKERS; i++)
		rest &= !me(i)->pid || me(i)->round > round;
	return rest;
}

static void wait_for_rest(void)
{
	for (unsigned turns = 0; !all_rest(); turns++) {
		if (turns == 400)
			model_failed(__FILE__, __LINE__, "workers never come to rest");
		rest_ns(REST_NS << min(turns / 4, 10u));
	}
}

/* ---- M1 ---- */

struct sums {
	struct memory_group *group;
	uint64_t pages[MEMORY_CLASSES], own;
};

static struct sums *sums_of(struct sums *all, unsigned *count, struct memory_group *g)
{
	for (unsigned i = 0; i < *count; i++)
		if (all[i].group == g)
			return &all[i];
	MODEL_CHECK(*count < 16);
	all[*count] = (struct sums){ .group = g };
	return &all[(*count)++];
}

/* Nothing runs meanwhile but what was asked for earlier. */
static bool charges_are_right(void)
{
	struct sums all[16];
	unsigned count = 0;
	bool right = true;

	for (struct page *p = page_table_base; p < page_table_base + (page_last - page_first); p++) {
		if ((p->kind != PAGE_USER && p->kind != PAGE_CACHE) || !(p->flags & PAGE_CHARGED))
			continue;
		sums_of(all, &count, p->group)->own++;
		for (struct memory_group *g = p->group; g; g = g->parent)
			sums_of(all, &count, g)->pages[p->kind == PAGE_CACHE]++;
	}
	for (unsigned i = 0; i < count; i++) {
		const struct memory_group *g = all[i].group;

		right &= g->usage == all[i].pages[0] + all[i].pages[1] && g->class_pages[MEMORY_ANON] == all[i].pages[0] &&
			 g->class_pages[MEMORY_SHARED] == all[i].pages[1] && g->held >= all[i].own && g->peak >= g->usage;
	}
	return right;
}

static void check_charges(void)
{
	for (unsigned i = 0; i < TRIES; i++) {
		if (pages_in("", "memory.current", "") < 0) /* and all stocks are empty */
			return;
		if (charges_are_right())
			return;
		rest_ns(REST_NS << min(i, 10u));
	}
	model_failed(__FILE__, __LINE__, "what is charged is not what there is");
}

/* ---- M2, M3, M4 ---- */

/* Who has died may have left a child that still ends, with his file. */
struct seen {
	int64_t anon, shared, swapped; /* what the group says */
	int64_t pages, in_files;       /* what the workers know */
	int64_t copied;		       /* of pages: perhaps another group's by now */
};

static bool is_in(int charged, int group)
{
	return group == GROUPS ? charged != NONE && charged != OUTSIDE : charged == group;
}

/* `group` GROUPS: all of them. */
static struct seen look(int group)
{
	const char *at = group == GROUPS ? "" : names[group];
	struct seen s = { 0 };

	s.anon = pages_in(at, "memory.stat", "anon ");
	s.shared = pages_in(at, "memory.stat", "shmem ");
	s.swapped = pages_in(at, "memory.swap.current", "");
	for (unsigned i = 0; i < WORKERS; i++) {
		for (unsigned n = 0; n < PAGES; n++)
			if (is_in(me(i)->page[n], group)) {
				s.pages++;
				s.copied += me(i)->copied[n];
			}
		for (unsigned n = 0; n < FILE_PAGES; n++)
			s.in_files += is_in(me(i)->file[n], group);
	}
	return s;
}

static bool is_right(const struct seen *s, int group)
{
	if (s->anon + s->swapped < s->pages - (group == GROUPS ? 0 : s->copied) || s->anon > s->pages + WORKERS * OTHERS_MAX || s->shared != s->in_files)
		return false;
	return group != LIMITED || !limited || s->anon + s->shared <= LIMIT_PAGES + LIMIT_EXTRA;
}

static void check_group(int group)
{
	struct seen s;

	for (unsigned i = 0; i < TRIES; i++) {
		s = look(group);
		if (is_right(&s, group) || programs_may_die())
			return;
		rest_ns(REST_NS << min(i, 10u));
	}
	model_failed(__FILE__, __LINE__, "%s: %ld pages, %ld of files, %ld slots; %ld and %ld were touched", group == GROUPS ? "all" : names[group],
		     (long)s.anon, (long)s.shared, (long)s.swapped, (long)s.pages, (long)s.in_files);
}

/* ---- between rounds ---- */

static void set_limit(bool on)
{
	char text[16];

	fmt_string(text, sizeof(text), "%lu", (unsigned long)(LIMIT_PAGES * PAGE_SIZE));
	if (write_text(names[LIMITED], "memory.max", on ? text : "max") == 0)
		limited = on;
	rest_ns(REST_NS);
	reap_dead();
}

/* Pages that are charged to it are from now on those of a group without a name. */
static void remove_group(void)
{
	if (user_call(__NR_unlinkat, (uint64_t)AT_FDCWD, name(names[REMOVED], ""), AT_REMOVEDIR) != 0)
		return;
	group_there = false;
	for (unsigned i = 0; i < WORKERS; i++) {
		for (unsigned n = 0; n < PAGES; n++)
			if (me(i)->page[n] == REMOVED)
				me(i)->page[n] = GROUPS + 1;
		for (unsigned n = 0; n < FILE_PAGES; n++)
			if (me(i)->file[n] == REMOVED)
				me(i)->file[n] = GROUPS + 1;
	}
}

static void make_group(enum group group)
{
	if (user_call(__NR_mkdirat, (uint64_t)AT_FDCWD, name(names[group], ""), 0755) == 0)
		group_there |= group == REMOVED;
	else
		MODEL_CHECK(group == REMOVED && programs_may_die());
}

static void between(struct model_op *op)
{
	check_charges();
	for (int group = 0; group < GROUPS; group++)
		if (group != REMOVED || group_there)
			check_group(group);
	check_group(GROUPS);
	set_limit(model_chance(op, 60));
	if (!group_there)
		make_group(REMOVED);
	else if (model_chance(op, 40))
		remove_group();
}

static void finish(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (me(i)->pid) {
			user_call(__NR_kill, (uint64_t)me(i)->pid, SIGKILL);
			user_call(__NR_wait4, (uint64_t)me(i)->pid, 0, 0, 0);
			forget(me(i));
		}
	while (user_call(__NR_wait4, UINT64_MAX, 0, 0, 0) > 0)
		;
	for (unsigned i = 0; i < TRIES && pages_in("", "memory.current", "") + pages_in("", "memory.swap.current", "") != 0; i++)
		rest_ns(REST_NS << min(i, 10u));
	MODEL_EQUAL(pages_in("", "memory.current", ""), 0); /* M5 */
	MODEL_EQUAL(pages_in("", "memory.swap.current", ""), 0);
	for (int group = 0; group < GROUPS; group++)
		if (group != REMOVED || group_there)
			MODEL_EQUAL(user_call(__NR_unlinkat, (uint64_t)AT_FDCWD, name(names[group], ""), AT_REMOVEDIR), 0);
	group_there = false;
	MODEL_EQUAL(user_call(__NR_unlinkat, (uint64_t)AT_FDCWD, name("", ""), AT_REMOVEDIR), 0);
}

static void program(uint64_t arg)
{
	bool armed = sim_faults_armed();
	struct model_op op = MODEL_OPS(WORKERS);

	(void)arg;
	sim_faults_arm(false);
	user_prepare_stack();
	MODEL_EQUAL(user_call(__NR_mkdirat, (uint64_t)AT_FDCWD, name("", ""), 0755), 0);
	MODEL_EQUAL(write_text("", "cgroup.subtree_control", "+memory"), 0);
	for (int group = 0; group < GROUPS; group++)
		make_group(group);
	for (unsigned i = 0; i < WORKERS; i++)
		me(i)->pid = (int)user_fork(work, i);
	sim_faults_arm(armed);
	while (model_next(&op)) {
		wait_for_rest();
		between(&op);
		round++;
		model_state((uint64_t)limited ^ (uint64_t)group_there << 1 ^ (uint64_t)me(0)->group << 2 ^ (uint64_t)me(1)->page[7] << 8);
	}
	model_recover();
	finish();
	user_finished();
}

static void prepare(void)
{
	struct path at;
	struct file *f;
	char plus[] = "+memory";
	struct io_iter from;
	int64_t pos = 0;

	programs_prepare();
	if (vfs_mkdir(AT_FDCWD, "/m", 0700) < 0 || path_lookup(AT_FDCWD, "/m", LOOKUP_DIRECTORY, &at) < 0 ||
	    vfs_mount(&at, "cgroup2", "cgroup2", "", 0) < 0 || vfs_open(AT_FDCWD, "/m/cgroup.subtree_control", O_WRONLY, 0, &f) < 0)
		panic("cgroup2 cannot be mounted");
	io_iter_kernel(&from, plus, sizeof(plus) - 1);
	if (file_write(f, &from, &pos) < 0)
		panic("no controllers");
	file_put(f);
	path_put(&at);
}

/* The groups of a program that has died. */
static void clean_up(void)
{
	char path[PATH_SIZE];

	for (int group = 0; group < GROUPS; group++) {
		fmt_string(path, sizeof(path), "/m/top/%s", names[group]);
		(void)vfs_rmdir(AT_FDCWD, path);
	}
	(void)vfs_rmdir(AT_FDCWD, "/m/top");
}

static void run(void)
{
	bool on;

	memset(workers, 0, sizeof(workers));
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i].op = (struct model_op)MODEL_OPS(i);
		forget(&workers[i]);
	}
	round = 0;
	limited = group_there = false;
	sim_faults_arm(false);
	on = turn_on();
	sim_faults_arm(true);
	programs_run(program);
	MODEL_CHECK(programs_ended_well() || programs_may_die());
	model_recover();
	if (!programs_ended_well())
		clean_up();
	if (on)
		MODEL_EQUAL(swap_off(device), 0);
}

MODEL_DEFINE(cgroup_memory, .what = "memory of control groups: charges, limits, reclaim", .prepare = prepare, .run = run, .cpus = 4,
	     .operations = 80);
