/* SPDX-License-Identifier: MIT */
/*
 * Kernel stacks. The page below a stack is never mapped, so that an overflow faults instead of writing into a neighbour. Mapping is dear
 * (every CPU must forget a translation when one goes), so freed stacks are kept for the next thread; what is above
 * STACKS_KEPT goes when the next one is asked for, since kstack_free() may be called where nothing slow is allowed.
 *
 * A free stack holds the link to the next in its first word. Locking: stacks_lock (RANK_LEAF, interrupts off).
 */
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include "mm_internal.h"

#define STACKS_KEPT 64
#define STACK_PAGES (HAL_KSTACK_SIZE / PAGE_SIZE)

static struct spinlock stacks_lock = SPINLOCK_INIT(RANK_LEAF);
static void *stacks;
static unsigned stack_count;

static void *take(unsigned above)
{
	unsigned long irq = spin_lock_irq(&stacks_lock);
	void *stack = NULL;

	if (stack_count > above) {
		stack = stacks;
		stacks = *(void **)stack;
		ADD_ONCE(stack_count, -1);
	}
	spin_unlock_irq(&stacks_lock, irq);
	return stack;
}

static void trim(void)
{
	void *stack;

	while ((stack = take(STACKS_KEPT))) {
		kva_depopulate((uintptr_t)stack, STACK_PAGES);
		kva_release((uintptr_t)stack, STACK_PAGES);
	}
}

void *kstack_alloc(void)
{
	void *stack;
	uintptr_t va;

	if (unlikely(READ_ONCE(stack_count) > STACKS_KEPT))
		trim();
	if (hal_fault("kstack_alloc"))
		return NULL;
	stack = take(0);
	if (stack)
		return stack;
	if (kva_reserve(STACK_PAGES, &va))
		return NULL;
	if (kva_populate(va, STACK_PAGES, 0)) {
		kva_release(va, STACK_PAGES);
		return NULL;
	}
	return (void *)va;
}

void kstack_free(void *stack)
{
	unsigned long irq;

	if (!stack)
		return;
	irq = spin_lock_irq(&stacks_lock);
	*(void **)stack = stacks;
	stacks = stack;
	ADD_ONCE(stack_count, 1);
	spin_unlock_irq(&stacks_lock, irq);
}

size_t kstack_kept_pages(void)
{
	return READ_ONCE(stack_count) * STACK_PAGES;
}
