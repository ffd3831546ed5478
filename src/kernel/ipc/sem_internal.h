/* SPDX-License-Identifier: MIT */
/* Semaphore sets, as operations (sem.c) and undo lists (sem_undo.c) share them. */
#ifndef SEM_INTERNAL_H
#define SEM_INTERNAL_H

#include "ipc_internal.h"

#define SEM_PER_SET_MAX	 UINT16_MAX /* what the limit may be set to: sembuf.sem_num must reach all */
#define SEM_PER_CALL_MAX 8192

struct semaphore {
	int32_t value; /* 0 .. SEMVMX */
	int32_t pid;   /* who changed it, or waited for 0, last */
};

/* All by ipc.lock but count, which is constant. */
struct sem_set {
	struct ipc_object ipc;
	uint32_t count;
	int64_t operated_at;	/* seconds */
	struct list constant;	/* waiting calls that change nothing ... */
	struct list altering;	/* ... and that do, in their order */
	struct list undos;	/* sem_undo.in_set */
	struct semaphore sems[];
};

/* What a process (or those that share the list) would take back from a set at its end. */
struct sem_undo {
	struct list in_list; /* by the list's lock */
	struct list in_set;  /* by the set's lock; of a set that is not removed */
	struct sem_set *set; /* constant, with a reference */
	int16_t adjust[];    /* by the set's lock: added to the semaphore at exit */
};

static inline struct sem_set *sem_set_of(struct ipc_object *o)
{
	return container_of(o, struct sem_set, ipc);
}

/* The running task's undo for a set, which is not locked; made if need be. 0, -ENOMEM, -EIDRM. */
int sem_undo_get(struct sem_set *s, struct sem_undo **ret);
/* The set is locked and about to be removed, or semaphores [first, first + n) were set. */
void sem_undo_forget_set(struct sem_set *s);
void sem_undo_clear(struct sem_set *s, unsigned first, unsigned n);
int sem_undo_init(void);

/* The set, locked, has changed: does what waits for that. */
void sem_changed(struct sem_set *s);

#endif
