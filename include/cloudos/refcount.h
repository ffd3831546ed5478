/* SPDX-License-Identifier: MIT */
/*
 * Reference counts. Strong references keep an object usable; an object that others merely find (in a table) holds none
 * there: finders use refcount_get_unless_zero() under the table's lock, and whoever drops the last one takes it out.
 */
#ifndef CLOUDOS_REFCOUNT_H
#define CLOUDOS_REFCOUNT_H

#include <cloudos/panic.h>
#include <cloudos/types.h>
#include <hal/hal.h>

struct refcount {
	uint32_t count;
};

#define REFCOUNT_MAX UINT32_C(0x7fffffff)

static inline void refcount_init(struct refcount *r, uint32_t n)
{
	__atomic_store_n(&r->count, n, __ATOMIC_RELAXED);
}

static inline uint32_t refcount_read(const struct refcount *r)
{
	return __atomic_load_n(&r->count, __ATOMIC_RELAXED);
}

/* True if the caller's reference is the only one, and what others did to the object before they dropped theirs is over. */
static inline bool refcount_is_one(const struct refcount *r)
{
	return __atomic_load_n(&r->count, __ATOMIC_ACQUIRE) == 1;
}

static inline void refcount_get(struct refcount *r)
{
	uint32_t old;

	hal_point(HAL_POINT_ATOMIC, r);
	old = __atomic_fetch_add(&r->count, 1, __ATOMIC_RELAXED);

	ASSERT(old > 0 && old < REFCOUNT_MAX);
}

static inline bool refcount_get_unless_zero(struct refcount *r)
{
	uint32_t n = refcount_read(r);

	hal_point(HAL_POINT_ATOMIC, r);
	while (n > 0)
		if (__atomic_compare_exchange_n(&r->count, &n, n + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	return false;
}

/* True when that was the last reference: the caller destroys the object. */
static inline bool refcount_put(struct refcount *r)
{
	uint32_t old;

	hal_point(HAL_POINT_ATOMIC, r);
	old = __atomic_fetch_sub(&r->count, 1, __ATOMIC_ACQ_REL);

	ASSERT(old > 0 && old <= REFCOUNT_MAX);
	return old == 1;
}

/* Drops a reference that is not the last one; false: it is, and still the caller's, who drops it under the lock of those who find the object. */
static inline bool refcount_put_unless_last(struct refcount *r)
{
	uint32_t n = refcount_read(r);

	hal_point(HAL_POINT_ATOMIC, r);
	ASSERT(n > 0 && n <= REFCOUNT_MAX);
	while (n > 1)
		if (__atomic_compare_exchange_n(&r->count, &n, n - 1, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			return true;
	return false;
}

#endif
