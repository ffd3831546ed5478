/* SPDX-License-Identifier: MIT */
/*
 * procfs: a kernel-made tree of text files (procfs_add()), and in its root the processes, which live nowhere as dentries: a number is
 * looked up each time (procfs_pid.c), and its dentry goes with its last user.
 *
 * There is an instance for the first namespace of pids, and one for each mount of another; super_block.private is that namespace.
 */
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/namespace.h>
#include <cloudos/string.h>
#include <cloudos/user_namespace.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include "procfs_internal.h"

/* Positions in the root: below, the cookies of fixed entries; from here on, pids. */
#define FIRST_PID_POS (UINT64_C(1) << 32)

struct super_block *procfs;
const struct procfs_pid_ops *procfs_pid_ops;

const struct fs_type procfs_type;

static const struct inode_ops proc_dir_ops; /* folders of fixed files: as memfs_dir_ops_readonly */

static int procfs_statfs(struct super_block *sb, struct fs_statistics *ret)
{
	(void)sb;
	*ret = (struct fs_statistics){ .magic = PROC_SUPER_MAGIC, .block_size = PAGE_SIZE };
	return 0;
}

static void procfs_inode_free(struct inode *inode)
{
	kfree(inode->private);
	memfs_inode_free(inode);
}

static void procfs_destroy(struct super_block *sb)
{
	namespace_put(sb->private);
	kfree(sb);
}

static const struct super_ops procfs_super_ops = { .inode_free = procfs_inode_free, .statfs = procfs_statfs, .destroy = procfs_destroy };

/* ---- fixed files: each instance has them all ---- */

struct fixed_file {
	struct list link;
	const char *name; /* constant */
	uint32_t mode;
	struct text_source source;
};

static struct mutex fixed_lock = MUTEX_INIT(fixed_lock, RANK_PROC_FILES);
static struct list fixed_files = LIST_INIT(fixed_files); /* by fixed_lock; only appended to */

int procfs_add(const char *name, uint32_t mode, int (*show)(struct text_out *o, void *arg), int (*store)(const char *text, size_t len, void *arg), void *arg)
{
	struct fixed_file *file = kmalloc(sizeof(*file));
	int error;

	if (!file)
		return -ENOMEM;
	*file = (struct fixed_file){ .name = name, .mode = mode, .source = { show, store, arg } };
	mutex_lock(&fixed_lock);
	error = text_add(procfs, name, mode, &file->source);
	if (!error)
		list_add_tail(&fixed_files, &file->link);
	mutex_unlock(&fixed_lock);
	if (error)
		kfree(file);
	return error;
}

static int add_fixed_files(struct super_block *sb)
{
	struct fixed_file *file;
	int error = 0;

	mutex_lock(&fixed_lock);
	list_for_each (file, &fixed_files, link) {
		error = text_add(sb, file->name, file->mode, &file->source);
		if (error)
			break;
	}
	mutex_unlock(&fixed_lock);
	return error;
}

/* ---- links whose text depends on who reads: self, thread-self; and fixed ones ---- */

static ssize_t self_readlink(struct inode *inode, char *buf, size_t size)
{
	int pid, tid;

	if (!procfs_pid_ops || !procfs_pid_ops->self(pids_of(inode->sb), &pid, &tid))
		return -ENOENT;
	return fmt_string(buf, size, "%d", pid);
}

static ssize_t thread_self_readlink(struct inode *inode, char *buf, size_t size)
{
	int pid, tid;

	if (!procfs_pid_ops || !procfs_pid_ops->self(pids_of(inode->sb), &pid, &tid))
		return -ENOENT;
	return fmt_string(buf, size, "%d/task/%d", pid, tid);
}

static ssize_t mounts_readlink(struct inode *inode, char *buf, size_t size)
{
	(void)inode;
	return fmt_string(buf, size, "self/mounts");
}

static const struct inode_ops self_ops = { .readlink = self_readlink };
static const struct inode_ops thread_self_ops = { .readlink = thread_self_readlink };
static const struct inode_ops mounts_ops = { .readlink = mounts_readlink };

static int add_link(struct super_block *sb, const char *name, const struct inode_ops *ops)
{
	struct inode *inode = memfs_inode_create(sb, S_IFLNK | 0777, ops, NULL);
	int error = inode ? memfs_add(sb, name, inode, &proc_dir_ops) : -ENOMEM;

	if (error && inode)
		inode_put(inode);
	return error;
}

/* ---- the root ---- */

static int root_lookup(struct inode *dir, struct dentry *dentry)
{
	uint64_t number;
	int pid;

	if (!procfs_pid_ops || dentry->name[0] < '1' || dentry->name[0] > '9' || str_to_u64(dentry->name, 10, &number) || number > INT32_MAX)
		return 0;
	pid = procfs_pid_ops->find(pids_of(dir->sb), (int)number);
	return pid ? pid_folder_lookup(dir, dentry, pid, 0) : 0;
}

static int root_readdir(struct file *f, struct dir_emitter *e, uint64_t *pos)
{
	struct namespace *ns;
	uint64_t before;
	char name[12];
	int n;

	while (*pos < FIRST_PID_POS) {
		before = *pos;
		pinned_dir_ops.readdir(f, e, pos);
		if (e->full)
			return 0;
		if (*pos == before)
			*pos = FIRST_PID_POS;
	}
	if (!procfs_pid_ops)
		return 0;
	ns = pids_of(f->inode->sb);
	for (n = procfs_pid_ops->next(ns, (int)(*pos - FIRST_PID_POS)); n > 0; n = procfs_pid_ops->next(ns, n)) {
		int len = fmt_string(name, sizeof(name), "%d", n);

		if (!e->emit(e, name, (size_t)len, pid_ino(PID_FOLDER, procfs_pid_ops->find(ns, n), 0, 0), S_IFDIR >> 12,
			     FIRST_PID_POS + (uint64_t)n))
			return 0;
		*pos = FIRST_PID_POS + (uint64_t)n;
	}
	return 0;
}

static const struct inode_ops root_ops = { .lookup = root_lookup };
static const struct file_ops root_file_ops = { .readdir = root_readdir, .seek = generic_seek };

/* ---- instances ---- */

static int create(struct super_block **ret)
{
	struct super_block *sb;
	int error = memfs_super_create(&procfs_type, &procfs_super_ops, SB_PINNED | SB_UNCACHED, &root_ops, 0555, &sb);

	if (error)
		return error;
	sb->root->inode->flags = 0;
	sb->root->inode->file_ops = &root_file_ops;
	sb->root->inode->uid = sb->root->inode->gid = 0;
	*ret = sb;
	error = add_link(sb, "self", &self_ops);
	if (!error)
		error = add_link(sb, "thread-self", &thread_self_ops);
	return error ? error : add_link(sb, "mounts", &mounts_ops);
}

/* Shows the namespace of who mounts it: the first has one instance, which stays. */
static int procfs_mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	struct namespace *ns = procfs_pid_ops ? procfs_pid_ops->pids() : NULL;
	struct super_block *sb = NULL;
	int error;

	(void)type, (void)source, (void)options;
	if (ns && !cred_capable_over(thread_current()->cred, namespace_owner(ns), CAP_SYS_ADMIN))
		return -EPERM;
	if (!ns || ns == procfs_pid_ops->first) {
		refcount_get(&procfs->refs);
		*ret = procfs;
		return 0;
	}
	error = create(&sb);
	if (sb)
		sb->private = namespace_get(ns);
	if (!error)
		error = add_fixed_files(sb);
	if (!error)
		*ret = sb;
	else if (sb)
		super_put(sb);
	return error;
}

const struct fs_type procfs_type = { .name = "proc", .magic = PROC_SUPER_MAGIC, .mount = procfs_mount, .whole_system = true, .in_user_namespaces = true };

int procfs_init(void)
{
	int error = create(&procfs);

	if (error)
		return error;
	procfs->flags |= SB_SINGLE;
	return fs_register(&procfs_type);
}
