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
};

struct namespace {
	const struct namespace_kind *kind;
	struct refcount refs;
	uint32_t number; /* unique among all; the inode number of /proc/PID/ns/NAME */
};

/* With one reference. */
void namespace_init(struct namespace *ns, const struct namespace_kind *kind);

static inline void namespace_get(struct namespace *ns)
{
	refcount_get(&ns->refs);
}

/* May sleep. */
void namespace_put(struct namespace *ns);

#endif
