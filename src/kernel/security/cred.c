/* SPDX-License-Identifier: MIT */
/*
 * Credentials. A published cred never changes, so that checks read it without a lock; a change copies, edits the copy, and
 * publishes it in its thread. Groups are sorted, for a binary search.
 */
#include <cloudos/cred.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <linux/capability.h>

#define CAPABILITIES_ALL ((UINT64_C(2) << CAP_LAST_CAP) - 1)

struct cred *cred_create_root(void)
{
	struct cred *c = kzalloc(sizeof(*c));

	if (!c)
		return NULL;
	refcount_init(&c->refs, 1);
	c->cap_permitted = CAPABILITIES_ALL;
	c->cap_effective = CAPABILITIES_ALL;
	c->cap_bounding = CAPABILITIES_ALL;
	c->user_ns = &user_namespace_first;
	namespace_get(user_namespace_base(c->user_ns));
	return c;
}

struct cred *cred_copy(const struct cred *from)
{
	struct cred *c = kmalloc(sizeof(*c));
	size_t bytes = from->group_count * sizeof(from->groups[0]);

	if (!c)
		return NULL;
	cred_copy_values(c, from);
	refcount_init(&c->refs, 1);
	c->groups = NULL;
	if (bytes > 0) {
		c->groups = kmalloc(bytes);
		if (!c->groups) {
			kfree(c);
			return NULL;
		}
		memcpy(c->groups, from->groups, bytes);
	}
	namespace_get(user_namespace_base(c->user_ns));
	return c;
}

void cred_put(struct cred *c)
{
	if (!refcount_put(&c->refs))
		return;
	namespace_put(user_namespace_base(c->user_ns));
	kfree(c->groups);
	kfree(c);
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
	size_t low = 0, high = c->group_count;

	if (c->fsgid == gid)
		return true;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c->groups[middle] == gid)
			return true;
		if (c->groups[middle] < gid)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}
