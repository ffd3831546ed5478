/* SPDX-License-Identifier: MIT */
/* What the files of futexes share: the names of words. */
#ifndef FUTEX_INTERNAL_H
#define FUTEX_INTERNAL_H

#include <cloudos/futex.h>
#include <cloudos/vm.h>
#include "proc_internal.h"

/* 0, -EINVAL (not aligned), -EFAULT. May sleep. */
int futex_key_of(uaddr_t addr, bool private, struct vm_futex_key *ret);

/*
 * Another has changed the word in the middle of an operation, and a program may do so without end: lets others run, and says whether to try again:
 * 0 or -ERESTARTNOINTR. May sleep.
 */
int futex_next_try(void);

static inline bool futex_same_key(const struct vm_futex_key *a, const struct vm_futex_key *b)
{
	return a->offset == b->offset && a->object == b->object;
}

static inline uint64_t futex_hash(const struct vm_futex_key *key)
{
	return hash_u64(key->object ^ (key->offset >> 2));
}

#endif
