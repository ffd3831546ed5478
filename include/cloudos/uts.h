/* SPDX-License-Identifier: MIT */
/* How the system calls itself (uname(2)): two of the names are a UTS namespace's. Any context but where it says otherwise. */
#ifndef CLOUDOS_UTS_H
#define CLOUDOS_UTS_H

#include <cloudos/namespace.h>

struct new_utsname;
struct uts_namespace;
struct user_namespace;

extern struct uts_namespace uts_initial;

/* With the names that `from` has now: 0, -ENOSPC, -ENOMEM. May sleep. */
int uts_copy(struct uts_namespace *from, struct user_namespace *owner, struct uts_namespace **ret);

/* For references, and for /proc/PID/ns/uts. */
struct namespace *uts_as_namespace(struct uts_namespace *ns);
struct uts_namespace *uts_of_namespace(struct namespace *ns); /* null: it is of another kind */

void uts_get(struct uts_namespace *ns, struct new_utsname *ret);

/* At most 64 bytes count. */
void uts_set_node_name(struct uts_namespace *ns, const char *name);
void uts_set_domain_name(struct uts_namespace *ns, const char *name);

#endif
