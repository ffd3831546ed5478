/* SPDX-License-Identifier: MIT */
/* What the files of proc share. Lock order: proc_lock, then a process's signal_lock, then its actions' lock. */
#ifndef PROC_INTERNAL_H
#define PROC_INTERNAL_H

#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/inspect.h>
#include <cloudos/log.h>
#include <cloudos/mm.h>
#include <cloudos/string.h>
#include <cloudos/task.h>
#include <cloudos/user_namespace.h>

/* ---- pid.c: numbers ---- */

/* As the running process numbers them; null: free. Not in interrupts. */
struct pid_entry *pid_lookup_locked(int number);
struct pid_entry *pid_lookup_in_locked(struct pid_namespace *ns, int number);
struct pid_entry *pid_lookup_global_locked(int number);
/*
 * Gives `e` a free number in its namespace and each one above, and one use. `wanted`: numbers to choose, the innermost first. 0; -EAGAIN: all
 * are taken; -EEXIST: a wanted one is; -ENOMEM: the namespace has ended; -EINVAL: it has not begun, and 1 is not wanted.
 */
int pid_assign_locked(struct pid_entry *e, const int *wanted, unsigned wanted_count);
/* Drops a use; returns the entry when that was the last one: the caller frees it once proc_lock is released. */
struct pid_entry *pid_drop_locked(struct pid_entry *e);
struct pid_entry *pid_entry_alloc(struct pid_namespace *ns); /* or null */
void pid_entry_free(struct pid_entry *e); /* null: nothing */
int pid_next_in_locked(struct pid_namespace *ns, int after); /* the smallest number of a process above `after`, or -1 */
/* Its number there: 0: it has none. */
int pid_number_in(const struct pid_entry *e, const struct pid_namespace *ns);
int pid_number_seen(const struct pid_entry *e); /* by the running process */
/* Its numbers there and in the namespaces below, down to its own: how many. One 0: it has none. */
unsigned pid_numbers_below(const struct pid_entry *e, const struct pid_namespace *ns, int ret[PID_NAMESPACE_DEPTH + 1]);
static inline int pid_number_global(const struct pid_entry *e)
{
	return e->numbers[0].number;
}
/* The number before the one that is tried next; 0 .. PID_LIMIT-1. */
int pid_last(void);
void pid_set_last(int last);
int pid_init(void);

/* ---- pid_namespace.c ---- */

struct pid_namespace *pid_namespace_current(void); /* the running process's */
struct pid_namespace *pid_namespace_of(struct namespace *base); /* null: it is of another kind */
bool pid_namespace_in(const struct pid_namespace *ns, const struct pid_namespace *top); /* below it, or the same */
/* 0, -EINVAL (the owner has no right in `up`), -ENOSPC, -ENOMEM. */
int pid_namespace_create(struct pid_namespace *up, struct user_namespace *owner, struct pid_namespace **ret);
/* The last thread of its init ends: all others in it go first. May sleep long. */
void pid_namespace_end(struct task *t);

/* ---- task.c, process.c: storage ---- */

/* A task with its FPU area and kernel stack, to begin in entry(task); not linked anywhere. Null: out of memory. */
struct task *task_alloc_entry(const char *name, void (*entry)(void *));
void *task_fpu(struct task *t);
int task_caches_init(void);
void task_discard(struct task *t); /* one that never started */
_Noreturn void task_main(void *task);

struct process *process_alloc(void); /* zeroed but for its locks, lists and queues; one reference */
/* Some living task of a process, its main thread by preference; null: none. proc_lock held. */
struct task *process_any_task_locked(struct process *p);
/* Waits until nobody is between finding an object through a task and taking a reference to it. */
void proc_settle(void);
struct signal_actions *signal_actions_alloc(void); /* one reference, not filled in */
void signal_actions_put(struct signal_actions *a);

/* Room for one more task (the whole machine's bound, RLIMIT_NPROC): 0 or -EAGAIN. Undone by task_uncount(). */
int task_count(struct user_account *a, const struct cred *c, uint64_t limit);
void task_uncount(struct user_account *a);
uint32_t task_total(void);
uint32_t task_limit(void);

/* ---- oom.c ---- */

/* What a process with so many pages, in memory and elsewhere, counts when somebody must die. */
uint64_t process_oom_points(uint64_t pages, int adj);
void oom_init(void);

/* ---- account.c ---- */

struct user_account *account_get(uint32_t uid); /* with a reference; null: out of memory */
void account_hold(struct user_account *a);
void account_put(struct user_account *a);
void account_move(struct user_account *from, struct user_account *to, uint32_t n);
void account_init(void);

/* ---- group.c: groups, sessions ---- */

void group_join_locked(struct process *p, struct pid_entry *group, struct session *session);
/* Leaves group and session; what is to be freed after the lock is released goes to *ret. */
void group_leave_locked(struct process *p, struct group_leftovers *ret);
void group_leftovers_free(struct group_leftovers *l);
bool group_orphaned_locked(const struct pid_entry *group, const struct process *without);
/*
 * The tie between p and `parent` goes, because one of them ends: SIGHUP and SIGCONT to p's group if that was the last one that kept it from
 * being orphaned, and it has stopped members. `without`: p itself, if it is the one that ends.
 */
void group_hang_up_if_orphaned_locked(struct process *p, const struct process *parent, const struct process *without);
void session_leader_exit(struct process *p); /* may sleep */
struct session *session_alloc(void);
void session_first_locked(struct session *s, struct process *p); /* process 1 */
int session_tty_number_locked(const struct process *p);
struct pid_entry *session_id_entry_locked(const struct process *p); /* or null */

/* ---- signals ---- */

int signal_queue_caches_init(void);
bool signal_ignored(const struct process *p, int signo); /* by action alone; no lock */
void signal_queue_init(struct signal_queue *q);
int signal_queue_add_locked(struct process *p, struct signal_queue *q, const struct signal_info *info);
void signal_wake(struct task *t); /* it looks at its signals soon; any context */
/* S. Takes the next entry of `set`, some of which is pending, off. */
void signal_dequeue_first_locked(struct process *p, struct signal_queue *q, uint64_t set, struct signal_info *ret);
/* S. Takes the next entry of `mask` off; false: none. */
static inline bool signal_dequeue_locked(struct process *p, struct signal_queue *q, uint64_t mask, struct signal_info *ret)
{
	if (!(q->set & mask))
		return false;
	signal_dequeue_first_locked(p, q, q->set & mask, ret);
	return true;
}
void signal_queue_flush_locked(struct process *p, struct signal_queue *q, uint64_t mask);
/* Does it tell who sent it? The user is a kernel id until it is delivered; the process is numbered as the receiver sees it from the start. */
bool signal_has_sender(const struct signal_info *info);
/* Details of a signal that is pending, as a receiver in `ns` is told them; `info` may be `ret`. */
void signal_info_shown(const struct signal_info *info, const struct user_namespace *ns, struct signal_info *ret);
/* kill(2) of one process, proc_lock held: permission and all. signo 0 only asks. */
int signal_kill_process_locked(struct process *p, const struct signal_info *info);
int signal_send_locked(struct process *p, struct task *only, const struct signal_info *info);
/* S. A timer's signal: its own entry, which is not on a queue now. False: ignored. */
bool signal_send_entry_locked(struct process *p, struct task *only, struct signal_entry *e);
/* S. Marks every thread for exit; `except` may be null. */
void signal_group_exit_locked(struct process *p, int status, struct task *except);

/* Sees to signals, stops and exits on the way to user mode; from_call: a system call has just returned. May not return. */
void signal_deliver(struct task *t, bool from_call);

/* signalfd.c */
void signalfd_init(void);
void signalfd_notify_locked(struct process *p); /* S: a signal has become pending */

/* stop.c */
void stop_begin_locked(struct process *p, int signo);
void stop_continue_locked(struct process *p);
bool stop_due(const struct task *t); /* the running task is to stop */
bool stop_spares(const struct task *t); /* a worker that is waited for takes part in no stop */
void stop_here(struct task *t); /* the running task stops until told to go on */
void stop_task_left_locked(struct process *p, bool *ret_notify); /* one exits while others stop */
void stop_notify_parent(struct process *p, bool continued);

/* freeze.c: of the running task */
bool freeze_due(const struct task *t); /* it is to stand still */
void freeze_here(struct task *t);      /* and does, until told to go on */
/* It begins, or ends, to sleep where no signal reaches it: that counts as frozen. */
void freeze_halt_begin(struct task *t);
void freeze_halt_end(struct task *t);

/* ---- exec.c, fork.c, exit.c ---- */

_Noreturn void task_exit(int status);	       /* the running thread alone; status: if it is the main one */
_Noreturn void process_exit_group(int status); /* all threads */
void task_vfork_done(struct task *t);

/* As much of clone(2) as makes another thread of the running task's process that begins in fn(task): 0 or an errno. */
int task_clone_thread(const char *name, void (*fn)(void *), void (*setup)(struct task *, void *), void *arg);

/* ---- coredump.c ---- */

/* What core files have beside memory that is the program's own: bits of /proc/PID/coredump_filter (core(5)), Linux's default and its mask. */
#define COREDUMP_FILTER_DEFAULT 0x33
#define COREDUMP_FILTER_MASK	0x1ff

/*
 * The running thread dies of a signal that leaves a core file: its process ends, and the file is written if there is to be one. True: it was, at
 * least in part. May sleep long.
 */
bool coredump_write(struct task *t, const struct signal_info *info);
/* The running thread begins its end: halts until a core file in which it is shown is complete. True if it did. May sleep long. */
bool coredump_halt(struct task *t);
/* S. SIGKILL comes to a process that ends: a core file that is being written ends where it is. */
void coredump_killed_locked(struct process *p);

/* It gives its memory back soon: one whose core file is still being written does not. */
static inline bool process_dying(const struct process *p)
{
	return READ_ONCE(p->group_exit) && (READ_ONCE(p->core_state) != CORE_BEING_WRITTEN || READ_ONCE(p->core_killed));
}

#define EXIT_STATUS_CORE 0x80 /* in a wait status: WCOREDUMP */
/* What wait() and the like tell of an end: CLD_*, and the status or signal. */
int exit_code_of(int status, int *ret_status);

/* unshare.c */
#define CLONE_NAMESPACES                                                                                                      \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)
#define CLONE_NAMESPACES_KNOWN (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID)
int task_unshare_files(void); /* 0 or -ENOMEM */
int task_check_namespaces(uint64_t flags); /* of clone or unshare: 0, -EINVAL, -EPERM */
/* Parts of a task that is being cloned, credentials first: 0, -EPERM, -ENOSPC, -ENOMEM ...; what it has then is its own to drop. */
int task_clone_cred(struct task *t, struct task *from, uint64_t flags);
int task_clone_fs(struct task *t, struct task *from, uint64_t flags);
int task_clone_namespaces(struct task *t, struct task *from, uint64_t flags);
void task_namespaces_put(struct task *t);

/* setns.c: for /proc/PID/ns: with a reference, or null. */
struct namespace *task_namespace(int pid, int tid, const char *name);
extern const char *const task_namespace_names[];


/*
 * Handlers go back to the default; what is ignored stays ignored, or not. The caller holds the signal_lock of the process that it is of,
 * or nobody else knows `a` yet.
 */
void signal_actions_reset(struct signal_actions *a, bool ignored_too);
void signal_actions_copy(struct signal_actions *to, struct signal_actions *from); /* likewise */
void process_reap_locked(struct process *p); /* the caller puts the children list's reference */
void process_put_list(struct list *reaped);  /* those references, of processes linked by `sibling` */
void process_usage_locked(struct process *p, struct task_usage *ret); /* proc_lock held; takes S */
void usage_add(struct task_usage *to, const struct task_usage *more);
void usage_keep_space(struct task *t);
void task_usage_now(struct task *t, struct task_usage *ret);

/* ---- inspect.c ---- */

/* As inspect_get_vm(); t may be null. */
int inspect_get_vm_locked(const struct task *t, enum inspect_ids ids, struct vm_space **ret);

/* ---- ptrace*.c: ..._locked: proc_lock held ---- */

struct wait_query;
void trace_inherit_locked(struct task *child, struct task *from); /* the child is linked in, and not started */
void trace_tracer_exits(struct task *self);			  /* the running thread lets go of its tracees; may sleep */
/* Its tracer is not to see it get more rights by exec. */
bool trace_confines(const struct task *t);
bool trace_confines_locked(const struct task *t);

/* Of the running thread t; all of these may sleep, and do nothing when nobody traces it. */
bool trace_wants(const struct task *t, unsigned event); /* PTRACE_EVENT_* that its tracer has asked for */
void trace_event(struct task *t, unsigned event, uint64_t message);
void trace_exec(struct task *t, int old_tid);
/* The number that `id` has for who traces `t`; 0: nobody does, or he cannot see it. */
int trace_number(const struct task *t, const struct pid_entry *id);
bool trace_signal(struct task *t, struct signal_info *info); /* false: there is nothing to deliver */
void trace_group_stop(struct task *t, int signo);
void trace_interrupted(struct task *t);
void trace_handler_entered(struct task *t);
/* A thread that was seized is to stop with PTRACE_EVENT_STOP. Any lock but that of a run queue may be held. */
void trace_interrupt(struct task *t, uint8_t why);

/* t has exited and been unlinked: true if its tracer is still to wait for it, and it keeps its number and a reference. */
bool trace_exits_locked(struct task *t, int status);
/* p is a zombie: does it belong to a tracer first? What the tie held goes to `released`, for trace_released_put(). */
bool trace_zombie_withheld_locked(struct process *p, struct list *released);
void trace_drop_leader_locked(struct process *p, struct list *released); /* another thread takes its place, by exec */
void trace_released_put(struct list *released, struct list *reaped);
int trace_wait_locked(struct wait_query *q); /* as process_wait(), of tracees */
bool trace_is_own_locked(const struct process *c);

/* exit.c: does its parent want no zombie of it (SIGCHLD is ignored, or SA_NOCLDWAIT)? */
bool process_is_unwanted_locked(const struct process *p);

/* exit.c: the zombie's tracer is done with it: the parent is told. `reaped` as there. */
void process_zombie_told_locked(struct process *p, struct list *reaped);

/* ---- pidfd.c ---- */

void process_handle_put(struct process_handle *h);
struct process *process_of_handle_locked(struct process_handle *h); /* null: it was reaped */
void process_handle_ended_locked(struct process *p); /* p has become a zombie */
void process_handle_reaped_locked(struct process *p);

/* ---- rseq.c: of the running thread, but for the child of a fork ---- */

void rseq_resume(struct task *t); /* on the way to user mode, THREAD_WORK_RSEQ being set */
int rseq_before_handler(struct task *t); /* t has an area: 0, or an errno that is to end in SIGSEGV */
void rseq_fork(struct task *t, const struct task *from);
void rseq_forget(struct task *t);

/* ---- inherit.c ---- */

void inherit_init_task(struct task *t);

/* ---- futex.c, futex_pi.c, futex_exit.c ---- */

void futex_init(void);
void futex_pi_init(void);
void futex_exit_robust(struct task *t);
/* The running task gives away the locks that others wait for; for_ever: it ends. May sleep. */
void futex_exit_pi(struct task *t, bool for_ever);
void futex_clear_tid(struct task *t);

/* ---- procfs.c ---- */

int proc_files_init(void);

/* ---- clocks of CPU time (cpu_clock.c): 0 or -EINVAL ---- */

int cpu_clock_read(int clock, uint64_t *ret_ns);
int cpu_clock_resolution(int clock, uint64_t *ret_ns);

void file_signals_init(void); /* file_signal.c */

/* ---- timers ---- */

void timers_process_init(struct process *p);
void timers_exit(struct process *p); /* cancels all; may sleep */
void timers_exec(struct process *p); /* POSIX timers do not survive exec */
void cpu_limit_arm(struct process *p);

#endif
