/* SPDX-License-Identifier: MIT */
/* Kernel contexts, and backtraces through frame records (AAPCS64 6.4.6): x29 points to { caller's x29, return
 * address }. */
#include "aarch64.h"

void context_start(void);

void hal_context_init(struct hal_context *c, void *stack, size_t size, void (*entry)(void *), void *arg)
{
	*c = (struct hal_context){
	    .x19_x28 = {(uintptr_t)entry, (uintptr_t)arg},
	    .pc = (uintptr_t)context_start,
	    .sp = (uintptr_t)stack + size,
	};
}

/* True if the kernel can read at va: asks the MMU. */
static bool readable(uintptr_t va)
{
	unsigned long irq = hal_irq_save(); /* an interrupt might ask, too */

	__asm__ volatile("at s1e1r, %0\n\tisb" ::"r"(va) : "memory");
	bool failed = (read_sysreg(par_el1) & 1) != 0;
	hal_irq_restore(irq);
	return !failed;
}

static size_t walk(uintptr_t fp, uintptr_t *ret_pcs, size_t n, size_t max)
{
	while (n < max && fp >= AARCH64_DIRECT_MAP && (fp & 15) == 0 && readable(fp)) {
		const uintptr_t *record = (const uintptr_t *)fp;

		if (record[1] == 0)
			break;
		ret_pcs[n++] = record[1];
		if (record[0] == fp)
			break;
		fp = record[0];
	}
	return n;
}

size_t hal_backtrace(uintptr_t *ret_pcs, size_t max)
{
	return walk((uintptr_t)__builtin_frame_address(0), ret_pcs, 0, max);
}

size_t hal_backtrace_from(uintptr_t pc, uintptr_t fp, uintptr_t *ret_pcs, size_t max)
{
	if (max == 0)
		return 0;
	ret_pcs[0] = pc;
	return walk(fp, ret_pcs, 1, max);
}
