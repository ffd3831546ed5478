/* SPDX-License-Identifier: MIT */
/*
 * Address spaces. A few processes, of two threads each, map, unmap, protect, move and forget pages of a small arena, fork, and
 * load and store words of it; some pages belong to files or to shared anonymous memory. The reference knows each page of
 * each address space, and each page of what is shared, by its two words.
 *
 * M1  A load gives what was stored last: through the mapping, through another mapping of the same object, or by pwrite.
 * M2  Once munmap, mprotect, madvise, mremap or brk has returned, no thread of the address space gets at the page as it was.
 * M3  Fresh anonymous memory is zero. M4  What is stored after a fork is seen by one side only, unless it is shared.
 * M5  An access faults only if the reference forbids it.
 *
 * A load and its check are one step, as are a store and its note in the reference: no scheduling point lies between them. While a
 * call changes a page (`changing`), accesses of it may see either state; what they store is then known only by looking at it
 * ("fuzzy"). A page that a fork may have caught in such a moment is unmapped by the child before it starts.
 */
#include "program.h"

#include <asm/mman.h>
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/fs.h>
#include <cloudos/string.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <sim/trace.h>

#define ARENA	     USER_FREE
#define ARENA_PAGES  12
#define BRK_PAGES    3
#define PAGES	     (ARENA_PAGES + BRK_PAGES)
#define RUN_MAX	     3 /* pages that one call is about */
#define WORDS	     2
#define WORD_STRIDE  2040
#define SPACES_MAX   64
#define FILES	     2
#define FILE_PAGES   4
#define OBJECT_PAGES 512
#define WORKERS	     4
#define PROT_ALL     (PROT_READ | PROT_WRITE)

enum kind { NOTHING, ANONYMOUS, SHARED, PRIVATE_FILE };

struct words {
	uint64_t value[WORDS];
	bool fuzzy[WORDS];
};

struct page_reference {
	enum kind kind;
	unsigned object; /* of SHARED and PRIVATE_FILE: its page */
	unsigned prot;
	struct words own;  /* of ANONYMOUS, and of a PRIVATE_FILE that was written to */
	bool copied;	   /* PRIVATE_FILE: has words of its own */
	bool perhaps;	   /* PRIVATE_FILE: has them perhaps, since a store was tried */
	bool changing;
	unsigned becomes; /* 1 + the shared page that the change may already have put here; 0: none */
	uint32_t changes, stores; /* so far */
};

/* One page of a file or of shared anonymous memory. */
static struct object_page {
	struct words words;
	unsigned writing; /* calls that write to it */
	uint32_t stores;
} objects[OBJECT_PAGES];
static unsigned object_count;

static struct space {
	struct page_reference pages[PAGES];
	uint32_t forked_changes[PAGES], forked_stores[PAGES]; /* of the parent when the fork began */
	struct space *parent;
	bool brk_busy;
	uint64_t seed;
} spaces[SPACES_MAX];
static unsigned space_count;

static int files[FILES];
static uaddr_t brk_base;
static uint64_t last_value;

static uaddr_t page_address(unsigned page)
{
	return page < ARENA_PAGES ? ARENA + page * PAGE_SIZE : brk_base + (page - ARENA_PAGES) * PAGE_SIZE;
}

static uaddr_t word_address(unsigned page, unsigned word)
{
	return page_address(page) + word * WORD_STRIDE;
}

/* An error is right only for want of memory. */
static bool failed(int64_t result)
{
	if (result >= 0)
		return false;
	if (!programs_may_die())
		model_failed(__FILE__, __LINE__, "a call failed with %ld", (long)result);
	if (result != -ENOMEM && result != -EAGAIN && result != -ENFILE)
		model_failed(__FILE__, __LINE__, "a call failed with %ld", (long)result);
	return true;
}

/* ---- words ---- */

static void check_words(struct words *w, unsigned word, uint64_t seen, const char *what, unsigned page)
{
	if (w->fuzzy[word]) {
		w->value[word] = seen;
		w->fuzzy[word] = false;
	}
	if (w->value[word] != seen)
		model_failed(__FILE__, __LINE__, "%s page %u word %u holds %lu, not %lu", what, page, word,
			     (unsigned long)seen, (unsigned long)w->value[word]);
}

static void make_fuzzy(struct words *w)
{
	for (unsigned i = 0; i < WORDS; i++)
		w->fuzzy[i] = true;
}

static void check_object(unsigned object, unsigned word, uint64_t seen)
{
	if (!objects[object].writing)
		check_words(&objects[object].words, word, seen, "shared", object);
}

/* A load of a page that nobody is changing gave `seen`. */
static void check_load(struct page_reference *p, unsigned page, unsigned word, uint64_t seen)
{
	switch (p->kind) {
	case NOTHING:
		model_failed(__FILE__, __LINE__, "a load of page %u, which is not mapped, gave %lu", page, (unsigned long)seen);
	case ANONYMOUS:
		check_words(&p->own, word, seen, "anonymous", page);
		break;
	case SHARED:
		check_object(p->object, word, seen);
		break;
	case PRIVATE_FILE:
		if (p->copied)
			check_words(&p->own, word, seen, "private", page);
		else if (!p->perhaps)
			check_object(p->object, word, seen);
		break;
	}
	if (!p->prot)
		model_failed(__FILE__, __LINE__, "a load of page %u, which forbids it, gave %lu", page, (unsigned long)seen);
}

static void load(struct space *s, unsigned page, unsigned word)
{
	struct page_reference *p = &s->pages[page];
	uint32_t changes = p->changes;
	uint64_t seen;

	if (user_try_load(word_address(page, word), &seen)) {
		if (!p->changing)
			check_load(p, page, word, seen);
	} else if (p->changes == changes && !p->changing && p->kind != NOTHING && p->prot) {
		model_failed(__FILE__, __LINE__, "a load of page %u faulted", page);
	}
}

static void note_object_store(unsigned object, unsigned word, uint64_t value, bool sure)
{
	objects[object].words.value[word] = value;
	objects[object].words.fuzzy[word] = !sure;
	objects[object].stores++;
}

/* The first store to a private page of a file: the rest of the page is a copy of what the file held at some time since `before`. */
static void note_copy(struct page_reference *p, uint32_t before)
{
	const struct object_page *o = &objects[p->object];

	if (p->copied)
		return;
	p->own = o->words;
	if (p->perhaps || o->writing || o->stores != before)
		make_fuzzy(&p->own);
	p->copied = true;
}

static void note_store(struct page_reference *p, unsigned page, unsigned word, uint64_t value, uint32_t object_stores)
{
	if (p->kind == NOTHING || !(p->prot & PROT_WRITE))
		model_failed(__FILE__, __LINE__, "a store to page %u, which forbids it, went well", page);
	if (p->kind == SHARED) {
		note_object_store(p->object, word, value, !objects[p->object].writing);
		return;
	}
	if (p->kind == PRIVATE_FILE)
		note_copy(p, object_stores);
	p->own.value[word] = value;
	p->own.fuzzy[word] = false;
}

/* While the page changes: wherever the store went, that word is known only by looking at it. */
static void note_store_anywhere(struct page_reference *p)
{
	make_fuzzy(&p->own);
	p->perhaps = true;
	p->copied = false;
	if (p->kind == SHARED) {
		make_fuzzy(&objects[p->object].words);
		objects[p->object].stores++;
	}
	if (p->becomes) {
		make_fuzzy(&objects[p->becomes - 1].words);
		objects[p->becomes - 1].stores++;
	}
}

static void store(struct space *s, unsigned page, unsigned word)
{
	struct page_reference *p = &s->pages[page];
	uint32_t changes = p->changes, object_stores = objects[p->object].stores;
	bool perhaps = p->perhaps;
	uint64_t value = ++last_value;

	p->stores++;
	sim_note("space %u: store %lu to %u.%u", (unsigned)(s - spaces), (unsigned long)value, page, word);
	p->perhaps = true;
	if (user_try_store(word_address(page, word), value)) {
		p->stores++;
		if (p->changing) {
			note_store_anywhere(p);
			return;
		}
		if (p->changes == changes)
			p->perhaps = perhaps;
		note_store(p, page, word, value, object_stores);
	} else if (p->changes == changes && !p->changing && p->kind != NOTHING && p->prot & PROT_WRITE) {
		model_failed(__FILE__, __LINE__, "a store to page %u faulted", page);
	}
}

/* ---- changes ---- */

/* Takes pages for a change; false if one of them is being changed by another thread. */
static bool change_begin(struct space *s, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		if (s->pages[i].changing)
			return false;
	for (unsigned i = first; i < first + n; i++) {
		s->pages[i].changing = true;
		s->pages[i].changes++;
	}
	return true;
}

/* A store that another thread made meanwhile, into what the page is now or was. */
static void change_end(struct space *s, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++) {
		s->pages[i].changing = false;
		s->pages[i].becomes = 0;
		s->pages[i].changes++;
	}
}

/* The page is a fresh one now. With stores during the change, what it holds is to be looked at. */
static void set_page(struct space *s, unsigned page, enum kind kind, unsigned object, unsigned prot, uint32_t stores)
{
	struct page_reference *p = &s->pages[page];
	bool disturbed = p->stores != stores;

	p->kind = kind;
	p->object = object;
	p->prot = prot;
	p->own = (struct words){.value = {0}};
	p->copied = false;
	p->perhaps = disturbed;
	if (!disturbed)
		return;
	make_fuzzy(&p->own);
	if (kind == SHARED) {
		make_fuzzy(&objects[object].words);
		objects[object].stores++;
	}
}

struct run {
	unsigned first, n;
	uint32_t stores[RUN_MAX];
};

static bool run_begin(struct space *s, struct model_op *op, struct run *ret, const char *what)
{
	ret->n = 1 + (unsigned)model_below(op, RUN_MAX);
	ret->first = (unsigned)model_below(op, ARENA_PAGES - ret->n + 1);
	if (!change_begin(s, ret->first, ret->n))
		return false;
	sim_note("space %u: %s %u+%u", (unsigned)(s - spaces), what, ret->first, ret->n);
	for (unsigned i = 0; i < ret->n; i++)
		ret->stores[i] = s->pages[ret->first + i].stores;
	return true;
}

static unsigned random_prot(struct model_op *op)
{
	static const unsigned prots[] = {PROT_NONE, PROT_READ, PROT_ALL, PROT_ALL, PROT_ALL};

	return prots[model_below(op, ARRAY_SIZE(prots))];
}

static void map(struct space *s, struct model_op *op)
{
	enum kind kind = ANONYMOUS + (enum kind)model_below(op, 3);
	bool file = kind == PRIVATE_FILE || (kind == SHARED && model_chance(op, 70));
	unsigned which = (unsigned)model_below(op, FILES), prot = random_prot(op), object;
	uint64_t flags = MAP_FIXED | (kind == SHARED ? MAP_SHARED : MAP_PRIVATE) | (file ? 0 : MAP_ANONYMOUS);
	unsigned at = (unsigned)model_below(op, FILE_PAGES - RUN_MAX + 1);
	struct run run;

	if (model_chance(op, 10))
		flags |= MAP_POPULATE;
	if (!run_begin(s, op, &run, __func__))
		return;
	object = file ? which * FILE_PAGES + at : object_count;
	if (kind == SHARED && !file)
		object_count += run.n;
	MODEL_CHECK(object_count <= OBJECT_PAGES);
	for (unsigned i = 0; kind == SHARED && i < run.n; i++)
		s->pages[run.first + i].becomes = object + i + 1;
	if (!failed(user_call(__NR_mmap, page_address(run.first), run.n * PAGE_SIZE, prot, flags,
			      file ? (uint64_t)files[which] : UINT64_MAX, file ? at * PAGE_SIZE : 0)))
		for (unsigned i = 0; i < run.n; i++) {
			set_page(s, run.first + i, kind, kind == ANONYMOUS ? 0 : object + i, prot, run.stores[i]);
			s->pages[run.first + i].perhaps |= kind == PRIVATE_FILE && flags & MAP_POPULATE; /* that copies */
		}
	change_end(s, run.first, run.n);
}

static void unmap(struct space *s, struct model_op *op)
{
	struct run run;

	if (!run_begin(s, op, &run, __func__))
		return;
	if (!failed(user_call(__NR_munmap, page_address(run.first), run.n * PAGE_SIZE)))
		for (unsigned i = 0; i < run.n; i++)
			set_page(s, run.first + i, NOTHING, 0, 0, run.stores[i]);
	change_end(s, run.first, run.n);
}

static bool all_mapped(const struct space *s, const struct run *run)
{
	for (unsigned i = 0; i < run->n; i++)
		if (s->pages[run->first + i].kind == NOTHING)
			return false;
	return true;
}

static void protect(struct space *s, struct model_op *op)
{
	unsigned prot = random_prot(op);
	struct run run;

	if (!run_begin(s, op, &run, __func__))
		return;
	if (all_mapped(s, &run) && !failed(user_call(__NR_mprotect, page_address(run.first), run.n * PAGE_SIZE, prot)))
		for (unsigned i = 0; i < run.n; i++)
			s->pages[run.first + i].prot = prot;
	change_end(s, run.first, run.n);
}

static void forget(struct space *s, struct model_op *op)
{
	struct run run;

	if (!run_begin(s, op, &run, __func__))
		return;
	if (all_mapped(s, &run) && !failed(user_call(__NR_madvise, page_address(run.first), run.n * PAGE_SIZE, MADV_DONTNEED)))
		for (unsigned i = 0; i < run.n; i++) {
			const struct page_reference *p = &s->pages[run.first + i];

			set_page(s, run.first + i, p->kind, p->object, p->prot, run.stores[i]);
		}
	change_end(s, run.first, run.n);
}

/* What was at `from` is at `to` now. */
static void note_move(struct space *s, unsigned from, unsigned to, bool disturbed)
{
	struct page_reference *a = &s->pages[from], *b = &s->pages[to];
	struct page_reference moved = *a;

	set_page(s, to, moved.kind, moved.object, moved.prot, disturbed ? ~b->stores : b->stores);
	if (!disturbed) {
		b->own = moved.own;
		b->copied = moved.copied;
		b->perhaps = moved.perhaps;
	}
	set_page(s, from, NOTHING, 0, 0, a->stores);
}

/* A move that fails has unmapped its target, perhaps; the source is as it was. */
static void move_to(struct space *s, unsigned from, unsigned to)
{
	uint32_t stores_a = s->pages[from].stores, stores_b = s->pages[to].stores;

	sim_note("space %u: move %u to %u", (unsigned)(s - spaces), from, to);
	if (s->pages[from].kind == SHARED)
		s->pages[to].becomes = s->pages[from].object + 1;
	if (!failed(user_call(__NR_mremap, page_address(from), PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			      page_address(to)))) {
		note_move(s, from, to, s->pages[from].stores != stores_a || s->pages[to].stores != stores_b);
		return;
	}
	while (failed(user_call(__NR_munmap, page_address(to), PAGE_SIZE)))
		;
	set_page(s, to, NOTHING, 0, 0, stores_b);
}

static void move(struct space *s, struct model_op *op)
{
	unsigned from = (unsigned)model_below(op, ARENA_PAGES), to = (unsigned)model_below(op, ARENA_PAGES);

	if (from == to || s->pages[from].kind == NOTHING || !change_begin(s, from, 1))
		return;
	if (change_begin(s, to, 1)) {
		move_to(s, from, to);
		change_end(s, to, 1);
	}
	change_end(s, from, 1);
}

/* The heap's last pages: how far it reaches is the number of pages that are mapped. */
static void move_break(struct space *s, struct model_op *op)
{
	unsigned pages = (unsigned)model_below(op, BRK_PAGES + 1);
	uint32_t stores[BRK_PAGES];
	uint64_t result;

	if (s->brk_busy || !change_begin(s, ARENA_PAGES, BRK_PAGES))
		return;
	s->brk_busy = true;
	for (unsigned i = 0; i < BRK_PAGES; i++)
		stores[i] = s->pages[ARENA_PAGES + i].stores;
	result = (uint64_t)user_call(__NR_brk, brk_base + pages * PAGE_SIZE);
	if (result == brk_base + pages * PAGE_SIZE) {
		for (unsigned i = 0; i < BRK_PAGES; i++) {
			enum kind kind = i < pages ? ANONYMOUS : NOTHING;

			if (kind != s->pages[ARENA_PAGES + i].kind)
				set_page(s, ARENA_PAGES + i, kind, 0, kind == NOTHING ? 0 : PROT_ALL, stores[i]);
		}
	} else {
		MODEL_CHECK(model_may_fail());
	}
	s->brk_busy = false;
	change_end(s, ARENA_PAGES, BRK_PAGES);
}

/* ---- files by calls ---- */

static void read_file(struct model_op *op)
{
	unsigned object = (unsigned)model_below(op, FILES * FILE_PAGES), word = (unsigned)model_below(op, WORDS);
	uint64_t at = object % FILE_PAGES * PAGE_SIZE + word * WORD_STRIDE;
	uaddr_t buffer = user_scratch();
	uint32_t stores = objects[object].stores;
	bool quiet = !objects[object].writing;
	int64_t n = user_call(__NR_pread64, (uint64_t)files[object / FILE_PAGES], buffer, 8, at);

	if (n == -EFAULT || failed(n)) {
		MODEL_CHECK(n != -EFAULT || model_may_fail());
		return;
	}
	MODEL_EQUAL(n, 8);
	quiet = quiet && stores == objects[object].stores && !objects[object].writing;
	if (quiet) {
		uint64_t seen = user_load(buffer);

		if (stores == objects[object].stores && !objects[object].writing)
			check_object(object, word, seen);
	}
}

static void write_file(struct model_op *op)
{
	unsigned object = (unsigned)model_below(op, FILES * FILE_PAGES), word = (unsigned)model_below(op, WORDS);
	uint64_t at = object % FILE_PAGES * PAGE_SIZE + word * WORD_STRIDE, value = ++last_value;
	uaddr_t buffer = user_scratch();
	struct object_page *o = &objects[object];
	uint32_t stores;
	int64_t n;

	user_store(buffer, value);
	if (o->writing)
		return;
	o->writing++;
	stores = ++o->stores;
	n = user_call(__NR_pwrite64, (uint64_t)files[object / FILE_PAGES], buffer, 8, at);
	o->writing--;
	if (n != 8)
		MODEL_CHECK(n < 0 && model_may_fail());
	if (n == 8 && stores == o->stores)
		note_object_store(object, word, value, true);
	else
		make_fuzzy(&o->words);
	o->stores++;
}

/* ---- forks ---- */

static void check_all(struct space *s)
{
	for (unsigned page = 0; page < PAGES; page++)
		for (unsigned word = 0; word < WORDS; word++)
			load(s, page, word);
}

/* What the parent's other threads did to pages during the fork. */
static void inherit(struct space *s)
{
	for (unsigned i = 0; i < PAGES; i++) {
		struct page_reference *p = &s->pages[i];
		const struct page_reference *was = &s->parent->pages[i];

		if (p->changing || was->changes != s->forked_changes[i]) {
			p->changing = true;
			p->changes++;
			while (failed(user_call(__NR_munmap, page_address(i), PAGE_SIZE)))
				;
			set_page(s, i, NOTHING, 0, 0, p->stores);
			change_end(s, i, 1);
		} else if (was->stores != s->forked_stores[i]) {
			make_fuzzy(&p->own);
			p->perhaps = true;
			p->copied = false;
		}
	}
	s->brk_busy = true; /* its pages may have been unmapped by hand */
}

/* Takes the right to write, and gives it back: the page stays what it was, and whose it was. */
static void protect_and_back(struct space *s, unsigned page)
{
	struct page_reference *p = &s->pages[page];

	if (p->kind == NOTHING || p->prot != PROT_ALL || !change_begin(s, page, 1))
		return;
	if (!failed(user_call(__NR_mprotect, page_address(page), PAGE_SIZE, PROT_READ))) {
		p->prot = PROT_READ;
		if (!failed(user_call(__NR_mprotect, page_address(page), PAGE_SIZE, PROT_ALL)))
			p->prot = PROT_ALL;
	}
	change_end(s, page, 1);
}

static void child(uint64_t arg)
{
	struct space *s = &spaces[arg];
	struct sim_generator g = sim_generator(s->seed, arg);

	inherit(s);
	user_place((unsigned)arg);
	check_all(s);
	for (unsigned i = 0; i < 6; i++) {
		unsigned page = (unsigned)sim_generate_below(&g, PAGES), word = (unsigned)sim_generate_below(&g, WORDS);

		if (sim_generate_below(&g, 4) == 0)
			protect_and_back(s, page);
		if (sim_generate_below(&g, 3))
			store(s, page, word);
		else
			load(s, page, word);
	}
	check_all(s);
}

static void fork(struct space *s, struct model_op *op)
{
	struct space *copy = &spaces[space_count];
	uint64_t seed = model_draw(op);

	if (space_count == SPACES_MAX)
		return;
	sim_note("space %u: fork %u", (unsigned)(s - spaces), space_count);
	*copy = (struct space){.parent = s, .seed = seed};
	memcpy(copy->pages, s->pages, sizeof(s->pages));
	for (unsigned i = 0; i < PAGES; i++) {
		copy->forked_changes[i] = s->pages[i].changes;
		copy->forked_stores[i] = s->pages[i].stores;
	}
	failed(user_fork(child, space_count++));
}

/* ---- workers ---- */

static void work(struct space *s, struct model_op *op)
{
	unsigned what = (unsigned)model_below(op, 100);
	unsigned page = (unsigned)model_below(op, PAGES), word = (unsigned)model_below(op, WORDS);

	if (what < 26)
		load(s, page, word);
	else if (what < 54)
		store(s, page, word);
	else if (what < 69)
		map(s, op);
	else if (what < 74)
		unmap(s, op);
	else if (what < 82)
		protect(s, op);
	else if (what < 86)
		forget(s, op);
	else if (what < 90)
		move(s, op);
	else if (what < 93)
		move_break(s, op);
	else if (what < 95)
		read_file(op);
	else if (what < 97)
		write_file(op);
	else
		fork(s, op);
}

static void worker(uint64_t arg)
{
	struct model_op op = MODEL_OPS(arg);
	struct space *s = &spaces[arg / 2];

	user_place((unsigned)arg);
	while (model_next(&op)) {
		work(s, &op);
		model_state(s->pages[0].kind ^ s->pages[1].kind << 2 ^ s->pages[2].kind << 4 ^ s->pages[3].prot << 6 ^ arg << 10);
	}
	if (arg % 2)
		user_exit_thread(0);
}

/* Waits until all children have ended: 0, or killed for want of memory. */
static void reap(void)
{
	uaddr_t status = user_scratch();

	for (;;) {
		int64_t pid = user_call(__NR_wait4, UINT64_MAX, status);

		if (pid == -ECHILD)
			return;
		if (pid < 0) {
			MODEL_CHECK(pid == -EFAULT && model_may_fail());
			continue;
		}
		if ((uint32_t)user_load(status) != 0)
			MODEL_CHECK(programs_may_die());
	}
}

/* Two workers: the caller and a thread of its. */
static void pair(uint64_t first)
{
	uaddr_t tid = USER_GLOBALS + 8;
	uint32_t now;

	user_store(tid, 1);
	if (failed(user_clone(USER_THREAD | CLONE_CHILD_CLEARTID, tid, worker, first + 1)))
		user_store(tid, 0);
	worker(first);
	while ((now = user_load32(tid)) != 0)
		user_call(__NR_futex, tid, FUTEX_WAIT, now, 0);
	check_all(&spaces[first / 2]);
	reap();
}

static int open_file(unsigned which)
{
	const char name[8] = {'/', 'f', (char)('0' + which)};
	int64_t fd;

	user_write(user_scratch(), name, sizeof(name));
	fd = user_call(__NR_open, user_scratch(), O_CREAT | O_RDWR, 0600);
	MODEL_CHECK(fd >= 0);
	MODEL_EQUAL(user_call(__NR_ftruncate, (uint64_t)fd, FILE_PAGES * PAGE_SIZE), 0);
	return (int)fd;
}

static void program(uint64_t arg)
{
	bool armed = sim_faults_armed();

	(void)arg;
	sim_faults_arm(false);
	user_catch_faults();
	brk_base = (uint64_t)user_call(__NR_brk, 0);
	brk_base = align_up(brk_base, PAGE_SIZE);
	user_call(__NR_brk, brk_base);
	for (unsigned i = 0; i < FILES; i++)
		files[i] = open_file(i);
	object_count = FILES * FILE_PAGES;
	space_count = 2;
	sim_faults_arm(armed);
	failed(user_fork(pair, 2));
	pair(0);
	model_recover();
	check_all(&spaces[0]);
	user_finished();
}

static void run(void)
{
	programs_run(program);
	model_recover();
	MODEL_CHECK(programs_ended_well() || programs_may_die());
	(void)vfs_unlink(AT_FDCWD, "/f0");
	(void)vfs_unlink(AT_FDCWD, "/f1");
}

MODEL_DEFINE(memory, .what = "mmap and its kin, fork, page faults, TLBs", .prepare = programs_prepare, .run = run, .cpus = 4,
	     .operations = 25);
