/* SPDX-License-Identifier: MIT */
/* How the system calls itself (uname(2)). Any context. */
#ifndef CLOUDOS_UTS_H
#define CLOUDOS_UTS_H

struct new_utsname;

void uts_get(struct new_utsname *ret);

/* At most 64 bytes count. */
void uts_set_node_name(const char *name);
void uts_set_domain_name(const char *name);

#endif
