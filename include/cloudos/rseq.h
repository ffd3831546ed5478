/* SPDX-License-Identifier: MIT */
/* Restartable sequences: what the system call needs. */
#ifndef CLOUDOS_RSEQ_H
#define CLOUDOS_RSEQ_H

#include <cloudos/types.h>

#define RSEQ_AREA_SIZE 32 /* bytes of the area that a thread registers */

/* rseq(2) of the running thread: 0, -EINVAL, -EPERM, -EBUSY, -EFAULT. */
int rseq_register(uaddr_t area, uint32_t len, uint32_t signature);
int rseq_unregister(uaddr_t area, uint32_t len, uint32_t signature);

/*
 * membarrier(2): threads of the running process that run on `cpu` (-1: anywhere) leave their sequence before they go on in user mode. Those
 * that do not run have left it already.
 */
void rseq_restart_others(int cpu);

#endif
