/* SPDX-License-Identifier: MIT */
/* What the files of /proc/PID have in common: one look at a process, taken under proc_lock. */
#ifndef PROC_PROCFS_H
#define PROC_PROCFS_H

#include <cloudos/vfs.h>
#include <cloudos/vm.h>
#include "proc_internal.h"

struct process_look {
	int pid, tid, ppid, pgid, sid; /* as the instance of /proc numbers them */
	struct pid_list {
		unsigned n;
		int numbers[PID_NAMESPACE_DEPTH + 1]; /* there, and in the namespaces below */
	} tgids, tids, pgids, sids;
	int tty, tracer, exit_signal, exit_status;
	char name[16];
	char state;
	uint32_t threads, cpu;
	int nice, policy, rt_priority;
	unsigned urgency; /* that the main thread runs with */
	uint32_t uid[4], gid[4]; /* real, effective, saved, file system */
	uint32_t umask;
	bool kernel_thread, no_new_privs;
	unsigned seccomp_mode, seccomp_filters;
	uint64_t caps[5];	 /* inheritable, permitted, effective, bounding, ambient */
	uint64_t pending, shared_pending, blocked, ignored, caught, queued, queue_limit;
	uint64_t start_ns;
	struct task_usage usage, children;
	struct rlimit64 limits[RLIM_NLIMITS];
	int oom_score_adj;
	unsigned core_filter;
	uint32_t personality;
	struct cred *cred; /* with a reference; null: a zombie's */
	struct cgroup *cgroup; /* with a reference */
};

/* 0 or -ESRCH; process_look_end() must come, also after that. */
int process_look(struct pid_namespace *ns, int pid, int tid, struct process_look *ret);
void process_look_end(struct process_look *l);

int procfs_stat(const struct process_look *l, struct vm_space *s, struct text_out *o);
int procfs_status(const struct process_look *l, struct vm_space *s, struct text_out *o);
int procfs_uid_map(const struct process_look *l, struct vm_space *s, struct text_out *o);
int procfs_gid_map(const struct process_look *l, struct vm_space *s, struct text_out *o);
int procfs_projid_map(const struct process_look *l, struct vm_space *s, struct text_out *o);
int procfs_setgroups(const struct process_look *l, struct vm_space *s, struct text_out *o);
bool procfs_is_of_users(const char *file); /* is it one of these? */
int procfs_users_store(int pid, int tid, const char *file, const struct cred *opener, const char *text, size_t len);
int procfs_maps(struct vm_space *s, struct text_out *o);
int procfs_smaps(struct vm_space *s, struct text_out *o);
int procfs_smaps_rollup(struct vm_space *s, struct text_out *o);

#endif
