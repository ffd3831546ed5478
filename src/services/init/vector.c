/* SPDX-License-Identifier: MIT */
/* Argument vectors and environments from files of NUL-separated strings (as /proc/self/cmdline gives them). */

#include "init.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

static int read_all(int fd, struct vector *ret, size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		/* One byte stays free for the last string's NUL. */
		long n = sys_read(fd, ret->bytes + len, VECTOR_BYTES_MAX - 1 - len);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len == VECTOR_BYTES_MAX - 1)
			return -E2BIG;
	}
	*ret_len = len;
	return 0;
}

static int split(struct vector *vector, size_t len)
{
	vector->bytes[len] = 0;
	vector->count = 0;
	for (size_t at = 0; at < len; at += text_len(vector->bytes + at) + 1) {
		if (vector->count == VECTOR_MAX)
			return -E2BIG;
		vector->items[vector->count++] = vector->bytes + at;
	}
	vector->items[vector->count] = NULL;
	return 0;
}

int vector_read(const char *path, struct vector *ret)
{
	size_t len = 0;
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fd;
	int err = read_all(fd, ret, &len);
	(void)sys_close(fd);
	return err ? err : split(ret, len);
}

const char *vector_value(const struct vector *environment, const char *name, const char *absent)
{
	size_t len = text_len(name);

	for (size_t i = 0; i < environment->count; i++) {
		const char *item = environment->items[i];
		size_t same = 0;

		while (same < len && item[same] == name[same])
			same++;
		if (same == len && item[len] == '=')
			return item + len + 1;
	}
	return absent;
}
