/* SPDX-License-Identifier: MIT */
/*
 * What all kinds of namespaces have in common: a number, a count, and the user namespace that each belongs to. All that programs make
 * count together, against one limit.
 */
#include <cloudos/errno.h>
#include <cloudos/namespace.h>

#define FIRST_NUMBER UINT32_C(0xf0000000) /* as Linux, so that it looks like one */

static uint32_t next_number = FIRST_NUMBER;
static uint32_t total, most = UINT32_MAX; /* atomic */

void namespace_limit(uint32_t limit)
{
	WRITE_ONCE(most, limit);
}

int namespace_init(struct namespace *ns, const struct namespace_kind *kind, struct namespace *owner)
{
	if (__atomic_add_fetch(&total, 1, __ATOMIC_RELAXED) > READ_ONCE(most)) {
		__atomic_sub_fetch(&total, 1, __ATOMIC_RELAXED);
		return -ENOSPC;
	}
	ns->kind = kind;
	refcount_init(&ns->refs, 1);
	ns->number = __atomic_fetch_add(&next_number, 1, __ATOMIC_RELAXED);
	ns->owner = owner ? namespace_get(owner) : NULL;
	return 0;
}

/* The owner may go with it, and its owner with that one: a loop, since there may be many. */
void namespace_put(struct namespace *ns)
{
	while (ns && refcount_put(&ns->refs)) {
		struct namespace *owner = ns->owner;

		ns->kind->destroy(ns);
		__atomic_sub_fetch(&total, 1, __ATOMIC_RELAXED);
		ns = owner;
	}
}
