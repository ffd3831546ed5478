/* SPDX-License-Identifier: MIT */
/*
 * The tree lock: dentries, their hash table, and mounts.
 *
 * A walk reads many dentries and should write to none on its way, or CPUs would pass the root's reference count around. So the
 * reading side is a flag of the reader's own CPU, and the writing side waits until every CPU's flag is down:
 *
 *   reader  flag = 1; if a writer is there, flag = 0 and wait; ... read ...; flag = 0
 *   writer  takes the spin lock; writing = 1; waits for each flag to be 0; ... change ...; writing = 0
 *
 * Both first store, then load, in one total order (sequential consistency): at least one sees the other. While any reader is
 * inside nothing moves and nothing dies, so a reader follows plain pointers, and takes a reference on what it wants to keep.
 *
 * R1  A reader does not sleep, nor read-enter twice. The kernel is not preempted, so it stays on its CPU.
 * R2  No interrupt handler touches the tree.
 * R3  The writing side may take no lock below RANK_DENTRY, and does not sleep; what it takes out is freed after it.
 */
#ifndef TREE_LOCK_H
#define TREE_LOCK_H

#include <cloudos/lock.h>
#include <cloudos/percpu.h>

DECLARE_PER_CPU(uint32_t, tree_reading);
extern uint32_t tree_writing;

/*
 * Counts what changes where ".." leads: renames of folders, mounts that come, go or move. Written by the writing side, read by either.
 */
extern uint64_t tree_moves;

void tree_read_wait(void);

static inline void tree_read_enter(void)
{
	__atomic_exchange_n(&this_cpu(tree_reading), 1, __ATOMIC_SEQ_CST);
	hal_point(HAL_POINT_ATOMIC, &tree_writing);
	if (unlikely(__atomic_load_n(&tree_writing, __ATOMIC_SEQ_CST)))
		tree_read_wait();
}

static inline void tree_read_leave(void)
{
	__atomic_store_n(&this_cpu(tree_reading), 0, __ATOMIC_RELEASE);
	hal_point(HAL_POINT_ATOMIC, &tree_writing);
}

void tree_write_enter(void);
void tree_write_leave(void);
bool tree_write_held(void);

#endif
