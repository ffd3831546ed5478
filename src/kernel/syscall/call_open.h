/* SPDX-License-Identifier: MIT */
/* What open and openat2 ask for. */
#ifndef CALL_OPEN_H
#define CALL_OPEN_H

#include <cloudos/fs.h>

/* The flags that open(2) knows; others are not looked at. */
void call_open_flags(unsigned flags, uint32_t mode, struct open_request *ret);
/* openat2(2)'s struct open_how: 0, -EINVAL, -E2BIG, -EFAULT, -EAGAIN. */
int call_open_how(uaddr_t how, size_t size, struct open_request *ret);

#endif
