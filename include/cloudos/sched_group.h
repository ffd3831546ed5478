/* SPDX-License-Identifier: MIT */
/*
 * Groups of threads that share CPU time as one, and may be limited to so much of it in each period (sched/group.c). Groups form a tree; whoever
 * makes it (cgroup) sees to it that a group outlives its threads and the groups below it.
 */
#ifndef CLOUDOS_SCHED_GROUP_H
#define CLOUDOS_SCHED_GROUP_H

#include <cloudos/types.h>

#define GROUP_WEIGHT_MIN     1
#define GROUP_WEIGHT_MAX     10000
#define GROUP_WEIGHT_DEFAULT 100 /* as much as a thread of nice 0 */
#define GROUP_PERIOD_MIN_NS  NSEC_PER_MSEC
#define GROUP_PERIOD_MAX_NS  NSEC_PER_SEC
#define GROUP_QUOTA_MIN_NS   NSEC_PER_MSEC
#define GROUP_QUOTA_MAX_NS   (UINT64_C(1) << 40)

struct thread;

/* Fields: C = constant; A = atomic; L = the lock of all groups (sched/group.c). */
struct sched_group {
	struct sched_group *parent; /* C: null: its rivals are the threads that are in no group */
	bool shares;		    /* A: it competes as one, by its weight; else its threads do, in the nearest group above that shares */
	uint32_t weight;	    /* A, L for writing: in the scale of threads' weights */
	int64_t load;		    /* A: weights of the threads and groups in it that are runnable; kept while it shares */
	bool active;		    /* L: its weight is in its parent's load */

	/* Its limit: so much in each period, and what was not used is kept, up to the burst. */
	uint64_t quota_ns, period_ns, burst_ns; /* A; quota 0: none */
	int64_t left_ns;			/* A: of this period; less than 0: to be made up for in the next ones */
	uint64_t period_from_ns;		/* A */
	uint64_t throttled_from_ns;		/* A: 0: it is not */

	struct sched_group_stats {
		uint64_t usage_ns, system_ns; /* A: of threads in this group itself */
		uint64_t periods, throttled, throttled_ns, bursts, burst_ns;
	} stats;
};

/* In a parent that is there as long as it (or null): shares nothing, limits nothing. */
void sched_group_init(struct sched_group *g, struct sched_group *parent);

/* It begins or ends to compete as one. Threads that are in it are counted as they were until thread_set_group() is called for them. */
void sched_group_set_shares(struct sched_group *g, bool on);
void sched_group_set_weight(struct sched_group *g, uint32_t weight); /* GROUP_WEIGHT_MIN .. _MAX */
/* quota 0: no limit. What is left of this period is the new quota. Those who wait look again when they are woken. */
void sched_group_set_limit(struct sched_group *g, uint64_t quota_ns, uint64_t period_ns, uint64_t burst_ns);

/* t belongs to g (null: to none) from now on. */
void thread_set_group(struct thread *t, struct sched_group *g);

/* The running thread's groups may have used what they are allowed: it waits until they may go on, or it has other work to see to. */
void sched_throttle(void);

/* t looks again whether it may go on, if it waits for that. */
void sched_unthrottle(struct thread *t);

/* Figures of those who run on and on become what they are now. */
void sched_charge_running(void);

/* The weight that goes with a nice value, 1024 for 0. */
uint32_t sched_nice_weight(int nice);

#endif
