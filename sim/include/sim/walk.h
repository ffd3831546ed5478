/* SPDX-License-Identifier: MIT */
/* The simulator's page-table walk: what an MMU does in hardware. */
#ifndef SIM_WALK_H
#define SIM_WALK_H

#include <hal/hal.h>

#define SIM_PT_ENTRIES 512

/* The leaf entry's slot of a user address, or null where a table is missing. */
hal_pte_t *sim_walk_slot(const struct hal_aspace *as, uaddr_t addr);

/*
 * Looks `addr` up for an access: sets accessed (and, for a write, dirty) in the entry, as an MMU does, and
 * returns the entry; 0 when it is not present or forbids the access.
 */
hal_pte_t sim_walk_access(const struct hal_aspace *as, uaddr_t addr, enum hal_access access);

/* The byte at `addr` in the direct map, or null as above. */
void *sim_walk_pointer(const struct hal_aspace *as, uaddr_t addr, enum hal_access access);

/*
 * Sets accessed, and dirty, in a present entry that other vCPUs may change at the same time; the entry as it
 * is then, or 0.
 */
hal_pte_t sim_pte_touch(hal_pte_t *slot, uint64_t bits);

#endif
