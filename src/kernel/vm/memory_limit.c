/* SPDX-License-Identifier: MIT */
/*
 * Limits of memory groups: what becomes of who is refused a page. With no lock of vm held, he has what CPUs keep in stock given back, and the thread
 * "reclaim" take memory from the group (reclaim.c); if nothing is to be had, somebody in the group must die, and he waits for that.
 *
 * Above memory.high, which refuses nobody, a thread sees to the same on its way to user mode, where it holds no locks; what cannot be taken back costs
 * it time, the more the farther above it is.
 *
 * Lowering a limit goes the same way. Nobody outside of the group is asked for anything.
 */
#include <cloudos/errno.h>
#include <cloudos/swap.h>
#include <cloudos/thread.h>
#include <cloudos/wait.h>
#include "swap_internal.h"

#define TRIES_DYING   3	   /* of who is to end: his pages are charged without a limit, so that it is not the group */
#define TRIES_MAX     200
#define WAIT_DEATH_NS (10 * NSEC_PER_MSEC)
#define WAIT_HIGH_NS  NSEC_PER_SEC /* for as much again as there may be, and at the most */
#define SHRINK_EXTRA  32 /* pages below the limit that are made room */

struct memory_group *memory_refused(void)
{
	struct memory_group *refused = thread_current()->refused, *own;
	struct vm_space *s = thread_current()->vm;

	if (likely(!refused))
		return NULL;
	thread_current()->refused = NULL;
	own = s ? space_group_get(s) : NULL;
	if (!own)
		return NULL;
	if (memory_group_below(own, refused))
		memory_group_ops->get(refused);
	else
		refused = NULL;
	memory_group_ops->put(own);
	return refused;
}

static bool has_room(const struct memory_group *g)
{
	return READ_ONCE(g->usage) < READ_ONCE(g->max);
}

static uint64_t comfortable(const struct memory_group *g)
{
	uint64_t max = READ_ONCE(g->max);

	return max - min(max, (uint64_t)SHRINK_EXTRA);
}

/* ---- memory.max ---- */

/* Somebody in g dies: false if nobody can. A while later, or when something was freed. */
static bool kill_in(struct memory_group *g)
{
	memory_group_count_event(g, MEMORY_OOM);
	if (!reclaim_out_of_memory || !reclaim_out_of_memory(g))
		return false;
	(void)wait_until(&reclaim_freed, THREAD_SLEEPING, hal_clock_ns() + WAIT_DEATH_NS, has_room(g) || thread_exit_pending());
	memory_settle();
	return true;
}

bool memory_wait(struct memory_group *g, struct reclaim_tries *tries)
{
	if (thread_exit_pending())
		return ++tries->free <= TRIES_DYING;
	if (++tries->waits > TRIES_MAX)
		return false;
	memory_settle();
	if (has_room(g))
		return true;
	memory_group_count_event(g, MEMORY_MAX);
	if (memory_group_shrink(g, comfortable(g)) || has_room(g))
		return true;
	if (!kill_in(g))
		return false;
	tries->waits = 0;
	return true;
}

void memory_group_set_max(struct memory_group *g, uint64_t max)
{
	WRITE_ONCE(g->max, max);
	for (unsigned tries = 0; tries < TRIES_MAX && !thread_signal_pending(); tries++) {
		memory_settle();
		if (READ_ONCE(g->usage) <= READ_ONCE(g->max))
			break;
		if (!memory_group_shrink(g, READ_ONCE(g->max)) && !kill_in(g))
			break;
	}
}

/* ---- memory.high ---- */

static bool is_high(const struct memory_group *g)
{
	return READ_ONCE(g->usage) > READ_ONCE(g->high);
}

static void throttle(struct memory_group *g)
{
	uint64_t high = READ_ONCE(g->high), usage, ns;

	memory_group_count_event(g, MEMORY_HIGH);
	if (memory_group_shrink(g, high))
		return;
	usage = READ_ONCE(g->usage);
	if (usage <= high)
		return;
	ns = min(usage - high, max(high, UINT64_C(1))) * WAIT_HIGH_NS / max(high, UINT64_C(1));
	(void)wait_until(&reclaim_freed, THREAD_INTERRUPTIBLE, hal_clock_ns() + ns, !is_high(g));
}

void memory_throttle(void)
{
	struct vm_space *s = thread_current()->vm;
	struct memory_group *g;

	thread_clear_work(THREAD_WORK_MEMORY);
	g = s ? space_group_get(s) : NULL;
	for (struct memory_group *a = g; a && !thread_signal_pending(); a = a->parent)
		if (is_high(a))
			throttle(a);
	if (g)
		memory_group_ops->put(g);
}
