/* SPDX-License-Identifier: MIT */
/*
 * Filters of system calls: seccomp(2), SECCOMP_MODE_FILTER. A thread has the newest of a chain; none is ever taken away from it. Filters
 * are immutable, and shared by all threads that have come from the one that installed them.
 */
#ifndef CLOUDOS_SECCOMP_H
#define CLOUDOS_SECCOMP_H

#include <cloudos/bitmap.h>
#include <cloudos/bpf.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/refcount.h>
#include <cloudos/wait.h>
#include <linux/seccomp.h>

#define SECCOMP_CALLS		512   /* filters are prepared for the system calls with smaller numbers */
#define SECCOMP_CHAIN_INSNS_MAX 32768 /* of a chain, with a penalty for each filter, as Linux */
#define SECCOMP_FILTER_PENALTY	4

struct file;

/* Of a filter that asks another program: proc/seccomp_notify.c. Fields: L = by lock; C = constant. */
struct seccomp_notify {
	struct mutex lock;
	struct list requests; /* L: calls that wait for an answer, the oldest first */
	uint32_t waiting;     /* L, read freely: of them, those that nobody has taken */
	uint64_t next_id;     /* L */
	bool closed;	      /* L, read freely: the listener is gone */
	bool killable;	      /* C: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */
	struct wait_queue changed, orders_done;
};

struct seccomp_filter {
	struct refcount refs; /* of threads, of the next filter of each chain that goes on from here, and of who looks at it */
	struct refcount users; /* threads whose newest filter it is, and filters with users that are built on it */
	struct seccomp_notify *notify; /* C: null: it has no listener */
	struct seccomp_filter *prev; /* with a reference; null: the first */
	uint32_t cost;	      /* instructions and penalties from here to the first */
	uint32_t depth;	      /* filters likewise */
	bool log;	      /* SECCOMP_FILTER_FLAG_LOG */
	uint64_t allows[BITMAP_WORDS(SECCOMP_CALLS)]; /* calls that this filter and all before it allow, whatever the arguments */
	struct bpf_place starts[SECCOMP_CALLS]; /* where the program goes on for this call; pc SECCOMP_CONSTANT: it returns `a` */
	uint32_t length;
	struct sock_filter program[];
};

#define SECCOMP_CONSTANT UINT32_MAX

/*
 * A filter on top of `prev` (which may be null; gets a reference). `arch` is what programs see as the architecture. 0; what bpf_check() says;
 * -ENOMEM, also for a chain that is too long. May sleep.
 */
int seccomp_create(const struct sock_filter *program, size_t n, uint32_t arch, struct seccomp_filter *prev, bool log,
		   struct seccomp_filter **ret);

/* A user comes (by a reference to one that has users) or goes; who creates a filter is its first. */
void seccomp_join(struct seccomp_filter *f);
void seccomp_leave(struct seccomp_filter *f); /* null: nothing. Any context */

/* Is any call still to come before it? */
static inline bool seccomp_is_used(const struct seccomp_filter *f)
{
	return refcount_read(&f->users) > 0;
}

/* Has a filter of the chain a listener? There may be one. */
bool seccomp_is_listened_to(const struct seccomp_filter *f);

static inline void seccomp_get(struct seccomp_filter *f)
{
	refcount_get(&f->refs);
}

void seccomp_put(struct seccomp_filter *f);

/* Is `f` (null: no filter) `of`, or one that it is built on? */
bool seccomp_is_ancestor(const struct seccomp_filter *f, const struct seccomp_filter *of);

static inline bool seccomp_allows(const struct seccomp_filter *f, uint64_t number)
{
	return number < SECCOMP_CALLS && bitmap_test(f->allows, number);
}

/*
 * SECCOMP_RET_* and its data: the least of what all filters of the chain say of the call, of equals the newest's, which
 * *ret_by is; null: nothing restricts the call. Any context.
 */
uint32_t seccomp_decide(const struct seccomp_filter *f, const struct seccomp_data *call, const struct seccomp_filter **ret_by);

/* ---- asking another program (proc/seccomp_notify.c) ---- */

int seccomp_notify_create(bool killable, struct seccomp_notify **ret); /* 0 or -ENOMEM; freed with the filter that it is given to */

/* The listener of a filter that has a notify: 0 or -ENOMEM. Its release closes it for good. */
int seccomp_listener_open(struct seccomp_filter *f, struct file **ret);

/*
 * The running thread's call waits for what the listener of `f` says: true: *ret_result is the call's result; false: it is to be made. -ENOSYS
 * without a listener, -ERESTARTSYS after a signal. May sleep.
 */
bool seccomp_ask_listener(const struct seccomp_filter *f, const struct seccomp_data *d, int64_t *ret_result);

#endif
