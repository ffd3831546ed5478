/* SPDX-License-Identifier: MIT */
/* Path arguments: a copy in kernel memory, on the stack while it is short. */
#ifndef CALL_NAME_H
#define CALL_NAME_H

#include <cloudos/mm.h>
#include <cloudos/uaccess.h>
#include <cloudos/fs.h>

#define NAME_SHORT 248

struct name_arg {
	char *text;
	char small[NAME_SHORT];
};

int name_get_long(struct name_arg *n, uaddr_t name);

/* 0, -EFAULT, -ENAMETOOLONG, -ENOMEM; nothing to put then. */
static inline int name_get(struct name_arg *n, uaddr_t name)
{
	int64_t len = copy_string_from_user(n->small, name, sizeof(n->small));

	n->text = n->small;
	if (likely(len >= 0))
		return 0;
	return len == -ENAMETOOLONG ? name_get_long(n, name) : (int)len;
}

static inline void name_put(struct name_arg *n)
{
	if (unlikely(n->text != n->small))
		kfree(n->text);
}

#endif
