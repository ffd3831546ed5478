/* SPDX-License-Identifier: MIT */
/* What the files of ptrace share: see ptrace.c. Functions ..._locked: proc_lock held. */
#ifndef PTRACE_INTERNAL_H
#define PTRACE_INTERNAL_H

#include "proc_internal.h"
#include <cloudos/ptrace.h>
#include <linux/ptrace.h>

/* ---- ptrace.c ---- */

/* `cred`: by whose capabilities the tie is judged from then on. */
void trace_link_locked(struct task *t, struct task *tracer, struct cred *cred, bool seized, uint32_t options);
/* The caller puts the reference that the tie held. */
void trace_unlink_locked(struct task *t);
/* t is traced: may its tracer see what is not for all to see, and it get more rights all the same? */

/* ---- ptrace_request.c ---- */

/* Thread `tid` if the running thread traces it; and if, besides, it is stopped. Or null. */
struct task *trace_find_locked(int tid);
struct task *trace_find_stopped_locked(int tid);

/* ---- ptrace_wait.c ---- */

/*
 * A tracee that has ended, and whose tracer has waited for it or is going: the tie goes, and the real parent hears of the process. `released`
 * collects threads, `reaped` processes, for trace_released_put() without the lock.
 */
void trace_forget_locked(struct task *t, struct list *released, struct list *reaped);
void trace_released_put(struct list *released, struct list *reaped);

#endif
