/* SPDX-License-Identifier: MIT */
/*
 * User memory of the running thread. Addresses come from outside: all of these check that the range lies in user space, and
 * return -EFAULT, never a fault in the kernel. They may sleep (page faults): no spin lock held.
 */
#ifndef CLOUDOS_UACCESS_H
#define CLOUDOS_UACCESS_H

#include <cloudos/errno.h>
#include <cloudos/types.h>
#include <hal/hal.h>

static inline bool user_range_ok(uaddr_t addr, uint64_t len)
{
	return len <= HAL_USER_TOP && addr <= HAL_USER_TOP - len;
}

static inline int copy_from_user(void *dst, uaddr_t src, size_t len)
{
	return likely(user_range_ok(src, len)) && hal_copy_from_user(dst, src, len) == 0 ? 0 : -EFAULT;
}

static inline int copy_to_user(uaddr_t dst, const void *src, size_t len)
{
	return likely(user_range_ok(dst, len)) && hal_copy_to_user(dst, src, len) == 0 ? 0 : -EFAULT;
}

static inline int clear_user(uaddr_t dst, size_t len)
{
	return likely(user_range_ok(dst, len)) && hal_clear_user(dst, len) == 0 ? 0 : -EFAULT;
}

/* A string with its NUL into dst[size]: its length, -EFAULT, or -ENAMETOOLONG when it does not fit. */
static inline int64_t copy_string_from_user(char *dst, uaddr_t src, size_t size)
{
	int64_t n;

	if (src >= HAL_USER_TOP)
		return -EFAULT;
	n = hal_strncpy_from_user(dst, src, (uint64_t)size < HAL_USER_TOP - src ? size : HAL_USER_TOP - src);
	if (n >= 0 && (uint64_t)n >= size)
		return -ENAMETOOLONG;
	if (n >= 0 && (uint64_t)n == HAL_USER_TOP - src)
		return -EFAULT;
	return n;
}

#define get_user(lvalue, addr) copy_from_user(&(lvalue), (addr), sizeof(lvalue))
#define put_user(value, addr)                                          \
	({                                                             \
		__auto_type put_value = (value);                       \
		copy_to_user((addr), &put_value, sizeof(put_value));   \
	})

#endif
