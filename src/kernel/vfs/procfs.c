/* SPDX-License-Identifier: MIT */
/*
 * procfs: a kernel-made tree of text files (procfs_add()), and in its root the processes, which live nowhere as dentries: a number is
 * looked up each time (procfs_pid.c), and its dentry goes with its last user.
 */
#include <cloudos/format.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <linux/magic.h>
#include "procfs_internal.h"

/* Positions in the root: below, the cookies of fixed entries; from here on, pids. */
#define FIRST_PID_POS (UINT64_C(1) << 32)

struct super_block *procfs;
const struct procfs_pid_ops *procfs_pid_ops;

static const struct inode_ops proc_dir_ops; /* folders of fixed files: as memfs_dir_ops_readonly */

static int procfs_statfs(struct super_block *sb, struct fs_statistics *ret)
{
	(void)sb;
	*ret = (struct fs_statistics){ .magic = PROC_SUPER_MAGIC, .block_size = PAGE_SIZE };
	return 0;
}

/* Only inodes of processes are ever freed. */
static void procfs_inode_free(struct inode *inode)
{
	kfree(inode->private);
	memfs_inode_free(inode);
}

static const struct super_ops procfs_super_ops = { .inode_free = procfs_inode_free, .statfs = procfs_statfs };

static int procfs_mount(const struct fs_type *type, const char *source, const char *options, struct super_block **ret)
{
	(void)type, (void)source, (void)options;
	refcount_get(&procfs->refs);
	*ret = procfs;
	return 0;
}

const struct fs_type procfs_type = { .name = "proc", .magic = PROC_SUPER_MAGIC, .mount = procfs_mount };

int procfs_add(const char *name, uint32_t mode, int (*show)(struct text_out *o, void *arg), int (*store)(const char *text, size_t len, void *arg), void *arg)
{
	struct text_source source = { show, store, arg };

	return text_add(procfs, name, mode, &source);
}

/* ---- links whose text depends on who reads: self, thread-self; and fixed ones ---- */

static ssize_t self_readlink(struct inode *inode, char *buf, size_t size)
{
	int pid, tid, len;

	(void)inode;
	if (!procfs_pid_ops)
		return -ENOENT;
	pid = procfs_pid_ops->self(&tid);
	len = pid > 0 ? fmt_string(buf, size, "%d", pid) : -ENOENT;
	return len;
}

static ssize_t thread_self_readlink(struct inode *inode, char *buf, size_t size)
{
	int pid, tid, len;

	(void)inode;
	if (!procfs_pid_ops)
		return -ENOENT;
	pid = procfs_pid_ops->self(&tid);
	len = pid > 0 ? fmt_string(buf, size, "%d/task/%d", pid, tid) : -ENOENT;
	return len;
}

static ssize_t mounts_readlink(struct inode *inode, char *buf, size_t size)
{
	(void)inode;
	return fmt_string(buf, size, "self/mounts");
}

static const struct inode_ops self_ops = { .readlink = self_readlink };
static const struct inode_ops thread_self_ops = { .readlink = thread_self_readlink };
static const struct inode_ops mounts_ops = { .readlink = mounts_readlink };

static int add_link(const char *name, const struct inode_ops *ops)
{
	struct inode *inode = memfs_inode_create(procfs, S_IFLNK | 0777, ops, NULL);
	int error = inode ? memfs_add(procfs, name, inode, &proc_dir_ops) : -ENOMEM;

	if (error && inode)
		inode_put(inode);
	return error;
}

/* ---- the root ---- */

static int root_lookup(struct inode *dir, struct dentry *dentry)
{
	uint64_t pid;

	(void)dir;
	if (!procfs_pid_ops || dentry->name[0] < '1' || dentry->name[0] > '9' || str_to_u64(dentry->name, 10, &pid) || pid > INT32_MAX)
		return 0;
	return pid_folder_lookup(dentry, (int)pid, 0);
}

static int root_readdir(struct file *f, struct dir_emitter *e, uint64_t *pos)
{
	uint64_t before;
	int pid;

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
	for (pid = procfs_pid_ops->next_pid((int)(*pos - FIRST_PID_POS)); pid > 0; pid = procfs_pid_ops->next_pid(pid)) {
		char name[12];
		int len = fmt_string(name, sizeof(name), "%d", pid);

		if (!e->emit(e, name, (size_t)len, pid_ino(PID_FOLDER, pid, 0, 0), S_IFDIR >> 12, FIRST_PID_POS + (uint64_t)pid))
			return 0;
		*pos = FIRST_PID_POS + (uint64_t)pid;
	}
	return 0;
}

static const struct inode_ops root_ops = { .lookup = root_lookup };
static const struct file_ops root_file_ops = { .readdir = root_readdir, .seek = generic_seek };

int procfs_init(void)
{
	int error = memfs_super_create(&procfs_type, &procfs_super_ops, SB_PINNED | SB_SINGLE | SB_UNCACHED, &root_ops, 0555, &procfs);

	if (error)
		return error;
	procfs->root->inode->flags = 0;
	procfs->root->inode->file_ops = &root_file_ops;
	error = add_link("self", &self_ops);
	if (!error)
		error = add_link("thread-self", &thread_self_ops);
	if (!error)
		error = add_link("mounts", &mounts_ops);
	return error ? error : fs_register(&procfs_type);
}
