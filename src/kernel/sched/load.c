/* SPDX-License-Identifier: MIT */
/*
 * Load averages as Linux has them: every 5 seconds load = load * e + n * (1 - e), with e = exp(-5s / period), in fixed point with 16 bits.
 * There is no tick to sample on: the next switch after a sampling point samples for all the points that have passed.
 */
#include "sched_internal.h"

#define SAMPLE_NS  (5 * NSEC_PER_SEC)
#define FIXED_ONE  UINT64_C(65536)
#define CATCH_UP_MAX 720 /* an hour: older points change nothing */

static const uint64_t decay[3] = { 60295, 64455, 65173 }; /* exp(-5/60), exp(-5/300), exp(-5/900) */
static uint64_t averages[3], next_sample_ns = SAMPLE_NS;
static struct spinlock load_lock = SPINLOCK_INIT(RANK_LEAF);

unsigned sched_runnable(void)
{
	unsigned n = 0;

	for (uint64_t left = READ_ONCE(cpus_online); left; left &= left - 1) {
		const struct run_queue *rq = &per_cpu(run_queue, __builtin_ctzll(left));

		n += READ_ONCE(rq->queued) + (READ_ONCE(rq->current) != rq->idle);
	}
	return n;
}

static void sample_locked(uint64_t now)
{
	uint64_t n = sched_runnable() * FIXED_ONE, next_ns = next_sample_ns;

	if (now - next_ns > CATCH_UP_MAX * SAMPLE_NS)
		next_ns = now - CATCH_UP_MAX * SAMPLE_NS;
	for (; next_ns <= now; next_ns += SAMPLE_NS)
		for (size_t i = 0; i < 3; i++)
			WRITE_ONCE(averages[i], (averages[i] * decay[i] + n * (FIXED_ONE - decay[i])) / FIXED_ONE);
	WRITE_ONCE(next_sample_ns, next_ns);
}

void load_sample(uint64_t now)
{
	if (likely(now < READ_ONCE(next_sample_ns)) || !spin_try_lock(&load_lock))
		return;
	sample_locked(now);
	spin_unlock(&load_lock);
}

void sched_load(uint64_t ret[3])
{
	unsigned long irq = hal_irq_save();

	load_sample(hal_clock_ns());
	for (size_t i = 0; i < 3; i++)
		ret[i] = READ_ONCE(averages[i]);
	hal_irq_restore(irq);
}
