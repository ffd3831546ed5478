/* SPDX-License-Identifier: MIT */
/* Changing the running thread's credentials, and asking for others': for the system calls. */
#ifndef CLOUDOS_CREDS_H
#define CLOUDOS_CREDS_H

#include <cloudos/cred.h>

/* Puts `c` (a changed cred_copy() of the thread's) in place; takes over the reference. 0 or -ENOMEM, -EAGAIN (then c is gone too). */
int creds_commit(struct cred *c);

struct creds_capabilities {
	uint64_t effective, permitted, inheritable;
};

/* Of a thread (0: the running one): 0 or -ESRCH. */
int creds_capabilities(int tid, struct creds_capabilities *ret);

#endif
