/* SPDX-License-Identifier: MIT */
/*
 * Process-context identifiers (Intel SDM volume 3A, 4.10): with them, translations outlive a change of CR3.
 *
 * Each CPU has a few identifiers and remembers which address space each was given to, by a number that no
 * other space ever gets. A space counts the flushes that were asked of it, on whatever CPU; a CPU notes for
 * each identifier up to which of them it has done. The kernel asks a flush of every CPU on which the space is
 * active, as if there were no identifiers (HAL_ASPACE_KEEPS is 0); the others see on their next activation
 * that the count has moved, and begin afresh.
 *
 * P1  What an identifier holds belongs to the space that it was given to, or the next load of CR3 drops it.
 * P2  seen[i] == flushes of its space implies that identifier i holds no translation that a flush so far was
 *     for. A flush advances `seen` only if all before it were seen: then it is the only one to be done.
 * P3  The count moves after the entries have changed and before the kernel looks where the space is active;
 *     the kernel says that it is active before pcid_activate() looks at the count. So one of them sees the other.
 *
 * Pure: runs on the host in tests/arch/pcid_test.c. Interrupts are off; each struct pcid_cpu is its CPU's own.
 */
#include <x86/pcid.h>

void pcid_space_init(struct pcid_space *s)
{
	static uint64_t last;

	s->id = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	s->flushes = 0;
}

static uint32_t find(const struct pcid_cpu *c, uint64_t id)
{
	uint32_t i = 0;

	while (i < PCID_SLOTS && c->id[i] != id)
		i++;
	return i;
}

uint32_t pcid_activate(struct pcid_cpu *c, const struct pcid_space *s, bool *ret_keep)
{
	uint64_t flushes;
	uint32_t i;

	c->active = 0;
	*ret_keep = false;
	if (!s)
		return 0;
	flushes = __atomic_load_n(&s->flushes, __ATOMIC_SEQ_CST);
	i = find(c, s->id);
	if (i < PCID_SLOTS) {
		*ret_keep = c->seen[i] == flushes;
	} else {
		i = c->next;
		c->next = (i + 1) % PCID_SLOTS;
		c->id[i] = s->id;
	}
	c->seen[i] = flushes;
	c->active = i + 1;
	return i + 1;
}

void pcid_flush(struct pcid_cpu *c, struct pcid_space *s)
{
	uint64_t before = __atomic_fetch_add(&s->flushes, 1, __ATOMIC_SEQ_CST);
	uint32_t i = c->active - 1;

	if (c->active && c->id[i] == s->id && c->seen[i] == before)
		c->seen[i] = before + 1;
}
