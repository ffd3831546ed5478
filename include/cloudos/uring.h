/* SPDX-License-Identifier: MIT */
/* io_uring(7), for its system calls. */
#ifndef CLOUDOS_URING_H
#define CLOUDOS_URING_H

#include <cloudos/types.h>

struct file;
struct io_uring_params;

/* A ring as *p asks for, which is completed: a file with one reference. -EINVAL, -ENOMEM, -EAGAIN (no thread for it), -ERESTARTNOINTR. */
int uring_create(uint32_t entries, struct io_uring_params *p, struct file **ret);

/* Submits up to `submit` requests, then waits if flags say so: how many were submitted, or an errno. `arg`: the call's, as flags say. */
int64_t uring_enter(struct file *f, uint32_t submit, uint32_t min_complete, uint32_t flags, uaddr_t arg, size_t arg_size);

int64_t uring_register(struct file *f, uint32_t opcode, uaddr_t arg, uint32_t count);

/* The ring that the running task has registered at `index`, with a reference: 0, -EINVAL, -EBADF. */
int uring_registered(uint32_t index, struct file **ret);
bool file_is_uring(const struct file *f);

#endif
