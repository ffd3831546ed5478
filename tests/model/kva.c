/* SPDX-License-Identifier: MIT */
/*
 * Kernel virtual areas and kernel stacks. Workers make and free areas of random sizes, stacks, and threads that are never started.
 *
 *   reference   a table of what there is; what is new overlaps none of it, and an unmapped page lies between
 *   content     an area comes cleared; a page of it keeps what was written, and is no other area's page
 */
#include "model.h"

#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include "../../src/kernel/mm/mm_internal.h"

#define WORKERS	  4
#define SLOTS	  6
#define PAGES_MAX 6 /* of an area */
#define STACKS_MAX 4 /* at a time */
#define ADDRESSES_MAX 65536 /* pages (kva.c) */
#define LEFT_PAGES    240 /* for the model: fewer than it uses in all */
#define CROWDED_PAGES 45  /* with no more in use, guard pages and all, there is room for any area */

enum kind { NONE, AREA, STACK, THREAD };

struct slot {
	enum kind kind; /* by table_lock, as all but `mark` */
	char *at;
	size_t size;
	uint64_t mark;
	struct thread thread;
};

static struct slot slots[WORKERS][SLOTS];
static uint32_t stacks;
static size_t used_pages; /* by table_lock: of what there is, with the guard pages */
static struct spinlock table_lock = SPINLOCK_INIT(RANK_SPIN);

static void check_apart(const struct slot *s)
{
	for (unsigned i = 0; i < WORKERS * SLOTS; i++) {
		const struct slot *other = &slots[i / SLOTS][i % SLOTS];

		if (other == s || other->kind == NONE)
			continue;
		MODEL_CHECK(s->at + s->size + PAGE_SIZE <= other->at || other->at + other->size + PAGE_SIZE <= s->at);
	}
}

static void enter(struct slot *s, enum kind kind, char *at, size_t size)
{
	MODEL_EQUAL((uintptr_t)at & (PAGE_SIZE - 1), 0);
	spin_lock(&table_lock);
	s->kind = kind;
	s->at = at;
	s->size = align_up(size, PAGE_SIZE);
	used_pages += (s->size >> PAGE_SHIFT) + 1;
	check_apart(s);
	spin_unlock(&table_lock);
}

static void leave(struct slot *s)
{
	spin_lock(&table_lock);
	used_pages -= s->kind == NONE ? 0 : (s->size >> PAGE_SHIFT) + 1;
	s->kind = NONE;
	spin_unlock(&table_lock);
}

/* Also what others are just making or giving back takes room. */
static bool may_fail(void)
{
	return model_may_fail() || READ_ONCE(used_pages) + (WORKERS - 1) * (PAGES_MAX + 1) > CROWDED_PAGES;
}

static uint64_t *mark_of(const struct slot *s, size_t page)
{
	return (uint64_t *)(void *)(s->at + page * PAGE_SIZE + PAGE_SIZE / 2);
}

static void write_marks(struct slot *s, uint64_t mark)
{
	s->mark = mark;
	for (size_t i = 0; i < s->size >> PAGE_SHIFT; i++)
		*mark_of(s, i) = mark + i;
}

static void check_marks(const struct slot *s)
{
	for (size_t i = 0; i < s->size >> PAGE_SHIFT; i++)
		MODEL_EQUAL(*mark_of(s, i), s->mark + i);
}

static void make_area(struct model_op *op, struct slot *s)
{
	size_t size = 1 + model_below(op, PAGES_MAX * PAGE_SIZE);
	uint64_t mark = model_draw(op);
	char *at;

	if (s->kind != NONE)
		return;
	at = kva_alloc(size);
	MODEL_CHECK(at || may_fail());
	if (!at)
		return;
	enter(s, AREA, at, size);
	for (size_t i = 0; i < s->size >> PAGE_SHIFT; i++) {
		MODEL_EQUAL(*mark_of(s, i), 0);
		MODEL_EQUAL(at[i * PAGE_SIZE], 0);
	}
	write_marks(s, mark);
}

static bool count_stack(void)
{
	if (__atomic_add_fetch(&stacks, 1, __ATOMIC_RELAXED) <= STACKS_MAX)
		return true;
	__atomic_fetch_sub(&stacks, 1, __ATOMIC_RELAXED);
	return false;
}

static void make_stack(struct model_op *op, struct slot *s)
{
	uint64_t mark = model_draw(op);
	char *at;

	if (s->kind != NONE || !count_stack())
		return;
	at = kstack_alloc();
	MODEL_CHECK(at || may_fail());
	if (!at) {
		__atomic_fetch_sub(&stacks, 1, __ATOMIC_RELAXED);
		return;
	}
	enter(s, STACK, at, HAL_KSTACK_SIZE);
	write_marks(s, mark);
}

static void never(void *arg)
{
	(void)arg;
	model_failed(__FILE__, __LINE__, "a thread ran that was not started");
}

static void make_thread(struct slot *s)
{
	if (s->kind != NONE || !count_stack())
		return;
	if (thread_init(&s->thread, "never", never, NULL)) {
		MODEL_CHECK(may_fail());
		__atomic_fetch_sub(&stacks, 1, __ATOMIC_RELAXED);
		return;
	}
	enter(s, THREAD, s->thread.stack, HAL_KSTACK_SIZE);
}

static void destroy(struct slot *s)
{
	enum kind kind = s->kind;

	if (kind == AREA || kind == STACK)
		check_marks(s);
	leave(s);
	if (kind == AREA)
		kva_free(s->at);
	else if (kind == STACK)
		kstack_free(s->at);
	else if (kind == THREAD)
		thread_fini(&s->thread);
	if (kind == STACK || kind == THREAD)
		__atomic_fetch_sub(&stacks, 1, __ATOMIC_RELAXED);
}

/* What no allocator gives. */
static void impossible(void)
{
	MODEL_CHECK(!kva_alloc(0));
	MODEL_CHECK(!kva_alloc(SIZE_MAX / 2));
	kva_free(NULL);
	kstack_free(NULL);
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		struct slot *s = &slots[worker][model_below(&op, SLOTS)];
		uint64_t what = model_below(&op, 16);

		if (what < 5)
			make_area(&op, s);
		else if (what < 7)
			make_stack(&op, s);
		else if (what < 8)
			make_thread(s);
		else if (what < 14)
			destroy(s);
		else if (what < 15)
			impossible();
		else
			thread_yield();
		model_state((uint64_t)(uintptr_t)s->at ^ (uint64_t)s->kind);
	}
}

/* Addresses for all that there is, and not for much more: so that they are used again. */
static size_t make_tight(uintptr_t *ret)
{
	size_t most = 0;

	for (size_t step = ADDRESSES_MAX / 2; step > 0; step /= 2)
		if (kva_reserve(most + step, ret) == 0) {
			kva_release(*ret, most + step);
			most += step;
		}
	MODEL_CHECK(most > LEFT_PAGES);
	MODEL_EQUAL(kva_reserve(most - LEFT_PAGES, ret), 0);
	return most - LEFT_PAGES;
}

static void run(void)
{
	uintptr_t taken;
	size_t taken_pages = make_tight(&taken);
	void *again;

	model_workers(WORKERS, work);
	model_recover();
	for (unsigned i = 0; i < WORKERS * SLOTS; i++)
		destroy(&slots[i / SLOTS][i % SLOTS]);
	again = kva_alloc(16 * PAGE_SIZE);
	MODEL_CHECK(again);
	kva_free(again);
	kva_release(taken, taken_pages);
}

MODEL_DEFINE(kva, .what = "kernel virtual areas and stacks", .run = run, .cpus = 4, .operations = 120);
