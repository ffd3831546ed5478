/* SPDX-License-Identifier: MIT */
#include "call_struct.h"

int call_copy_struct(void *dst, size_t known, uaddr_t from, size_t size)
{
	if (size > PAGE_SIZE)
		return -E2BIG;
	for (size_t at = known; at < size; at++) {
		uint8_t byte;

		if (get_user(byte, from + at))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	memset(dst, 0, known);
	return copy_from_user(dst, from, size < known ? size : known);
}
