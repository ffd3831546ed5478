/* SPDX-License-Identifier: MIT */
/* What the files of procfs share. */
#ifndef PROCFS_INTERNAL_H
#define PROCFS_INTERNAL_H

#include "vfs_internal.h"

extern struct super_block *procfs; /* the one of the first namespace of pids */

/* The namespace of pids that is shown. */
static inline struct namespace *pids_of(const struct super_block *sb)
{
	return sb->private ? sb->private : procfs_pid_ops->first;
}

enum pid_kind {
	PID_FOLDER,	  /* /proc/PID, /proc/PID/task/TID                    */
	PID_TEXT,	  /* a file of procfs_pid_ops                         */
	PID_LINK,	  /* exe, cwd, root                                   */
	PID_MOUNTS,	  /* mounts                                           */
	PID_MOUNTINFO,
	PID_TASKS,	  /* task/                                            */
	PID_FDS,	  /* fd/                                              */
	PID_FDINFOS,	  /* fdinfo/                                          */
	PID_FD,		  /* fd/N                                             */
	PID_FDINFO,	  /* fdinfo/N                                         */
	PID_NAMESPACES,	  /* ns/                                              */
	PID_NAMESPACE,	  /* ns/NAME                                          */
	PID_MEM,	  /* mem                                              */
};

/* A number that stays the same for the same file. */
static inline uint64_t pid_ino(enum pid_kind kind, int pid, int tid, unsigned extra)
{
	return UINT64_C(1) << 62 | hash_u64((uint64_t)tid << 32 | extra) % (1u << 26) << 4 | (uint64_t)pid << 32 | kind;
}

/* Of which process an inode below /proc/PID is, and of which of its threads, or 0. */
void pid_of_inode(const struct inode *inode, int *ret_pid, int *ret_tid);

extern const struct file_ops pid_mem_ops; /* procfs_mem.c */

/* Attaches the folder of a process (tid 0) or of one of its threads, if there is one. */
int pid_folder_lookup(struct inode *dir, struct dentry *dentry, int pid, int tid);

#endif
