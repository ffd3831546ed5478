/* SPDX-License-Identifier: MIT */
/*
 * The page allocator. Workers on several CPUs take blocks of random orders, write into them, hand them to each other and give
 * them back.
 *
 *   reference   one word a page of RAM: who has it. Taking a block finds each of its words 0, giving it back sets them to 0
 *   content     the first and the last word of a page say whose it is: of the first and the last pages of a block (EDGE), since a
 *               host's memory costs time when it is touched
 *   accounting  no other part of the kernel has pages of the two kinds that the blocks are of; all kinds and the free pages add
 *               up to the total
 *   at the end  every page can be taken but the reserve, then that too; and as many of the largest blocks as before
 */
#include "model.h"

#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>

#define WORKERS	  4
#define SLOTS	  12
#define SHARED	  8
#define PAGES_MAX (64u << 20 >> PAGE_SHIFT)
#define EDGE	  8
#define RESERVE	  64 /* pages that the allocator keeps back, at most (page.c) */
#define CPU_KEEPS 64 /* single pages that a CPU keeps, at most (page.c) */

struct slot {
	struct page *page;
	uint64_t mark;
};

static struct slot slots[WORKERS][SLOTS];
static struct page *shared[SHARED]; /* atomic: handed from one worker to another; the mark stands in `index` */
static uint32_t owners[PAGES_MAX];
static uint64_t held_pages, held_of[2];

static enum page_kind kind_of(uint64_t number)
{
	return number % 2 ? PAGE_USER : PAGE_CACHE;
}

static size_t number_of(const struct page *p)
{
	return (size_t)(p - page_table_base);
}

static uint64_t *word(const struct page *p, size_t page, bool last)
{
	return (uint64_t *)page_virt(p + page) + (last ? PAGE_SIZE / sizeof(uint64_t) - 1 : 0);
}

/* ---- the reference ---- */

static void own(struct page *p, uint32_t owner)
{
	size_t n = UINT64_C(1) << p->order;

	for (size_t i = 0; i < n; i++) {
		MODEL_CHECK(number_of(p) + i < PAGES_MAX);
		MODEL_EQUAL(__atomic_exchange_n(&owners[number_of(p) + i], owner, __ATOMIC_RELAXED), 0);
	}
}

static void disown(struct page *p)
{
	size_t n = UINT64_C(1) << p->order;

	for (size_t i = 0; i < n; i++)
		MODEL_CHECK(__atomic_exchange_n(&owners[number_of(p) + i], 0, __ATOMIC_RELAXED) != 0);
}

/* The page to mark after page i. */
static size_t after(const struct page *p, size_t i)
{
	size_t n = UINT64_C(1) << p->order;

	return i + 1 == EDGE && n > 2 * EDGE ? n - EDGE : i + 1;
}

static void write_marks(struct page *p, uint64_t mark)
{
	p->index = mark;
	for (size_t i = 0; i < UINT64_C(1) << p->order; i = after(p, i))
		*word(p, i, false) = *word(p, i, true) = mark + i;
}

static void check_marks(const struct page *p, uint64_t mark)
{
	for (size_t i = 0; i < UINT64_C(1) << p->order; i = after(p, i)) {
		MODEL_EQUAL(*word(p, i, false), mark + i);
		MODEL_EQUAL(*word(p, i, true), mark + i);
	}
}

static void check_zero(const struct page *p)
{
	const uint64_t *words = page_virt(p);
	uint64_t sum = 0;

	for (size_t i = 0; i < (PAGE_SIZE << p->order) / sizeof(*words); i++)
		sum |= words[i];
	MODEL_EQUAL(sum, 0);
}

/* ---- operations ---- */

/* Mostly small; now and then any. */
static unsigned draw_order(struct model_op *op)
{
	uint64_t any = model_below(op, PAGE_ORDER_MAX + 1), few = model_below(op, 4);

	return model_chance(op, 8) ? (unsigned)any : (unsigned)few;
}

/* Leaves so much free that a single page can always be had. */
static bool reserve_room(uint64_t pages)
{
	struct mm_stats mm;

	mm_get_stats(&mm);
	if (__atomic_add_fetch(&held_pages, pages, __ATOMIC_RELAXED) <= mm.total_pages / 2)
		return true;
	__atomic_fetch_sub(&held_pages, pages, __ATOMIC_RELAXED);
	return false;
}

static void take(struct model_op *op, unsigned worker, struct slot *s)
{
	unsigned order = draw_order(op), flags = model_chance(op, 20) && order <= 4 ? PAGE_ALLOC_ZERO : 0;
	uint64_t mark = model_draw(op), pages = UINT64_C(1) << order;
	struct page *p;

	if (s->page || !reserve_room(pages))
		return;
	p = page_alloc_as(kind_of(mark), order, flags);
	if (!p) {
		MODEL_CHECK(order > 0 || model_may_fail());
		__atomic_fetch_sub(&held_pages, pages, __ATOMIC_RELAXED);
		return;
	}
	MODEL_EQUAL(p->order, order);
	MODEL_EQUAL(p->kind, kind_of(mark));
	MODEL_EQUAL(page_phys(p) & ((PAGE_SIZE << order) - 1), 0);
	own(p, worker + 1);
	if (flags & PAGE_ALLOC_ZERO)
		check_zero(p);
	write_marks(p, mark);
	__atomic_fetch_add(&held_of[mark % 2], pages, __ATOMIC_RELAXED);
	*s = (struct slot){p, mark};
}

/* By dropping the last reference of one or two. */
static void give(struct model_op *op, struct slot *s)
{
	uint64_t twice = model_below(op, 2), pages;

	if (!s->page)
		return;
	check_marks(s->page, s->mark);
	pages = UINT64_C(1) << s->page->order;
	if (twice) {
		page_get(s->page);
		page_put(s->page);
		check_marks(s->page, s->mark);
	}
	disown(s->page);
	__atomic_fetch_sub(&held_of[s->mark % 2], pages, __ATOMIC_RELAXED);
	page_put(s->page);
	__atomic_fetch_sub(&held_pages, pages, __ATOMIC_RELAXED);
	s->page = NULL;
}

/* What this worker has in a slot against what stands in a shared place. */
static void hand_over(struct model_op *op, struct slot *s)
{
	struct page **place = &shared[model_below(op, SHARED)];
	struct page *p = __atomic_exchange_n(place, s->page, __ATOMIC_ACQ_REL);

	hal_point(HAL_POINT_ATOMIC, place);
	*s = (struct slot){p, p ? p->index : 0};
	if (p)
		check_marks(p, s->mark);
}

static void move(struct model_op *op)
{
	uint64_t cpu = model_below(op, HAL_CPU_MAX) % hal_cpu_count();

	(void)thread_set_affinity(thread_current(), UINT64_C(1) << cpu);
}

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (model_next(&op)) {
		struct slot *s = &slots[worker][model_below(&op, SLOTS)];
		uint64_t what = model_below(&op, 10);

		if (what < 5)
			take(&op, worker, s);
		else if (what < 8)
			give(&op, s);
		else if (what < 9)
			hand_over(&op, s);
		else
			move(&op);
		model_state(held_pages << 8 ^ held_of[0]);
	}
}

/* ---- at the end ---- */

static void check_sums(const struct mm_stats *before)
{
	struct mm_stats now;
	uint64_t sum;

	mm_get_stats(&now);
	MODEL_EQUAL(now.kind_pages[PAGE_CACHE] - before->kind_pages[PAGE_CACHE], held_of[0]);
	MODEL_EQUAL(now.kind_pages[PAGE_USER] - before->kind_pages[PAGE_USER], held_of[1]);
	MODEL_EQUAL(now.total_pages, before->total_pages);
	sum = now.free_pages;
	for (size_t kind = PAGE_KERNEL; kind < ARRAY_SIZE(now.kind_pages); kind++)
		sum += now.kind_pages[kind];
	MODEL_EQUAL(sum, now.total_pages);
}

static void give_all(void)
{
	for (unsigned i = 0; i < SHARED; i++) {
		if (shared[i])
			disown(shared[i]);
		if (shared[i])
			page_put(shared[i]);
	}
	for (unsigned i = 0; i < WORKERS * SLOTS; i++) {
		struct slot *s = &slots[i / SLOTS][i % SLOTS];

		if (!s->page)
			continue;
		check_marks(s->page, s->mark);
		disown(s->page);
		page_put(s->page);
	}
	held_of[0] = held_of[1] = 0;
}

/* Takes blocks until there are none; how many there were. All are given back. */
static unsigned count_blocks(unsigned order, unsigned flags)
{
	struct list taken;
	struct page *p;
	unsigned n = 0;

	list_init(&taken);
	while ((p = page_alloc(order, flags))) {
		list_add(&taken, &p->link);
		n++;
	}
	while (!list_empty(&taken)) {
		p = list_first(&taken, struct page, link);
		list_del(&p->link);
		page_free(p); /* nobody else has a reference */
	}
	return n;
}

/* The number of largest blocks once no CPU keeps single pages: a CPU that finds no block gives back what it keeps. */
static unsigned largest_blocks(void)
{
	unsigned n = 0;

	for (unsigned cpu = 0; cpu < hal_cpu_count(); cpu++) {
		MODEL_EQUAL(thread_set_affinity(thread_current(), UINT64_C(1) << cpu), 0);
		n = count_blocks(PAGE_ORDER_MAX, 0);
	}
	(void)thread_set_affinity(thread_current(), UINT64_MAX);
	return n;
}

static void exhaust(void)
{
	struct mm_stats mm;
	unsigned n, all;

	mm_get_stats(&mm);
	n = count_blocks(0, 0);
	all = count_blocks(0, PAGE_ALLOC_RESERVE);
	MODEL_CHECK(n <= all && all <= mm.free_pages);
	MODEL_CHECK(all - n <= RESERVE);
	MODEL_CHECK(mm.free_pages - all <= (hal_cpu_count() - 1) * CPU_KEEPS);
}

static void run(void)
{
	struct mm_stats before;
	unsigned blocks;

	sim_faults_arm(false);
	blocks = largest_blocks();
	sim_faults_arm(true);
	mm_get_stats(&before);
	model_workers(WORKERS, work);
	model_recover();
	check_sums(&before);
	give_all();
	check_sums(&before);
	exhaust();
	MODEL_CHECK(largest_blocks() >= blocks);
}

MODEL_DEFINE(pages, .what = "the page allocator", .run = run, .cpus = 4, .operations = 60, .memory_mib = 12);
