/* SPDX-License-Identifier: MIT */
/*
 * Processes. A task is a user thread (struct thread inside); a process is a thread group. What the floors beside and above proc need.
 */
#ifndef CLOUDOS_PROC_H
#define CLOUDOS_PROC_H

#include <cloudos/cred.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/refcount.h>
#include <cloudos/thread.h>
#include <cloudos/types.h>
#include <cloudos/wait.h>

struct hal_user;
struct process;
struct task;
struct hal_user;

/* Runs the system call that u's registers ask for; filled by the floor above. */
extern void (*process_syscall)(struct hal_user *u);

/* How a user thread reaches the floor above: runs the call that u's registers ask for. Filled by syscall. */
extern void (*process_syscall)(struct hal_user *u);

/* The running task and its process; null in a kernel thread. */
struct task *task_current(void);
struct process *process_current(void);

/*
 * Processes, threads and groups go by their numbers in the first namespace of pids, and are found by them; what a program says and hears
 * is translated: 0 stands for one that it does not see. Not in interrupts.
 */
int process_pid(const struct process *p);
struct process *process_find(int pid); /* with a reference, or null */
int pid_seen(int pid);	   /* as the running process sees it */
int pid_global(int number); /* who has this number for the running process */
void process_get(struct process *p);
void process_put(struct process *p);

/* Makes process 1 from a file of the root file system and starts it: argv[0..n). Errors as execve. */
int process_start_init(const char *path, const char *const *argv, const char *const *envp);

/* ---- signals, from the kernel ---- */

/* To a process / all of a process group / the running thread. SI_KERNEL. Any context but the first may not be called in interrupts. */
void signal_process(struct process *p, int signo);
int signal_group(int pgid, int signo); /* 0 or -ESRCH; any context */
void signal_self(int signo);
/* Is signo blocked or ignored by the running thread? (job control in the tty) */
bool signal_is_ignored(int signo);

/*
 * The signal mask that ppoll, pselect6, epoll_pwait and sigsuspend put in place for the length of the call (SIGKILL and SIGSTOP stay
 * out of it). At the call's end: `interrupted` leaves it to the way back to user mode to restore the old one, behind the handler.
 */
void signal_mask_begin(uint64_t mask);
void signal_mask_end(bool interrupted);

/* ---- process groups, sessions, controlling terminals (for tty) ---- */

int process_pgid(const struct process *p);
int process_sid(const struct process *p);
bool process_is_session_leader(const struct process *p);
bool process_group_orphaned(int pgid);
bool process_group_exists(int pgid);
bool process_group_in_session(int pgid, int sid);

struct tty;
/* The controlling terminal of the running process's session, with a reference, or null; set by TIOCSCTTY, cleared by TIOCNOTTY and hang-up. */
struct tty *session_get_tty(void);
int session_set_tty(struct tty *t, bool steal);
void session_clear_tty(struct tty *t);
void session_hang_up(void); /* the running process's terminal, if it has one */
/* How proc keeps terminals without knowing them; filled by tty. */
struct session_tty_ops {
	void (*get)(struct tty *t);
	void (*put)(struct tty *t);
	void (*hang_up)(struct tty *t);
	void (*leader_exit)(struct tty *t); /* SIGHUP to the foreground group, detach */
	int (*number)(struct tty *t);	    /* tty_nr of /proc/pid/stat */
};
extern const struct session_tty_ops *session_tty_ops;

/* Resource limits of the running process (RLIMIT_*): the soft limit. */
uint64_t process_limit(unsigned resource);

extern bool process_traced; /* all threads have THREAD_WORK_TRACE; set before the first of them is made */

#endif
