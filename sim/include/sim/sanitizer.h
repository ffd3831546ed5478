/* SPDX-License-Identifier: MIT */
/*
 * What AddressSanitizer and ThreadSanitizer must be told about stacks (their interface headers in our own
 * words, since kernel-like code sees no host header). Without them all of this is nothing.
 */
#ifndef SIM_SANITIZER_H
#define SIM_SANITIZER_H

#include <hal/types.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#elif __has_feature(thread_sanitizer)
#define SIM_TSAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define SIM_TSAN 1
#endif

#if defined(SIM_ASAN) || defined(SIM_TSAN)
#define SIM_SANITIZED 1
#else
#define SIM_SANITIZED 0
#endif

#ifdef SIM_TSAN
#define SIM_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define SIM_NO_TSAN
#endif

#pragma GCC visibility push(default)
#if defined(SIM_ASAN)
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom_old, size_t *size_old);
void __asan_unpoison_memory_region(const volatile void *addr, size_t size);
#elif defined(SIM_TSAN)
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif
#pragma GCC visibility pop

/* The stack is about to be used by a new context: what dead frames left poisoned on it no longer counts. */
static inline void sim_stack_fresh(void *stack, size_t size)
{
#ifdef SIM_ASAN
	__asan_unpoison_memory_region(stack, size);
#else
	(void)stack;
	(void)size;
#endif
}

/* Leaving a context for one on `stack`; *save is the left context's own word, `fiber` the other's. */
static inline __attribute__((always_inline)) void sim_fiber_leave(void **save, void *fiber, const void *stack,
								  size_t size)
{
#if defined(SIM_ASAN)
	(void)fiber;
	__sanitizer_start_switch_fiber(save, stack, size);
#elif defined(SIM_TSAN)
	*save = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(fiber, 0);
#else
	(void)save;
	(void)fiber;
#endif
	(void)stack;
	(void)size;
}

/* Arrived on a context whose word is `fiber`; tells where the stack lies that was left. */
static inline __attribute__((always_inline)) void sim_fiber_arrived(void *fiber, const void **left_stack,
								    size_t *left_size)
{
#ifdef SIM_ASAN
	__sanitizer_finish_switch_fiber(fiber, left_stack, left_size);
#else
	(void)fiber;
	(void)left_stack;
	(void)left_size;
#endif
}

/* The word of a new context on `stack`: a fresh fiber under ThreadSanitizer (common/fiber.c), else null. */
void *sim_fiber_of(const void *stack);

#endif
