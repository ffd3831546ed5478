/* SPDX-License-Identifier: MIT */
/* Pipes: what other files of the kernel ask of them. */
#ifndef CLOUDOS_PIPE_H
#define CLOUDOS_PIPE_H

#include <cloudos/types.h>

struct file;
struct pipe;

#define PIPE_BYTES_DEFAULT UINT32_C(65536)
#define PIPE_BYTES_MAX	   UINT32_C(1048576) /* for everybody: Linux's fs.pipe-max-size */

/* The two ends of a new pipe, each with one reference. `flags` of O_NONBLOCK. 0, -ENOMEM, -ENFILE. */
int pipe_create(uint32_t flags, struct file **ret_read, struct file **ret_write);

/* fcntl's F_GETPIPE_SZ and F_SETPIPE_SZ: the capacity in bytes; -EBADF if it is not a pipe, -EBUSY, -EPERM, -EINVAL, -ENOMEM. */
int64_t pipe_get_capacity(struct file *f);
int64_t pipe_set_capacity(struct file *f, uint64_t bytes);

#endif
