/* SPDX-License-Identifier: MIT */
/*
 * ThreadSanitizer's fibers, one a kernel stack. Contexts end without a word; the fiber of a dead one is
 * destroyed when its stack gets the next. The table is as large as there can be stacks in use at a time.
 */
#include <hal/hal.h>
#include <sim/host.h>
#include <sim/sanitizer.h>

#ifdef SIM_TSAN

#define FIBERS_MAX 8192

static struct {
	const void *stack;
	void *fiber;
} fibers[FIBERS_MAX];
static _Atomic uint32_t fibers_busy;

SIM_NO_TSAN void *sim_fiber_of(const void *stack)
{
	size_t i = ((uintptr_t)stack / HAL_KSTACK_SIZE) % FIBERS_MAX;
	void *fiber = __tsan_create_fiber(0);

	while (atomic_exchange(&fibers_busy, 1))
		host_yield();
	for (size_t tries = 0; fibers[i].stack && fibers[i].stack != stack; tries++) {
		if (tries == FIBERS_MAX)
			host_fatal("more than %d kernel stacks under ThreadSanitizer", FIBERS_MAX);
		i = (i + 1) % FIBERS_MAX;
	}
	if (fibers[i].stack)
		__tsan_destroy_fiber(fibers[i].fiber);
	fibers[i].stack = stack;
	fibers[i].fiber = fiber;
	atomic_store(&fibers_busy, 0);
	return fiber;
}

#else

void *sim_fiber_of(const void *stack)
{
	(void)stack;
	return NULL;
}

#endif
