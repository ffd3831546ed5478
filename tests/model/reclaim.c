/* SPDX-License-Identifier: MIT */
/*
 * Taking memory back, and swap. Processes of one thread store and load words of private pages, fork, move, forget and lock pages, and say that
 * they are cold or to be put out; a worker of the kernel takes memory away and gives it back, and turns two small swap areas off and on. The
 * reference knows each page of each process by its words.
 *
 * R1  A load gives what was stored last, wherever the page has been; after a fork each side sees its own stores.
 * R2  A load or a store fails only when reading a page back failed, which an injected error explains, or where memory was wanting. In half of
 *     the runs nobody takes memory away.
 * R3  Nothing is read that was not written since its slot was given, and no slot is in two transfers at a time, one of them a write.
 * R4  A locked page is not put out.
 * R5  In the end the areas are off, and nothing is left of them.
 */
#include "program.h"

#include <asm/mman.h>
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <cloudos/swap.h>
#include <cloudos/thread.h>
#include <cloudos/wait.h>
#include <linux/mman.h>
#include <sim/scenario.h>
#include <sim/trace.h>

#define ARENA	    USER_FREE
#define PAGES	    14
#define RUN_MAX	    5
#define WORDS	    2
#define WORD_STRIDE 2040
#define SPACES_MAX  24
#define ROOTS	    2
#define AREAS	    2
#define SLOTS	    20 /* of an area, the header among them: fewer than there are pages */
#define HOLD_ORDER  10
#define CHANCES	    8

/* ---- the areas ---- */

static struct area {
	uint8_t pages[SLOTS][PAGE_SIZE];
	bool written[SLOTS];
	int32_t reading[SLOTS];
	bool writing[SLOTS];
	bool on;
} areas[AREAS];

static unsigned errors; /* that were injected */
static bool taking;	/* memory is taken away in this run */

static void begin(struct area *a, bool write, uint64_t slot)
{
	MODEL_CHECK(slot < SLOTS && !a->writing[slot]);
	if (write) {
		MODEL_CHECK(a->reading[slot] == 0);
		a->writing[slot] = true;
	} else {
		a->reading[slot]++;
	}
}

static void end(struct area *a, bool write, uint64_t slot, struct page *page, bool good)
{
	if (write) {
		a->writing[slot] = false;
		a->written[slot] = good;
		memcpy(a->pages[slot], page_virt(page), PAGE_SIZE);
	} else {
		a->reading[slot]--;
		MODEL_CHECK(a->written[slot]);
		memcpy(page_virt(page), a->pages[slot], PAGE_SIZE);
	}
}

/* A transfer has more than one chance of an error: there are few of them in a run. */
static bool goes_wrong(bool write)
{
	bool wrong = false;

	for (unsigned i = 0; i < CHANCES; i++)
		wrong |= sim_fault(write ? SIM_FAULT_DISK_WRITE_ERROR : SIM_FAULT_DISK_READ_ERROR);
	return wrong;
}

static int transfer(void *device, bool write, uint64_t first, struct page *const pages[], unsigned n)
{
	bool failed = goes_wrong(write);
	struct area *a = device;

	for (unsigned i = 0; i < n; i++)
		begin(a, write, first + i);
	model_compute(20000);
	for (unsigned i = 0; i < n; i++)
		end(a, write, first + i, pages[i], !failed);
	errors += failed;
	return failed ? -EIO : 0;
}

static void release(void *device)
{
	((struct area *)device)->on = false;
}

static const struct swap_backing_ops backing = {.transfer = transfer, .release = release};

static void make_header(struct area *a)
{
	uint32_t *words = (uint32_t *)(a->pages[0] + 1024);

	words[0] = 1;
	words[1] = SLOTS - 1;
	words[2] = 1;	 /* a bad page */
	words[3 + 4 + 4 + 117] = 3;
	memcpy(a->pages[0] + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	a->written[0] = true;
}

static void turn_on(unsigned i, struct model_op *op)
{
	struct swap_request r = {.ops = &backing, .device = &areas[i], .device_pages = SLOTS, .name = "model",
				 .preferred = model_chance(op, 50), .priority = (int)model_below(op, 2)};
	int err;

	for (unsigned n = 1; n < SLOTS; n++)
		areas[i].written[n] = false;
	err = swap_on(&r);
	MODEL_CHECK(!err || (err == -ENOMEM && (taking || model_may_fail())) || (err == -EIO && errors));
	areas[i].on = !err;
}

static void turn_off(unsigned i)
{
	int err = swap_off(&areas[i]);

	MODEL_CHECK(!err || (err == -EIO && errors) || (err == -ENOMEM && (taking || model_may_fail())));
}

/* ---- the worker of the kernel ---- */

static struct list held = LIST_INIT(held);
static bool begun, over, pressed; /* the programs have; the worker of the kernel has ended */
static struct wait_queue news = WAIT_QUEUE_INIT(news);

static void hold_until(uint64_t target)
{
	for (unsigned order = HOLD_ORDER + 1; order-- > 0;)
		while (mm_free_pages() > target + (UINT64_C(1) << order)) {
			struct page *p = page_alloc(order, 0);

			if (!p)
				break;
			list_add(&held, &p->link);
		}
}

static void let_go(void)
{
	while (!list_empty(&held)) {
		struct page *p = list_first(&held, struct page, link);

		list_del(&p->link);
		page_put(p);
	}
}

static void press(void *arg)
{
	struct model_op op = MODEL_OPS(ROOTS);

	(void)arg;
	wait_event(&news, READ_ONCE(begun)); /* process 1 may not meet any faults */
	while (model_next(&op) && !READ_ONCE(over)) {
		unsigned what = (unsigned)model_below(&op, 10), i = (unsigned)model_below(&op, AREAS);

		if (what < 4 && taking)
			hold_until(mm_marks.user + 60 + model_below(&op, 60));
		else if (what < 6)
			let_go();
		else if (what < 8 && areas[i].on)
			turn_off(i);
		else if (!areas[i].on)
			turn_on(i, &op);
		model_compute(model_below(&op, 3000000));
	}
	let_go();
	WRITE_ONCE(pressed, true);
	wake_all(&news);
}

/* ---- the programs ---- */

static struct space {
	uint64_t words[PAGES][WORDS];
	bool mapped[PAGES], locked[PAGES];
	struct space *parent;
	uint64_t seed;
} spaces[SPACES_MAX];
static unsigned space_count;
static uint64_t last_value;
static uint64_t kills_before;

static uaddr_t page_address(unsigned page)
{
	return ARENA + page * PAGE_SIZE;
}

static bool somebody_died(void)
{
	struct reclaim_figures f;

	reclaim_get_figures(&f);
	return f.oom_kills != kills_before;
}

static bool may_fail(void)
{
	return errors || taking || programs_may_die() || somebody_died();
}

static bool failed(int64_t result)
{
	if (result < 0 && !may_fail())
		model_failed(__FILE__, __LINE__, "a call failed with %ld", (long)result);
	return result < 0;
}

static void load(const struct space *s, unsigned page, unsigned word)
{
	uint64_t seen;

	if (user_try_load(page_address(page) + word * WORD_STRIDE, &seen)) {
		if (!s->mapped[page] || seen != s->words[page][word])
			model_failed(__FILE__, __LINE__, "space %u page %u word %u holds %lu, not %lu", (unsigned)(s - spaces), page, word,
				     (unsigned long)seen, (unsigned long)s->words[page][word]);
	} else {
		MODEL_CHECK(!s->mapped[page] || may_fail());
	}
}

static void store(struct space *s, unsigned page, unsigned word)
{
	uint64_t value = ++last_value;

	sim_note("space %u: store %lu to %u.%u", (unsigned)(s - spaces), (unsigned long)value, page, word);
	if (user_try_store(page_address(page) + word * WORD_STRIDE, value)) {
		MODEL_CHECK(s->mapped[page]);
		s->words[page][word] = value;
	} else {
		MODEL_CHECK(!s->mapped[page] || may_fail());
	}
}

static void check_all(const struct space *s)
{
	for (unsigned page = 0; page < PAGES; page++)
		for (unsigned word = 0; word < WORDS; word++)
			load(s, page, word);
}

struct run {
	unsigned first, n;
};

static struct run choose(struct model_op *op)
{
	struct run r = {.n = 1 + (unsigned)model_below(op, RUN_MAX)};

	r.first = (unsigned)model_below(op, PAGES - r.n + 1);
	return r;
}

static bool all(const bool *what, struct run r)
{
	for (unsigned i = r.first; i < r.first + r.n; i++)
		if (!what[i])
			return false;
	return true;
}

static bool any(const bool *what, struct run r)
{
	for (unsigned i = r.first; i < r.first + r.n; i++)
		if (what[i])
			return true;
	return false;
}

static void advise(struct space *s, struct run r, int advice)
{
	int64_t result;

	if (!all(s->mapped, r))
		return;
	sim_note("space %u: advice %d on %u+%u", (unsigned)(s - spaces), advice, r.first, r.n);
	result = user_call(__NR_madvise, page_address(r.first), r.n * PAGE_SIZE, (uint64_t)advice);
	if (any(s->locked, r))
		MODEL_EQUAL(result, -EINVAL);
	else if (!failed(result) && advice == MADV_DONTNEED)
		memset(s->words[r.first], 0, r.n * sizeof(s->words[0]));
}

static void lock(struct space *s, struct run r, bool on)
{
	if (!all(s->mapped, r) || failed(user_call(on ? __NR_mlock : __NR_munlock, page_address(r.first), r.n * PAGE_SIZE)))
		return;
	for (unsigned i = r.first; i < r.first + r.n; i++)
		s->locked[i] = on;
}

/* R4: what mincore says of locked pages, if there has been no error in bringing them in. */
static void look_at_locked(const struct space *s)
{
	uaddr_t vec = user_scratch();

	for (unsigned i = 0; i < PAGES; i++)
		if (s->mapped[i] && s->locked[i] && user_call(__NR_mincore, page_address(i), PAGE_SIZE, vec) == 0)
			MODEL_CHECK((user_load(vec) & 1) || errors || programs_may_die() || somebody_died());
}

static void map(struct space *s, struct run r)
{
	if (failed(user_call(__NR_mmap, page_address(r.first), r.n * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX, 0)))
		return;
	for (unsigned i = r.first; i < r.first + r.n; i++) {
		memset(s->words[i], 0, sizeof(s->words[i]));
		s->mapped[i] = true;
		s->locked[i] = false;
	}
}

/* One that fails may have unmapped its target. */
static void move(struct space *s, unsigned from, unsigned to)
{
	if (from == to || !s->mapped[from])
		return;
	if (failed(user_call(__NR_mremap, page_address(from), PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, page_address(to)))) {
		while (failed(user_call(__NR_munmap, page_address(to), PAGE_SIZE)))
			;
		s->mapped[to] = s->locked[to] = false;
		return;
	}
	memcpy(s->words[to], s->words[from], sizeof(s->words[to]));
	s->mapped[to] = true;
	s->locked[to] = s->locked[from];
	s->mapped[from] = s->locked[from] = false;
}

static void child(uint64_t arg)
{
	struct space *s = &spaces[arg];
	struct sim_generator g = sim_generator(s->seed, arg);

	user_place((unsigned)arg);
	check_all(s);
	for (unsigned i = 0; i < 8; i++) {
		unsigned page = (unsigned)sim_generate_below(&g, PAGES), what = (unsigned)sim_generate_below(&g, 6);

		if (what < 3)
			store(s, page, (unsigned)sim_generate_below(&g, WORDS));
		else if (what < 5)
			load(s, page, (unsigned)sim_generate_below(&g, WORDS));
		else
			advise(s, (struct run){page, 1}, MADV_PAGEOUT);
	}
	check_all(s);
}

static void fork(struct space *s, struct model_op *op)
{
	struct space *copy = &spaces[space_count];

	if (space_count == SPACES_MAX)
		return;
	*copy = *s;
	memset(copy->locked, 0, sizeof(copy->locked)); /* locks are not inherited */
	copy->parent = s;
	copy->seed = model_draw(op);
	failed(user_fork(child, space_count++));
}

static void work(struct space *s, struct model_op *op)
{
	unsigned what = (unsigned)model_below(op, 100), page = (unsigned)model_below(op, PAGES), word = (unsigned)model_below(op, WORDS);
	struct run r = choose(op);

	if (what < 25)
		load(s, page, word);
	else if (what < 50)
		store(s, page, word);
	else if (what < 68)
		advise(s, r, MADV_PAGEOUT);
	else if (what < 74)
		advise(s, r, MADV_COLD);
	else if (what < 78)
		advise(s, r, MADV_DONTNEED);
	else if (what < 84)
		move(s, page, (unsigned)model_below(op, PAGES));
	else if (what < 88)
		map(s, r);
	else if (what < 92)
		lock(s, r, model_chance(op, 60));
	else if (what < 94)
		look_at_locked(s);
	else
		fork(s, op);
}

/* Waits until all children have ended: well, or killed for want of memory or a page. */
static void reap(void)
{
	uaddr_t status = user_scratch();

	for (;;) {
		int64_t pid = user_call(__NR_wait4, UINT64_MAX, status);

		if (pid == -ECHILD)
			return;
		if (pid < 0 || (uint32_t)user_load(status) != 0)
			MODEL_CHECK(may_fail());
	}
}

static void root(uint64_t arg)
{
	struct model_op op = MODEL_OPS(arg);
	struct space *s = &spaces[arg];

	user_place((unsigned)arg);
	map(s, (struct run){0, PAGES});
	while (model_next(&op)) {
		work(s, &op);
		model_state(s->words[0][0] ^ s->words[3][1] << 8 ^ (uint64_t)s->locked[2] << 60);
	}
	check_all(s);
	reap();
}

static void program(uint64_t arg)
{
	bool armed = sim_faults_armed();

	(void)arg;
	sim_faults_arm(false);
	user_catch_faults();
	user_prepare_stack();
	space_count = ROOTS;
	sim_faults_arm(armed);
	WRITE_ONCE(begun, true);
	wake_all(&news);
	failed(user_fork(root, 1));
	root(0);
	model_recover();
	check_all(&spaces[0]);
	user_finished();
}

static void run(void)
{
	struct sim_generator g = sim_generator(sim_scenario.seed, 0x7072657373); /* "press" */
	struct reclaim_figures f;

	taking = sim_generate_below(&g, 2);
	reclaim_get_figures(&f);
	kills_before = f.oom_kills;
	for (unsigned i = 0; i < AREAS; i++)
		make_header(&areas[i]);
	sim_faults_arm(false);
	MODEL_EQUAL(thread_spawn("press", press, NULL), 0);
	sim_faults_arm(true);
	programs_run(program);
	WRITE_ONCE(over, true);
	wait_event(&news, READ_ONCE(pressed));
	model_recover();
	for (unsigned i = 0; i < AREAS; i++)
		if (areas[i].on)
			turn_off(i);
	MODEL_CHECK(!areas[0].on && !areas[1].on); /* R5 */
	MODEL_CHECK(programs_ended_well() || may_fail());
}

MODEL_DEFINE(reclaim, .what = "taking memory back, and swap areas", .prepare = programs_prepare, .run = run, .cpus = 4, .operations = 40);
