/* SPDX-License-Identifier: MIT */
/*
 * Taking memory back.
 *
 * What is chosen is told by a clock (Corbató, "A paging experiment with the Multics system", 1968) whose hand goes over the page tables of
 * all address spaces, one after the other: an entry that has been used since the hand came by last (the accessed bit; see below) makes its
 * page younger, one that has not makes it older, and a page that is old leaves the table. Ages are small numbers in page->flags: pages that
 * have been used in several rounds survive several rounds without. So faults, forks and exits, the fast paths, keep no list of pages, and take no lock
 * for one.
 *
 * From a page to its mappings: there is no map of that direction. The hand meets a page that several spaces share in each of them; at the first
 * it gets its slot in a swap area, in the others it leaves for that same slot (swap.c), and it is free when it has left the last one. Objects
 * know who maps them (vm_object.areas).
 *
 * The accessed bit is set by the machine: by the MMU, by a trap where that does not (aarch64 without FEAT_HAFDBS), in the simulator by the walk that
 * fills a stub's mappings. A CPU that remembers a translation does not set the bit again, so what was cleared is flushed.
 *
 * The hand is moved by one thread, "reclaim", which starts when free pages fall under mm_marks.low, and stops at mm_marks.high. Who cannot get
 * a page at all waits for it (reclaim_wait), with no lock of vm; the thread takes no locks above those. If a number of rounds has brought nothing,
 * ages no longer count; if that does not help, reclaim_out_of_memory() chooses who must die.
 *
 * A memory group that is at its limit has a hand of its own while somebody waits for it (memory_group_shrink); it takes the group's pages only, and
 * the same thread moves it.
 *
 * Nothing is taken from locked areas (mlock), nor pages that somebody else than a table has a reference on and may write to.
 */
#define LOG_SUBSYSTEM "vm"
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <cloudos/service.h>
#include <cloudos/thread.h>
#include <cloudos/wait.h>
#include "swap_internal.h"

#define WINDOW	      (UINT64_C(2) << 20) /* bytes that are looked at with the tables locked: one last-level table */
#define STEP_WINDOWS  8			  /* tables, or areas without, of a space before the hand's lock is given back */
#define AGE_MAX	      3
#define AGE_USED      2	  /* how much younger a use makes a page */
#define ROUNDS_OLD    5	  /* without success, after which ages do not count: more than the oldest page needs */
#define ROUNDS_FAILED 8	  /* after which there is nothing to be had */
#define LEFT_OUT_MAX  50	  /* rounds without success that do not count, since they left out a space */
#define LEFT_OUT_NS   (10 * NSEC_PER_MSEC) /* that are waited after one */
#define WRITES_FAILED 4	  /* batches in a row, after which writing makes no sense */
#define WAIT_NS	      (100 * NSEC_PER_MSEC) /* between two looks of who waits for memory */
#define WAIT_DEATH_NS (10 * NSEC_PER_MSEC)
#define TRIES_FREE    8	  /* an allocation that fails although there is memory is tried again so often in a row */
#define TRIES_MAX     200

unsigned reclaim_swappiness = 60;
bool (*reclaim_out_of_memory)(struct memory_group *g);
void (*reclaim_must_die)(uaddr_t addr);

static struct wait_queue work = WAIT_QUEUE_INIT(work);	 /* the thread's */
struct wait_queue reclaim_freed = WAIT_QUEUE_INIT(reclaim_freed);
static uint32_t waiting;				 /* atomic: how many */
static uint32_t requests, answered;			 /* atomic: how often somebody began to wait; the thread's: up to which it has looked */
static uint32_t failures;				 /* atomic: how often nothing was found */
static uint64_t kills;					 /* atomic */
static bool running;					 /* atomic: there is a thread */
static struct reclaim_figures figures;			 /* the thread's; read freely */

/* ---- ages ---- */

#define AGE_SHIFT 8
#define AGE_MASK  (3u << AGE_SHIFT)
_Static_assert(AGE_MAX <= AGE_MASK >> AGE_SHIFT && !(AGE_MASK & (PAGE_WATCHED | VM_PAGE_FETCHABLE)), "flags do not overlap");

static unsigned age_get(const struct page *p)
{
	return (READ_ONCE(p->flags) & AGE_MASK) >> AGE_SHIFT;
}

static void age_set(struct page *p, unsigned age)
{
	__atomic_fetch_and(&p->flags, (uint16_t)~AGE_MASK, __ATOMIC_RELAXED);
	__atomic_fetch_or(&p->flags, (uint16_t)(age << AGE_SHIFT), __ATOMIC_RELAXED);
}

/* ---- the tables of one space; its lock is held ---- */

struct scan {
	struct pt_visit visit;
	struct swap_batch *batch;
	enum reclaim_how how;
	struct memory_group *group;	/* whose pages; null: everybody's */
	uaddr_t flush_start, flush_end; /* entries changed here */
	uaddr_t next;			/* where to go on: no entry is looked at twice in a round, which would make its page older */
	uint64_t seen;
	bool no_room; /* in the swap areas */
};

/* True if the page is to leave now. */
static bool is_old(struct scan *s, hal_pte_t *slot, hal_pte_t pte, uaddr_t addr, struct page *page)
{
	unsigned age = age_get(page);
	bool used = hal_pte_accessed(pte);

	if (s->how == RECLAIM_PRESSED || s->how == RECLAIM_NOW)
		return true;
	if (used) {
		hal_pte_set(slot, hal_pte_clear_accessed(pte));
		s->flush_start = min(s->flush_start, addr);
		s->flush_end = max(s->flush_end, addr + PAGE_SIZE);
	}
	if (s->how == RECLAIM_COLD) {
		age_set(page, 0);
		return false;
	}
	if (used)
		age_set(page, min(age + AGE_USED, (unsigned)AGE_MAX));
	else if (age > 0)
		age_set(page, age - 1);
	return !used && age == 0;
}

/* Takes the page out of the table: its place is taken by its slot's entry, its reference goes to the batch. */
static void take(struct scan *s, hal_pte_t *slot, uaddr_t addr, struct page *page)
{
	struct vm_space *space = s->visit.space;
	uint64_t entry;
	bool write;
	int err = swap_take(page, &entry, &write);

	if (err) {
		s->no_room |= err == -ENOSPC;
		return;
	}
	hal_pte_set(slot, hal_pte_soft(entry));
	s->flush_start = min(s->flush_start, addr);
	s->flush_end = max(s->flush_end, addr + PAGE_SIZE);
	space->resident_pages--;
	space->anon_pages--;
	space->swapped_pages++;
	swap_batch_add(s->batch, entry, page, write);
}

/* What a program says of its pages is not said of those that it shares. */
static bool not_shared(enum reclaim_how how)
{
	return how == RECLAIM_NOW || how == RECLAIM_COLD;
}

/* Is the page for this hand to take? */
static bool is_ours(const struct scan *s, const struct page *page)
{
	if (s->group && !((READ_ONCE(page->flags) & PAGE_CHARGED) && memory_group_below(page->group, s->group)))
		return false;
	return not_shared(s->how) || !memory_is_protected(page, s->group, s->how != RECLAIM_PRESSED);
}

/* A page that may be written to through this table has no other reference, unless somebody holds it for a moment. */
static void scan_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct scan *s = container_of(v, struct scan, visit);

	for (unsigned i = 0; i < n && !s->no_room; i++) {
		hal_pte_t pte = pte_read(&slots[i]);
		uaddr_t at = addr + ((uaddr_t)i << PAGE_SHIFT);
		struct page *page;

		if (swap_batch_full(s->batch)) {
			s->next = at;
			break;
		}
		if (!hal_pte_present(pte) || pte_is_zero_page(pte))
			continue;
		page = pte_page(pte);
		if (page->kind != PAGE_USER || !is_ours(s, page))
			continue;
		s->seen++;
		if (!refcount_is_one(&page->refs) && (hal_pte_writable(pte) || not_shared(s->how)))
			continue;
		if (is_old(s, &slots[i], pte, at, page))
			take(s, &slots[i], at, page);
	}
}

/* Looks at [start, end), which lies in one table. No CPU has an old translation of what changed when the table lock is given back. */
static void scan_window(struct scan *s, uaddr_t start, uaddr_t end)
{
	struct vm_space *space = s->visit.space;

	s->flush_start = UINT64_MAX;
	s->flush_end = 0;
	s->next = end;
	spin_lock(&space->table_lock);
	WRITE_ONCE(space->peak_resident, max(space->peak_resident, space->resident_pages));
	pagetable_visit(&s->visit, start, end);
	if (s->flush_start < s->flush_end)
		tlb_flush(space, s->flush_start, s->flush_end);
	spin_unlock(&space->table_lock);
}

static bool may_take_from(const struct vm_area *a)
{
	return a->has_private && area_is_private(a) && !(a->flags & (VM_LOCKED | VM_SPECIAL));
}

/*
 * Goes on from *at to `end`, until so many windows were looked at, or the batch is full. *at is where the next one goes on. False: there is
 * no room in the swap areas. The space's lock is held.
 */
static bool scan_space(struct vm_space *space, uaddr_t *at, uaddr_t end, unsigned windows, enum reclaim_how how, struct memory_group *group,
		       struct swap_batch *batch, uint64_t *seen)
{
	struct scan s = { .visit = { .space = space, .run = scan_run }, .batch = batch, .how = how, .group = group };
	struct vm_area *a;

	for (; windows > 0 && *at < end && !s.no_room && !swap_batch_full(batch); windows--) {
		uaddr_t stop;

		a = area_find(space, *at);
		while (a && !may_take_from(a))
			a = area_next(a);
		if (!a || a->start >= end) {
			*at = end;
			break;
		}
		stop = min(a->end, end);
		*at = pagetable_next(space, max(*at, a->start), stop);
		if (*at == stop)
			continue;
		stop = min(stop, align_down(*at, WINDOW) + WINDOW);
		scan_window(&s, *at, stop);
		*at = s.next;
	}
	*seen += s.seen;
	return !s.no_room;
}

void reclaim_range(struct vm_space *s, uaddr_t start, uaddr_t end, enum reclaim_how how)
{
	struct swap_batch batch = { .count = 0 };
	uint64_t seen = 0;

	while (start < end) {
		bool room;

		rwlock_read(&s->lock);
		room = scan_space(s, &start, end, STEP_WINDOWS, how, NULL, &batch, &seen);
		rwlock_read_unlock(&s->lock);
		(void)swap_batch_finish(&batch);
		if (!room || thread_exit_pending())
			break;
		sched_point();
	}
}

/* ---- the hand ---- */

struct hand {
	struct spaces_walk walk;
	struct swap_batch batch;
	struct memory_group *group; /* whose pages it takes; null: everybody's */
	unsigned fruitless; /* rounds since something was taken */
	unsigned failed;    /* batches in a row of which nothing could be written */
	bool no_room;	    /* or what there is takes nothing */
	bool left_out;	    /* in this round: a space whose lock was not to be had */
	unsigned waits;	    /* for such a lock, since something was taken */
};

/* May there be anything for it in the space? */
static bool concerns(const struct hand *h, struct vm_space *s)
{
	return READ_ONCE(s->anon_pages) > 0 && (!h->group || READ_ONCE(s->regrouped) || vm_space_in_group(s, h->group));
}

/* With the list's lock held, which who ends his space waits for: whoever has the space's lock for long, or a disk, is not waited for. */
static void look(struct hand *h, enum reclaim_how how, uint64_t *seen)
{
	struct spaces_walk *w = &h->walk;

	if (!rwlock_try_read(&w->space->lock)) {
		h->left_out = true;
		w->at = HAL_USER_TOP;
		return;
	}
	h->no_room = !scan_space(w->space, &w->at, HAL_USER_TOP, STEP_WINDOWS, how, h->group, &h->batch, seen);
	rwlock_read_unlock(&w->space->lock);
}

/* A round is over. One that has left out a space says nothing of what is to be had, unless that happens all the time. */
static void end_round(struct hand *h)
{
	struct wait_queue nobody = WAIT_QUEUE_INIT(nobody);

	if (!h->left_out || h->waits >= LEFT_OUT_MAX) {
		h->fruitless++;
	} else {
		h->waits++;
		(void)wait_until(&nobody, THREAD_SLEEPING, hal_clock_ns() + LEFT_OUT_NS, false);
	}
	h->left_out = false;
	ADD_ONCE(figures.rounds, 1);
	spaces_walk_end(&h->walk);
	spaces_walk_begin(&h->walk);
}

/* Writes what was collected: how many pages have gone. */
static unsigned write_out(struct hand *h)
{
	bool any = h->batch.count > 0;
	unsigned gone = swap_batch_finish(&h->batch);

	if (any)
		h->failed = gone ? 0 : h->failed + 1;
	h->no_room |= h->failed >= WRITES_FAILED;
	return gone;
}

/* The same with what could not be written before, and no table knows any more, until that fails again. */
static unsigned write_kept(struct hand *h)
{
	unsigned failed = h->failed, gone = 0;
	uint64_t at = 0;

	while (h->failed == failed && swap_find_kept(&h->batch, &at)) {
		gone += write_out(h);
		failed = min(failed, h->failed);
		sched_point();
	}
	return gone;
}

/* Looks at a piece of the space at which the hand stands, and moves on. Returns what was taken. */
static unsigned hand_step(struct hand *h)
{
	enum reclaim_how how = h->fruitless >= ROUNDS_OLD ? RECLAIM_PRESSED : RECLAIM_AGED;
	struct spaces_walk *w = &h->walk;
	uint64_t seen = 0;
	unsigned taken;
	bool round = false;

	spaces_lock();
	if (w->space) {
		if (!concerns(h, w->space))
			w->at = HAL_USER_TOP;
		else
			look(h, how, &seen);
		if (w->at >= HAL_USER_TOP)
			spaces_walk_next(w);
	}
	round = !w->space;
	spaces_unlock();
	taken = write_out(h);
	if (round)
		taken += write_kept(h);
	ADD_ONCE(figures.scanned, seen);
	ADD_ONCE(figures.taken, taken);
	memory_count_scan(h->group, seen, taken);
	if (taken)
		h->fruitless = h->waits = 0;
	if (round)
		end_round(h);
	return taken;
}

/* ---- groups that are to shrink ---- */

struct shrink {
	struct list link;
	struct memory_group *group; /* held */
	uint64_t target;
	bool done; /* atomic: from then on it is its owner's */
	bool succeeded;
};

static struct spinlock shrinks_lock = SPINLOCK_INIT(RANK_SPIN);
static struct list shrinks = LIST_INIT(shrinks);
static uint32_t shrinking; /* atomic: how many there are */

static bool shrink(struct shrink *s, struct hand *h)
{
	*h = (struct hand){ .group = s->group, .no_room = !READ_ONCE(swap_present) };
	spaces_walk_begin(&h->walk);
	while (READ_ONCE(s->group->usage) > s->target && !h->no_room && h->fruitless < ROUNDS_FAILED) {
		(void)hand_step(h);
		memory_settle_here();
		sched_point();
	}
	spaces_walk_end(&h->walk);
	return READ_ONCE(s->group->usage) <= s->target;
}

/* The first that waits. */
static void shrink_one(void)
{
	static struct hand hand;
	struct shrink *s;

	spin_lock(&shrinks_lock);
	s = list_empty(&shrinks) ? NULL : list_first(&shrinks, struct shrink, link);
	if (s)
		list_del(&s->link);
	spin_unlock(&shrinks_lock);
	if (!s)
		return;
	__atomic_fetch_sub(&shrinking, 1, __ATOMIC_RELAXED);
	s->succeeded = shrink(s, &hand);
	STORE_RELEASE(s->done, true);
	wake_all(&reclaim_freed);
}

bool memory_group_shrink(struct memory_group *g, uint64_t target)
{
	struct shrink s = { .group = g, .target = target };

	if (!READ_ONCE(running) || !READ_ONCE(swap_present))
		return false;
	spin_lock(&shrinks_lock);
	list_add_tail(&shrinks, &s.link);
	spin_unlock(&shrinks_lock);
	__atomic_fetch_add(&shrinking, 1, __ATOMIC_RELEASE);
	wake_one(&work);
	wait_event(&reclaim_freed, LOAD_ACQUIRE(s.done));
	return s.succeeded;
}

/* ---- the thread ---- */

static bool wanted(void)
{
	return __atomic_load_n(&requests, __ATOMIC_ACQUIRE) != answered ||
	       (READ_ONCE(mm_pressed) && READ_ONCE(swap_present) && READ_ONCE(reclaim_swappiness) > 0);
}

/* Until there is enough; or nothing more can be had: then those who wait are told. */
static void reclaim(struct hand *h)
{
	answered = __atomic_load_n(&requests, __ATOMIC_ACQUIRE);
	h->fruitless = h->failed = h->waits = 0;
	h->no_room = !READ_ONCE(swap_present);
	while (mm_free_pages() < mm_marks.high) {
		if (!h->no_room && hand_step(h) && READ_ONCE(waiting) > 0)
			wake_all(&reclaim_freed);
		if (h->no_room || h->fruitless >= ROUNDS_FAILED) {
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELEASE);
			break;
		}
		sched_point();
	}
	WRITE_ONCE(mm_pressed, false);
	wake_all(&reclaim_freed);
}

static void reclaim_main(void *arg)
{
	static struct hand hand;

	(void)arg;
	spaces_walk_begin(&hand.walk);
	for (;;) {
		wait_event(&work, wanted() || __atomic_load_n(&shrinking, __ATOMIC_ACQUIRE) > 0);
		if (wanted())
			reclaim(&hand);
		shrink_one();
	}
}

void reclaim_kick(void)
{
	if (READ_ONCE(swap_present))
		wake_one(&work);
}

/* Who is dying may use up the reserve: what he has comes free the sooner. */
struct page *reclaim_last_page(enum page_kind kind, unsigned flags)
{
	return thread_exit_pending() ? page_alloc_as(kind, 0, flags | PAGE_ALLOC_RESERVE) : NULL;
}

/* ---- those who wait ---- */

static bool found(uint32_t failures_before)
{
	return mm_free_pages() > mm_marks.user || __atomic_load_n(&failures, __ATOMIC_ACQUIRE) != failures_before || thread_exit_pending();
}

static bool wait_for_thread(void)
{
	uint32_t before = __atomic_load_n(&failures, __ATOMIC_ACQUIRE);

	__atomic_fetch_add(&waiting, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&requests, 1, __ATOMIC_RELEASE);
	wake_one(&work);
	(void)wait_until(&reclaim_freed, THREAD_SLEEPING, hal_clock_ns() + WAIT_NS, found(before));
	__atomic_fetch_sub(&waiting, 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&failures, __ATOMIC_ACQUIRE) == before;
}

bool reclaim_wait(struct reclaim_tries *tries)
{
	struct memory_group *g = memory_refused();
	bool dying = thread_exit_pending();

	if (g) {
		bool again = memory_wait(g, tries);

		memory_group_ops->put(g);
		return again;
	}
	if (dying || mm_free_pages() > mm_marks.user) {
		sched_point();
		return ++tries->free <= TRIES_FREE;
	}
	tries->free = 0;
	if (++tries->waits > TRIES_MAX)
		return false;
	if (READ_ONCE(running) && wait_for_thread())
		return true;
	if (mm_free_pages() > mm_marks.user)
		return true;
	if (!reclaim_out_of_memory || !reclaim_out_of_memory(NULL))
		return false;
	(void)wait_until(&reclaim_freed, THREAD_SLEEPING, hal_clock_ns() + WAIT_DEATH_NS, mm_free_pages() > mm_marks.user);
	tries->waits = 0;
	return true;
}

void reclaim_get_figures(struct reclaim_figures *ret)
{
	ret->scanned = READ_ONCE(figures.scanned);
	ret->taken = READ_ONCE(figures.taken);
	ret->rounds = READ_ONCE(figures.rounds);
	ret->oom_kills = __atomic_load_n(&kills, __ATOMIC_RELAXED);
}

void reclaim_count_kill(void)
{
	__atomic_fetch_add(&kills, 1, __ATOMIC_RELAXED);
}

static int reclaim_start(void)
{
	int err = thread_spawn("reclaim", reclaim_main, NULL);

	if (!err)
		WRITE_ONCE(running, true);
	return err;
}
SERVICE_DEFINE(reclaim, .requires = SERVICE_REQUIRES("vm"), .start = reclaim_start);
