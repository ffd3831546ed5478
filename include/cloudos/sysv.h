/* SPDX-License-Identifier: MIT */
/*
 * System V IPC: shared memory, semaphore sets, message queues. For the system calls; src/kernel/ipc has the theory.
 * All of these act as the running process, and may sleep. They give 0, a count or id, or an errno.
 */
#ifndef CLOUDOS_SYSV_H
#define CLOUDOS_SYSV_H

#include <cloudos/types.h>
#include <linux/msg.h>
#include <linux/sem.h>
#include <linux/shm.h>

/* What IPC_SET may change: owner and permissions; a message queue's room too. */
struct ipc_change {
	uint32_t uid, gid, mode;
	uint64_t queue_bytes;
};

enum ipc_find {
	IPC_BY_ID,	  /* needs read permission */
	IPC_BY_INDEX,	  /* likewise: SHM_STAT and its like */
	IPC_BY_INDEX_ANY, /* needs none: SHM_STAT_ANY */
};

/* ---- shared memory ---- */

int64_t shm_get(int32_t key, uint64_t size, uint32_t flags);
int shm_attach(int id, uaddr_t addr, uint32_t flags, uaddr_t *ret); /* SHM_* */
int shm_detach(uaddr_t addr);
int64_t shm_stat(int id, enum ipc_find how, struct shmid64_ds *ret); /* the id, when by index */
int shm_set(int id, const struct ipc_change *c);
int shm_remove(int id);
int shm_lock(int id, bool lock);
int64_t shm_limits(struct shminfo64 *ret); /* the highest index in use */
int64_t shm_figures(struct shm_info *ret);

/* ---- semaphores ---- */

int64_t sem_get(int32_t key, int count, uint32_t flags);
/* ops[0..n): all at once, or none. deadline_ns as wait_round() has it. */
int sem_operate(int id, const struct sembuf *ops, unsigned n, uint64_t deadline_ns);
int64_t sem_stat(int id, enum ipc_find how, struct semid64_ds *ret);
int sem_set(int id, const struct ipc_change *c);
int sem_remove(int id);
int64_t sem_query(int id, unsigned number, int command); /* GETVAL, GETPID, GETNCNT, GETZCNT */
int sem_set_value(int id, unsigned number, int value);
int64_t sem_count(int id, bool to_write); /* how many semaphores it has, if all may be read (written) */
int sem_get_all(int id, uint16_t *ret, unsigned count);
int sem_set_all(int id, const uint16_t *values, unsigned count);
int64_t sem_limits(struct seminfo *ret, bool figures); /* figures: SEM_INFO */

/* ---- messages ---- */

struct msg;
/* Storage for one, in pieces of nothing: its text is msg_text(m)[0..size). Null: out of memory. */
struct msg *msg_alloc(size_t size);
void msg_free(struct msg *m); /* null: nothing */
void *msg_text(struct msg *m);
size_t msg_size(const struct msg *m);
int64_t msg_type(const struct msg *m);
uint64_t msg_size_max(void);

int64_t msg_get(int32_t key, uint32_t flags);
int msg_send(int id, int64_t type, struct msg *m, uint32_t flags); /* takes over m when it succeeds */
/* The message, which is the caller's; size: what the caller has room for. */
int msg_receive(int id, int64_t type, uint64_t size, uint32_t flags, struct msg **ret);
int64_t msg_stat(int id, enum ipc_find how, struct msqid64_ds *ret);
int msg_set(int id, const struct ipc_change *c);
int msg_remove(int id);
int64_t msg_limits(struct msginfo *ret, bool figures);

#endif
