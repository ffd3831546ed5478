/* SPDX-License-Identifier: MIT */
/*
 * Tasks (user threads) and processes (thread groups): the structures, for proc and for the system calls above it. Other floors use
 * <cloudos/proc.h>.
 *
 * Lock letters of the members:
 *   C  constant once the object can be found
 *   T  proc_lock: who is related to whom, and who can be found
 *   S  the process's signal_lock
 *   A  atomic
 *   O  written by the task itself alone; "OT": written by itself under proc_lock, so that it may read without, and others with it
 */
#ifndef CLOUDOS_TASK_H
#define CLOUDOS_TASK_H

#include <cloudos/bitmap.h>
#include <cloudos/cred.h>
#include <cloudos/hash.h>
#include <cloudos/lock.h>
#include <cloudos/namespace.h>
#include <cloudos/proc.h>
#include <cloudos/refcount.h>
#include <cloudos/signal.h>
#include <cloudos/thread.h>
#include <cloudos/timer.h>
#include <hal/hal.h>
#include <linux/resource.h>

#define PID_LIMIT	  32768 /* numbers 1 .. PID_LIMIT-1, as Linux's pid_max */
#define PID_HEADS	  512
#define PID_NAMESPACE_DEPTH 32 /* levels below the first, as on Linux: ENOSPC beyond */
#define POSIX_TIMERS_MAX  256	/* timers of a process: EAGAIN beyond */

struct cgroup;
struct cgroup_namespace;
struct inherit_waiter;
struct user_account;
struct sem_undo_list;
struct session;
struct seccomp_filter;
struct uts_namespace;
struct ipc_namespace;
struct namespace;
struct process_handle;
struct async_task;

/* Who has which number (proc/pid_namespace.c). */
struct pid_namespace {
	struct namespace base;	      /* first */
	struct pid_namespace *parent; /* C: with a reference; null: the first */
	unsigned level;		      /* C: 0: the first */
	struct process *init;	      /* T: number 1; null: not yet, or its end is complete */
	bool ended;		      /* T: nobody comes any more */
	int reboot_signal;	      /* T: what its init is said to have died of; 0: what it did die of */
	uint32_t used;		      /* T: numbers */
	size_t next;		      /* T: the number that is tried next */
	struct wait_queue emptied;    /* woken when a number becomes free, once `ended` */
	uint64_t taken[BITMAP_WORDS(PID_LIMIT)]; /* T */
	struct hash_head heads[PID_HEADS];	 /* T: of struct pid_number */
};

extern struct pid_namespace pid_namespace_first;

/* T. */
struct pid_number {
	struct hash_link link;
	struct pid_namespace *ns;
	struct pid_entry *entry;
	int number;
};

/* Numbers in use, for one thing: as a thread's id, a process's, a process group's, a session's. All T, but ns, level and numbers. */
struct pid_entry {
	struct pid_namespace *ns; /* C: the innermost, with a reference unless it is the first */
	unsigned level;		  /* C: of ns */
	uint32_t uses; /* the task or process, each member of the group, the session; 0: the number is free again */
	struct task *task;	 /* the living thread of that id, or null */
	struct process *process; /* the process of that id (perhaps a zombie), or null */
	struct list members;	 /* process.group_link of the group of that id */
	struct pid_number numbers[]; /* C once given: one a level, from the first namespace on */
};

/* What clone() may share between processes: the signal handlers. */
struct signal_actions {
	struct refcount refs;
	struct spinlock lock; /* guards action[]; taken inside signal_lock */
	struct signal_action action[SIGNAL_COUNT];
};

/* CPU time and events, summed up. */
struct task_usage {
	uint64_t run_ns, system_ns;
	uint64_t faults_minor, faults_major, switches, preemptions;
	uint64_t peak_resident_pages;
	uint64_t io_bytes[2], io_calls[2]; /* of read(2) and its like, of write(2) and its like */
};

/* What leaving a group and a session unlinked: freed when no lock is held. */
struct group_leftovers {
	struct pid_entry *group, *session_id;
	struct session *session;
};

enum process_state { PROCESS_ALIVE, PROCESS_ZOMBIE, PROCESS_REAPED };
enum core_state { CORE_NONE, CORE_BEING_WRITTEN, CORE_OVER }; /* proc/coredump.c */

struct interval_timer {
	struct timer timer;
	uint64_t interval_ns; /* S: 0: once */
	uint64_t expires_ns;  /* S: on the clock in question; 0: not set */
	bool used;	      /* S: ever set, so that it must be cancelled in the end */
};

/*
 * What there is to know of a thread that another traces (ptrace.c). T, but for what says otherwise; while it is stopped its tracer works on
 * these, and on its registers.
 */
enum { TRACE_INTERRUPT = 1, TRACE_NOTIFY = 2 }; /* its tracer wants it; a stop of its process began or ended */
enum trace_state { TRACE_RUNNING, TRACE_STOPPED, TRACE_LISTENING };

struct task_trace {
	struct task *tracer; /* null: nobody traces it. The thread itself, and senders of signals, look at it without a lock */
	struct list link;    /* in tracer->tracees, with a reference to the thread */
	struct cred *cred;   /* of who began it, as they were then, with a reference; null: nobody traces it */
	uint32_t options;    /* PTRACE_O_* */
	bool seized;
	uint8_t interrupt;   /* A: TRACE_INTERRUPT, TRACE_NOTIFY: it is to stop with PTRACE_EVENT_STOP */
	uint8_t state;	     /* enum trace_state; likewise */
	uint8_t resumed;     /* how it was, the last time: PTRACE_CONT, PTRACE_SYSCALL or PTRACE_SINGLESTEP; read by itself without a lock */
	uint8_t call_stop;   /* PTRACE_SYSCALL_INFO_*: what kind of stop this one is */
	bool has_info;	     /* `info` is that of this stop */
	bool dead;	     /* it has exited with `exit_status`, and its tracer has not waited for it yet */
	int code;	     /* of the stop, as the wait status has it above its first byte; 0: wait() has reported it */
	int signal;	     /* what its tracer resumed it with */
	int exit_status;
	uint64_t message;    /* PTRACE_GETEVENTMSG */
	struct signal_info info;
};

struct process {
	struct refcount refs; /* one for each task, one until it is reaped, and passers-by */
	int pid;	      /* C: in the first namespace */
	bool is_init;	      /* C: process 1 of its namespace: spared by signals that it has no handler for */
	struct pid_namespace *pid_ns; /* C: with a reference; null: in none yet */

	struct pid_entry *id;	     /* T */
	struct process *parent;	     /* T */
	struct list children;	     /* T: their `sibling` */
	struct list sibling;	     /* T */
	struct pid_entry *group;     /* T */
	struct list group_link;	     /* T */
	struct session *session;     /* T */
	enum process_state state;    /* T */
	int exit_signal;	     /* T: what the parent gets when this one ends */
	int creator_tid;	     /* C: the thread that made it (__WNOTHREAD) */
	bool subreaper, has_execed;  /* T */
	uint32_t execs;		     /* A: programs that it has begun since it was made */
	uint8_t wait_stopped;	     /* T: the signal of a stop that wait() has not reported */
	bool wait_continued;	     /* T: a continuation that wait() has not reported */
	struct task_usage children_usage; /* T: of those that were waited for */
	char last_name[16];	     /* T: a zombie's */
	uint32_t exit_uid;	     /* T: likewise */
	struct group_leftovers left; /* of a reaped one: freed with it */
	struct pid_entry *left_id;
	struct task *traced_leader;	/* T: its main thread, which has exited and whose tracer has not waited for it; or null */
	struct wait_queue child_wait;	/* threads in wait() */
	struct cgroup *cgroup;		/* T: the group that it is in, also as a zombie; with a reference; null: in none yet */
	struct process_handle *handle;	/* T: what pidfds stand for, with a reference; null: there has been none */

	struct spinlock signal_lock;
	struct signal_actions *actions; /* S (exec); others with proc_lock: LOAD_ACQUIRE, and they may follow it */
	struct signal_queue pending;	/* S: for any thread */
	uint32_t queued;		/* S: entries in pending and in the tasks' queues */
	struct list tasks;		/* S, and T for changes: living threads */
	uint32_t task_count;		/* S: of them */
	uint32_t live;			/* S: threads that have not begun to exit */
	bool group_exit;		/* S: all threads are to exit ... */
	int exit_status;		/* S: ... with this, as wait() shows it */
	struct task *exec_task;		/* S: it execs and waits for the others to go */
	uint32_t continues;		/* S: SIGCONTs so far: a stop that was decided on before one is void */
	uint32_t stops_passed;		/* S: threads that their tracers made run again during this one */
	uint32_t stops;			/* S: stops so far, so that a thread knows that its own is over */
	uint8_t stop_signal;		/* S: threads are to stop; 0: run */
	bool stopped;			/* S: all have */
	uint32_t stopped_tasks;		/* S */
	bool notify_continued;		/* S: the first thread to run tells the parent */
	struct task_usage dead_usage;	/* S: of threads that have exited */
	struct task_usage looked_usage; /* S: of all, as timers of CPU time saw it last */
	uint64_t looked_ns;		/* S: and when; 0: never */
	struct interval_timer real, virtual, profile; /* itimers */
	struct list timers;		/* S: struct posix_timer */
	int next_timer;			/* S */
	struct timer cpu_limit;		/* RLIMIT_CPU */
	bool cpu_limit_used;

	struct rlimit64 limits[RLIM_NLIMITS]; /* S for writing; single words are read without */
	struct user_account *account;	      /* OT: whose RLIMIT_NPROC it counts for */
	uint64_t start_ns;		      /* C: clock */
	uint8_t dumpable;		      /* A */
	uint16_t core_filter;		      /* A: /proc/PID/coredump_filter */
	uint8_t core_state;		      /* S: enum core_state */
	bool core_killed;		      /* S: by SIGKILL, while the core file was being written */
	uint32_t core_missing;		      /* S: threads that are still to halt for it */
	struct wait_queue core_wait;	      /* for core_missing to become 0, and for CORE_OVER */
	uint64_t oom_since_ns;		      /* T: since when others wait for its memory, because it is dying; 0: nobody does */
	int16_t oom_score_adj;		      /* A */
	int16_t oom_score_adj_min;	      /* proc_lock for writing: less is set with CAP_SYS_RESOURCE alone */
	uint32_t personality;		      /* A */
};

struct task {
	struct thread thread; /* first: see task_of_thread() */
	struct process *process;     /* C: with a reference */
	struct refcount refs;	     /* one for the thread until its last switch, and passers-by */
	struct hal_user user;
	struct list process_link;    /* S: process.tasks */
	struct pid_entry *id;	     /* T */
	int tid;		     /* OT: in the first namespace */
	int own_tid;		     /* OT: in its process's namespace */
	bool worker;		     /* C: see task_worker_start() */
	bool past_core;		     /* S: its end has begun: no core file waits for it */
	bool core_halted;	     /* S: it stands still for one, which shows it */
	bool gone;		     /* T: it is exiting and has dropped (or will drop) files, fs and vm */

	uint64_t blocked;	     /* O, and under S: mask */
	uint64_t saved_blocked;	     /* O: what THREAD_WORK_RESTORE_MASK restores */
	uint64_t waiting_for;	     /* S: of sigtimedwait */
	struct signal_queue pending; /* S */
	struct hal_altstack altstack; /* O */
	uint64_t fault_addr, fault_code, fault_trap; /* O: of the last synchronous fault, for sigcontext */
	bool no_restart;	     /* O: what is in the result register only looks like a call to restart */

	uaddr_t set_child_tid, clear_child_tid; /* O */
	uaddr_t rseq;		     /* O: the area of rseq(2), or 0 */
	uint32_t rseq_signature;     /* O */
	uaddr_t robust_list;	     /* O, read by get_robust_list */
	struct {		     /* of priority inheritance; by inherit_lock (proc/inherit.c) */
		struct rb_tree owned;	      /* locks that others wait for */
		struct inherit_waiter *waits; /* for one of another's, or null */
		uint8_t lent;		      /* urgency, URGENCY_NONE */
		bool ended;		      /* it will own nothing any more */
	} inherit;
	struct task *vfork_parent;   /* OT: waits until this one execs or exits; with a reference */
	bool vfork_pending;	     /* T: its own child has not done so */
	struct seccomp_filter *seccomp; /* S for changes, which other threads make, too; the thread itself: LOAD_ACQUIRE */
	uint8_t seccomp_mode;	     /* likewise: SECCOMP_MODE_*; not disabled: thread.work has THREAD_WORK_TRACE */
	bool no_new_privs;	     /* A */
	struct uts_namespace *uts;   /* O; others with proc_lock: LOAD_ACQUIRE. With a reference; null: it is exiting */
	struct ipc_namespace *ipc;   /* likewise */
	struct cgroup_namespace *cgroup_ns; /* likewise */
	struct pid_namespace *pid_ns_children; /* likewise: that of children to come */
	uint8_t death_signal;	     /* O: prctl(PR_SET_PDEATHSIG) */
	uint32_t timer_slack_ns;     /* O */
	uint8_t mempolicy;	     /* O: of sys_mempolicy.c; 0: none */
	uint16_t io_priority;	     /* A: ioprio_set(2): class and level; 0: none was set */
	struct sem_undo_list *sem_undo; /* O: ipc's, or null */
	uint64_t io_bytes[2], io_calls[2]; /* O, read freely: as in task_usage */
	struct async_task *async;    /* O: what it has asked for asynchronously; null: nothing yet. Of a worker: whom it works for */
	struct {
		uint64_t (*fn)(struct task *); /* O: what restart_syscall(2) goes on with; null: nothing */
		uint64_t deadline_ns;
		uaddr_t user;
		uint64_t value;
		uint32_t flags, bits;
	} restart;
	struct cred *own_cred;	     /* OT: while it acts as another (task_act_as()): its own; else null */
	struct task_trace trace;
	struct list tracees;	     /* T: their trace.link */
	bool traces_no_more;	     /* T: it is exiting */
	uint32_t stop_seen;	     /* S: process.stops of a stop that it took part in and that its tracer ended for it */
	bool freeze;		     /* A, written under T: it is to stand still (proc/freeze.c) */
	bool frozen;		     /* T: it does */
	bool halted;		     /* A: it sleeps where no signal reaches it */
	uint32_t sample;	     /* O: kernel entries until the next that is timed */
	struct profile_sample *profile_samples; /* O, interrupts off: of the profiler, that lack their user frames (proc/profile.c) */
};

extern struct spinlock proc_lock; /* _irq: terminals signal groups from interrupts */
extern struct process *process_init; /* process 1 */

static inline struct task *task_of_thread(struct thread *t)
{
	return (struct task *)(void *)t;
}

/* The running task, where it is known that there is one: in a system call. */
static inline struct task *task_self(void)
{
	return task_of_thread(thread_current());
}

static inline struct process *process_self(void)
{
	return task_self()->process;
}

/* How proc keeps undo lists of semaphores without knowing them; filled by ipc. */
struct task_sem_undo_ops {
	int (*share)(struct task *child, struct task *from); /* CLONE_SYSVSEM: 0 or -ENOMEM */
	void (*leave)(struct task *t);			     /* the end of the task, or of its sharing; may sleep */
};
extern const struct task_sem_undo_ops *task_sem_undo_ops; /* null: there are none */

/* ---- numbers (proc/pid.c) ---- */

/* The numbers by which the running process knows a process or a thread: 0: it does not see it. */
int process_number(const struct process *p); /* the running process, or by proc_lock */
int task_number(const struct task *t);	     /* likewise */
/* The running process's number as p knows it; 0: p does not see it. */
int process_number_for(const struct process *p);

/* How proc keeps IPC namespaces without knowing them; filled by ipc. */
struct task_ipc_ops {
	int (*create)(struct user_namespace *owner, struct ipc_namespace **ret); /* an empty one: 0, -ENOSPC, -ENOMEM */
	struct namespace *(*base)(struct ipc_namespace *ns);
	struct ipc_namespace *(*of)(struct namespace *base); /* null: it is of another kind */
	struct ipc_namespace *first;
};
extern const struct task_ipc_ops *task_ipc_ops; /* null: there is no ipc */

/* How proc keeps what tasks ask for asynchronously without knowing it; filled by uring. */
struct task_async_ops {
	void (*leave)(struct task *t);	     /* t, a task and no worker, execs or exits: nothing of it may go on. May sleep */
	void (*worker_gone)(struct task *t); /* a worker exits */
	bool (*leaving)(const struct task *t); /* does its task wait for the running worker to go? */
};
extern const struct task_async_ops *task_async_ops; /* null: there are none */

/* ---- workers: threads of a process that never leave the kernel (proc/worker.c) ---- */

/*
 * Makes and starts a thread of the running task's process that runs fn(its task) and must end by task_worker_exit(). It shares all that threads
 * share, has all signals blocked, and looks at task_worker_pending() and task_worker_settle(). `async` is its task.async.
 * 0; -ENOMEM; -EAGAIN (limits); -ERESTARTNOINTR: the process is stopping, ending or in execve.
 */
int task_worker_start(const char *name, void (*fn)(void *task), struct async_task *async);

/* Something waits for the worker to call task_worker_settle(), which stops with its process, or ends with it: nothing may be held. */
bool task_worker_pending(void);
void task_worker_settle(void);
_Noreturn void task_worker_exit(void);

/* task_async_ops->leaving() has begun to say so for the workers of `async`: those that have stopped go on. */
void task_workers_go_on(const struct async_task *async);

/* The running task acts as `c` from now on; null: as itself again. The caller keeps `c`. What others may do to the task does not change. */
void task_act_as(struct cred *c);

/* What t is, whoever it acts as. t is the running task, or proc_lock is held. */
static inline struct cred *task_own_cred(const struct task *t)
{
	return t->own_cred ? t->own_cred : t->thread.cred;
}

/* How many there are now, and how many there have been. */
uint32_t task_total(void);
uint64_t task_started(void);

/* The process with the next number above `after` that the running process sees, with a reference; null: there is none. */
struct process *process_next(int after, int *ret_number);
/* Calls fn for each process, zombies too, with proc_lock held; it is released between them, and some may come and go. */
void process_for_each(void (*fn)(struct process *p, void *arg), void *arg);

/* With a reference, or null. */
struct task *task_find(int tid);
void task_put(struct task *t);

/* t's own priority or nice value was changed: it may be another's turn where it waits (proc/inherit.c). */
void task_urgency_changed(struct task *t);
/* For checks: t is lent what it should be, and waits in the right place. False, too, between a change of priority and the call above. */
bool inherit_is_settled(const struct task *t);

/* ---- what counts for a user (proc/account.c) ---- */

/* Room in message queues for the running process's user: the account, with a reference; null: RLIMIT_MSGQUEUE allows no more. */
struct user_account *account_charge_queue(uint64_t bytes);
void account_uncharge_queue(struct user_account *a, uint64_t bytes); /* and drops the reference */

/* ---- namespaces (proc/unshare.c, setns.c) ---- */

struct uts_namespace *task_uts(void); /* the running thread's; a kernel thread has the system's */
bool task_uts_capable(unsigned capability); /* over that */

/* setns(2): into one namespace. 0, -EPERM; -EINVAL: its working directory is shared, and others; -ENOMEM. May sleep. */
int task_set_namespace(struct namespace *ns);
/* setns(2) with a pidfd: into the process's namespaces of these kinds (CLONE_NEW*), all or none. Likewise, and -ESRCH. */
int task_set_namespaces(struct process_handle *of, uint64_t kinds);

/* Is the running thread's user namespace one that may act over that of its pids? (clone3's set_tid, ns_last_pid) */
bool pid_namespace_capable(unsigned capability);
/* Is the running process in the first namespace of pids? */
static inline bool process_sees_all(void)
{
	return process_self()->pid_ns == &pid_namespace_first;
}

/* reboot(2) of a namespace of pids: its init dies, as if by `signo`. Does not return. */
_Noreturn void pid_namespace_reboot(int signo);

/* ---- filters of system calls (proc/seccomp.c) ---- */

/* What the running task hands to one that it creates. By the new one's signal_lock, which the creator's is if it is a thread. */
void task_seccomp_inherit_locked(struct task *t);

/* How many filters t has. By proc_lock. */
unsigned task_seccomp_depth(const struct task *t);

/* The running task may only read, write, exit and return from signals from now on. -EINVAL: it has filters. */
int task_seccomp_strict(void);

/*
 * Gives the running task, or all threads of its process, the filter, whose reference is then theirs. Else it stays the caller's: -EINVAL in
 * strict mode; -EAGAIN if f->prev is no longer what the task has; the id of a thread whose filters are no earlier state of these.
 */
int task_seccomp_install(struct seccomp_filter *f, bool all_threads);

/* Names the running task: at most 15 characters of `name` (prctl(2), PR_SET_NAME). */
void task_set_name(const char *name);

/* What a process's main thread uses, with a reference, or null when it is past having one. */
struct vm_space *process_get_vm(struct process *p);
struct fs_context *process_get_fs(struct process *p);

/* setpgid, getpgid and getsid (0: the running process), setsid of the running process. */
int process_set_group(int pid, int pgid);
int process_related_id(int pid, bool session);
int session_create(void);

#endif
