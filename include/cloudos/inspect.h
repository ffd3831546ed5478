/* SPDX-License-Identifier: MIT */
/* Looking into other threads, as a debugger does: who may, and at what. */
#ifndef CLOUDOS_INSPECT_H
#define CLOUDOS_INSPECT_H

#include <cloudos/types.h>

struct cred;
struct task;
struct vm_space;

/* By which ids the running thread is judged: those it has, or those that files see. */
enum inspect_ids { INSPECT_REAL, INSPECT_FS };

/* proc_lock held. May the running thread look into t? 0 or -EPERM. */
int inspect_check_locked(const struct task *t, enum inspect_ids ids);
/* Likewise: is t's program for all to see who may look into t by their ids, or has `c` rights over where it was executed? */
bool inspect_dumpable_to_locked(const struct task *t, const struct cred *c);

/* Thread `tid` (0: the running one), with a reference: 0, -ESRCH, -EPERM. */
int inspect_get_task(int tid, enum inspect_ids ids, struct task **ret);

/* The space of thread `tid`, with a reference: 0, -ESRCH (also when it has none any more), -EPERM. */
int inspect_get_vm(int tid, enum inspect_ids ids, struct vm_space **ret);

/*
 * kcmp(2): do two threads use the same object (KCMP_*; of KCMP_FILE by the descriptors fd1 and fd2)? 0: the same, 1 and 2: an order that
 * tells nothing of addresses. -ESRCH, -EPERM, -EBADF, -EINVAL.
 */
int inspect_compare(int tid1, int tid2, int type, uint64_t fd1, uint64_t fd2);

/* KCMP_EPOLL_TFD: descriptor fd1 of tid1, and the file that an epoll of tid2 watches. Also -ENOENT. */
struct kcmp_epoll_slot;
int inspect_compare_watched(int tid1, int tid2, uint64_t fd1, const struct kcmp_epoll_slot *slot);

#endif
