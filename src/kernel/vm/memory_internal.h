/* SPDX-License-Identifier: MIT */
/* What memory groups (memory_group.c, memory_limit.c) are for the rest of vm. */
#ifndef MEMORY_INTERNAL_H
#define MEMORY_INTERNAL_H

#include <cloudos/memory_group.h>
#include <cloudos/swap.h>
#include <cloudos/vm.h>

/*
 * Charges a page that nobody knows yet to the space's group, if it is in one. Null: there is no room, thread->refused is who has none, and the page is
 * freed. Any context of a thread.
 */
struct page *memory_charge_page(struct vm_space *s, struct page *p, enum memory_class class);
/* The same for a group that the caller has a slot of; `force`: whether there is room or not. */
struct page *memory_charge_page_to(struct memory_group *g, struct page *p, bool force);
void memory_uncharge_page(struct page *p); /* page_uncharger */

/* A slot of a swap area for a page of g. False: it may have no more. */
bool memory_charge_slot(struct memory_group *g);
void memory_uncharge_slot(struct memory_group *g);

/* May the page, which is mapped somewhere, not be taken on behalf of `target` (null: everybody) for what its groups are to keep? */
bool memory_is_protected(const struct page *p, const struct memory_group *target, bool low);

/* The stocks of this CPU. */
void memory_settle_here(void);

/* With a reference, or null. */
struct memory_group *space_group_get(struct vm_space *s);
void space_inherit_group(struct vm_space *s, struct vm_space *from); /* a new one */

/* A space's faults are counted in its groups so many at a time, and the rest at its end. */
#define MEMORY_FAULTS_TOLD 32
void memory_count_faults(struct vm_space *s, uint64_t minor, uint64_t major);
void memory_count_scan(struct memory_group *g, uint64_t scanned, uint64_t taken);

/* ---- memory_limit.c ---- */

/* The group that refused the running thread its last page, if it still is one of its own: with a reference, or null; it is forgotten. */
struct memory_group *memory_refused(void);
/* As reclaim_wait(), for room in g. */
bool memory_wait(struct memory_group *g, struct reclaim_tries *tries);

#endif
