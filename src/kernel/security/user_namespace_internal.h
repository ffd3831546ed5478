/* SPDX-License-Identifier: MIT */
/*
 * What the files of user namespaces share. A map is written once, under `lock`, and then stays: `count` is stored last, with a release, and
 * who sees it above 0 reads the extents freely.
 */
#ifndef USER_NAMESPACE_INTERNAL_H
#define USER_NAMESPACE_INTERNAL_H

#include <cloudos/errno.h>
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>

struct id_extent {
	uint32_t first;	 /* as the namespace says it */
	uint32_t kernel; /* the same as a kernel id */
	uint32_t count;
};

struct id_map {
	uint32_t count; /* A */
	struct id_extent *extents; /* sorted by first: not overlapping */
};

/* Fields: C = constant; L = by lock, read freely. */
struct user_namespace {
	struct namespace base;		/* first; its owner is the parent */
	unsigned level;			/* C: 0: the first */
	uint32_t owner, group;		/* C: who made it, as kernel ids */
	bool creator_could_setfcap;	/* C: he had CAP_SETFCAP, and may give away his root's name */
	struct mutex lock;		/* RANK_SLEEP_LEAF */
	bool setgroups;			/* L */
	struct id_map map[ID_KINDS];	/* L: written once */
};

static inline struct user_namespace *user_namespace_parent(const struct user_namespace *ns)
{
	if (ns == &user_namespace_first)
		return NULL;
	return ns->base.owner ? (struct user_namespace *)(void *)ns->base.owner : &user_namespace_first;
}

#endif
