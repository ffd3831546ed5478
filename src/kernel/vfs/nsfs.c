/* SPDX-License-Identifier: MIT */
/* Files that stand for a namespace (/proc/PID/ns/NAME): they keep it alive, say which it is, and setns(2) takes them. */
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/namespace.h>
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

static int64_t nsfs_ioctl(struct file *f, unsigned command, uaddr_t arg)
{
	const struct namespace *ns = f->private;

	(void)arg;
	return command == NS_GET_NSTYPE ? (int64_t)ns->kind->clone_flag : -ENOTTY;
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
