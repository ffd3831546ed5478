/* SPDX-License-Identifier: MIT */
/*
 * Backtraces by frame pointers. Each frame is read through the host, which says no instead of faulting where
 * a pointer is wild.
 */
#include <hal/hal.h>
#include <sim/host.h>

size_t hal_backtrace_from(uintptr_t pc, uintptr_t fp, uintptr_t *ret_pcs, size_t max)
{
	struct {
		uintptr_t next, pc;
	} frame;
	size_t n = 0;

	if (n < max && pc)
		ret_pcs[n++] = pc;
	while (n < max && fp && fp % sizeof(uintptr_t) == 0 && host_peek(fp, &frame, sizeof(frame)) &&
	       frame.pc) {
		ret_pcs[n++] = frame.pc;
		if (frame.next <= fp)
			break;
		fp = frame.next;
	}
	return n;
}

size_t hal_backtrace(uintptr_t *ret_pcs, size_t max)
{
	return hal_backtrace_from(0, (uintptr_t)__builtin_frame_address(0), ret_pcs, max);
}
