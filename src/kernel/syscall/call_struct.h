/* SPDX-License-Identifier: MIT */
/* Structures that grow from version to version (openat2, clone3, mount_setattr): a program says how long its own is. */
#ifndef CALL_STRUCT_H
#define CALL_STRUCT_H

#include <cloudos/string.h>
#include <cloudos/uaccess.h>

/* What it has not is zero; what we do not know must be: 0, -E2BIG, -EFAULT. */
int call_copy_struct(void *dst, size_t known, uaddr_t from, size_t size);

#endif
