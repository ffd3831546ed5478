/* SPDX-License-Identifier: MIT */
/* Credentials: who a thread is. Immutable once published: a change makes a new one (copy on write), so readers take no lock. */
#ifndef CLOUDOS_CRED_H
#define CLOUDOS_CRED_H

#include <cloudos/refcount.h>
#include <cloudos/types.h>

#define CRED_GROUPS_MAX 65536 /* NGROUPS_MAX */

struct user_namespace;
extern struct user_namespace user_namespace_first;

/* Ids are kernel ids (cloudos/user_namespace.h). */
struct cred {
	struct refcount refs;
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
	uint32_t securebits;
	uint32_t group_count;
	uint32_t *groups; /* sorted */
	struct user_namespace *user_ns; /* over which it has its capabilities; with a reference */
};

/* All but the references, which others count meanwhile; groups stay shared. */
static inline void cred_copy_values(struct cred *to, const struct cred *from)
{
	__builtin_memcpy(&to->uid, &from->uid, sizeof(*to) - offsetof(struct cred, uid));
}

struct cred *cred_create_root(void);
struct cred *cred_copy(const struct cred *from); /* null: out of memory */
static inline void cred_get(struct cred *c)
{
	refcount_get(&c->refs);
}
void cred_put(struct cred *c);
bool cred_in_group(const struct cred *c, uint32_t gid); /* fsgid or a supplementary group */
/* Over the whole system. */
static inline bool cred_capable(const struct cred *c, unsigned capability)
{
	return c->user_ns == &user_namespace_first && (c->cap_effective >> capability & 1);
}
/* Over its own user namespace, and over what belongs to `ns`, of which it may be the creator. */
static inline bool cred_capable_here(const struct cred *c, unsigned capability)
{
	return c->cap_effective >> capability & 1;
}
bool cred_capable_over(const struct cred *c, const struct user_namespace *ns, unsigned capability);
/* The root user of its namespace, as a kernel id, or UINT32_MAX. */
uint32_t cred_root(const struct cred *c);

#endif
