/* SPDX-License-Identifier: MIT */
/*
 * Swap areas coming and going.
 *
 * An area begins with a page that mkswap(8) has written (Linux: include/linux/swap.h, union swap_header; pages are 4096 bytes here). Its header is
 * not trusted: what it says must lie within the device, and at most SWAP_PAGES_MAX pages are used.
 *
 * To turn an area off, it gives no more slots, and all spaces are gone through until none of its slots has a reference: each entry is replaced by
 * its page, as by a fault. An entry may wander meanwhile to a space that was looked at (fork, mremap), so that several rounds may be needed.
 */
#define LOG_SUBSYSTEM "vm"
#include <cloudos/errno.h>
#include <cloudos/log.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/wait.h>
#include "swap_area.h"

#define MAGIC	      "SWAPSPACE2"
#define MAGIC_LEN     10
#define HEADER_AT     1024 /* what is before is for boot blocks */
#define BAD_AT	      (HEADER_AT + 3 * 4 + 16 + 16 + 117 * 4)
#define BAD_MAX	      ((PAGE_SIZE - MAGIC_LEN - BAD_AT) / sizeof(uint32_t))
#define VERSION	      1
#define PRIORITY_LAST (-2) /* of the first area that asks for none; each further one is below */
#define ROUND_PAUSE   (2 * NSEC_PER_MSEC) /* between rounds, for references that go by themselves */

struct swap_header {
	uint32_t version, last_page, bad_count;
	uint8_t uuid[16];
	char label[16];
	uint32_t padding[117];
	uint32_t bad[];
};
_Static_assert(offsetof(struct swap_header, bad) == BAD_AT - HEADER_AT, "as mkswap writes it");

/* ---- the header ---- */

static const struct swap_header *header_of(const void *page)
{
	return (const void *)((const char *)page + HEADER_AT);
}

/* 0, or -EINVAL for what mkswap would not write. */
static int check_header(const void *page, uint64_t device_pages)
{
	const struct swap_header *h = header_of(page);

	if (memcmp((const char *)page + PAGE_SIZE - MAGIC_LEN, MAGIC, MAGIC_LEN) || h->version != VERSION)
		return -EINVAL;
	if (h->last_page == 0 || h->last_page >= device_pages || h->bad_count > BAD_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < h->bad_count; i++)
		if (h->bad[i] == 0 || h->bad[i] > h->last_page)
			return -EINVAL;
	return 0;
}

static void mark_bad(struct swap_area *a, uint64_t n)
{
	if (n >= a->count || (a->slots[n].flags & SLOT_BAD))
		return;
	a->slots[n].flags = SLOT_BAD;
	a->group_free[n / SWAP_GROUP]--;
	a->usable--;
}

static void area_free(struct swap_area *a)
{
	if (a->slots)
		kva_free(a->slots);
	if (a->group_free)
		kva_free(a->group_free);
	kfree(a);
}

/* The area that a header describes, with all its slots free. 0, -EINVAL (no good page is left) or -ENOMEM. */
static int area_make(const void *page, const struct swap_request *r, struct swap_area **ret)
{
	const struct swap_header *h = header_of(page);
	struct swap_area *a = kzalloc(sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->count = min((uint64_t)h->last_page + 1, SWAP_PAGES_MAX);
	a->usable = a->count;
	a->slots = kva_alloc(a->count * sizeof(a->slots[0]));
	a->group_free = kva_alloc((a->count / SWAP_GROUP + 1) * sizeof(a->group_free[0]));
	if (!a->slots || !a->group_free) {
		area_free(a);
		return -ENOMEM;
	}
	for (uint64_t n = 0; n < a->count; n += SWAP_GROUP)
		a->group_free[n / SWAP_GROUP] = (uint16_t)min(a->count - n, (uint64_t)SWAP_GROUP);
	mark_bad(a, 0);
	for (uint32_t i = 0; i < h->bad_count; i++)
		mark_bad(a, h->bad[i]);
	if (a->usable == 0) {
		area_free(a);
		return -EINVAL;
	}
	a->next = 1;
	a->ops = r->ops;
	a->device = r->device;
	a->by_default = !r->preferred;
	a->priority = r->priority;
	memcpy(a->name, r->name, sizeof(a->name));
	*ret = a;
	return 0;
}

/* ---- on ---- */

/* Below all that asked for none. */
static int next_priority(void)
{
	int priority = PRIORITY_LAST;

	for (unsigned i = 0; i < SWAP_AREAS_MAX; i++)
		if (swap_areas[i] && swap_areas[i]->by_default)
			priority = min(priority, swap_areas[i]->priority - 1);
	return priority;
}

static int enter_locked(struct swap_area *a)
{
	unsigned number = SWAP_AREAS_MAX;

	for (unsigned i = SWAP_AREAS_MAX; i-- > 0;) {
		if (!swap_areas[i])
			number = i;
		else if (swap_areas[i]->device == a->device)
			return -EBUSY;
	}
	if (number == SWAP_AREAS_MAX)
		return -EPERM;
	if (a->by_default)
		a->priority = next_priority();
	a->number = number;
	swap_areas[number] = a;
	WRITE_ONCE(swap_present, true);
	return 0;
}

/* From then on somebody else may turn it off: what is said of it is looked up here. */
static int enter(struct swap_area *a, uint64_t *ret_pages, int *ret_priority)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	int err = enter_locked(a);

	*ret_pages = a->usable;
	*ret_priority = a->priority;
	spin_unlock_irq(&swap_lock, irq);
	return err;
}

static bool is_area(const void *device)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	bool is = false;

	for (unsigned i = 0; i < SWAP_AREAS_MAX; i++)
		is |= swap_areas[i] && swap_areas[i]->device == device;
	spin_unlock_irq(&swap_lock, irq);
	return is;
}

int swap_on(const struct swap_request *r)
{
	struct swap_area *a = NULL;
	struct page *page;
	uint64_t pages = 0;
	int err, priority = 0;

	if (is_area(r->device))
		return -EBUSY;
	page = page_alloc(0, 0);
	if (!page)
		return -ENOMEM;
	err = r->device_pages > 1 ? r->ops->transfer(r->device, false, 0, &page, 1) : -EINVAL;
	if (!err)
		err = check_header(page_virt(page), r->device_pages);
	if (!err)
		err = area_make(page_virt(page), r, &a);
	page_put(page);
	if (!err) {
		err = enter(a, &pages, &priority);
		if (err)
			area_free(a);
	}
	if (!err)
		log_info("swap on %s: %lu KiB, priority %d", r->name, (unsigned long)(pages << (PAGE_SHIFT - 10)), priority);
	return err;
}

/* ---- off ---- */

/* Marks the area of the device as closing; null: there is none, or somebody else closes it. */
static struct swap_area *close_area(const void *device)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	struct swap_area *found = NULL;

	for (unsigned i = 0; i < SWAP_AREAS_MAX; i++) {
		struct swap_area *a = swap_areas[i];

		if (a && a->device == device && !a->closing) {
			a->closing = true;
			found = a;
		}
	}
	spin_unlock_irq(&swap_lock, irq);
	return found;
}

static void reopen(struct swap_area *a)
{
	unsigned long irq = spin_lock_irq(&swap_lock);

	a->closing = false;
	spin_unlock_irq(&swap_lock, irq);
}

static bool any_locked(void)
{
	for (unsigned i = 0; i < SWAP_AREAS_MAX; i++)
		if (swap_areas[i])
			return true;
	return false;
}

/* Takes the area off the table if it is empty. */
static bool leave(struct swap_area *a)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	bool empty = a->used == 0;

	if (empty) {
		swap_areas[a->number] = NULL;
		WRITE_ONCE(swap_present, any_locked());
	}
	spin_unlock_irq(&swap_lock, irq);
	return empty;
}

#define WINDOW	     (UINT64_C(2) << 20) /* bytes that are looked at with the tables locked */
#define STEP_WINDOWS 64			 /* before others may run */

struct bring_in {
	struct pt_visit visit;
	const struct swap_area *area;
	uaddr_t at; /* of the first entry of the area that was found; 0: none */
	uaddr_t next;	  /* nothing was found before this */
	unsigned windows; /* that may still be looked at */
};

static void find_run(struct pt_visit *v, hal_pte_t *slots, unsigned n, uaddr_t addr)
{
	struct bring_in *b = container_of(v, struct bring_in, visit);

	for (unsigned i = 0; i < n && !b->at; i++) {
		hal_pte_t pte = pte_read(&slots[i]);

		if (pte_is_swapped(pte) && swap_entry_in(b->area->device, hal_pte_soft_value(pte)))
			b->at = addr + ((uaddr_t)i << PAGE_SHIFT);
	}
}

static void find_in_area(struct bring_in *b, const struct vm_area *a)
{
	for (b->next = max(b->next, a->start); b->next < a->end && !b->at && b->windows > 0; b->windows--) {
		uaddr_t from = pagetable_next(a->space, b->next, a->end);

		b->next = min(a->end, align_down(from, WINDOW) + WINDOW);
		if (from == a->end)
			continue;
		spin_lock(&a->space->table_lock);
		pagetable_visit(&b->visit, from, b->next);
		spin_unlock(&a->space->table_lock);
	}
}

static bool has_swapped(struct vm_space *s)
{
	bool has;

	spin_lock(&s->table_lock);
	has = s->swapped_pages > 0;
	spin_unlock(&s->table_lock);
	return has;
}

/*
 * Brings in the first page at or after *at that is in the area: 1 and where to go on, also if it has only looked at so much; 0 (there is none); or an
 * errno. The space's lock is held.
 */
static int bring_in_next(struct vm_space *s, const struct swap_area *area, uaddr_t *at)
{
	struct bring_in b = { .visit = { .space = s, .run = find_run }, .area = area, .next = *at, .windows = STEP_WINDOWS };
	struct vm_area *a;
	int err;

	area_for_each(a, s, *at, HAL_USER_TOP) {
		if (a->has_private && area_is_private(a))
			find_in_area(&b, a);
		if (b.at || b.windows == 0)
			break;
	}
	*at = b.at ? b.at : b.next;
	if (!b.at)
		return a ? 1 : 0;
	err = fault_area(a, b.at, HAL_ACCESS_READ);
	return err ? err : 1;
}

/* All of a space that is in the area: 0 or an errno. What its process's killer takes (vm_release) goes by itself. */
static int bring_in_space(struct vm_space *s, const struct swap_area *area)
{
	struct reclaim_tries tries = { 0 };
	uaddr_t at = 0;
	int more = 1;

	while (more > 0) {
		rwlock_read(&s->lock);
		more = has_swapped(s) ? bring_in_next(s, area, &at) : 0;
		rwlock_read_unlock(&s->lock);
		if (more == -EFAULT && READ_ONCE(s->released))
			more = 0;
		if (more == -ENOMEM && reclaim_wait(&tries))
			more = 1;
		else if (more > 0)
			tries = (struct reclaim_tries){ 0 };
		if (thread_signal_pending())
			return -EINTR;
		sched_point();
	}
	return more;
}

static int bring_in_spaces(const struct swap_area *area)
{
	struct spaces_walk w;
	int err = 0;

	spaces_walk_begin(&w);
	for (;;) {
		struct vm_space *s;

		spaces_lock();
		while (w.space && !vm_space_use(w.space))
			spaces_walk_next(&w);
		s = w.space;
		if (s)
			spaces_walk_next(&w);
		spaces_unlock();
		if (!s)
			break;
		err = bring_in_space(s, area);
		vm_space_put(s);
		if (err)
			break;
	}
	spaces_walk_end(&w);
	return err;
}

int swap_off(const void *device)
{
	struct swap_area *a = close_area(device);
	struct wait_queue nobody = WAIT_QUEUE_INIT(nobody);
	int err = 0;

	if (!a)
		return -EINVAL;
	while (!err && !leave(a)) {
		err = bring_in_spaces(a);
		if (!err)
			err = wait_event_deadline(&nobody, hal_clock_ns() + ROUND_PAUSE, READ_ONCE(a->used) == 0);
		if (err == -ETIMEDOUT)
			err = 0;
		else if (err == -ERESTARTSYS)
			err = -EINTR;
	}
	if (err) {
		reopen(a);
		return err;
	}
	log_info("swap off %s", a->name);
	a->ops->release(a->device);
	area_free(a);
	return 0;
}

/* ---- figures ---- */

bool swap_get_area(unsigned i, struct swap_area_info *ret)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	const struct swap_area *a = i < SWAP_AREAS_MAX ? swap_areas[i] : NULL;

	if (a) {
		*ret = (struct swap_area_info){ .pages = a->usable, .used = a->used, .priority = a->priority };
		memcpy(ret->name, a->name, sizeof(ret->name));
	}
	spin_unlock_irq(&swap_lock, irq);
	return a;
}

void swap_get_figures(struct swap_figures *ret)
{
	unsigned long irq;

	*ret = (struct swap_figures){ 0 };
	irq = spin_lock_irq(&swap_lock);
	for (unsigned i = 0; i < SWAP_AREAS_MAX; i++) {
		const struct swap_area *a = swap_areas[i];

		if (!a || a->closing)
			continue;
		ret->total_pages += a->usable;
		ret->free_pages += a->usable - a->used;
	}
	spin_unlock_irq(&swap_lock, irq);
	swap_count_transfers(ret);
}
