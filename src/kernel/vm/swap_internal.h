/* SPDX-License-Identifier: MIT */
/* What the files of swap share: slots, and pages on their way. */
#ifndef SWAP_INTERNAL_H
#define SWAP_INTERNAL_H

#include <cloudos/swap.h>
#include "vm_internal.h"

#define SWAP_SLOT_BITS 40 /* of an entry: the slot; above it 1 + the area */

struct swap_area;

extern bool swap_present; /* atomic: there are areas */

/* ---- swap.c ---- */

/*
 * The page is to leave an entry of a table, or an object: its slot, with one reference for the entry. *ret_write: the slot is new, or could not be
 * written, nobody else writes the page, and the caller has one more reference to it, for writing. -ENOSPC: there is no room; -EDQUOT: its group may have no more.
 */
int swap_take(struct page *page, uint64_t *ret_entry, bool *ret_write);
/* The writer is done, and gives up the slot's reference and the page's: that one stays with the slot if the page could not be written. */
void swap_wrote(uint64_t entry, struct page *page, int error);

/* Whom the slot is charged to, for who holds it; null: nobody. */
struct memory_group *swap_group_of(uint64_t entry);

/* One more reference, for who holds one; one less. */
void swap_dup(uint64_t entry);
void swap_free(uint64_t entry);
uint32_t swap_shares(uint64_t entry); /* references; for who holds one, or a lock that keeps one where it is */

/* A reference to the slot, and its page with one if that is in memory, else null. The caller sees to it that the slot has a reference. */
struct page *swap_hold(uint64_t entry);

/*
 * The page of a slot on which the caller has two references, a held one and that of the table entry which the page will replace: gives up
 * the latter. Takes over the reference on `page`, which was read, and gives one on the page that is to be mapped: another one, if somebody
 * was faster. *ret_alone: nobody else has the page, nor will find it by the slot.
 */
struct page *swap_settle(uint64_t entry, struct page *page, bool *ret_alone);

/* Somebody is about to write to a page of which he has the only mapping: true if it has no slot from now on, and no other user. */
bool swap_leave_slot(struct page *page);

/* A reference on the area of an entry is held by means of its slot. */
int swap_transfer(uint64_t entry, bool write, struct page *const pages[], unsigned n);

bool swap_entry_in(const void *device, uint64_t entry);

/* ---- swap_io.c ---- */

struct swap_batch {
	unsigned count;
	struct {
		uint64_t entry;
		struct page *page; /* with a reference */
		bool write;	   /* not on the device yet */
	} pages[SWAP_RUN_MAX];
};

static inline bool swap_batch_full(const struct swap_batch *b)
{
	return b->count == SWAP_RUN_MAX;
}

static inline void swap_batch_add(struct swap_batch *b, uint64_t entry, struct page *page, bool write)
{
	b->pages[b->count].entry = entry;
	b->pages[b->count].page = page;
	b->pages[b->count++].write = write;
}

/* Writes what is to be written, and gives up the pages: how many are not kept for want of success. May sleep. */
unsigned swap_batch_finish(struct swap_batch *b);

/*
 * Puts pages that could not be written into an empty batch, to be tried again: those of some slots from *at (0 at first) on, which goes on. False: there
 * are no more.
 */
bool swap_find_kept(struct swap_batch *b, uint64_t *at);

/*
 * The contents of a slot that the caller holds in a new page, with a reference: 0, -ENOMEM, -EIO. `force`: its group pays, whether it has room or
 * not. May sleep.
 */
int swap_read(uint64_t entry, bool force, struct page **ret);

void swap_count_transfers(struct swap_figures *ret);

/* ---- spaces.c ---- */

/*
 * A walk over all address spaces; several go on at a time. `space` is where it stands (null: at the end), `at` whatever address; a space that goes
 * sends it on to the next one.
 */
struct spaces_walk {
	struct list link;
	struct vm_space *space;
	uaddr_t at;
};

/* Between the two the walk's space stays, and `space_list` can be waited for by threads that end theirs: short, no transfers. */
void spaces_lock(void);
void spaces_unlock(void);

void spaces_walk_begin(struct spaces_walk *w); /* at the first space */
void spaces_walk_next(struct spaces_walk *w);  /* locked: to the next one */
void spaces_walk_end(struct spaces_walk *w);

#endif
