/* SPDX-License-Identifier: MIT */
/* splice(2) and tee(2) with files that were found. */
#ifndef CALL_SPLICE_H
#define CALL_SPLICE_H

#include <cloudos/vfs.h>

#define CALL_SPLICE_FLAGS 15u

/* Offsets are addresses in user memory, or 0; or, with `kernel_offsets`, positions, -1 for none. Bytes or an errno; sees to SIGPIPE. */
int64_t call_splice(struct file *in, uaddr_t in_at, struct file *out, uaddr_t out_at, size_t len, unsigned flags, bool kernel_offsets);
int64_t call_tee(struct file *in, struct file *out, size_t len, unsigned flags);

#endif
