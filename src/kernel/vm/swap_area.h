/* SPDX-License-Identifier: MIT */
/* An area, for swap.c, which uses it, and swap_area.c, which makes it. */
#ifndef SWAP_AREA_H
#define SWAP_AREA_H

#include "swap_internal.h"

#define SWAP_GROUP 512 /* slots whose free ones are counted together */

enum {
	SLOT_BAD = 1,  /* mkswap said so, or it is the header */
	SLOT_KEPT = 2, /* `page` could not be written: the slot has a reference on it */
	SLOT_AGAIN = 4, /* and somebody tries once more */
};

struct swap_slot {
	struct page *page;
	struct memory_group *group; /* who pays; null: nobody */
	uint32_t count, flags;
};

/* Fields: C = constant; L = by swap_lock. */
struct swap_area {
	const struct swap_backing_ops *ops; /* C */
	void *device;			    /* C */
	unsigned number;		    /* C: in swap_areas */
	int priority;			    /* L */
	bool by_default;		    /* C: nobody asked for this priority */
	uint64_t count;			    /* C: slots, the header among them */
	uint64_t usable;		    /* C: those that are not bad */
	uint64_t used, next;		    /* L: referenced ones; where the search goes on */
	bool closing;			    /* L: gives no more slots */
	struct swap_slot *slots;	    /* L */
	uint16_t *group_free;		    /* L */
	char name[SWAP_NAME_MAX];	    /* C */
};

extern struct spinlock swap_lock;
extern struct swap_area *swap_areas[SWAP_AREAS_MAX]; /* L */

void swap_page_leaves(struct page *page);

#endif
