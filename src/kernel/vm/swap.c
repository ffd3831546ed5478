/* SPDX-License-Identifier: MIT */
/*
 * Swap areas, and the slots in them.
 *
 * A slot holds one page. It is named by an *entry*: area and number in one word, which stands in page tables (hal_pte_soft) and in cache
 * objects in the place of the page. Each such place is a reference to the slot; so is a transfer that is under way. A slot without a
 * reference is free.
 *
 *   I1 While a page is in memory and its slot is referenced, the slot points to the page (without a reference), and the page is
 *      PAGE_WATCHED with the entry in `index`: whoever else has the entry gets the same page, and a page that leaves several tables one
 *      after the other is written once.
 *   I2 A watched page is mapped read-only everywhere. Who has it alone takes it off its slot before he writes (swap_leave_slot), so that a
 *      slot's page and what was written there never differ.
 *   I3 A page gets out of I1 when it is freed (page_watcher), when it is written to, or when the slot's last reference goes.
 *   I4 An area goes only when none of its slots has a reference. So whoever has one may use the area.
 *
 * A page that could not be written stays in memory: the slot keeps the reference that the writer had (SLOT_KEPT). It is tried again when the page
 * leaves a table once more, and when the hand has gone round.
 *
 * Slots are looked for in groups that count their free ones, from the last one on, so that what leaves together lies together. Among areas
 * of the highest priority that have room turns are taken.
 *
 * Locking: swap_lock (RANK_SWAP, interrupts off) guards all of it. Tables' locks are outside. It is never held in a transfer.
 */
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include "swap_area.h"

struct spinlock swap_lock = SPINLOCK_INIT(RANK_SWAP);
struct swap_area *swap_areas[SWAP_AREAS_MAX];

bool swap_present; /* atomic */

static uint64_t kept_slots; /* L; read freely */
static unsigned current; /* the area whose turn it is */
static unsigned turn;	 /* slots that it has given in a row */

static inline uint64_t entry_of(const struct swap_area *a, uint64_t slot)
{
	return (uint64_t)(a->number + 1) << SWAP_SLOT_BITS | slot;
}

static inline struct swap_area *area_of(uint64_t entry)
{
	return swap_areas[(entry >> SWAP_SLOT_BITS) - 1];
}

static inline uint64_t number_of(uint64_t entry)
{
	return entry & ((UINT64_C(1) << SWAP_SLOT_BITS) - 1);
}

static inline struct swap_slot *slot_of(uint64_t entry)
{
	return &area_of(entry)->slots[number_of(entry)];
}

/* ---- free slots ---- */

/* The first free slot of [from, to), or `to`. */
static uint64_t find_in(const struct swap_area *a, uint64_t from, uint64_t to)
{
	while (from < to && (a->slots[from].count || (a->slots[from].flags & SLOT_BAD)))
		from++;
	return from;
}

/* A free slot; the area has one. */
static uint64_t find_slot(const struct swap_area *a)
{
	uint64_t groups = (a->count + SWAP_GROUP - 1) / SWAP_GROUP, g = a->next / SWAP_GROUP, from = a->next;

	for (uint64_t i = 0; i <= groups; i++) {
		uint64_t end = min((g + 1) * SWAP_GROUP, a->count);
		uint64_t n = a->group_free[g] ? find_in(a, from, end) : end;

		if (n < end)
			return n;
		g = (g + 1) % groups;
		from = g * SWAP_GROUP;
	}
	return 0;
}

static bool has_room(const struct swap_area *a)
{
	return a && !a->closing && a->used < a->usable;
}

/* The area that gives the next slot, or null: the next one of those of the highest priority, or the same for a while. */
static struct swap_area *choose(void)
{
	struct swap_area *best = NULL;

	for (unsigned i = 0; i < SWAP_AREAS_MAX; i++) {
		struct swap_area *a = swap_areas[(current + (turn < SWAP_RUN_MAX ? 0 : 1) + i) % SWAP_AREAS_MAX];

		if (has_room(a) && (!best || a->priority > best->priority))
			best = a;
	}
	if (best) {
		turn = best->number == current && turn < SWAP_RUN_MAX ? turn + 1 : 0;
		current = best->number;
	}
	return best;
}

/* A slot with one reference, or 0. */
static uint64_t allocate(void)
{
	struct swap_area *a = choose();
	uint64_t n = a ? find_slot(a) : 0;

	if (!n)
		return 0;
	a->slots[n].count = 1;
	a->next = n + 1 < a->count ? n + 1 : 0;
	a->group_free[n / SWAP_GROUP]--;
	ADD_ONCE(a->used, 1);
	return entry_of(a, n);
}

/* ---- slots and pages ---- */

static void attach(struct page *page, uint64_t entry)
{
	slot_of(entry)->page = page;
	page->index = entry;
	__atomic_fetch_or(&page->flags, PAGE_WATCHED, __ATOMIC_RELEASE);
}

static void detach(struct swap_slot *slot)
{
	__atomic_fetch_and(&slot->page->flags, (uint16_t)~PAGE_WATCHED, __ATOMIC_RELEASE);
	slot->page = NULL;
}

static bool is_attached(const struct page *page)
{
	return READ_ONCE(page->flags) & PAGE_WATCHED;
}

/* What the caller gives up without the lock: a page whose reference a slot had kept, and who paid for the slot. Null: nothing. */
struct dropped {
	struct page *kept;
	struct memory_group *group;
};

static void finish_drop(struct dropped d)
{
	if (d.kept)
		page_put(d.kept);
	if (d.group)
		memory_uncharge_slot(d.group);
}

/* Gives up a reference. */
static struct dropped drop(uint64_t entry)
{
	struct swap_area *a = area_of(entry);
	struct swap_slot *slot = slot_of(entry);
	struct dropped d = { NULL, NULL };

	ASSERT(slot->count > 0);
	if (--slot->count > 0)
		return d;
	if (slot->flags & SLOT_KEPT) {
		d.kept = slot->page;
		ADD_ONCE(kept_slots, -1);
	}
	if (slot->page)
		detach(slot);
	slot->flags = 0;
	d.group = slot->group;
	slot->group = NULL;
	ADD_ONCE(a->used, -1);
	a->group_free[number_of(entry) / SWAP_GROUP]++;
	return d;
}

/* A new slot for the page, which its group pays for; the second reference is the writer's. 0, -ENOSPC, -EDQUOT. */
static int give_slot(struct page *page, uint64_t *ret_entry)
{
	struct memory_group *g = READ_ONCE(page->flags) & PAGE_CHARGED ? page->group : NULL;
	uint64_t entry;

	if (g && !memory_charge_slot(g))
		return -EDQUOT;
	entry = allocate();
	if (!entry) {
		if (g)
			memory_uncharge_slot(g);
		return -ENOSPC;
	}
	slot_of(entry)->group = g;
	slot_of(entry)->count++;
	attach(page, entry);
	*ret_entry = entry;
	return 0;
}

/* Is a kept page to be written by the caller, who has the slot's reference for that then? */
static bool begin_again(struct swap_slot *slot)
{
	if ((slot->flags & (SLOT_KEPT | SLOT_AGAIN)) != SLOT_KEPT)
		return false;
	slot->flags |= SLOT_AGAIN;
	slot->count++;
	return true;
}

int swap_take(struct page *page, uint64_t *ret_entry, bool *ret_write)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	int err = 0;

	if (is_attached(page)) {
		*ret_entry = page->index;
		slot_of(page->index)->count++;
		*ret_write = begin_again(slot_of(page->index));
	} else {
		err = give_slot(page, ret_entry);
		*ret_write = true;
	}
	spin_unlock_irq(&swap_lock, irq);
	return err;
}

void swap_wrote(uint64_t entry, struct page *page, int error)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	struct swap_slot *slot = slot_of(entry);
	struct page *kept = NULL;
	struct dropped d;

	if (!error && (slot->flags & SLOT_KEPT)) {
		kept = slot->page;
		slot->flags &= ~(uint32_t)SLOT_KEPT;
		ADD_ONCE(kept_slots, -1);
	} else if (error && !(slot->flags & SLOT_KEPT) && slot->count > 1 && slot->page == page) {
		slot->flags |= SLOT_KEPT;
		ADD_ONCE(kept_slots, 1);
		page = NULL;
	}
	slot->flags &= ~(uint32_t)SLOT_AGAIN;
	d = drop(entry);
	spin_unlock_irq(&swap_lock, irq);
	finish_drop(d);
	if (kept)
		page_put(kept);
	if (page)
		page_put(page);
}

bool swap_find_kept(struct swap_batch *b, uint64_t *at)
{
	uint64_t number = *at >> SWAP_SLOT_BITS, n = number_of(*at), end;
	const struct swap_area *a;
	unsigned long irq;

	if (READ_ONCE(kept_slots) == 0 || number >= SWAP_AREAS_MAX)
		return false;
	irq = spin_lock_irq(&swap_lock);
	a = swap_areas[number];
	end = a ? min(n + SWAP_GROUP, a->count) : n;
	for (; n < end && !swap_batch_full(b); n++) {
		struct swap_slot *slot = &a->slots[n];

		if (!begin_again(slot))
			continue;
		refcount_get(&slot->page->refs);
		swap_batch_add(b, entry_of(a, n), slot->page, true);
	}
	*at = a && n < a->count ? number << SWAP_SLOT_BITS | n : (number + 1) << SWAP_SLOT_BITS;
	spin_unlock_irq(&swap_lock, irq);
	return true;
}

struct memory_group *swap_group_of(uint64_t entry)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	struct memory_group *g = slot_of(entry)->group;

	spin_unlock_irq(&swap_lock, irq);
	return g;
}

void swap_dup(uint64_t entry)
{
	unsigned long irq = spin_lock_irq(&swap_lock);

	ASSERT(slot_of(entry)->count > 0 && slot_of(entry)->count < UINT32_MAX);
	slot_of(entry)->count++;
	spin_unlock_irq(&swap_lock, irq);
}

void swap_free(uint64_t entry)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	struct dropped d = drop(entry);

	spin_unlock_irq(&swap_lock, irq);
	finish_drop(d);
}

uint32_t swap_shares(uint64_t entry)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	uint32_t n = slot_of(entry)->count;

	spin_unlock_irq(&swap_lock, irq);
	return max(n, 1u);
}

struct page *swap_hold(uint64_t entry)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	struct swap_slot *slot = slot_of(entry);
	struct page *page = slot->page;

	ASSERT(slot->count > 0);
	slot->count++;
	if (page && !refcount_get_unless_zero(&page->refs))
		page = NULL; /* it is being freed, and was written long ago */
	spin_unlock_irq(&swap_lock, irq);
	return page;
}

struct page *swap_settle(uint64_t entry, struct page *page, bool *ret_alone)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	struct swap_slot *slot = slot_of(entry);
	struct page *other = slot->page != page ? slot->page : NULL;

	ASSERT(slot->count > 1);
	slot->count--;
	if (other && !refcount_get_unless_zero(&other->refs)) {
		detach(slot); /* it is being freed */
		other = NULL;
	}
	if (other) {
		struct page *unused = page;

		page = other;
		other = unused;
	} else if (slot->page != page && slot->count > 1) {
		attach(page, entry);
	}
	if (slot->count == 1 && slot->page == page && !(slot->flags & SLOT_KEPT))
		detach(slot);
	*ret_alone = slot->page != page && refcount_is_one(&page->refs);
	spin_unlock_irq(&swap_lock, irq);
	if (other)
		page_put(other);
	return page;
}

bool swap_leave_slot(struct page *page)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	bool alone = refcount_is_one(&page->refs);

	if (alone && is_attached(page))
		detach(slot_of(page->index));
	spin_unlock_irq(&swap_lock, irq);
	return alone;
}

/* The watcher of freed pages. The slot may have let go of it since the mark was seen. */
void swap_page_leaves(struct page *page)
{
	unsigned long irq = spin_lock_irq(&swap_lock);

	if (is_attached(page))
		detach(slot_of(page->index));
	spin_unlock_irq(&swap_lock, irq);
}

/* ---- transfers ---- */

int swap_transfer(uint64_t entry, bool write, struct page *const pages[], unsigned n)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	struct swap_area *a = area_of(entry);

	spin_unlock_irq(&swap_lock, irq);
	return a->ops->transfer(a->device, write, number_of(entry), pages, n);
}

bool swap_entry_in(const void *device, uint64_t entry)
{
	unsigned long irq = spin_lock_irq(&swap_lock);
	bool in = area_of(entry)->device == device;

	spin_unlock_irq(&swap_lock, irq);
	return in;
}
