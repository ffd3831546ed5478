/* SPDX-License-Identifier: MIT */
/* What all kinds of namespaces have in common: a number and a count. */
#include <cloudos/namespace.h>

#define FIRST_NUMBER UINT32_C(0xf0000000) /* as Linux, so that it looks like one */

static uint32_t next_number = FIRST_NUMBER;

void namespace_init(struct namespace *ns, const struct namespace_kind *kind)
{
	ns->kind = kind;
	refcount_init(&ns->refs, 1);
	ns->number = __atomic_fetch_add(&next_number, 1, __ATOMIC_RELAXED);
}

void namespace_put(struct namespace *ns)
{
	if (refcount_put(&ns->refs))
		ns->kind->destroy(ns);
}
