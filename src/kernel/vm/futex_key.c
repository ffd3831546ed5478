/* SPDX-License-Identifier: MIT */
/*
 * What names a futex: the same word must give the same key to all who can reach it. A word of memory that processes share is (object,
 * offset); any other (space, address). Object ids are small numbers and spaces are kernel addresses, so that the two never meet.
 */
#include <cloudos/errno.h>
#include <cloudos/uaccess.h>
#include "vm_internal.h"

static int shared_key(struct vm_space *s, uaddr_t addr, struct vm_futex_key *ret)
{
	const struct vm_area *a = area_find(s, addr);

	if (!a || addr < a->start)
		return -EFAULT;
	if (!a->object || area_is_private(a))
		return 0;
	ret->object = a->object->id;
	ret->offset = (area_object_page(a, addr) << PAGE_SHIFT) + (addr & ~PAGE_MASK);
	return 0;
}

int vm_futex_key(uaddr_t addr, bool private_hint, struct vm_futex_key *ret)
{
	struct vm_space *s = thread_current()->vm;
	struct vm_futex_key key = { (uintptr_t)s, addr };
	int err = 0;

	if (!is_aligned(addr, sizeof(uint32_t)))
		return -EINVAL;
	if (!s || !user_range_ok(addr, sizeof(uint32_t)))
		return -EFAULT;
	if (!private_hint) {
		rwlock_read(&s->lock);
		err = shared_key(s, addr, &key);
		rwlock_read_unlock(&s->lock);
	}
	if (!err)
		*ret = key;
	return err;
}
