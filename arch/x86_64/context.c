/* SPDX-License-Identifier: MIT */
/* Kernel contexts and walks up a kernel stack. The switch itself is in entry.S. */
#include <x86/cpu.h>
#include <x86/percpu.h>
#include <x86/trap.h>
#include <x86/usercopy.h>

#define FRAME_SPAN_MAX (UINT64_C(64) << 10) /* from one frame to the next, in bytes */

/* What hal_context_switch() pops. */
struct switch_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp, return_address;
	uint64_t nothing[2]; /* above the first function's frame; keeps the stack aligned */
};

void hal_context_init(struct hal_context *c, void *stack, size_t size, void (*entry)(void *), void *arg)
{
	struct switch_frame *f = (void *)((char *)stack + size - sizeof(*f));

	*f = (struct switch_frame){
	    .r12 = (uintptr_t)entry,
	    .r13 = (uintptr_t)arg,
	    .return_address = (uintptr_t)x86_context_start,
	};
	c->sp = (uintptr_t)f;
}

static bool is_kernel_address(uintptr_t addr)
{
	return addr >= X86_DIRECT_BASE;
}

size_t hal_backtrace_from(uintptr_t pc, uintptr_t fp, uintptr_t *ret_pcs, size_t max)
{
	size_t n = 0;

	if (max > 0)
		ret_pcs[n++] = pc;
	while (n < max && is_kernel_address(fp) && fp % 8 == 0) {
		uint64_t next, return_address;

		if (!x86_read_kernel(fp, &next) || !x86_read_kernel(fp + 8, &return_address))
			break;
		if (!is_kernel_address(return_address))
			break;
		ret_pcs[n++] = return_address;
		if (next <= fp || next - fp > FRAME_SPAN_MAX)
			break;
		fp = next;
	}
	return n;
}

size_t hal_backtrace(uintptr_t *ret_pcs, size_t max)
{
	const uintptr_t *frame = __builtin_frame_address(0);

	return hal_backtrace_from(frame[1], frame[0], ret_pcs, max);
}
