/* SPDX-License-Identifier: MIT */
/*
 * What the files of ipc share: objects that are found by id or key, and waiting on them.
 *
 * A namespace has one table a kind of object. Everything starts from ipc_current(), which finds the namespace of the running process
 * (namespace.c).
 *
 *   I1 An object is in its table until it is removed; the table has a reference. `removed` is set under the table's lock and the object's,
 *      and never cleared: who holds an object's lock and sees it unset knows that the object is in the table.
 *   I2 An id is SEQUENCE << IPC_INDEX_BITS | index, and sequences move on when indices start again: an id that was removed is not
 *      used again soon.
 *
 * Locking: ipc_ids.lock (RANK_IPC_IDS) for coming and going, then ipc_object.lock (RANK_IPC), under which an object lives its life.
 * find_lock, a leaf, is for the slots alone: a lookup takes it, and a reference. Whoever sleeps does so with none of these.
 */
#ifndef IPC_INTERNAL_H
#define IPC_INTERNAL_H

#include <cloudos/errno.h>
#include <cloudos/hash.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/namespace.h>
#include <cloudos/proc.h>
#include <cloudos/refcount.h>
#include <cloudos/sysv.h>
#include <cloudos/user_namespace.h>
#include <cloudos/vfs.h>
#include <cloudos/wait.h>
#include <linux/stat.h>

#define IPC_INDEX_BITS	 15
#define IPC_INDEX_MAX	 (1u << IPC_INDEX_BITS) /* objects of one kind */
#define IPC_SEQUENCE_MAX (INT32_MAX >> IPC_INDEX_BITS)
#define IPC_CYCLE_MIN	 64 /* indices that are gone through before one is used again */
#define IPC_KEY_HEADS	 256
#define IPC_MODE	 0777u
#define IPC_READ	 0444u /* what ipc_permission() is asked for */
#define IPC_WRITE	 0222u
#define IPC_EXEC	 0111u

#define SHM_BYTES_MAX (UINT64_MAX - (UINT64_C(1) << 24)) /* Linux's SHMMAX and SHMALL: no limit */
#define IPC_RAM_SHARE 8 /* messages, semaphores and their undo lists may fill this part of the RAM: ENOMEM beyond */
#define SHM_RAM_SHARE 2 /* and the pages of shared memory this one: SIGBUS beyond */

struct ipc_ids;
struct ipc_namespace;

/* Fields: C = constant; L = by lock; T = by ids->lock; LT = written under both. */
struct ipc_object {
	struct refcount refs; /* the table's, and passers-by */
	struct ipc_ids *ids;  /* C */
	int32_t id;	      /* C */
	int32_t key;	      /* T: IPC_PRIVATE: not to be found by key */
	struct hash_link by_key; /* T */
	struct mutex lock;
	bool removed;		 /* LT */
	uint32_t uid, gid, mode; /* L */
	uint32_t cuid, cgid;	 /* C: the creator's */
	int64_t changed;	 /* L: seconds */
};

/* Fields: C = constant; T = by lock; F = by find_lock, and written under both. */
struct ipc_ids {
	struct ipc_namespace *ns; /* C */
	struct mutex lock;
	struct spinlock find_lock;
	void (*free)(struct ipc_object *o); /* C: storage without references */
	struct ipc_object **slots;	    /* F */
	uint32_t capacity;		    /* F: of slots */
	uint32_t max;			    /* A: objects: ENOSPC beyond */
	uint32_t used, last, sequence;	    /* T: in use; the index given last; of the ids given now */
	struct hash_head by_key[IPC_KEY_HEADS]; /* T */
};

struct mq_instance;

struct ipc_namespace {
	struct namespace base; /* first */
	struct ipc_ids shm, sem, msg;
	uint64_t shm_max, shm_all;	/* A: bytes of a segment, pages of all */
	uint64_t shm_pages;		/* A: pages promised */
	uint64_t sem_per_set, sem_all, sem_per_call; /* A */
	uint64_t sem_used;		/* A */
	uint64_t msg_max, msg_room;	/* A: bytes of a message; of a new queue */
	uint64_t msg_count, msg_bytes;	/* A */
	struct path mq_root;		/* C: of the mount that no path leads to with its POSIX message queues; with references */
	struct mq_instance *mq;		/* C: what mq_root's file system has */
};

struct ipc_namespace *ipc_current(void);
extern struct ipc_namespace ipc_first;

/* ---- namespace.c ---- */

int ipc_namespaces_init(void);
/* A capability over the running process's namespace. */
bool ipc_capable(unsigned capability);

/* ---- ids.c ---- */

void ipc_ids_init(struct ipc_ids *ids, struct ipc_namespace *ns, uint32_t max, void (*free)(struct ipc_object *o));

struct ipc_get {
	int32_t key;
	uint32_t flags; /* IPC_CREAT, IPC_EXCL, mode */
	uint64_t size;	/* what kinds of it there are, is the kind's matter */
	/* A new object with its own part filled in, or an errno. */
	int (*make)(const struct ipc_get *g, struct ipc_object **ret);
	/* Is the existing one large enough? 0 or -EINVAL. */
	int (*check)(const struct ipc_get *g, const struct ipc_object *o);
};
/* shmget(2) and its like: the id or an errno. */
int64_t ipc_get(struct ipc_ids *ids, const struct ipc_get *g);

/* With a reference, not locked; null: there is none. */
struct ipc_object *ipc_find(struct ipc_ids *ids, int id);
/* Found and locked, with a reference: ipc_unlock() ends both. -EINVAL: there is none; -EIDRM: it was removed just now. */
int ipc_lock(struct ipc_ids *ids, int id, struct ipc_object **ret);
/* The same if the caller may do what `mode` says (IPC_READ, IPC_WRITE): else -EACCES. */
int ipc_lock_for(struct ipc_ids *ids, int id, uint32_t mode, struct ipc_object **ret);
/* The same for *_STAT. */
int ipc_lock_to_see(struct ipc_ids *ids, int id, enum ipc_find how, struct ipc_object **ret);
/* The same for IPC_SET and other changes by the owner: else -EPERM. */
int ipc_lock_to_change(struct ipc_ids *ids, int id, struct ipc_object **ret);
/* The same with the table locked too, for ipc_unlink(). */
int ipc_lock_to_remove(struct ipc_ids *ids, int id, struct ipc_object **ret);
void ipc_unlock(struct ipc_object *o);
void ipc_unlock_removed(struct ipc_object *o); /* after ipc_lock_to_remove() */

/* Takes the object's key away, or itself out of the table (which drops the table's reference). Table and object locked. */
void ipc_hide(struct ipc_object *o);
void ipc_unlink(struct ipc_object *o);

void ipc_hold(struct ipc_object *o);
void ipc_put(struct ipc_object *o);

int ipc_permission(const struct ipc_object *o, uint32_t mode); /* 0 or -EACCES; object locked */
int ipc_set(struct ipc_object *o, const struct ipc_change *c); /* object locked */
void ipc_fill(const struct ipc_object *o, struct ipc64_perm *ret);
int64_t ipc_highest(struct ipc_ids *ids); /* index, or 0 */
uint32_t ipc_used(struct ipc_ids *ids);
/* Calls fn for each object in the order of indices, locked. */
void ipc_for_each(struct ipc_ids *ids, void (*fn)(struct ipc_object *o, void *arg), void *arg);

/* Kernel memory that programs make last: cleared; null: out of it, or of the share of RAM that that of all namespaces may take. */
void *ipc_alloc(size_t size);
void ipc_free(void *p, size_t size);

/* Adds n to a counter unless it would pass `limit`. */
bool ipc_take(uint64_t *count, uint64_t n, uint64_t limit);

int64_t ipc_now(void); /* seconds, as the structures have them */
int ipc_pid(void); /* in the first namespace of pids: pid_seen() for what programs see */

/* Takes all objects out of the table, which nobody uses any more. */
void ipc_ids_clear(struct ipc_ids *ids);

/* ---- wait.c: sleeping until another says so ---- */

struct ipc_waiter {
	struct list link; /* in the object's list of such; by its lock, as is all of this */
	struct thread *thread;
	bool done; /* written once, with a release */
};

/*
 * Puts w before an element of a list (the list itself: at its end), sleeps without the object's lock until it is woken, a signal comes or the
 * time is up, and locks again: 0, -ERESTARTSYS or -ETIMEDOUT; w is in no list then. The object may have been removed.
 */
int ipc_wait(struct mutex *lock, struct list *before, struct ipc_waiter *w, uint64_t deadline_ns);
/* Takes w off its list and wakes it; it does not run on before the object is unlocked. */
void ipc_wake(struct ipc_waiter *w);

/* ---- what the table frees, and what /proc shows ---- */

void shm_free_object(struct ipc_object *o);
void sem_free_object(struct ipc_object *o);
void msg_free_object(struct ipc_object *o);
void shm_show(struct ipc_object *o, void *out);
void sem_show(struct ipc_object *o, void *out);
void msg_show(struct ipc_object *o, void *out);

#endif
