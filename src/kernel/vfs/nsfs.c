/* SPDX-License-Identifier: MIT */
/*
 * Files that stand for a namespace (/proc/PID/ns/NAME): they keep it alive, say which it is, and setns(2) takes them. From one leads a way to
 * the user namespace that it belongs to, and up the tree (ioctl_ns(2)), as far as the caller's own namespaces.
 */
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/namespace.h>
#include <cloudos/uaccess.h>
#include <cloudos/user_namespace.h>
#include <linux/nsfs.h>
#include "vfs_internal.h"

static void nsfs_release(struct file *f)
{
	namespace_put(f->private);
}

int nsfs_text(const struct namespace *ns, char *buf, size_t size)
{
	return fmt_string(buf, size, "%s:[%u]", ns->kind->name, ns->number);
}

static int nsfs_name(struct file *f, char *buf, size_t size)
{
	return nsfs_text(f->private, buf, size);
}

/* A descriptor of a related namespace, or an errno. */
static int64_t open_related(struct namespace *ns)
{
	struct file *f;
	int error, fd = fd_reserve(0, true);

	if (fd < 0)
		return fd;
	error = nsfs_open(namespace_get(ns), &f);
	if (error) {
		fd_release(fd);
		return error;
	}
	fd_install(fd, f);
	return fd;
}

static int64_t open_owner(struct namespace *ns)
{
	struct user_namespace *users = user_namespace_of(ns), *owner = namespace_owner(ns);
	bool first = users && users == owner;

	if (first || !user_namespace_in(owner, thread_current()->cred->user_ns))
		return -EPERM;
	return open_related(user_namespace_base(owner));
}

static int64_t open_parent(struct namespace *ns)
{
	struct namespace *parent;

	if (!ns->kind->parent)
		return -EINVAL;
	parent = ns->kind->parent(ns);
	return parent ? open_related(parent) : -EPERM;
}

static int64_t put_creator(struct namespace *ns, uaddr_t to)
{
	struct user_namespace *users = user_namespace_of(ns);

	return users ? put_user(uid_out(user_namespace_creator(users)), to) : -EINVAL;
}

static int64_t nsfs_ioctl(struct file *f, unsigned command, uaddr_t arg)
{
	struct namespace *ns = f->private;

	switch (command) {
	case NS_GET_NSTYPE:
		return (int64_t)ns->kind->clone_flag;
	case NS_GET_USERNS:
		return open_owner(ns);
	case NS_GET_PARENT:
		return open_parent(ns);
	case NS_GET_OWNER_UID:
		return put_creator(ns, arg);
	default:
		return -ENOTTY;
	}
}

static const struct file_ops nsfs_ops = {
	.release = nsfs_release,
	.ioctl = nsfs_ioctl,
	.name = nsfs_name,
};

int nsfs_open(struct namespace *ns, struct file **ret)
{
	int error = file_create_anonymous(&nsfs_ops, ns, FILE_READ, O_RDONLY, S_IFREG | 0444, ret);

	if (error) {
		namespace_put(ns);
		return error;
	}
	(*ret)->ino = ns->number;
	return 0;
}

struct namespace *nsfs_namespace(const struct file *f)
{
	return f->ops == &nsfs_ops ? f->private : NULL;
}
