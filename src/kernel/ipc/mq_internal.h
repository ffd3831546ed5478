/* SPDX-License-Identifier: MIT */
/*
 * POSIX message queues: mq.c passes messages, mq_notify.c tells a process that one has come, mq_fs.c is the file system in which the queues are.
 *
 *   M1  Messages go out by priority, the highest first, and among equals in the order in which they came.
 *   M2  While somebody waits to receive, the queue is empty; while somebody waits to send, it is full. So whoever puts a message in hands it to the
 *       first that waits instead, and whoever takes one out puts in that of the first who waits.
 *   M3  Of those who wait the most urgent thread is the first, among equals the one that waits longest.
 *   M4  A process is told at most once, when a message comes into an empty queue that nobody waits for; then its registration is gone, as it is when
 *       the process closes any descriptor of the queue.
 *   M5  What the messages of a queue can take up at most counts for the user who made it (RLIMIT_MSGQUEUE), from making to the end.
 *
 * Locking: mq.lock (RANK_IPC). Poll looks at the count without it.
 */
#ifndef MQ_INTERNAL_H
#define MQ_INTERNAL_H

#include <cloudos/fs.h>
#include <cloudos/mqueue.h>
#include <cloudos/rbtree.h>
#include <cloudos/task.h>
#include "ipc_internal.h"

/* Linux's, but for the longest message, which is 16 MiB there. */
#define MQ_QUEUES_DEFAULT 256
#define MQ_COUNT_DEFAULT  10
#define MQ_COUNT_HARD	  65536 /* messages of a queue: EINVAL beyond, for everybody */
#define MQ_SIZE_DEFAULT	  8192
#define MQ_SIZE_LEAST	  128 /* that /proc takes for msgsize_max */
#define MQ_SIZE_HARD	  (UINT64_C(1) << 20)

/* What a mounted file system of queues has, to its end; limits that /proc/sys/fs/mqueue shows and sets. All atomic. */
struct mq_instance {
	uint64_t queues, queues_max; /* how many there are: ENOSPC beyond */
	uint64_t count_max, size_max; /* messages of a queue, bytes of one: EINVAL beyond, for most */
	uint64_t count_default, size_default; /* if mq_open() asks for nothing */
	bool ended; /* its namespace has */
};

/* Who wants to hear of the next message. By mq.lock. */
struct mq_listener {
	struct process *process; /* with a reference; null: nobody */
	uint32_t execs;		 /* of the process: a later program is not told */
	int how;		 /* SIGEV_SIGNAL or SIGEV_NONE */
	int signo;		 /* 0: none */
	sigval_t value;
};

/* Fields: C = constant; L = by lock. */
struct mq {
	struct inode inode;
	struct mutex lock;
	struct rb_tree messages;	  /* L: in the order of M1 */
	uint64_t count, bytes;		  /* L: of them; count is read freely */
	uint64_t count_max, size_max;	  /* C */
	struct list senders, receivers;	  /* L: struct ipc_waiter, in the order of M3 */
	struct wait_queue changed;	  /* for poll */
	struct mq_listener listener;	  /* L */
	struct user_account *account;	  /* C */
	uint64_t charged;		  /* C: bytes */
};

/* ---- mq.c ---- */

void mq_setup(struct mq *q);
void mq_drop_messages(struct mq *q); /* nobody uses it any more */

/* ---- mq_notify.c; q->lock held ---- */

void mq_tell_locked(struct mq *q);   /* a message has come into the empty queue */
void mq_forget_locked(struct mq *q); /* nobody is to be told */
/* The running process's own registration goes; false: it has none. */
bool mq_withdraw_locked(struct mq *q);

/* ---- mq_fs.c ---- */

int mq_init(void);
/* A file system for the queues of a new namespace, and its limits: 0, -ENOMEM; and its end. May sleep. */
int mq_begin(struct ipc_namespace *ns);
void mq_end(struct ipc_namespace *ns);

#endif
