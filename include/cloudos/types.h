/* SPDX-License-Identifier: MIT */
/* Words used everywhere in the kernel. */
#ifndef CLOUDOS_TYPES_H
#define CLOUDOS_TYPES_H

#include <hal/types.h>

typedef int64_t ssize_t;

#define ARRAY_SIZE(a)	    (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))
#define likely(x)	    __builtin_expect(!!(x), 1)
#define unlikely(x)	    __builtin_expect(!!(x), 0)
#define READ_ONCE(x)	    __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)    __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
/* For a pointer to what others may follow without the writer's lock: what was written before the store is there after the load. */
#define LOAD_ACQUIRE(x)	    __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE_RELEASE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)
#define barrier()	    __asm__ volatile("" ::: "memory")

/*
 * x += n where the caller is the only writer (under a lock, or one CPU for itself) and others READ_ONCE(x): no atomic addition. Of an
 * atomic store of the sum compilers make three instructions instead of one, so only ThreadSanitizer gets that.
 */
#if CLOUDOS_RACE_CHECK
#define ADD_ONCE(x, n) WRITE_ONCE(x, (x) + (n))
#else
#define ADD_ONCE(x, n) ((void)((x) += (n)))
#endif

#define align_up(x, a)	 (((x) + ((a)-1)) & ~((__typeof__(x))(a)-1)) /* a: a power of two */
#define align_down(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define is_aligned(x, a) (((x) & ((a)-1)) == 0)

#define min(a, b)                          \
	({                                 \
		__typeof__(a) min_a = (a); \
		__typeof__(b) min_b = (b); \
		min_a < min_b ? min_a : min_b; \
	})
#define max(a, b)                          \
	({                                 \
		__typeof__(a) max_a = (a); \
		__typeof__(b) max_b = (b); \
		max_a > max_b ? max_a : max_b; \
	})

#define NSEC_PER_SEC  UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

#endif
