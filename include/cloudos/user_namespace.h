/* SPDX-License-Identifier: MIT */
/*
 * User namespaces (user_namespaces(7)): what ids and capabilities mean. Everywhere in the kernel, ids are those of the first namespace
 * ("kernel ids"); they are translated where a program says or hears them. A capability holds over what belongs to the namespace of its
 * credentials, and to those below it.
 */
#ifndef CLOUDOS_USER_NAMESPACE_H
#define CLOUDOS_USER_NAMESPACE_H

#include <cloudos/cred.h>
#include <cloudos/namespace.h>

#define ID_NONE		     UINT32_MAX /* no id */
#define ID_OVERFLOW	     65534	/* what stands for an id that has no name here (/proc/sys/kernel/overflowuid) */
#define ID_EXTENTS_MAX	     340	/* lines of a map, as on Linux */
#define USER_NAMESPACE_DEPTH 33		/* levels below the first, as on Linux: ENOSPC beyond */

enum id_kind { ID_UID, ID_GID, ID_PROJECT, ID_KINDS };

struct text_out;

/* For references, and for /proc/PID/ns/user. */
struct namespace *user_namespace_base(struct user_namespace *ns);
struct user_namespace *user_namespace_of(struct namespace *ns); /* null: it is of another kind */
/* Whose it is: of a user namespace, the one that it was made in. The first belongs to itself. */
struct user_namespace *namespace_owner(const struct namespace *ns);
/* The user and the group that made it, as kernel ids. */
uint32_t user_namespace_creator(const struct user_namespace *ns);

/* Is `ns` below `top`, or the same? */
bool user_namespace_in(const struct user_namespace *ns, const struct user_namespace *top);

/*
 * Credentials `c`, which nobody else has yet, enter a new namespace with all capabilities there: 0; -EPERM: its ids have no name where it
 * is; -ENOSPC: too deep, or too many; -ENOMEM. The caller's reference on the old namespace goes.
 */
int user_namespace_create(struct cred *c);
/* Likewise into one that exists. Checks nothing. */
void user_namespace_enter(struct cred *c, struct user_namespace *ns);

/* ---- ids ---- */

/* The kernel id of `id`, as `ns` says it, or ID_NONE. */
uint32_t id_to_kernel(const struct user_namespace *ns, enum id_kind kind, uint32_t id);
/* How `ns` says the kernel id, or ID_NONE; id_shown(): or ID_OVERFLOW. */
uint32_t id_from_kernel(const struct user_namespace *ns, enum id_kind kind, uint32_t id);
uint32_t id_shown(const struct user_namespace *ns, enum id_kind kind, uint32_t id);

/* The same for the running thread, which a program has asked something. */
uint32_t uid_in(uint32_t uid);
uint32_t gid_in(uint32_t gid);
uint32_t uid_out(uint32_t uid);
uint32_t gid_out(uint32_t gid);

/* ---- /proc/PID/uid_map and its like ---- */

void id_map_show(const struct user_namespace *ns, enum id_kind kind, struct text_out *o);
/* `opener`: the credentials that opened the file. 0, -EINVAL, -EPERM, -ENOMEM. May sleep. */
int id_map_store(struct user_namespace *ns, enum id_kind kind, const struct cred *opener, const char *text, size_t len);

/* May setgroups(2) be called in it? It needs a map of groups, too. */
bool user_namespace_setgroups(const struct user_namespace *ns);
void setgroups_show(const struct user_namespace *ns, struct text_out *o);
int setgroups_store(struct user_namespace *ns, const char *text, size_t len); /* 0, -EINVAL, -EPERM */

#endif
