/* SPDX-License-Identifier: MIT */
/*
 * Cgroup namespaces: one has a group as its root. Who is in it sees paths from there (with "/.." for each step up), and mounts what is there and
 * below.
 */
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <linux/sched.h>
#include "cgroup_internal.h"

struct cgroup_namespace {
	struct namespace base; /* first */
	struct cgroup *root;   /* C: with a reference; null, of the first: the root */
};

static void destroy(struct namespace *base)
{
	struct cgroup_namespace *ns = (struct cgroup_namespace *)(void *)base;

	cgroup_put(ns->root);
	kfree(ns);
}

static const struct namespace_kind kind = { .name = "cgroup", .clone_flag = CLONE_NEWCGROUP, .destroy = destroy };

struct cgroup_namespace cgroup_namespace_first = {
	.base = { .kind = &kind, .refs = { 1 }, .number = UINT32_C(0xeffffffb) }, /* Linux's number of it */
};

struct namespace *cgroup_namespace_base(struct cgroup_namespace *ns)
{
	return &ns->base;
}

struct cgroup_namespace *cgroup_namespace_of(struct namespace *base)
{
	return base->kind == &kind ? (struct cgroup_namespace *)(void *)base : NULL;
}

static struct cgroup *own_group(void)
{
	unsigned long flags = spin_lock_irq(&proc_lock);
	struct cgroup *cg = process_self()->cgroup;

	cgroup_get(cg);
	spin_unlock_irq(&proc_lock, flags);
	return cg;
}

int cgroup_namespace_create(struct user_namespace *owner, struct cgroup_namespace **ret)
{
	struct cgroup_namespace *ns = kmalloc(sizeof(*ns));
	int err = ns ? namespace_init(&ns->base, &kind, user_namespace_base(owner)) : -ENOMEM;

	if (err < 0) {
		kfree(ns);
		return err;
	}
	ns->root = own_group();
	*ret = ns;
	return 0;
}

struct cgroup *cgroup_namespace_root(void)
{
	struct task *t = task_current();

	return t && t->cgroup_ns && t->cgroup_ns->root ? t->cgroup_ns->root : cgroup_root;
}

/* ---- paths ---- */

/* Puts "/text" before what is at *at. */
static bool prepend(char *buf, size_t *at, const char *text)
{
	size_t len = strlen(text);

	if (*at < len + 1)
		return false;
	*at -= len;
	memcpy(buf + *at, text, len);
	buf[--*at] = '/';
	return true;
}

int cgroup_path(const struct cgroup *cg, const struct cgroup *root, char *buf, size_t size)
{
	const struct cgroup *common = cgroup_common((struct cgroup *)(uintptr_t)cg, (struct cgroup *)(uintptr_t)root);
	size_t at = size - 1;
	bool fits = true;

	buf[at] = '\0';
	for (; cg != common && fits; cg = cg->parent)
		fits = prepend(buf, &at, cg->name);
	for (; root != common && fits; root = root->parent)
		fits = prepend(buf, &at, "..");
	if (fits && at == size - 1)
		fits = prepend(buf, &at, "");
	if (!fits)
		return -ENAMETOOLONG;
	memmove(buf, buf + at, size - at);
	return (int)(size - at - 1);
}

int cgroup_show(struct cgroup *cg, struct text_out *o)
{
	char *path = kmalloc(PATH_LEN_MAX);
	int err;

	if (!path)
		return -ENOMEM;
	err = cgroup_path(cg, cgroup_namespace_root(), path, PATH_LEN_MAX);
	if (err >= 0)
		out_printf(o, "0::%s%s\n", path, READ_ONCE(cg->dead) ? " (deleted)" : "");
	kfree(path);
	return min(err, 0);
}
