/* SPDX-License-Identifier: MIT */
/*
 * Core files. The model's program makes children with some threads that compute, sleep, fork and end, and of which one dies of SIGABRT; now and
 * then somebody kills the child meanwhile. What is left is read as a debugger would.
 *
 * D1  A child is reported once, with the signal that it died of, and "core dumped" if and only if there is a file.
 * D2  The file is an ELF core: its notes and segments lie within it, unless SIGKILL or the limit cut it short.
 * D3  It shows the dying thread first, each thread that lives once, and no other; those that had begun to end may be left out.
 * D4  It shows memory as it was when the thread died: what a thread had written before, and nothing that one wrote later.
 * D5  In the end nothing is left over.
 */
#include "program.h"

#include <asm/fcntl.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/fs.h>
#include <cloudos/panic.h>
#include <cloudos/string.h>
#include <cloudos/vm.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <sim/trace.h>

#define THREADS_MAX  4
#define CHILDREN_MAX 64
#define REST_NS	    20000
#define COUNTERS    (USER_GLOBALS + 0x2000) /* one of each thread, which only grows */
#define LIMITS	    (USER_GLOBALS + 0x3000)
#define PATTERN	    "/p/sys/kernel/core_pattern"
#define NAME	    "/c.%d"
#define SMALL_LIMIT (6 * PAGE_SIZE)
#define STATUS_PID  32 /* where struct elf_prstatus has the thread's number */

struct thread_note {
	int tid;
	bool ending; /* it may be past its beginning of the end */
	bool begun;
	uint64_t count; /* what it has written, or is writing */
};

static struct child {
	int pid, status; /* -1: it could not be told */
	uint64_t limit;
	unsigned threads, dying;
	bool killed, aborted;
	uint64_t at_abort[THREADS_MAX]; /* counters when the abort was begun: at least these */
	struct thread_note thread[THREADS_MAX];
	struct sim_generator draws;
} children[CHILDREN_MAX], *child; /* there is one at a time */
static unsigned child_count;

static bool starved(int64_t result)
{
	return programs_may_die() && (result == -ENOMEM || result == -EFAULT || result == -EAGAIN);
}

static void rest_ns(uint64_t ns)
{
	uaddr_t at = user_scratch();

	user_store(at, ns / NSEC_PER_SEC);
	user_store(at + 8, ns % NSEC_PER_SEC);
	user_call(__NR_nanosleep, at, 0);
}

/* ---- the child ---- */

static void count(unsigned number)
{
	struct thread_note *me = &child->thread[number];

	me->count++;
	user_store(COUNTERS + number * 8, me->count);
}

static void die(void)
{
	for (unsigned i = 0; i < child->threads; i++)
		child->at_abort[i] = child->thread[i].count ? child->thread[i].count - 1 : 0;
	child->at_abort[child->dying] = child->thread[child->dying].count;
	child->aborted = true;
	user_call(__NR_tgkill, (uint64_t)child->pid, (uint64_t)child->thread[child->dying].tid, SIGABRT);
	user_exit(1);
}

static void run_thread(uint64_t number)
{
	struct thread_note *me = &child->thread[number];
	unsigned rounds = (unsigned)sim_generate_below(&child->draws, 6);

	me->tid = (int)user_call(__NR_gettid);
	me->begun = true;
	user_place((unsigned)number);
	for (unsigned i = 0; i < rounds || number == child->dying; i++) {
		count((unsigned)number);
		if (sim_generate_below(&child->draws, 3) == 0)
			rest_ns(sim_generate_below(&child->draws, REST_NS));
		if (number == child->dying && i >= rounds)
			die();
	}
	if (number && sim_generate_below(&child->draws, 2)) {
		me->ending = true;
		user_exit_thread(0);
	}
	for (;;)
		rest_ns(REST_NS);
}

static void child_main(uint64_t arg)
{
	(void)arg;
	child->pid = (int)user_call(__NR_getpid);
	user_store(LIMITS, child->limit);
	user_store(LIMITS + 8, RLIM64_INFINITY);
	user_call(__NR_prlimit64, 0, RLIMIT_CORE, LIMITS, 0);
	for (uint64_t i = 1; i < child->threads; i++)
		if (user_clone(USER_THREAD, 0, run_thread, i) < 0)
			user_exit(1);
	run_thread(0);
}

/* ---- the file: it is much larger than memory, but for its holes ---- */

static struct file *core;

static bool within(uint64_t at, uint64_t len)
{
	uint64_t size = core->inode->data->size;

	return at <= size && len <= size - at;
}

static void fetch(uint64_t at, void *ret, size_t len)
{
	MODEL_CHECK(within(at, len));
	MODEL_EQUAL(file_read_kernel(core, ret, len, (int64_t)at), len);
}

static struct thread_note *thread_of(int tid)
{
	for (unsigned i = 0; i < child->threads; i++)
		if (child->thread[i].tid == tid)
			return &child->thread[i];
	return NULL;
}

/* D3. One that was made and has not run yet has not said its number. */
static void check_threads(const Elf64_Phdr *notes)
{
	unsigned seen = 0, shown = 0;

	for (uint64_t at = notes->p_offset; at < notes->p_offset + notes->p_filesz;) {
		struct thread_note *t;
		Elf64_Nhdr h;
		uint64_t desc;
		int tid;

		fetch(at, &h, sizeof(h));
		desc = at + sizeof(h) + align_up(h.n_namesz, 4);
		at = desc + align_up(h.n_descsz, 4);
		MODEL_CHECK(at <= notes->p_offset + notes->p_filesz);
		if (h.n_type != NT_PRSTATUS)
			continue;
		fetch(desc + STATUS_PID, &tid, sizeof(tid));
		t = thread_of(tid);
		MODEL_CHECK(shown > 0 || t == &child->thread[child->dying]);
		if (t) {
			MODEL_CHECK(!(seen & 1u << (t - child->thread)));
			seen |= 1u << (t - child->thread);
		}
		shown++;
	}
	MODEL_CHECK(shown >= 1 && shown <= child->threads);
	for (unsigned i = 0; i < child->threads; i++)
		if (child->thread[i].begun && !child->thread[i].ending && !(seen & 1u << i))
			model_failed(__FILE__, __LINE__, "thread %u lives, and the core file does not show it", i);
}

static void check_counters(const Elf64_Phdr *p)
{
	uint64_t values[THREADS_MAX];

	fetch(p->p_offset + (COUNTERS - p->p_vaddr), values, sizeof(values));
	for (unsigned i = 0; i < child->threads; i++)
		if (values[i] < child->at_abort[i] || values[i] > child->thread[i].count)
			model_failed(__FILE__, __LINE__, "thread %u has counted to %lu, from %lu on, and the core file shows %lu", i,
				     (unsigned long)child->thread[i].count, (unsigned long)child->at_abort[i], (unsigned long)values[i]);
}

/* D4. */
static void check_memory(const Elf64_Ehdr *h)
{
	bool found = false;
	Elf64_Phdr p;

	for (unsigned i = 1; i < h->e_phnum; i++) {
		fetch(h->e_phoff + i * sizeof(p), &p, sizeof(p));
		MODEL_CHECK(p.p_type == PT_LOAD && within(p.p_offset, p.p_filesz));
		if (COUNTERS < p.p_vaddr || COUNTERS >= p.p_vaddr + p.p_filesz)
			continue;
		check_counters(&p);
		found = true;
	}
	MODEL_CHECK(found);
}

/* D2. */
static void check_file(bool whole)
{
	Elf64_Phdr notes;
	Elf64_Ehdr h;

	if (!within(0, sizeof(h))) {
		MODEL_CHECK(!whole);
		return;
	}
	fetch(0, &h, sizeof(h));
	MODEL_CHECK(memcmp(h.e_ident, ELFMAG, SELFMAG) == 0 && h.e_type == ET_CORE && h.e_phnum >= 2);
	if (!whole)
		return;
	fetch(h.e_phoff, &notes, sizeof(notes));
	MODEL_CHECK(notes.p_type == PT_NOTE && within(notes.p_offset, notes.p_filesz));
	check_threads(&notes);
	check_memory(&h);
}

/* ---- the parent ---- */

static int wait_for_child(int pid)
{
	uaddr_t at = user_scratch();
	int64_t result;

	do {
		result = user_call(__NR_wait4, (uint64_t)pid, at, 0, 0);
	} while (starved(result));
	if (result == -ECHILD && programs_may_die()) /* reaped, and what it was could not be told */
		return -1;
	MODEL_EQUAL(result, pid);
	return (int)user_load32(at);
}

static void act(struct model_op *op)
{
	uint64_t limit = model_chance(op, 20) ? SMALL_LIMIT : RLIM64_INFINITY, kill_after = model_below(op, 4 * REST_NS);
	bool kills = model_chance(op, 30);
	unsigned threads = 1 + (unsigned)model_below(op, THREADS_MAX), dying = (unsigned)model_below(op, threads);
	int64_t pid;

	if (child_count == CHILDREN_MAX)
		return;
	child = &children[child_count];
	*child = (struct child){ .limit = limit, .status = -1 };
	child_count++;
	child->draws = sim_generator(model_draw(op), 0);
	child->threads = threads;
	child->dying = dying;
	pid = user_fork(child_main, 0);
	if (pid < 0) {
		MODEL_CHECK(starved(pid));
		return;
	}
	if (kills) {
		rest_ns(kill_after);
		child->killed = true;
		MODEL_EQUAL(user_call(__NR_kill, (uint64_t)pid, SIGKILL), 0);
	}
	child->pid = (int)pid;
	child->status = wait_for_child((int)pid);
	model_state((uint64_t)child->status ^ threads << 16);
}

static void program(uint64_t arg)
{
	struct model_op op = MODEL_OPS(0);

	(void)arg;
	user_prepare_stack();
	while (model_next(&op))
		act(&op);
	model_recover();
	user_finished();
}

/* D1. */
static void check_child(void)
{
	bool told = child->status >= 0 && !programs_may_die(), dumped = child->status & 0x80, there;
	int signo = child->status & 0x7f;
	char name[32];

	(void)fmt_string(name, sizeof(name), NAME, child->pid);
	there = vfs_open(AT_FDCWD, name, O_RDONLY, 0, &core) == 0;
	if (told && dumped != there)
		model_failed(__FILE__, __LINE__, "status %#x, and there is %s core file", (unsigned)child->status, there ? "a" : "no");
	if (told) {
		MODEL_CHECK(signo == SIGABRT ? child->aborted : child->killed && signo == SIGKILL);
		MODEL_CHECK(signo != SIGABRT || dumped || child->killed);
	}
	if (!there)
		return;
	if (told)
		check_file(!child->killed && child->limit == RLIM64_INFINITY);
	file_put(core);
	MODEL_EQUAL(vfs_unlink(AT_FDCWD, name), 0);
}

/* What stays: a mount of /proc, and the names of core files. */
static void prepare(void)
{
	static const char pattern[] = "/c.%p";
	struct io_iter it;
	int64_t pos = 0;
	struct path at;
	struct file *f;

	programs_prepare();
	io_iter_kernel(&it, pattern, sizeof(pattern) - 1);
	if (vfs_mkdir(AT_FDCWD, "/p", 0700) < 0 || path_lookup(AT_FDCWD, "/p", LOOKUP_DIRECTORY, &at) < 0 ||
	    vfs_mount(&at, "proc", "proc", "", 0) < 0 || vfs_open(AT_FDCWD, PATTERN, O_WRONLY, 0, &f) < 0 || file_write(f, &it, &pos) < 0)
		panic("core files cannot be given names");
	file_put(f);
	path_put(&at);
}

static void run(void)
{
	child_count = 0;
	programs_run(program);
	sim_faults_arm(false);
	for (unsigned i = 0; i < child_count; i++) {
		child = &children[i];
		check_child();
	}
	MODEL_CHECK(programs_ended_well() || programs_may_die());
}

MODEL_DEFINE(coredumps, .what = "core files of processes with threads, some of which are killed meanwhile", .prepare = prepare, .run = run,
	     .cpus = 4, .operations = 8);
