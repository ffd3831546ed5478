/* SPDX-License-Identifier: MIT */
/* Kernel contexts, for whoever looks at all of them (verdicts). Deterministic world only. */
#ifndef SIM_CONTEXT_H
#define SIM_CONTEXT_H

#include <hal/hal.h>

/* Contexts that are no thread's: where a vCPU begins, or is parked. Like hal_context_init() and hal_context_switch(). */
void sim_context_prepare(struct hal_context *c, void *stack, size_t size, void (*entry)(void *), void *arg);
void sim_context_go(struct hal_context *from, struct hal_context *to);

/* The context after `c`, in the order of their making; null: the first, and at the end. */
struct hal_context *sim_context_next(struct hal_context *c);

/* Where a context stands that is not running: return addresses, innermost first. */
size_t sim_context_backtrace(const struct hal_context *c, uintptr_t *ret_pcs, size_t max);

#endif
