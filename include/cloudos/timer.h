/* SPDX-License-Identifier: MIT */
/* Timers: a function called once at a time, on the CPU that armed it, in interrupt context. */
#ifndef CLOUDOS_TIMER_H
#define CLOUDOS_TIMER_H

#include <cloudos/rbtree.h>
#include <cloudos/types.h>
#include <hal/types.h>

struct timer {
	struct rb_node node;
	uint64_t deadline_ns;
	void (*fn)(struct timer *);
	int32_t cpu;  /* the CPU whose queue holds it, or -1 */
	int32_t last; /* the CPU on which fn last began */
};

void timer_setup(struct timer *t, void (*fn)(struct timer *));

/* Arms or re-arms, absolute (hal_clock_ns scale). Any context, on several CPUs at once: then the last one counts. */
void timer_arm(struct timer *t, uint64_t deadline_ns);

/*
 * Takes it off; true if it was armed. On return fn is not running, and has not armed it again, unless called from fn itself. Not in
 * interrupts (but from fn).
 */
bool timer_cancel(struct timer *t);

static inline bool timer_armed(const struct timer *t)
{
	return __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE) >= 0;
}

#endif
