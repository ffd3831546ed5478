/* SPDX-License-Identifier: MIT */
/*
 * Groups that pay for memory. A page of a program, or of a cache object, is charged to the group of the space that first needs it, and to each group
 * above; it stays charged there, whoever else comes to use it, until it is freed. A slot of a swap area is charged to whom its page was charged.
 *
 * A page names its group in the words that a free one is linked by, and PAGE_CHARGED in its flags says that it does: freeing one that nobody pays
 * for costs nothing more. What is in no group is charged to nobody.
 *
 * Each CPU keeps some pages in stock that are charged already, of one group for each class of pages: most charges are taken from there, and given back to
 * there, without a look at the groups. A stock is its CPU's alone, with interrupts off. Near a limit pages are charged one by one; whoever is
 * refused has all stocks given back before he believes it (memory_limit.c).
 *
 *   G1  A group's usage is the sum of its classes, is what it has charged itself and the usages of those below it, and is its pages and stocks.
 *   G2  A group that has something charged to itself is held (`held`): it may outlive its folder, as long as a file in tmpfs does.
 *   G3  No CPU has a stock of a dead group: what is charged to it is charged, and given back, one by one.
 *   G4  A space holds its group. Whoever looks at which one that is has group_lock, or holds what keeps it.
 */
#include <cloudos/panic.h>
#include <cloudos/percpu.h>
#include <cloudos/thread.h>
#include "memory_internal.h"

#define STOCK_TAKEN 32 /* pages that are charged together */
#define STOCK_MAX   64 /* kept by a CPU of one class; beyond it the former number goes back */

#define PAGE_CHARGED_SHARED 0x2000 /* in page->flags: its class */

struct stock {
	struct memory_group *group; /* followed only while there are pages, which hold it */
	uint64_t pages;
};

struct stocks {
	struct stock of[MEMORY_CLASSES];
};
static DEFINE_PER_CPU(struct stocks, stocks);

const struct memory_group_ops *memory_group_ops;

static uint64_t protecting; /* atomic: limits low and min that are set */

/* ---- groups ---- */

void memory_group_init(struct memory_group *g, struct memory_group *parent)
{
	*g = (struct memory_group){ .parent = parent, .max = MEMORY_NO_LIMIT, .high = MEMORY_NO_LIMIT, .swap_max = MEMORY_NO_LIMIT };
}

bool memory_group_below(const struct memory_group *g, const struct memory_group *top)
{
	while (g && g != top)
		g = g->parent;
	return g;
}

void memory_group_retire(struct memory_group *g)
{
	WRITE_ONCE(g->dead, true);
	memory_settle(); /* G3 */
}

void memory_group_reset(struct memory_group *g)
{
	WRITE_ONCE(g->max, MEMORY_NO_LIMIT);
	WRITE_ONCE(g->high, MEMORY_NO_LIMIT);
	WRITE_ONCE(g->swap_max, MEMORY_NO_LIMIT);
	WRITE_ONCE(g->dies_together, false);
	memory_group_protect(g, &g->low, 0);
	memory_group_protect(g, &g->min, 0);
}

void memory_group_protect(struct memory_group *g, uint64_t *limit, uint64_t pages)
{
	uint64_t before = __atomic_exchange_n(limit, pages, __ATOMIC_RELAXED);

	(void)g;
	if (!before != !pages)
		__atomic_fetch_add(&protecting, pages ? 1 : UINT64_MAX, __ATOMIC_RELAXED);
}

bool memory_is_protected(const struct page *p, const struct memory_group *target, bool low)
{
	uint64_t kept = UINT64_MAX;
	const struct memory_group *g;

	if (likely(!READ_ONCE(protecting)) || !(READ_ONCE(p->flags) & PAGE_CHARGED) || p->group == target)
		return false;
	for (g = p->group; g && g != target; g = g->parent)
		kept = min(kept, max(READ_ONCE(g->min), low ? READ_ONCE(g->low) : 0));
	return READ_ONCE(p->group->usage) <= kept;
}

/* ---- counting ---- */

static void count(uint64_t *figure, uint64_t n)
{
	__atomic_fetch_add(figure, n, __ATOMIC_RELAXED);
}

static uint64_t add(uint64_t *figure, uint64_t n)
{
	hal_point(HAL_POINT_ATOMIC, figure);
	return __atomic_add_fetch(figure, n, __ATOMIC_RELAXED);
}

static void note_peak(uint64_t *peak, uint64_t now)
{
	uint64_t before = READ_ONCE(*peak);

	while (now > before && !__atomic_compare_exchange_n(peak, &before, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* G2 */
static void hold(struct memory_group *g, uint64_t n)
{
	if (__atomic_fetch_add(&g->held, n, __ATOMIC_RELAXED) == 0)
		memory_group_ops->get(g);
}

static void let_go(struct memory_group *g, uint64_t n)
{
	uint64_t before = __atomic_fetch_sub(&g->held, n, __ATOMIC_RELEASE);

	ASSERT(before >= n);
	if (before == n)
		memory_group_ops->put(g);
}

void memory_group_count_event(struct memory_group *g, enum memory_event event)
{
	count(&g->local_events[event], 1);
	for (; g; g = g->parent) {
		count(&g->events[event], 1);
		memory_group_ops->tell(g);
	}
}

/* ---- charges ---- */

/* Takes back what was added to g and those above, up to `last`. */
static void undo(struct memory_group *g, const struct memory_group *last, uint64_t n)
{
	for (;; g = g->parent) {
		(void)add(&g->usage, -n);
		if (g == last)
			break;
	}
}

/* The group that has no room; null: it is done. */
static struct memory_group *charge(struct memory_group *g, enum memory_class class, uint64_t n, bool force)
{
	for (struct memory_group *a = g; a; a = a->parent)
		if (add(&a->usage, n) > READ_ONCE(a->max) && !force) {
			undo(g, a, n);
			return a;
		}
	for (struct memory_group *a = g; a; a = a->parent) {
		uint64_t usage = READ_ONCE(a->usage);

		note_peak(&a->peak, usage);
		count(&a->class_pages[class], n);
		if (unlikely(usage > READ_ONCE(a->high)))
			thread_post(thread_current(), THREAD_WORK_MEMORY); /* memory_throttle() */
	}
	hold(g, n);
	return NULL;
}

static void give_back(struct memory_group *g, enum memory_class class, uint64_t n)
{
	for (struct memory_group *a = g; a; a = a->parent) {
		count(&a->class_pages[class], -n);
		(void)add(&a->usage, -n);
	}
	let_go(g, n);
}

/* ---- stocks; interrupts are off ---- */

static void stock_give_back(struct stock *s, enum memory_class class)
{
	uint64_t pages = s->pages;

	s->pages = 0;
	if (pages)
		give_back(s->group, class, pages);
}

void memory_settle_here(void)
{
	unsigned long irq = hal_irq_save();

	for (enum memory_class class = 0; class < MEMORY_CLASSES; class++)
		stock_give_back(&this_cpu(stocks).of[class], class);
	hal_irq_restore(irq);
}

static void settle_cpu(void *unused)
{
	(void)unused;
	memory_settle_here();
}

void memory_settle(void)
{
	memory_settle_here();
	cpus_call(READ_ONCE(cpus_online), settle_cpu, NULL);
}

static struct memory_group *charge_one(struct memory_group *g, enum memory_class class, bool force)
{
	struct stock *s = &this_cpu(stocks).of[class];

	if (likely(s->group == g && s->pages)) {
		s->pages--;
		return NULL;
	}
	if (unlikely(READ_ONCE(g->dead)) || charge(g, class, STOCK_TAKEN, false))
		return charge(g, class, 1, force);
	stock_give_back(s, class);
	s->group = g;
	s->pages = STOCK_TAKEN - 1;
	return NULL;
}

static void uncharge_one(struct memory_group *g, enum memory_class class)
{
	struct stock *s = &this_cpu(stocks).of[class];

	if (unlikely(READ_ONCE(g->dead))) {
		give_back(g, class, 1);
		return;
	}
	if (s->group != g) {
		stock_give_back(s, class);
		s->group = g;
	}
	if (++s->pages > STOCK_MAX) {
		s->pages -= STOCK_TAKEN;
		give_back(g, class, STOCK_TAKEN);
	}
}

/* ---- pages ---- */

static struct page *settle_page(struct page *p, struct memory_group *g, enum memory_class class, struct memory_group *refused)
{
	if (unlikely(refused)) {
		thread_current()->refused = refused;
		page_put(p);
		return NULL;
	}
	p->group = g;
	p->flags |= PAGE_CHARGED | (class == MEMORY_SHARED ? PAGE_CHARGED_SHARED : 0);
	return p;
}

struct page *memory_charge_page(struct vm_space *s, struct page *p, enum memory_class class)
{
	bool dying = thread_exit_pending(); /* what it has comes free the sooner */
	unsigned long irq = spin_lock_irq(&s->group_lock);
	struct memory_group *g = s->group, *refused = g ? charge_one(g, class, dying) : NULL;

	spin_unlock_irq(&s->group_lock, irq);
	return g ? settle_page(p, g, class, refused) : p;
}

struct page *memory_charge_page_to(struct memory_group *g, struct page *p, bool force)
{
	unsigned long irq = hal_irq_save();
	struct memory_group *refused = charge_one(g, MEMORY_ANON, force || thread_exit_pending());

	hal_irq_restore(irq);
	return settle_page(p, g, MEMORY_ANON, refused);
}

void memory_uncharge_page(struct page *p)
{
	unsigned long irq = hal_irq_save();

	uncharge_one(p->group, p->flags & PAGE_CHARGED_SHARED ? MEMORY_SHARED : MEMORY_ANON);
	hal_irq_restore(irq);
	p->flags = 0;
}

/* ---- slots of swap areas ---- */

bool memory_charge_slot(struct memory_group *g)
{
	struct memory_group *a, *b;

	for (a = g; a; a = a->parent)
		if (add(&a->swapped, 1) > READ_ONCE(a->swap_max)) {
			count(&a->swap_events[MEMORY_SWAP_MAX], 1);
			for (b = g; b != a->parent; b = b->parent)
				(void)add(&b->swapped, -UINT64_C(1));
			return false;
		}
	for (a = g; a; a = a->parent)
		note_peak(&a->swap_peak, READ_ONCE(a->swapped));
	hold(g, 1);
	return true;
}

void memory_uncharge_slot(struct memory_group *g)
{
	for (struct memory_group *a = g; a; a = a->parent)
		(void)add(&a->swapped, -UINT64_C(1));
	let_go(g, 1);
}

/* ---- spaces ---- */

void vm_space_set_group(struct vm_space *s, struct memory_group *g)
{
	struct memory_group *before;
	unsigned long irq;

	if (g)
		memory_group_ops->get(g);
	irq = spin_lock_irq(&s->group_lock);
	before = s->group;
	if (before != g) {
		WRITE_ONCE(s->regrouped, true);
		WRITE_ONCE(s->group, g);
	}
	spin_unlock_irq(&s->group_lock, irq);
	if (before)
		memory_group_ops->put(before);
}

struct memory_group *space_group_get(struct vm_space *s)
{
	unsigned long irq;
	struct memory_group *g;

	if (!READ_ONCE(s->group))
		return NULL;
	irq = spin_lock_irq(&s->group_lock);
	g = s->group;
	if (g)
		memory_group_ops->get(g);
	spin_unlock_irq(&s->group_lock, irq);
	return g;
}

void space_inherit_group(struct vm_space *s, struct vm_space *from)
{
	s->group = space_group_get(from);
	s->regrouped = READ_ONCE(from->regrouped);
}

bool vm_space_in_group(struct vm_space *s, const struct memory_group *top)
{
	unsigned long irq = spin_lock_irq(&s->group_lock);
	bool in = memory_group_below(s->group, top);

	spin_unlock_irq(&s->group_lock, irq);
	return in;
}

struct memory_group *vm_space_dies_with(struct vm_space *s, const struct memory_group *top)
{
	struct memory_group *g = space_group_get(s), *with = NULL;

	for (struct memory_group *a = g; a; a = a == top ? NULL : a->parent)
		if (READ_ONCE(a->dies_together))
			with = a;
	if (with)
		memory_group_ops->get(with);
	if (g)
		memory_group_ops->put(g);
	return with;
}

void vm_space_count_kill(struct vm_space *s)
{
	struct memory_group *g = space_group_get(s);

	if (!g)
		return;
	memory_group_count_event(g, MEMORY_OOM_KILL);
	memory_group_ops->put(g);
}

void memory_count_faults(struct vm_space *s, uint64_t minor, uint64_t major)
{
	struct memory_group *g = space_group_get(s);

	for (struct memory_group *a = g; a; a = a->parent) {
		count(&a->faults, minor);
		count(&a->faults_major, major);
	}
	if (g)
		memory_group_ops->put(g);
}

void memory_count_scan(struct memory_group *g, uint64_t scanned, uint64_t taken)
{
	for (; g; g = g->parent) {
		count(&g->scanned, scanned);
		count(&g->taken, taken);
	}
}
