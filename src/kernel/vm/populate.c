/* SPDX-License-Identifier: MIT */
/* Bringing pages in ahead of their use (MAP_POPULATE, MADV_POPULATE_*), and keeping them (mlock: a mark, which who takes memory back heeds). */
#include <cloudos/errno.h>
#include <cloudos/swap.h>
#include <cloudos/thread.h>
#include "vm_internal.h"

/* Brings in the page of addr. Space lock held. -EAGAIN: memory is wanting. */
static int populate_page(struct vm_space *s, uaddr_t addr)
{
	struct vm_area *a = area_find(s, addr);
	bool write;
	int err;

	if (!a || addr < a->start)
		return -ENOMEM;
	if (!(a->prot & VM_PROT_ANY))
		return -ENOMEM;
	write = (a->prot & HAL_PROT_WRITE) && area_is_private(a);
	err = fault_area(a, addr, write ? HAL_ACCESS_WRITE : HAL_ACCESS_READ);
	return err == -ENOMEM ? -EAGAIN : err;
}

int vm_populate(struct vm_space *s, uaddr_t start, uint64_t len)
{
	int err = 0;

	for (uaddr_t end = start + len; start < end && !err; start += PAGE_SIZE) {
		struct reclaim_tries tries = { 0 };

		do {
			rwlock_read(&s->lock);
			err = populate_page(s, start);
			rwlock_read_unlock(&s->lock);
		} while (unlikely(err == -EAGAIN) && reclaim_wait(&tries));
		if (err == -EAGAIN)
			err = -ENOMEM;
		sched_point();
		if (thread_exit_pending())
			err = -EINTR;
	}
	return err;
}

static void mark_locked(struct vm_space *s, uaddr_t start, uaddr_t end, bool lock)
{
	struct vm_area *a;

	area_for_each(a, s, start, end)
		if (!(a->flags & VM_SPECIAL))
			area_set_flags(a, lock ? a->flags | VM_LOCKED : a->flags & ~(uint32_t)VM_LOCKED);
	area_merge_range(s, start, end);
}

static int lock_range_locked(struct vm_space *s, uaddr_t start, uaddr_t end, bool lock, uint64_t limit)
{
	int err;

	if (!area_covers(s, start, end))
		return -ENOMEM;
	if (lock && ((end - start) >> PAGE_SHIFT) + s->locked_pages > limit >> PAGE_SHIFT)
		return limit ? -ENOMEM : -EPERM;
	err = area_isolate(s, start, end);
	if (!err)
		mark_locked(s, start, end, lock);
	return err;
}

int vm_lock(struct vm_space *s, uaddr_t start, uint64_t len, bool lock, bool on_fault, uint64_t limit)
{
	uaddr_t end;
	int err;

	len += start & ~PAGE_MASK;
	start &= PAGE_MASK;
	err = range_check(start, len, &end);
	if (err || len == 0)
		return err;
	space_lock(s);
	err = lock_range_locked(s, start, end, lock, limit);
	space_unlock(s);
	return err || !lock || on_fault ? err : vm_populate(s, start, end - start);
}

static int populate_all(struct vm_space *s)
{
	uaddr_t at = 0;

	for (;;) {
		struct vm_area *a;
		uaddr_t start, end;

		rwlock_read(&s->lock);
		a = area_find(s, at);
		if (a) {
			start = max(at, a->start);
			end = a->end;
		}
		rwlock_read_unlock(&s->lock);
		if (!a)
			return 0;
		vm_populate(s, start, end - start); /* what cannot be brought in (PROT_NONE) is passed over */
		at = end;
	}
}

int vm_lock_all(struct vm_space *s, bool now, bool future, bool on_fault, uint64_t limit)
{
	int err = 0;

	space_lock(s);
	if (now && s->total_pages > limit >> PAGE_SHIFT) {
		err = limit ? -ENOMEM : -EPERM;
	} else {
		s->future_flags = future ? VM_LOCKED : 0;
		if (now || !future)
			mark_locked(s, 0, HAL_USER_TOP, now);
	}
	space_unlock(s);
	return !err && now && !on_fault ? populate_all(s) : err;
}
