/* SPDX-License-Identifier: MIT */
/* Moving bytes between pipes and files within the kernel: for splice(2), tee(2), vmsplice(2). */
#ifndef CLOUDOS_SPLICE_H
#define CLOUDOS_SPLICE_H

#include <cloudos/vfs.h>

/* Are they pipes? */
bool splice_is_pipe(const struct file *f);

/*
 * Up to len bytes, at least one unless the end of the source is reached (0). Errors: -EAGAIN when it would wait and `nonblock`, -ERESTARTSYS,
 * -EPIPE (the caller sends SIGPIPE), -ENOMEM, -EINVAL for files that cannot be spliced, and what the file's operation says. May sleep.
 */
ssize_t splice_from_file(struct file *from, int64_t *pos, struct file *to, size_t len, bool nonblock);
ssize_t splice_to_file(struct file *from, struct file *to, int64_t *pos, size_t len, bool nonblock);
/* From pipe to pipe; `keep` leaves the bytes where they are (tee). */
ssize_t splice_between(struct file *from, struct file *to, size_t len, bool nonblock, bool keep);
/* Between a pipe and memory; unlike read and write once, with what goes. */
ssize_t splice_from_memory(struct file *to, struct io_iter *from, bool nonblock);
ssize_t splice_to_memory(struct file *from, struct io_iter *to, bool nonblock);

#endif
