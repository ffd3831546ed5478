/* SPDX-License-Identifier: MIT */
/* The slow side of the tree lock; tree_lock.h tells how it works. */
#include <cloudos/thread.h>
#include "tree_lock.h"

DEFINE_PER_CPU(uint32_t, tree_reading);
uint32_t tree_writing;
uint64_t tree_moves;
static struct spinlock tree_spin = SPINLOCK_INIT(RANK_DENTRY);

/* Called with this CPU's flag up; returns with it up and no writer inside. */
void tree_read_wait(void)
{
	do {
		__atomic_store_n(&this_cpu(tree_reading), 0, __ATOMIC_RELEASE);
		while (__atomic_load_n(&tree_writing, __ATOMIC_RELAXED))
			hal_cpu_relax();
		__atomic_exchange_n(&this_cpu(tree_reading), 1, __ATOMIC_SEQ_CST);
	} while (__atomic_load_n(&tree_writing, __ATOMIC_SEQ_CST));
}

void tree_write_enter(void)
{
	uint64_t cpus;

	ASSERT(!READ_ONCE(this_cpu(tree_reading)));
	spin_lock(&tree_spin);
	__atomic_exchange_n(&tree_writing, 1, __ATOMIC_SEQ_CST);
	hal_point(HAL_POINT_ATOMIC, &tree_writing);
	for (cpus = READ_ONCE(cpus_online); cpus; cpus &= cpus - 1) {
		uint32_t *flag = &per_cpu(tree_reading, __builtin_ctzll(cpus));

		while (__atomic_load_n(flag, __ATOMIC_SEQ_CST))
			hal_cpu_relax();
	}
}

void tree_write_leave(void)
{
	__atomic_store_n(&tree_writing, 0, __ATOMIC_RELEASE);
	spin_unlock(&tree_spin);
}

bool tree_write_held(void)
{
	return spin_is_locked(&tree_spin);
}
