/* SPDX-License-Identifier: MIT */
/* Process-context identifiers: which of a CPU's few belongs to which address space, and what it may keep. See pcid.c. */
#ifndef X86_PCID_H
#define X86_PCID_H

#include <hal/types.h>

#define PCID_SLOTS 6 /* a CPU's: identifiers 1 to PCID_SLOTS; 0 is the kernel's own root */

/* In each address space. id: C, of no other ever; flushes: A, how often a translation was taken away. */
struct pcid_space {
	uint64_t id, flushes;
};

/* In each CPU, for its own use. seen: all up to this flush has been done to what the identifier holds. */
struct pcid_cpu {
	uint64_t id[PCID_SLOTS], seen[PCID_SLOTS];
	uint32_t next; /* slot to be given away next */
	uint32_t active; /* identifier in CR3 */
};

void pcid_space_init(struct pcid_space *s);

/* The CPU is about to load s (null: the kernel's root): its identifier. *ret_keep: what that one holds is still right. */
uint32_t pcid_activate(struct pcid_cpu *c, const struct pcid_space *s, bool *ret_keep);

/* Page-table entries of s were changed; the caller then drops its own translations of them, if s is active here. */
void pcid_flush(struct pcid_cpu *c, struct pcid_space *s);

#endif
