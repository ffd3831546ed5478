/* SPDX-License-Identifier: MIT */
/*
 * Filters of system calls: seccomp(2), SECCOMP_MODE_FILTER. A thread has the newest of a chain; none is ever taken away from it. Filters
 * are immutable, and shared by all threads that have come from the one that installed them.
 */
#ifndef CLOUDOS_SECCOMP_H
#define CLOUDOS_SECCOMP_H

#include <cloudos/bitmap.h>
#include <cloudos/bpf.h>
#include <cloudos/refcount.h>
#include <linux/seccomp.h>

#define SECCOMP_CALLS		512   /* filters are prepared for the system calls with smaller numbers */
#define SECCOMP_CHAIN_INSNS_MAX 32768 /* of a chain, with a penalty for each filter, as Linux */
#define SECCOMP_FILTER_PENALTY	4

struct seccomp_filter {
	struct refcount refs; /* of threads, and of the next filter of each chain that goes on from here */
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

/* SECCOMP_RET_* and its data: the least of what all filters of the chain say of the call, of equals the newest's. Any context. */
uint32_t seccomp_decide(const struct seccomp_filter *f, const struct seccomp_data *call);

#endif
