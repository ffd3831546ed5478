/* SPDX-License-Identifier: MIT */
/*
 * Taking pages of an object away from all who map them. The areas' ranges are read under the object's lock, which also keeps them, and so
 * their spaces, alive; their spaces' locks, which rank before it, are not taken, and tables stay.
 */
#include "vm_internal.h"

static void unmap_from(struct vm_area *a, uint64_t first, uint64_t last, enum zap_what what)
{
	uint64_t begin = a->object_page, end = begin + area_pages(a); /* pages of the object that it maps */

	if (last < begin || first >= end)
		return;
	first = max(first, begin);
	last = min(last, end - 1);
	zap_range(a->space, a->start + ((first - begin) << PAGE_SHIFT), a->start + ((last - begin + 1) << PAGE_SHIFT), what,
		  false);
}

void object_unmap_locked(struct vm_object *o, uint64_t first, uint64_t last, enum zap_what what)
{
	struct vm_area *a;

	assert_mutex_held(&o->lock);
	list_for_each(a, &o->areas, object_link)
		unmap_from(a, first, last, what);
}
