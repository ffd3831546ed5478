/* SPDX-License-Identifier: MIT */
/*
 * devpts: each mount is an instance of its own, with a ptmx; pairs that are made by opening that have their slaves in it and nowhere else.
 * Slaves are numbered through all instances. Options: ptmxmode, mode, uid, gid; newinstance says what is so anyway.
 */
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <linux/magic.h>
#include "vfs_internal.h"

#define PTMX_DEVICE dev_make(5, 2)
#define OPTION_TEXT_MAX 32

struct instance {
	uint32_t mode, uid, gid; /* of slaves; ID_NONE: those of who opens the master */
	uint32_t ptmx_mode;
};

static const struct inode_ops node_ops = { .readlink = NULL }, folder_ops = { .permission = NULL };
const struct fs_type devpts_type;

static int devpts_statfs(struct super_block *sb, struct fs_statistics *ret)
{
	(void)sb;
	*ret = (struct fs_statistics){ .magic = DEVPTS_SUPER_MAGIC, .block_size = PAGE_SIZE };
	return 0;
}

static void devpts_destroy(struct super_block *sb)
{
	kfree(sb->private);
	kfree(sb);
}

static const struct super_ops devpts_super_ops = {
	.inode_free = memfs_inode_free,
	.statfs = devpts_statfs,
	.destroy = devpts_destroy,
};

static int add_node(struct super_block *sb, const char *name, uint32_t mode, uint64_t rdev, uint32_t uid, uint32_t gid, struct dentry **ret)
{
	struct inode *inode = memfs_inode_create(sb, S_IFCHR | mode, &node_ops, NULL);
	int error;

	if (!inode)
		return -ENOMEM;
	inode->rdev = rdev;
	inode->uid = uid;
	inode->gid = gid;
	error = memfs_add_get(sb, name, inode, &folder_ops, ret);
	if (error)
		inode_put(inode);
	return error;
}

bool devpts_is(const struct super_block *sb)
{
	return sb->type == &devpts_type;
}

int devpts_add(struct super_block *sb, const char *name, uint64_t rdev, struct dentry **ret)
{
	const struct instance *i = sb->private;
	const struct cred *c = thread_current()->cred;

	return add_node(sb, name, i->mode, rdev, i->uid == ID_NONE ? c->fsuid : i->uid, i->gid == ID_NONE ? c->fsgid : i->gid, ret);
}

void devpts_remove(struct super_block *sb, const char *name)
{
	memfs_remove(sb, name);
}

/* ---- mounting ---- */

static int parse_id(const char *text, uint32_t (*in)(uint32_t id), uint32_t *ret)
{
	uint64_t value;

	if (str_to_u64(text, 10, &value) || value >= ID_NONE || in((uint32_t)value) == ID_NONE)
		return -EINVAL;
	*ret = in((uint32_t)value);
	return 0;
}

static int parse_mode(const char *text, uint32_t *ret)
{
	uint64_t value;

	if (str_to_u64(text, 8, &value) || value > 0777)
		return -EINVAL;
	*ret = (uint32_t)value;
	return 0;
}

static int parse_option(struct instance *i, char *option)
{
	char *value = strchr(option, '=');

	if (!*option || str_equal(option, "newinstance"))
		return 0;
	if (!value || !*value)
		return -EINVAL;
	*value++ = '\0';
	if (str_equal(option, "ptmxmode"))
		return parse_mode(value, &i->ptmx_mode);
	if (str_equal(option, "mode"))
		return parse_mode(value, &i->mode);
	if (str_equal(option, "uid"))
		return parse_id(value, uid_in, &i->uid);
	return str_equal(option, "gid") ? parse_id(value, gid_in, &i->gid) : -EINVAL;
}

static int parse_options(struct instance *i, const char *options)
{
	char option[OPTION_TEXT_MAX];

	while (*options) {
		const char *end = strchr(options, ',');
		size_t len = end ? (size_t)(end - options) : strlen(options);

		if (len >= sizeof(option))
			return -EINVAL;
		memcpy(option, options, len);
		option[len] = '\0';
		if (parse_option(i, option))
			return -EINVAL;
		options += len + (end ? 1 : 0);
	}
	return 0;
}

static int devpts_check(const char *key, const char *value)
{
	static const char *const keys[] = { "newinstance", "ptmxmode", "mode", "uid", "gid" };
	char option[OPTION_TEXT_MAX];
	struct instance scratch;
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		known |= str_equal(key, keys[i]);
	if (!known)
		return -ENOENT;
	if (strlen(key) + (value ? strlen(value) : 0) + 2 > sizeof(option))
		return -EINVAL;
	fmt_string(option, sizeof(option), "%s%s%s", key, value ? "=" : "", value ? value : "");
	return parse_option(&scratch, option);
}

static int devpts_mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	const struct cred *c = thread_current()->cred;
	struct instance *i = kmalloc(sizeof(*i));
	struct super_block *sb = NULL;
	int error;

	(void)source;
	if (!i)
		return -ENOMEM;
	*i = (struct instance){ .mode = 0600, .uid = ID_NONE, .gid = ID_NONE };
	error = parse_options(i, options);
	if (!error)
		error = memfs_super_create(type, &devpts_super_ops, SB_PINNED | SB_DEVICES, &folder_ops, 0755, &sb);
	if (error) {
		kfree(i);
		return error;
	}
	sb->private = i;
	error = add_node(sb, "ptmx", i->ptmx_mode, PTMX_DEVICE, c->fsuid, c->fsgid, NULL);
	if (error)
		super_put(sb);
	else
		*ret = sb;
	return error;
}

const struct fs_type devpts_type = {
	.name = "devpts",
	.magic = DEVPTS_SUPER_MAGIC,
	.mount = devpts_mount,
	.check = devpts_check,
	.in_user_namespaces = true,
};

int devpts_init(void)
{
	return fs_register(&devpts_type);
}
