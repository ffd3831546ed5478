/* SPDX-License-Identifier: MIT */
/* Reading and writing as the calls do it, for those who have the file and the buffers already. */
#ifndef CALL_RW_H
#define CALL_RW_H

#include <cloudos/vfs.h>

#define CALL_RW_OWN_POSITION INT64_C(-1)

/*
 * Moves what *it says, at `pos` or at the file's own position, with RWF_* flags that call_rw_flags() lets pass. Checks the file's mode, sees to
 * positions, O_SYNC-like flags and SIGPIPE. Bytes or an errno. May sleep. The caller holds a reference on f.
 */
int64_t call_rw(struct file *f, struct io_iter *it, int64_t pos, bool write, unsigned flags);
int call_rw_flags(unsigned flags); /* 0 or -EOPNOTSUPP */

/* fsync(2), fdatasync(2). */
int call_sync(struct file *f, bool data_only);
/* fallocate(2). */
int call_fallocate(struct file *f, unsigned mode, int64_t offset, int64_t len);
/* posix_fadvise(2). */
int call_fadvise(struct file *f, int64_t len, int advice);

#endif
