/* SPDX-License-Identifier: MIT */
/* Descriptors of processes: pidfd_open(2), CLONE_PIDFD, and what takes one. */
#ifndef CLOUDOS_PIDFD_H
#define CLOUDOS_PIDFD_H

#include <cloudos/types.h>

struct file;
struct process;
struct process_handle;
struct signal_info;
struct vm_space;

/*
 * A file for the process numbered `pid`, with one reference; flags: O_NONBLOCK or 0. 0, -ESRCH (nothing has that number), -EINVAL (it is not
 * a process's), -ENOMEM.
 */
int pidfd_file_create(int pid, uint32_t flags, struct file **ret);

/* Likewise for a process that nobody can find yet. */
int pidfd_file_create_new(struct process *p, struct file **ret);

/* What the file stands for, borrowed from it; null: it is no pidfd. */
struct process_handle *pidfd_handle(const struct file *f);

/* kill(2) of what the handle is of: as signal_kill(); -ESRCH once it was reaped. */
int pidfd_kill(struct process_handle *h, const struct signal_info *info);

/* Is it of the running process, and the caller its main thread? */
bool pidfd_is_self(struct process_handle *h);


/* Descriptor `fd` of that process, with a reference: 0, -ESRCH (it has ended), -EPERM (see inspect.h), -EBADF. */
int pidfd_get_file(struct process_handle *h, int fd, struct file **ret);

/* Its space, with a reference: 0, -ESRCH, -EPERM, by INSPECT_FS. */
int pidfd_get_vm(struct process_handle *h, struct vm_space **ret);

/* The same of a process that has been told to end: -ESRCH, -EINVAL (it, or another that shares the space, has not). */
int pidfd_get_dying_vm(struct process_handle *h, struct vm_space **ret);

#endif
