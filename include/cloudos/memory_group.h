/* SPDX-License-Identifier: MIT */
/*
 * Groups of processes that share memory as one, and may be limited to so much of it (vm/memory_group.c). Groups form a tree; who makes it (cgroup)
 * keeps a group for as long as somebody holds it, by memory_group_ops, and the groups above it with it.
 */
#ifndef CLOUDOS_MEMORY_GROUP_H
#define CLOUDOS_MEMORY_GROUP_H

#include <cloudos/types.h>

struct page;
struct vm_space;

#define MEMORY_NO_LIMIT UINT64_MAX

/* What pages are charged as. */
enum memory_class { MEMORY_ANON, MEMORY_SHARED /* in cache objects: files of tmpfs, shared memory */, MEMORY_CLASSES };

/* What is counted in a group, for each group above it too. */
enum memory_event { MEMORY_LOW, MEMORY_HIGH, MEMORY_MAX, MEMORY_OOM, MEMORY_OOM_KILL, MEMORY_OOM_GROUP_KILL, MEMORY_EVENTS };
enum memory_swap_event { MEMORY_SWAP_MAX, MEMORY_SWAP_FAIL, MEMORY_SWAP_EVENTS };

/* Figures are pages, of the group and all below it. Fields: C = constant; A = atomic. */
struct memory_group {
	struct memory_group *parent;	  /* C: null: it is of the first level; what is in no group is charged to nobody */
	uint64_t usage, peak;		  /* A: with what CPUs keep in stock */
	uint64_t max, high, low, min;	  /* A */
	uint64_t held;			  /* A: pages and slots charged to this group itself: while there are any, they hold it */
	uint64_t class_pages[MEMORY_CLASSES]; /* A */
	uint64_t swapped, swap_peak, swap_max; /* A: slots of swap areas */
	uint64_t events[MEMORY_EVENTS], local_events[MEMORY_EVENTS]; /* A */
	uint64_t swap_events[MEMORY_SWAP_EVENTS];		     /* A */
	uint64_t faults, faults_major, scanned, taken;		     /* A */
	bool dies_together;		  /* A: memory.oom.group */
	bool dead;			  /* A: its folder is gone: CPUs keep nothing of it in stock */
};

struct memory_group_ops {
	void (*get)(struct memory_group *g);
	void (*put)(struct memory_group *g); /* any context, locks below SLAB */
	void (*tell)(struct memory_group *g); /* its events have changed */
};
extern const struct memory_group_ops *memory_group_ops;

/* In a parent that is there as long as it (or null): limits nothing. */
void memory_group_init(struct memory_group *g, struct memory_group *parent);
/* Its folder goes. May not be called with interrupts off. */
void memory_group_retire(struct memory_group *g);
/* The controller goes: no limits. */
void memory_group_reset(struct memory_group *g);

/* The space's pages are charged to g (null: to nobody) from now on; those that it has stay where they are. Any context, locks below MEMORY_GROUP. */
void vm_space_set_group(struct vm_space *s, struct memory_group *g);

/* Is the space in `top`, or below it? Any context, as above. */
bool vm_space_in_group(struct vm_space *s, const struct memory_group *top);
/* The highest group, up to `top` (null: all the way), that the space is in and that dies as one: with a reference, or null: it dies alone. */
struct memory_group *vm_space_dies_with(struct vm_space *s, const struct memory_group *top);
/* A process with this memory is killed for want of memory. Locks below WAIT may be held. */
void vm_space_count_kill(struct vm_space *s);

/* Is `g` (may be null) below `top`, or the same? Who holds g. */
bool memory_group_below(const struct memory_group *g, const struct memory_group *top);

/* What CPUs keep in stock is given back: figures are exact for a moment. May not be called with interrupts off. */
void memory_settle(void);

/*
 * Takes memory from g and what is below it until it has no more than `target` pages. True: it has. May sleep, for long; no lock of vm is held.
 */
bool memory_group_shrink(struct memory_group *g, uint64_t target);

/* As memory.max: what is above goes, by reclaim or by killing, unless the thread gets a signal. May sleep, as above. */
void memory_group_set_max(struct memory_group *g, uint64_t max);

/*
 * The running thread's groups have more than memory.high: they give some up, or it waits for a while that grows with how much that is, unless it gets a
 * signal. On the way to user mode.
 */
void memory_throttle(void);

/* One of the limits low and min; who takes memory back looks whether there are any. */
void memory_group_protect(struct memory_group *g, uint64_t *limit, uint64_t pages);

/* In g, and in those above. Locks below WAIT may be held. */
void memory_group_count_event(struct memory_group *g, enum memory_event event);

#endif
