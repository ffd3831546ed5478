/* SPDX-License-Identifier: MIT */
/* statx(2) with a name that was copied. */
#ifndef CALL_STAT_H
#define CALL_STAT_H

#include <cloudos/types.h>

int call_statx_check(unsigned flags, unsigned mask); /* 0 or -EINVAL */
int call_statx(int dirfd, const char *name, unsigned flags, uaddr_t buf);

#endif
