/* SPDX-License-Identifier: MIT */
/* Files of /proc/sys that are one number, read and written, within bounds. */
#include <cloudos/string.h>
#include "vfs_internal.h"

static int show(struct text_out *o, void *arg)
{
	const struct procfs_limit *limit = arg;

	out_printf(o, "%u\n", READ_ONCE(*limit->value));
	return 0;
}

static int store(const char *text, size_t len, void *arg)
{
	const struct procfs_limit *limit = arg;
	char number[16];
	uint64_t n;

	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, len);
	number[len] = '\0';
	if (str_to_u64(number, 10, &n) || n < limit->least || n > limit->most)
		return -EINVAL;
	WRITE_ONCE(*limit->value, (uint32_t)n);
	return 0;
}

int procfs_add_limits(const struct procfs_limit *limits, size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++)
		error = procfs_add(limits[i].name, 0644, show, store, (void *)(uintptr_t)&limits[i]);
	return error;
}
