/* SPDX-License-Identifier: MIT */
/*
 * The wall clock and those who wait for a time on it. A kernel timer knows hal_clock_ns() alone, so that a deadline on the wall clock is translated when it
 * is set, and again when that clock is: its owner watches.
 *
 * All watches are told in rounds of TELL_MAX, with interrupts on in between; one that was told goes to the end of the list, with the number of the
 * round, so that each is told once, whoever comes and goes meanwhile.
 *
 * Locking: wall_lock (RANK_WALL): the list.
 */
#include <cloudos/lock.h>
#include <cloudos/wall.h>
#include <hal/hal.h>

#define TELL_MAX 64

static struct spinlock wall_lock = SPINLOCK_INIT(RANK_WALL);
static struct list watches = LIST_INIT(watches);
static uint32_t round_now; /* wall_lock */

void wall_watch_add(struct wall_watch *w)
{
	unsigned long flags = spin_lock_irq(&wall_lock);

	if (list_empty(&w->link)) {
		w->round = round_now;
		list_add_tail(&watches, &w->link);
	}
	spin_unlock_irq(&wall_lock, flags);
}

void wall_watch_remove(struct wall_watch *w)
{
	unsigned long flags = spin_lock_irq(&wall_lock);

	list_del(&w->link);
	spin_unlock_irq(&wall_lock, flags);
}

uint64_t wall_deadline(uint64_t wall_ns)
{
	uint64_t wall = hal_wall_ns(), now = hal_clock_ns(); /* in this order: late, if anything */

	if (wall_ns <= wall)
		return 0;
	return wall_ns - wall < HAL_TIMER_NEVER - now ? now + (wall_ns - wall) : HAL_TIMER_NEVER;
}

/* Tells up to TELL_MAX; false: all have been told. */
static bool tell_some_locked(uint32_t round)
{
	for (unsigned n = 0; n < TELL_MAX; n++) {
		struct wall_watch *w = list_first(&watches, struct wall_watch, link);

		if (list_empty(&watches) || (int32_t)(w->round - round) >= 0)
			return false;
		w->round = round;
		list_del(&w->link);
		list_add_tail(&watches, &w->link);
		w->moved(w);
	}
	return true;
}

void wall_tell(void)
{
	unsigned long flags = spin_lock_irq(&wall_lock);
	uint32_t round = ++round_now;

	while (tell_some_locked(round)) {
		spin_unlock_irq(&wall_lock, flags);
		flags = spin_lock_irq(&wall_lock);
	}
	spin_unlock_irq(&wall_lock, flags);
}
