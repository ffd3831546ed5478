/* SPDX-License-Identifier: MIT */
/*
 * Signals: what system calls and the rest of proc need beyond the entry points of <cloudos/proc.h>. Numbers, SA_* and si_code values
 * are Linux's; a mask has bit signo-1.
 */
#ifndef CLOUDOS_SIGNAL_H
#define CLOUDOS_SIGNAL_H

#include <linux/signal.h>
#include <cloudos/list.h>
#include <cloudos/types.h>

#define SIGNAL_COUNT  64 /* signals 1 .. 64 */
#define SIGNAL_RT_MIN 32 /* from here on signals queue */
#define SIGNAL_ACTION_DEFAULT 0
#define SIGNAL_ACTION_IGNORE  1

static inline bool signal_valid(int signo)
{
	return signo >= 1 && signo <= SIGNAL_COUNT;
}

static inline uint64_t signal_bit(int signo)
{
	return UINT64_C(1) << (signo - 1);
}

#define SIGNALS_UNBLOCKABLE (signal_bit(SIGKILL) | signal_bit(SIGSTOP))
#define SIGNALS_STOP	    (signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU))
#define SIGNALS_SYNCHRONOUS                                                                        \
	(signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) | signal_bit(SIGTRAP) |     \
	 signal_bit(SIGFPE) | signal_bit(SIGSYS))
#define SIGNALS_IGNORED_BY_DEFAULT                                                                 \
	(signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) | signal_bit(SIGWINCH))

/* Laid out as Linux's struct sigaction (both 64-bit ABIs agree on it). */
struct signal_action {
	uint64_t handler, flags, restorer, mask;
};

/* The first part of Linux's siginfo_t, the only one that carries anything. */
struct signal_info {
	int signo, error, code, pad;
	union __sifields fields;
};

/* One signal waiting for delivery. A timer's entry is a part of the timer; all others come from a slab. */
struct signal_entry {
	struct list link;
	struct signal_info info;
	void (*dequeued)(struct signal_entry *); /* S: called when it is taken off; null: it is freed */
};

struct signal_queue {
	uint64_t set;
	struct list entries; /* a signal may be in `set` with no entry here: memory or the limit ran out */
};

struct task;
struct process;
struct cred;

/* Fills an info as kill(2) from the running process, or as the kernel itself, would. */
void signal_info_user(struct signal_info *info, int signo, int code);
void signal_info_kernel(struct signal_info *info, int signo);

/*
 * Sends to a process (any of its threads takes it) or a thread. 0, or -EAGAIN when a queued signal that must carry its info
 * could not be queued. Ignored signals are dropped. Any context; the caller keeps the target from going away.
 */
int signal_send_process(struct process *p, const struct signal_info *info);
int signal_send_task(struct task *t, const struct signal_info *info);

/* To the running thread, for what it just did (a fault, a refused call): can be neither blocked nor ignored. */
void signal_force(const struct signal_info *info);

/* kill(2), tgkill(2) and their queueing forms: permission, target and all. tgid 0: any process. signo 0 only asks. */
int signal_kill(int pid, const struct signal_info *info);
int signal_kill_thread(int tgid, int tid, const struct signal_info *info);

/* sigaction(2) of the running process; either may be null. 0 or -EINVAL. */
int signal_set_action(int signo, const struct signal_action *action, struct signal_action *ret_old);

/* Sets the running thread's mask, and sees that newly deliverable signals are delivered. */
void signal_set_blocked(uint64_t mask);

/* Signals that wait for the running thread and are blocked (sigpending). */
uint64_t signal_pending_set(void);

/* sigtimedwait(2): takes a pending signal of `set`, or waits for one. The number, -EAGAIN or -EINTR. */
int signal_wait(uint64_t set, uint64_t deadline_ns, struct signal_info *ret);

/* signalfd(2): a file with one reference (0, -ENOMEM); another mask (0, or -EINVAL: it is another kind of file). flags: O_NONBLOCK. */
struct file;
int signalfd_file_create(uint64_t mask, uint32_t flags, struct file **ret);
int signalfd_set_mask(struct file *f, uint64_t mask);

/* sigaltstack(2) of the running thread; either may be null. */
struct hal_altstack;
int signal_altstack(const struct hal_altstack *new, struct hal_altstack *ret_old);

/* rt_sigreturn(2): the result that the interrupted program has in its result register. */
int64_t signal_return(void);

#endif
