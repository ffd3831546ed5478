/* SPDX-License-Identifier: MIT */
/* What the files of uring share. The theory stands at the head of ring.c (memory and completions) and of submit.c (requests). */
#ifndef URING_INTERNAL_H
#define URING_INTERNAL_H

#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <cloudos/errno.h>
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/uaccess.h>
#include <cloudos/vfs.h>
#include "async.h"
#include "shared.h"

#define URING_ENTRIES_MAX  32768u /* submissions of a ring; completions: twice that */
#define URING_REQUESTS_MAX 32768u /* of a ring at a time: EAGAIN beyond */
#define URING_OVERFLOW_MAX 65536u /* completions kept for a full ring; more are dropped and counted */
#define URING_FILES_MAX	   32768u /* registered with a ring */
#define URING_BUFFERS_MAX  16384u
#define URING_GROUPS_MAX   1024u  /* groups of provided buffers */
#define URING_PERSONALITIES_MAX 64u
#define URING_ROUNDS_MAX   32 /* completions of one multishot request at a time */
#define URING_RETRIES_MAX  8 /* times that a file says ready and then is not, before a worker waits for it */

/* ---- requests ---- */

struct uring;
struct uring_request;

/* Instead of a result: what an operation's issue() wants. All are below any errno. */
enum uring_issue {
	URING_POLL = -10000, /* called again when the file has one of r->events */
	URING_WORK,	     /* called again in a worker, where it may block */
	URING_ARMED,	     /* it has been handed on, and is not the caller's any more */
};

enum uring_op_flags {
	OP_FILE = 1,	 /* r->file is that of sqe.fd */
	OP_BUFFERS = 2,	 /* IOSQE_BUFFER_SELECT is fine */
	OP_IOPRIO = 4,	 /* sqe.ioprio means something */
	OP_OWN_END = 8,	 /* issue() is called for cancelled ones as well */
	OP_BLOCKS = 16,	 /* always in a worker */
	OP_DATA_FREE = 32, /* r->data is from kmalloc */
	OP_IOPOLL = 64,	 /* may stand in a ring whose devices are polled */
};

struct uring_op {
	int (*prep)(struct uring_request *r); /* looks at r->sqe, takes what is in user memory: 0 or an errno */
	/* A result, or enum uring_issue. r->failed may be set beside a result >= 0: what is linked behind it is cancelled. */
	int64_t (*issue)(struct uring_request *r, bool may_block);
	void (*cleanup)(struct uring_request *r); /* null: nothing */
	uint32_t flags;
};

/* Null for an operation that is not there. */
const struct uring_op *uring_op(uint8_t opcode);

/* Fields: O = by its owner (async.c); R = by the ring's `state`; C = constant after prep. */
struct uring_request {
	struct async_job job;
	struct uring *ring;	    /* C: with a reference */
	const struct uring_op *op;  /* C */
	struct io_uring_sqe sqe;    /* C: a copy */
	struct list of_ring;	    /* R: among the ring's requests */
	struct list deferred;	    /* R: in ring->deferred, for the first of a chain */
	struct uring_request *next; /* O: what is linked behind it */
	struct uring_request *timeout; /* R: the linked time-out that guards it */
	struct uring_request *target;  /* R: of a linked time-out: whom it guards */
	struct file *file;	    /* O, compared freely: with a reference */
	void *data;		    /* O: the operation's */
	uint32_t events;	    /* O: POLL* for URING_POLL */
	int32_t result;		    /* O: of one that failed before it began */
	uint32_t cqe_flags;	    /* O: IORING_CQE_F_* of the last completion */
	uint8_t retries;	    /* O */
	uint8_t phase;		    /* O: the operation's */
	bool waiting;		    /* O: URING_POLL armed it */
	bool begun;		    /* R: it has been issued: it can be found by who cancels */
	bool failed;		    /* O: it breaks its chain */
	bool skip;		    /* O: a success is not told */
	bool skip_rest;		    /* O: nor are those cancelled that are linked behind it */
	bool selected;		    /* O: a provided buffer was taken: */
	uint16_t buffer_id, buffer_group;
	uint64_t buffer_addr;
	uint32_t buffer_len;
	/* of time-outs */
	uint64_t deadline_ns;	    /* R */
	uint32_t count_target;	    /* R: with OP_TIMEOUT's count: of ring->counted */
	struct list timeouts;	    /* R: in ring->counting, by count_target */
	bool counted_off;	    /* R: its count is reached */
};

/* ---- rings ---- */

struct uring_file_slot {
	struct file *file; /* with a reference, or null */
	uint64_t tag;
};

struct uring_buffer {
	uint64_t addr, len, tag; /* a range of user memory; len 0: none */
};

struct uring_group;
struct uring_restrictions {
	uint64_t ops[2], registers;  /* bit sets */
	uint8_t flags_allowed, flags_required;
	bool on;		     /* enforced */
	bool any;		     /* registered */
};

/* Where things lie in the ring's memory: each word that one side writes in a cache line of that side. */
enum {
	WORD_SQ_HEAD = 0,
	WORD_SQ_TAIL = 64,
	WORD_CQ_HEAD = 128,
	WORD_CQ_TAIL = 192,
	WORD_SQ_MASK = 256,
	WORD_CQ_MASK = 260,
	WORD_SQ_ENTRIES = 264,
	WORD_CQ_ENTRIES = 268,
	WORD_SQ_DROPPED = 272,
	WORD_SQ_FLAGS = 276,
	WORD_CQ_FLAGS = 320,
	WORD_CQ_OVERFLOW = 324,
	RING_CQES = 384,
};

/* Fields: C = constant; S = by `lock` (submissions, registrations); R = by `state`; A = atomic; B = by buffers_lock. */
struct uring {
	struct refcount refs;	   /* its file, and each request */
	uint32_t flags;		   /* C: IORING_SETUP_* */
	struct shared_memory rings, sqes; /* C */
	uint32_t sq_entries, cq_entries, cqe_shift, sqe_shift; /* C */
	uint64_t array_offset;	   /* C */
	struct task *issuer;	   /* A: IORING_SETUP_SINGLE_ISSUER: compared, not followed */
	bool disabled;		   /* A: IORING_SETUP_R_DISABLED */

	struct mutex lock;
	uint32_t sq_head;	   /* S */
	struct uring_restrictions restrictions; /* S */
	struct cred *personalities[URING_PERSONALITIES_MAX]; /* S: by id - 1 */

	struct spinlock state;
	struct list requests;	   /* R: all */
	uint32_t request_count;	   /* R */
	uint32_t active;	   /* R: those that are not deferred */
	struct list deferred;	   /* R: firsts of chains that wait for all before them */
	bool draining;		   /* R: one that drains is active or deferred: all behind it wait as well */
	uint32_t cq_tail;	   /* R, read freely */
	struct list overflow;	   /* R: completions that found the ring full */
	uint32_t overflow_count;   /* R, read freely */
	uint32_t counted;	   /* R: completions but those of time-outs */
	uint32_t timed_out;	   /* R, read freely: time-outs that are over: each ends waits for completions */
	struct list counting;	   /* R: time-outs with a count */
	bool closing;		   /* R: its file is gone */
	struct file *eventfd;	   /* R: with a reference */
	bool eventfd_async;	   /* R */
	struct uring_file_slot *files; /* R; the table itself is set under S as well, its slots under R alone */
	uint32_t file_count, alloc_from, alloc_to; /* R */
	struct uring_buffer *buffers;  /* R; likewise, but its slots change under S as well */
	uint32_t buffer_count;	   /* R */

	struct mutex buffers_lock;
	struct list groups;	   /* B */
	uint32_t group_count;	   /* B */

	struct wait_queue completions;
};

static inline uint32_t *ring_word(const struct uring *ring, unsigned word)
{
	return shared_at(&ring->rings, word);
}

/* ring.c */
extern const struct file_ops uring_file_ops;
static inline struct uring *uring_of_file(const struct file *f)
{
	return f->ops == &uring_file_ops ? f->private : NULL;
}
void uring_get(struct uring *ring);
void uring_put(struct uring *ring); /* may sleep */
uint32_t uring_ready(const struct uring *ring); /* completions that the program has not taken */

/* cqe.c: post one; then, with no lock held, tell whoever waits. `timeout`: it does not count for time-outs. */
void uring_post_locked(struct uring *ring, uint64_t user_data, int32_t result, uint32_t flags, bool timeout);
void uring_told(struct uring *ring);
void uring_post(struct uring *ring, uint64_t user_data, int32_t result, uint32_t flags);
/* One of many of a request: false if the ring is full, and the request had better end. */
bool uring_post_more(struct uring_request *r, int32_t result, uint32_t flags);
bool uring_flush_overflow(struct uring *ring); /* true: nothing is left over */
void uring_drop_overflow(struct uring *ring);

/* submit.c, request.c. `lock` held. */
int64_t uring_submit(struct uring *ring, struct async_task *task, uint32_t count);
/* Starts one that has been made, or goes on with it. */
void uring_issue(struct uring_request *r, bool may_block);
void uring_complete(struct uring_request *r, int64_t result);
/* For a multishot request after a completion; *rounds begins at 0. 0: it goes on; else what its issue() is to return. May sleep. */
int64_t uring_next_round(struct uring_request *r, unsigned *rounds);
struct uring_request *uring_request_alloc(struct uring *ring);
void uring_request_discard(struct uring_request *r); /* one that was never made */
/* Ends one that never began to be issued, with what stands in r->result, and those behind it. */
void uring_fail_chain(struct uring_request *first);
void uring_start_chain(struct uring_request *first);
/* The first deferred chain, if it is its turn now: it becomes active, and is the caller's. Null: none. */
struct uring_request *uring_next_deferred_locked(struct uring *ring);
void uring_cancel_ring(struct uring *ring);

/* cancel.c */
/* All those that `match` says, at most `max`: how many. state not held. Null `except`: all of them. */
struct uring_cancel {
	uint64_t user_data;
	struct file *file; /* with IORING_ASYNC_CANCEL_FD; compared */
	uint32_t flags;	   /* IORING_ASYNC_CANCEL_* */
	const struct uring_request *except;
};
int uring_cancel(struct uring *ring, const struct uring_cancel *c); /* 0 or how many; -ENOENT, -EALREADY */
int uring_cancel_target_locked(struct uring_request *target);
int uring_sync_cancel(struct uring *ring, uaddr_t arg);

/* timeout.c */
int uring_time_ns(const struct __kernel_timespec *ts, uint64_t *ret_ns); /* 0 or -EINVAL; HAL_TIMER_NEVER: beyond all times */
void uring_count_timeouts_locked(struct uring *ring);
void uring_link_timeout_arm(struct uring_request *r); /* of the request that it guards, before that is issued */
struct uring_request *uring_link_timeout_drop_locked(struct uring_request *r);

/* table.c: registered files and buffers */
struct file *uring_file_get(struct uring *ring, uint32_t index); /* with a reference, or null */
/* Puts a file (whose reference is taken over, also on failure) into a slot, or into any: 0 or the index; -ENFILE, -EINVAL, -ENXIO. */
int64_t uring_file_install(struct uring *ring, struct file *f, uint32_t slot_plus_1);
int uring_file_remove(struct uring *ring, uint32_t index);
int64_t uring_files_update(struct uring *ring, uint32_t offset, uaddr_t fds, uaddr_t tags, uint32_t count);
int uring_files_register(struct uring *ring, uaddr_t fds, uaddr_t tags, uint32_t count);
int uring_files_unregister(struct uring *ring);
int uring_buffers_register(struct uring *ring, uaddr_t vec, uaddr_t tags, uint32_t count);
int uring_buffers_update(struct uring *ring, uint32_t offset, uaddr_t vec, uaddr_t tags, uint32_t count);
int uring_buffers_unregister(struct uring *ring);
/* Is the range within the buffer? 0 or -EFAULT. */
int uring_buffer_check(struct uring *ring, uint32_t index, uint64_t addr, uint64_t len);
int uring_files_alloc_range(struct uring *ring, uaddr_t arg);
void uring_tables_drop(struct uring *ring);

/* provide.c: provided buffers */
/* Takes one for the request, unless it has one; sets buffer_*. 0 or -ENOBUFS, -EFAULT. `len`: 0: as long as it is. */
int uring_buffer_select(struct uring_request *r, uint32_t len);
void uring_buffer_return(struct uring_request *r); /* it was not used */
uint32_t uring_buffer_flags(struct uring_request *r); /* of the completion, for the one that was used */
int uring_buffer_ring_register(struct uring *ring, uaddr_t arg);
int uring_buffer_ring_unregister(struct uring *ring, uaddr_t arg);
void uring_groups_drop(struct uring *ring);

/* Operations: op_*.c */
extern const struct uring_op op_nop, op_readv, op_writev, op_read, op_write, op_read_fixed, op_write_fixed, op_fsync, op_sync_range,
	op_fallocate, op_fadvise, op_madvise, op_poll_add, op_poll_remove, op_timeout, op_timeout_remove, op_link_timeout, op_cancel,
	op_accept, op_connect, op_send, op_recv, op_sendmsg, op_recvmsg, op_shutdown, op_socket, op_openat, op_openat2, op_close,
	op_statx, op_rename, op_unlink, op_mkdir, op_symlink, op_link, op_splice, op_tee, op_epoll_ctl, op_files_update,
	op_provide_buffers, op_remove_buffers, op_msg_ring;

#endif
