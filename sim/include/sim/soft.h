/* SPDX-License-Identifier: MIT */
/*
 * A TLB in software, for scripts (sim_user_script) that touch user memory as programs do: through translations that
 * a vCPU remembers, so that one that the kernel forgot to flush shows. Deterministic world only.
 */
#ifndef SIM_SOFT_H
#define SIM_SOFT_H

#include <hal/hal.h>

/* From now on scripts touch memory this way. Before the first program runs. */
void sim_soft_start(void);
extern bool sim_soft_used;

/*
 * What addr's translation leads to for an access of the script that runs as `u`; good until the next scheduling point, of which
 * there is one in here. Null: nothing was done, and the script is to return *ret_kind (with *ret) to the kernel and try again
 * afterwards: something is pending (HAL_EXIT_INTERRUPT), or the access is a page fault (HAL_EXIT_FAULT).
 */
void *sim_soft_access(struct hal_user *u, uaddr_t addr, enum hal_access access, enum hal_exit_kind *ret_kind,
		      struct hal_exit *ret);

/* ---- for tlb.c and run.c ---- */

/* The running vCPU forgets translations of [start, end). */
void sim_soft_flush(struct hal_aspace *as, uaddr_t start, uaddr_t end);

/* All vCPUs forget those of an address space that ends. */
void sim_soft_end(struct hal_aspace *as);

/* The running vCPU is about to run a script in its active address space. */
void sim_soft_enter(void);

#endif
