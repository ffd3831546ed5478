/* SPDX-License-Identifier: MIT */
/*
 * Kernel contexts: a stack and the callee-saved state on it. In <hal/arch.h>:
 *
 *   struct hal_context        storage for a context that is not running
 *   HAL_KSTACK_SIZE           bytes of a kernel stack on this machine (a multiple of the page size)
 *   void hal_context_fini(struct hal_context *c)
 *           The context will never be continued, and its storage may go: nothing on metal, inline.
 */
#ifndef HAL_CONTEXT_H
#define HAL_CONTEXT_H

#include <hal/types.h>

struct hal_context;

/* Prepares *c so that the first switch to it calls entry(arg) on stack[0..size), interrupts off. entry never returns. */
void hal_context_init(struct hal_context *c, void *stack, size_t size, void (*entry)(void *), void *arg);

/* Saves the running context in *from, continues *to. Interrupts off; returns when somebody switches back. */
void hal_context_switch(struct hal_context *from, struct hal_context *to);

/* Return addresses of the caller's frames, innermost first, by frame pointers; bounded, never faults. Any context. */
size_t hal_backtrace(uintptr_t *ret_pcs, size_t max);

/* The same from a saved pc and frame pointer (a trap's). */
size_t hal_backtrace_from(uintptr_t pc, uintptr_t fp, uintptr_t *ret_pcs, size_t max);

/* Name of the kernel function that holds addr, and the offset in it; false if none. Any context. */
bool hal_symbol_lookup(uintptr_t addr, const char **ret_name, size_t *ret_offset);

#endif
