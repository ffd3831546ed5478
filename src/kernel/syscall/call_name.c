/* SPDX-License-Identifier: MIT */
/* Path arguments that do not fit on the stack. */
#include "call_name.h"

int name_get_long(struct name_arg *n, uaddr_t name)
{
	char *text = kmalloc(PATH_LEN_MAX);
	int64_t len;

	if (!text)
		return -ENOMEM;
	len = copy_string_from_user(text, name, PATH_LEN_MAX);
	if (len < 0) {
		kfree(text);
		return (int)len;
	}
	n->text = text;
	return 0;
}
