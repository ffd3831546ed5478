/* SPDX-License-Identifier: MIT */
/*
 * Control groups, the unified hierarchy (cgroup v2): a tree of groups, each with processes in it, shown as the file system "cgroup2".
 *
 *   tree.c        groups: making, removing, paths, limits of the tree
 *   member.c      who is in which: births, deaths, moves
 *   controllers.c which controllers a group's children have
 *   freezer.c     freezing; what a thread does about it is proc/freeze.c
 *   pids.c, cpu.c, cpuset.c, memory.c  the controllers; cpu is sched/group.c behind files, memory is vm/memory_group.c and memory_limit.c
 *   files.c       the files that every group has
 *   fs.c          the file system
 *   event.c       telling of changes: poll(2), inotify(7)
 *   namespace.c   what a cgroup namespace sees
 *
 * A process is in one group with all its threads (there are no threaded groups), also when it is a zombie. A group is there as long as it has a
 * process, a file, or a child; what rmdir(2) has removed is `dead`: nothing comes into it any more.
 *
 * C1  A process is counted in its group and in each above: `tasks` in the former, `pids.count` in all of them.
 * C2  A group is populated if it has a thread that has not ended, or a child that is populated.
 * C3  No controller is in a group's subtree_control that is not in its parent's.
 * C4  But for the root, a group with threads has an empty subtree_control (no internal processes).
 * C5  A group is frozen if it or one above was told to be, all its threads are, and its children.
 *
 * Lock letters: C constant; M cgroup_mutex; T proc_lock; MT: both for writing, either for reading; A atomic.
 */
#ifndef CGROUP_INTERNAL_H
#define CGROUP_INTERNAL_H

#include <cloudos/cgroup.h>
#include <cloudos/errno.h>
#include <cloudos/fs.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/memory_group.h>
#include <cloudos/namespace.h>
#include <cloudos/refcount.h>
#include <cloudos/sched_group.h>
#include <cloudos/task.h>
#include <cloudos/wait.h>
#include <cloudos/work.h>

#define CGROUP_DEPTH_MAX 128 /* levels below the root: EAGAIN beyond */
#define CGROUP_NAME_MAX	 NAME_LEN_MAX
#define CGROUP_PAGES_EACH 64 /* there are at most as many groups as memory has such pieces: EAGAIN beyond */

enum cgroup_controller_bit { CGROUP_CPUSET = 1, CGROUP_CPU = 2, CGROUP_PIDS = 4, CGROUP_MEMORY = 8 };
#define CGROUP_CONTROLLERS 4

/* Files that tell of changes. */
enum cgroup_event { EVENT_STATE, EVENT_PIDS, EVENT_MEMORY, CGROUP_EVENTS };

struct cgroup {
	struct refcount refs;
	struct cgroup *parent; /* C: with a reference; null: the root */
	unsigned depth;	       /* C */
	uint64_t id;	       /* C: never used again */
	struct list children, siblings; /* M: without dead ones */
	struct dentry *folder; /* M: null: it is dead */
	bool dead;	       /* MT */
	uint32_t subtree_control; /* MT: enum cgroup_controller_bit */
	uint32_t descendants;  /* M */
	uint32_t dying;	       /* A: dead groups that are still held, in it and below */
	uint32_t max_depth, max_descendants; /* M; UINT32_MAX: no limit */

	uint32_t tasks;	       /* T: threads that have not ended */
	uint32_t populated;    /* T: children that are populated, and one for its own threads */

	bool freeze;	       /* M: was told to */
	bool freezing;	       /* T: it, or one above */
	bool frozen;	       /* T: C5 */
	uint32_t frozen_tasks; /* T */
	uint32_t live_children, frozen_children; /* T */
	bool killing;	       /* T: cgroup.kill is under way: what is born here dies */

	struct { /* T */
		uint64_t count, max, peak; /* max UINT64_MAX: no limit */
		uint64_t refused;
	} pids;

	struct memory_group memory; /* unused in the root: what is in it is charged to nobody */

	struct sched_group sched;
	struct sched_group_stats ended; /* M: of groups below that are gone */

	uint64_t cpus;		 /* M: cpuset.cpus; 0: not set */
	uint64_t cpus_effective; /* MT: never empty */
	bool mems_set;		 /* M: cpuset.mems */

	struct wait_queue changed;
	uint32_t events[CGROUP_EVENTS];	     /* A: changes so far, from 1 */
	uint32_t events_told[CGROUP_EVENTS]; /* A: of these inotify has heard */
	struct work tell;		     /* with a reference while it is queued */
	char name[];			     /* C */
};

extern struct mutex cgroup_mutex;

static inline bool cgroup_is_root(const struct cgroup *cg)
{
	return !cg->parent;
}

/* The next of `top` and what is below it, behind cg, parents first; null: that was the last one. M. */
struct cgroup *cgroup_next(const struct cgroup *top, struct cgroup *cg);
#define cgroup_for_each(cg, top) for (struct cgroup *cg = (top); cg; cg = cgroup_next(top, cg))

/* ---- tree.c ---- */

bool cgroup_below(const struct cgroup *cg, const struct cgroup *top); /* or the same */
struct cgroup *cgroup_common(struct cgroup *a, struct cgroup *b);
/* An unlinked child, with one reference: 0, -EINVAL (its name), -ENOMEM. */
int cgroup_create(struct cgroup *parent, const char *name, struct cgroup **ret);
int cgroup_check_limits_locked(const struct cgroup *parent); /* M: may it have one more? 0, -EAGAIN, -ENODEV */
void cgroup_link_locked(struct cgroup *cg, struct dentry *folder); /* M */
int cgroup_unlink_locked(struct cgroup *cg);			   /* M: 0 or -EBUSY */

/* ---- member.c ---- */

/* Writing to cgroup.procs: `writer` opened it. 0, -ESRCH, -EACCES, -EBUSY, -EOPNOTSUPP, -ENOENT ... `thread`: to cgroup.threads. */
int cgroup_move(struct cgroup *to, const char *text, const struct file *writer, bool thread);
int cgroup_list(struct cgroup *cg, bool threads, struct text_out *o);
/* May `who` move what is in `from` to `to`? M. */
int cgroup_may_move_locked(struct cgroup *from, struct cgroup *to, const struct cred *who);
/* Calls fn for each process in cg that has threads, T held; some may be born and end meanwhile. `below`: and in the groups below. M. */
void cgroup_each_process(struct cgroup *cg, bool below, void (*fn)(struct process *p, void *arg), void *arg);
/* fn for each living thread of a process. T. */
void cgroup_each_task_locked(struct process *p, void (*fn)(struct task *t, void *arg), void *arg);
int cgroup_kill(struct cgroup *cg);

/* ---- controllers.c ---- */

struct cgroup_file;

struct cgroup_controller {
	const char *name;
	uint32_t bit;
	const struct cgroup_file *files;
	size_t file_count;
	void (*start)(struct cgroup *cg); /* a group, which is empty or new, gets it; M; null: nothing to do */
	void (*stop)(struct cgroup *cg);  /* and loses it: back to how it was made */
};

extern const struct cgroup_controller *const cgroup_controllers[CGROUP_CONTROLLERS];
extern const struct cgroup_controller cgroup_cpuset, cgroup_cpu, cgroup_pids, cgroup_memory;

uint32_t cgroup_controllers_of(const struct cgroup *cg); /* M or T; else it may be old by now */
/* Takes M for setting what a controller's file sets, which may be open although the controller is gone: 0, or -ENODEV without the lock. */
int cgroup_lock_with(const struct cgroup *cg, uint32_t controller);
void cgroup_show_controllers(struct text_out *o, uint32_t set);
/* `folder`: the inode of its own. */
int cgroup_store_subtree_control(struct cgroup *cg, struct inode *folder, const char *text); /* 0, -EINVAL, -ENOENT, -EBUSY, -ENOMEM, -ENODEV */

/* ---- pids.c; T ---- */

int pids_charge_locked(struct cgroup *cg); /* one: 0 or -EAGAIN */
void pids_take_locked(struct cgroup *cg, uint64_t n, struct cgroup *until); /* without asking; up to, and without, `until` (may be null) */
void pids_give_locked(struct cgroup *cg, uint64_t n, struct cgroup *until);

/* ---- memory.c ---- */

void memory_init(void);
void memory_setup(struct cgroup *cg); /* a new one */
/* T: t's memory is the group's to pay for from now on. */
void memory_enter_locked(struct task *t, struct cgroup *cg);

/* ---- freezer.c ---- */

void cgroup_freeze(struct cgroup *cg, bool on); /* M */
/* T: threads came or went, froze or thawed. */
void cgroup_frozen_update_locked(struct cgroup *cg);

/* ---- cpu.c, cpuset.c ---- */

void cpu_stat_show(struct cgroup *cg, struct text_out *o); /* takes M */
void cpu_stat_keep_locked(struct cgroup *cg); /* M: it goes */
void cpuset_inherit_locked(struct cgroup *cg); /* M and T: a new group */
void cpuset_apply(struct task *t, const struct cgroup *cg); /* T */

/* ---- files.c ---- */

enum cgroup_file_flags { FILE_NOT_ON_ROOT = 1, FILE_ON_ROOT_ONLY = 2, FILE_DELEGATED = 4 /* also to who is in a namespace with this root */ };

struct cgroup_file {
	const char *name;
	uint16_t mode;
	uint8_t flags;	/* FILE_* */
	int8_t event;	/* enum cgroup_event; EVENT_NONE */
	int (*show)(struct cgroup *cg, struct text_out *o);
	int (*store)(struct cgroup *cg, struct file *f, const char *text, size_t len);
};
#define EVENT_NONE (-1)

extern const struct cgroup_file cgroup_core_files[];
extern const size_t cgroup_core_file_count;

/* "max", or a number that is at most `most`: UINT64_MAX for the former. -EINVAL, -ERANGE (beyond). */
int cgroup_parse_limit(const char *text, uint64_t most, uint64_t *ret);
void cgroup_show_limit(struct text_out *o, uint64_t value, uint64_t none);

/* ---- fs.c ---- */

/* Adds the files of these controllers to a group's folder, whose lock is held or which nobody knows: all or none; or takes them out. */
int cgroup_files_add(struct cgroup *cg, struct dentry *folder, uint32_t controllers);
void cgroup_files_remove(struct cgroup *cg, struct dentry *folder, uint32_t controllers);
int cgroup_fs_init(void);
struct cgroup *cgroup_of_file(const struct file *f); /* null: it is no folder of this file system */
/* The inode of a group's cgroup.procs, with a reference, or null. M. */
struct inode *cgroup_procs_inode_locked(struct cgroup *cg);

/* ---- event.c ---- */

void cgroup_event_init(struct cgroup *cg);
void cgroup_tell(struct cgroup *cg, enum cgroup_event event); /* any lock below WAIT may be held */

/* ---- namespace.c ---- */

struct cgroup *cgroup_namespace_root(void); /* the running thread's; borrowed */
/* The path as it is seen from `root`: a length, or -ENAMETOOLONG. */
int cgroup_path(const struct cgroup *cg, const struct cgroup *root, char *buf, size_t size);

/* nsdelegate: is what is on the other side of a namespace's root out of reach? */
extern bool cgroup_delegates; /* A */

#endif
