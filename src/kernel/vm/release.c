/* SPDX-License-Identifier: MIT */
/*
 * Taking the private memory of a process that is on its way out, before it comes to giving it back itself: process_mrelease(2).
 *
 * The process does not run in user mode any more, but calls that it is still in may reach for its memory. What was taken must not come back as
 * zeros then, which such a call would write to a file: from the mark on, faults in private areas fail. Shared ones stay, for others look at them.
 */
#include "vm_internal.h"

void vm_release(struct vm_space *s)
{
	struct vm_area *a;

	WRITE_ONCE(s->released, true); /* before the lock: faults hold it, and look */
	space_lock(s);
	area_for_each(a, s, 0, HAL_USER_TOP)
		if (area_is_private(a) && !(a->flags & VM_SPECIAL))
			zap_range(s, a->start, a->end, ZAP_ALL, true);
	space_unlock(s);
}
