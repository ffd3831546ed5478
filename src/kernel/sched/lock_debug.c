/* SPDX-License-Identifier: MIT */
/*
 * Checks of the lock order, in kernels built with debug_locks: spin locks are remembered per CPU, sleeping locks per thread. An interrupt
 * handler starts with an empty list of its own (lock_debug_irq_enter), for it can only deadlock with what it takes itself: locks
 * that handlers share are taken with interrupts off.
 */
#include "lock_debug.h"
#include "sched_internal.h"

#if CLOUDOS_LOCK_DEBUG

#define HELD_MAX 24

struct held_spins {
	unsigned count, base; /* those below base belong to what an interrupt interrupted */
	unsigned bases[4], depth;
	const struct spinlock *locks[HELD_MAX];
};
static DEFINE_PER_CPU(struct held_spins, held_spins);

void lock_debug_spin_before(const struct spinlock *l)
{
	unsigned long irq = hal_irq_save();
	struct held_spins *h = &this_cpu(held_spins);

	for (unsigned i = h->base; i < h->count; i++) {
		if (h->locks[i] == l)
			panic("spin lock %p (rank %u) taken twice by this CPU", (const void *)l, l->rank);
		if (l->rank != RANK_NONE && h->locks[i]->rank >= l->rank)
			panic("lock order: rank %u taken while rank %u is held, which was taken at %p", l->rank,
			      h->locks[i]->rank, h->locks[i]->taken_at);
	}
	hal_irq_restore(irq);
}

void lock_debug_spin_after(struct spinlock *l)
{
	unsigned long irq = hal_irq_save();
	struct held_spins *h = &this_cpu(held_spins);

	ASSERT(h->count < HELD_MAX);
	h->locks[h->count++] = l;
	l->cpu_plus_1 = (uint16_t)(hal_cpu_id() + 1);
	l->taken_at = __builtin_return_address(0);
	hal_irq_restore(irq);
}

void lock_debug_spin_release(struct spinlock *l)
{
	unsigned long irq = hal_irq_save();
	struct held_spins *h = &this_cpu(held_spins);
	unsigned i = h->count;

	while (i > 0 && h->locks[i - 1] != l)
		i--;
	if (i == 0)
		panic("spin lock %p (rank %u) released by a CPU that does not hold it", (void *)l, l->rank);
	for (; i < h->count; i++)
		h->locks[i - 1] = h->locks[i];
	h->count--;
	l->cpu_plus_1 = 0;
	hal_irq_restore(irq);
}

void lock_debug_irq_enter(void)
{
	struct held_spins *h = &this_cpu(held_spins);

	ASSERT(h->depth < ARRAY_SIZE(h->bases));
	h->bases[h->depth++] = h->base;
	h->base = h->count;
}

void lock_debug_irq_exit(void)
{
	struct held_spins *h = &this_cpu(held_spins);

	ASSERT(h->depth > 0 && h->count == h->base);
	h->base = h->bases[--h->depth];
}

void lock_debug_may_sleep(const char *what)
{
	struct held_spins *h = &this_cpu(held_spins);

	if (h->count > 0)
		panic("%s() may sleep, but a spin lock of rank %u is held, taken at %p", what, h->locks[h->count - 1]->rank,
		      h->locks[h->count - 1]->taken_at);
	if (h->depth > 0)
		panic("%s() may sleep, but is called in an interrupt", what);
}

void lock_debug_sleep_take(unsigned rank)
{
	struct thread *t = thread_current();

	for (unsigned i = 0; i < t->held_count; i++)
		if (rank != RANK_NONE && t->held_ranks[i] >= rank)
			panic("lock order: sleeping lock of rank %u taken while rank %u is held", rank, t->held_ranks[i]);
	lock_debug_sleep_tried(rank);
}

void lock_debug_sleep_tried(unsigned rank)
{
	struct thread *t = thread_current();

	ASSERT(t->held_count < ARRAY_SIZE(t->held_ranks));
	t->held_ranks[t->held_count++] = (uint16_t)rank;
}

void lock_debug_sleep_drop(unsigned rank)
{
	struct thread *t = thread_current();
	unsigned i = t->held_count;

	while (i > 0 && t->held_ranks[i - 1] != rank)
		i--;
	if (i == 0)
		panic("sleeping lock of rank %u released by a thread that does not hold it", rank);
	for (; i < t->held_count; i++)
		t->held_ranks[i - 1] = t->held_ranks[i];
	t->held_count--;
}

#endif
