/* SPDX-License-Identifier: MIT */
/*
 * Cached translations. Page-table entries change under the space's table lock; what CPUs remember of the old ones goes by a flush. Rules:
 *
 *   I1 An entry that maps where nothing was needs no flush: no CPU remembers an absent entry (one that did faults once
 *      more, and the fault finds the page there).
 *   I2 A page, or a table, is not freed before every CPU that may use the space has flushed: it waits in a tlb_batch.
 *   I3 A flush reads the mask of CPUs after its entries are written; the scheduler sets a CPU's bit before it activates the
 *      space. So a CPU that is not in the mask will walk the new entries.
 *
 * Other CPUs are reached by cpus_call(), which may be used with the table lock held: nobody takes that lock with interrupts off.
 */
#include <cloudos/thread.h>
#include "vm_internal.h"

struct flush_request {
	struct hal_aspace *aspace;
	uaddr_t start, end;
	uint64_t number;
};

static void flush_here(void *arg)
{
	const struct flush_request *r = arg;

	if (r->end - r->start == PAGE_SIZE)
		hal_tlb_flush_page(r->aspace, r->start);
	else
		hal_tlb_flush_range(r->aspace, r->start, r->end);
	hal_tlb_caught_up(r->aspace, r->number);
}

static uint64_t other_cpus(const struct vm_space *s)
{
	if (HAL_TLB_BROADCAST)
		return 0;
	hal_point(HAL_POINT_ATOMIC, &s->sched.cpus);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&s->sched.cpus, __ATOMIC_ACQUIRE) & ~(UINT64_C(1) << hal_cpu_id());
}

void tlb_flush(struct vm_space *s, uaddr_t start, uaddr_t end)
{
	struct flush_request r = { &s->sched.hal, start, end, hal_tlb_change(&s->sched.hal) };
	unsigned long irq = hal_irq_save();
	uint64_t others;

	flush_here(&r);
	hal_irq_restore(irq);
	others = other_cpus(s);
	if (unlikely(others))
		cpus_call(others, flush_here, &r);
}

/* An entry allows more than before: other CPUs that remember the old one fault and come here too. */
void tlb_flush_page_here(struct vm_space *s, uaddr_t addr)
{
	unsigned long irq = hal_irq_save();

	hal_tlb_flush_page(&s->sched.hal, addr & PAGE_MASK);
	hal_irq_restore(irq);
}

void tlb_batch_finish(struct tlb_batch *b)
{
	if (b->start < b->end)
		tlb_flush(b->space, b->start, b->end);
	for (uint32_t i = 0; i < b->count; i++)
		tlb_release_page(b->pages[i]);
	b->start = UINT64_MAX;
	b->end = 0;
	b->count = 0;
}
