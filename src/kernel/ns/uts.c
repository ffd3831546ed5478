/* SPDX-License-Identifier: MIT */
/*
 * The system's names. It says that it is Linux, since programs decide by that word which system calls they make; the release is that of
 * the Linux whose ABI it keeps to, and the version says what it is. The node's and the domain's name are each namespace's own.
 */
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/errno.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <cloudos/uts.h>
#include <linux/sched.h>
#include <linux/utsname.h>

#define NAME_SIZE sizeof(((struct new_utsname *)0)->nodename)

struct uts_namespace {
	struct namespace base; /* first */
	char node_name[NAME_SIZE], domain_name[NAME_SIZE]; /* by uts_lock */
};

static void destroy(struct namespace *ns)
{
	kfree(ns);
}

static const struct namespace_kind kind = { .name = "uts", .clone_flag = CLONE_NEWUTS, .destroy = destroy };

struct uts_namespace uts_initial = {
	.base = { .kind = &kind, .refs = { 1 }, .number = UINT32_C(0xeffffffe) }, /* Linux's number of it */
	.node_name = "cloudos",
	.domain_name = "(none)",
};

static struct spinlock uts_lock = SPINLOCK_INIT(RANK_LEAF);
static const struct new_utsname constant = {
	.sysname = "Linux",
	.release = "6.1.0-cloudos",
	.version = "CloudOS 0.1",
	.machine = HAL_ABI_MACHINE,
};

struct namespace *uts_as_namespace(struct uts_namespace *ns)
{
	return &ns->base;
}

struct uts_namespace *uts_of_namespace(struct namespace *ns)
{
	return ns->kind == &kind ? (struct uts_namespace *)(void *)ns : NULL;
}

int uts_copy(struct uts_namespace *from, struct user_namespace *owner, struct uts_namespace **ret)
{
	struct uts_namespace *ns = kmalloc(sizeof(*ns));
	int error;

	if (!ns)
		return -ENOMEM;
	error = namespace_init(&ns->base, &kind, user_namespace_base(owner));
	if (error) {
		kfree(ns);
		return error;
	}
	spin_lock(&uts_lock);
	memcpy(ns->node_name, from->node_name, NAME_SIZE);
	memcpy(ns->domain_name, from->domain_name, NAME_SIZE);
	spin_unlock(&uts_lock);
	*ret = ns;
	return 0;
}

void uts_get(struct uts_namespace *ns, struct new_utsname *ret)
{
	*ret = constant;
	spin_lock(&uts_lock);
	memcpy(ret->nodename, ns->node_name, NAME_SIZE);
	memcpy(ret->domainname, ns->domain_name, NAME_SIZE);
	spin_unlock(&uts_lock);
}

static void set(char *field, const char *name)
{
	char text[NAME_SIZE] = { 0 };

	str_copy(text, sizeof(text), name);
	spin_lock(&uts_lock);
	memcpy(field, text, sizeof(text));
	spin_unlock(&uts_lock);
}

void uts_set_node_name(struct uts_namespace *ns, const char *name)
{
	set(ns->node_name, name);
}

void uts_set_domain_name(struct uts_namespace *ns, const char *name)
{
	set(ns->domain_name, name);
}
