/* SPDX-License-Identifier: MIT */
/*
 * Namespaces: what a group of processes sees of the system, where others see something else (namespaces(7)). Each kind embeds a struct
 * namespace, first; what it means is the kind's own: struct uts_namespace here, struct mount_namespace in vfs.
 */
#ifndef CLOUDOS_NAMESPACE_H
#define CLOUDOS_NAMESPACE_H

#include <cloudos/refcount.h>
#include <cloudos/types.h>

struct namespace;

struct namespace_kind {
	const char *name;    /* in /proc/PID/ns */
	uint64_t clone_flag; /* CLONE_NEW*, by which user programs name the kind */
	void (*destroy)(struct namespace *ns); /* after the last reference; may sleep */
	struct namespace *(*parent)(struct namespace *ns); /* null: the kind has no tree. Null: there is none above that the running thread sees */
};

struct namespace {
	const struct namespace_kind *kind;
	struct refcount refs;
	uint32_t number; /* unique among all; the inode number of /proc/PID/ns/NAME */
	struct namespace *owner; /* C: the user namespace that it belongs to, with a reference; null: the first one (also of itself) */
};

/* How many there may be, beside those that the system starts with: a share of the memory that is there. */
void namespace_limit(uint32_t most);

/* With one reference; takes one of `owner` (null: the first user namespace). 0, or -ENOSPC: there are too many. */
int namespace_init(struct namespace *ns, const struct namespace_kind *kind, struct namespace *owner);

static inline struct namespace *namespace_get(struct namespace *ns)
{
	refcount_get(&ns->refs);
	return ns;
}

/* May sleep. */
void namespace_put(struct namespace *ns);

#endif
