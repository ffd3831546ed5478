/* SPDX-License-Identifier: MIT */
/* What unshare.c and setns.c share: new parts of the running task, which it gets all at once. */
#ifndef PROC_UNSHARE_H
#define PROC_UNSHARE_H

#include <cloudos/uts.h>
#include "proc_internal.h"

/* Each with a reference, or null: it keeps what it has. */
struct parts {
	struct fd_table *files;
	struct fs_context *fs;
	struct uts_namespace *uts;
	struct ipc_namespace *ipc;
	struct cgroup_namespace *cgroups;
	struct pid_namespace *pids; /* of children to come */
	struct cred *cred;
};

void parts_commit(const struct parts *new); /* takes over the references; may sleep */
void parts_put(const struct parts *p);

struct namespace *ipc_base(struct ipc_namespace *ns); /* null of null */
struct namespace *cgroup_base(struct cgroup_namespace *ns); /* likewise */

#endif
