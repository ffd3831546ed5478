/* SPDX-License-Identifier: MIT */
/*
 * Swap: areas on devices to which pages go that programs have not touched for long, and the taking back of memory. vm knows no devices: who
 * turns an area on gives it a backing. See docs/mm.md.
 */
#ifndef CLOUDOS_SWAP_H
#define CLOUDOS_SWAP_H

#include <cloudos/mm.h>
#include <cloudos/types.h>

#define SWAP_AREAS_MAX	16			/* -EPERM beyond */
#define SWAP_PAGES_MAX	(UINT64_C(4) << 20)	/* of an area: what lies beyond is not used */
#define SWAP_NAME_MAX	64			/* of an area, for /proc/swaps */
#define SWAP_RUN_MAX	32			/* pages of one transfer */

/* Where an area's pages are. */
struct swap_backing_ops {
	/* Reads or writes n (1 to SWAP_RUN_MAX) pages from page `first` of the device on: 0 or an errno. May sleep. */
	int (*transfer)(void *device, bool write, uint64_t first, struct page *const pages[], unsigned n);
	/* The area is off. May sleep. */
	void (*release)(void *device);
};

struct swap_request {
	const struct swap_backing_ops *ops;
	void *device;
	uint64_t device_pages;
	char name[SWAP_NAME_MAX];
	bool preferred; /* with a priority of its own; else below all that came before */
	int priority;	/* 0 to 32767, if preferred */
};

/*
 * Turns an area on whose device carries what mkswap(8) writes. Takes over `device` if it succeeds. -EBUSY (this device is an area already),
 * -EINVAL (no such header, or it makes no sense), -EPERM (SWAP_AREAS_MAX), -ENOMEM, or what reading gave. May sleep.
 */
int swap_on(const struct swap_request *r);
/*
 * Turns off the area on `device`: all that is there comes back into memory. -EINVAL: there is none; -ENOMEM, -EINTR (a signal), -EIO: it is on
 * still. May sleep for long.
 */
int swap_off(const void *device);

struct swap_figures {
	uint64_t total_pages, free_pages;
	uint64_t pages_in, pages_out; /* since boot */
};
void swap_get_figures(struct swap_figures *ret);

/* The i-th area; false: there is none of that number (there may be later ones). */
struct swap_area_info {
	char name[SWAP_NAME_MAX];
	uint64_t pages, used;
	int priority;
};
bool swap_get_area(unsigned i, struct swap_area_info *ret);

/* ---- taking memory back ---- */

#define RECLAIM_SWAPPINESS_MAX 200
extern unsigned reclaim_swappiness; /* atomic: vm.swappiness; 0: programs' pages go only when there is nothing else left */

struct reclaim_figures {
	uint64_t scanned, taken, rounds, oom_kills;
};
void reclaim_get_figures(struct reclaim_figures *ret);
void reclaim_count_kill(void);

/*
 * What happens when nothing is left: proc chooses a process and kills it. True: something is dying, so that waiting makes sense; false: the
 * running thread is what must go, or nobody can. `g`: it is wanting in this group (held by the caller), and somebody in it must go; null: everywhere. A thread
 * without locks; may sleep.
 */
struct memory_group;
extern bool (*reclaim_out_of_memory)(struct memory_group *g);
/* The running process cannot have the page at an address that it needs: proc has it end soon. Locks that rank before vm's may be held. */
extern void (*reclaim_must_die)(uaddr_t addr);

/*
 * After a failed allocation in a thread that holds no lock of vm: waits until memory has been taken back. True: try again. False: there is
 * none to be had. `tries`: the caller's turns, 0 at first, and again whenever he has got something. May sleep.
 */
struct reclaim_tries {
	unsigned waits; /* without anybody dying for it */
	unsigned free;	/* in a row that failed although there was memory: others were faster, or it was of a kind that there is none of */
};
bool reclaim_wait(struct reclaim_tries *tries);

#endif
