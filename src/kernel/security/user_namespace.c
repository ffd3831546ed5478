/* SPDX-License-Identifier: MIT */
/*
 * User namespaces: their tree, and what capabilities mean in it. id_map.c has what ids mean.
 *
 *   U1 A capability counts over the namespace of the credentials that have it and over all below.
 *   U2 Who made a namespace has all capabilities over it, as long as he is in its parent.
 *   U3 Credentials have a reference on their namespace, and each namespace on its parent; so a namespace goes after all below it.
 */
#include <cloudos/thread.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include "user_namespace_internal.h"

#define CAPABILITIES_ALL ((UINT64_C(1) << (CAP_LAST_CAP + 1)) - 1)

static void destroy(struct namespace *base)
{
	struct user_namespace *ns = user_namespace_of(base);

	for (int i = 0; i < ID_KINDS; i++)
		kfree(ns->map[i].extents);
	kfree(ns);
}

static struct namespace *parent(struct namespace *base)
{
	struct user_namespace *up = user_namespace_parent(user_namespace_of(base));

	return up && user_namespace_in(up, thread_current()->cred->user_ns) ? &up->base : NULL;
}

static const struct namespace_kind kind = { "user", CLONE_NEWUSER, destroy, parent };

/* Ids are what they are there: its maps are never looked at. */
struct user_namespace user_namespace_first = {
	.base = { .kind = &kind, .refs = { 1 }, .number = UINT32_C(0xeffffffd) }, /* Linux's number of it */
	.lock = MUTEX_INIT(user_namespace_first.lock, RANK_SLEEP_LEAF),
	.setgroups = true,
};

struct namespace *user_namespace_base(struct user_namespace *ns)
{
	return &ns->base;
}

struct user_namespace *user_namespace_of(struct namespace *ns)
{
	return ns->kind == &kind ? (struct user_namespace *)(void *)ns : NULL;
}

struct user_namespace *namespace_owner(const struct namespace *ns)
{
	return ns->owner ? user_namespace_of(ns->owner) : &user_namespace_first;
}

uint32_t user_namespace_creator(const struct user_namespace *ns)
{
	return ns->owner;
}

bool user_namespace_in(const struct user_namespace *ns, const struct user_namespace *top)
{
	while (ns && ns->level > top->level)
		ns = user_namespace_parent(ns);
	return ns == top;
}

/* ---- capabilities ---- */

bool cred_capable_over(const struct cred *c, const struct user_namespace *ns, unsigned capability)
{
	for (; ns; ns = user_namespace_parent(ns)) {
		if (ns == c->user_ns)
			return cred_capable_here(c, capability);
		if (ns->level <= c->user_ns->level)
			return false;
		if (user_namespace_parent(ns) == c->user_ns && ns->owner == c->euid)
			return true;
	}
	return false;
}

uint32_t cred_root(const struct cred *c)
{
	return id_to_kernel(c->user_ns, ID_UID, 0);
}

/* ---- coming into one ---- */

/* Takes over the reference. */
static void settle(struct cred *c, struct user_namespace *ns)
{
	struct user_namespace *old = c->user_ns;

	c->securebits = SECUREBITS_DEFAULT;
	c->cap_inheritable = c->cap_ambient = 0;
	c->cap_permitted = c->cap_effective = c->cap_bounding = CAPABILITIES_ALL;
	c->user_ns = ns;
	namespace_put(&old->base);
}

void user_namespace_enter(struct cred *c, struct user_namespace *ns)
{
	namespace_get(&ns->base);
	settle(c, ns);
}

int user_namespace_create(struct cred *c)
{
	struct user_namespace *up = c->user_ns, *ns;
	int error;

	if (up->level >= USER_NAMESPACE_DEPTH)
		return -ENOSPC;
	if (id_from_kernel(up, ID_UID, c->euid) == ID_NONE || id_from_kernel(up, ID_GID, c->egid) == ID_NONE)
		return -EPERM;
	ns = kzalloc(sizeof(*ns));
	if (!ns)
		return -ENOMEM;
	error = namespace_init(&ns->base, &kind, &up->base);
	if (error) {
		kfree(ns);
		return error;
	}
	ns->level = up->level + 1;
	ns->owner = c->euid;
	ns->group = c->egid;
	ns->creator_could_setfcap = cred_capable_here(c, CAP_SETFCAP);
	mutex_init(&ns->lock, RANK_SLEEP_LEAF);
	ns->setgroups = READ_ONCE(up->setgroups);
	settle(c, ns);
	return 0;
}
