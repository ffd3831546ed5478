/* SPDX-License-Identifier: MIT */
/*
 * Locks. Ranks: a lock may be taken only while every lock already held by this CPU (spin locks) or thread (sleeping locks) has a
 * lower rank; docs/LOCKING.md lists them. Kernels built with debug_locks check ranks, owners and sleeping under a spin lock.
 *
 *   spin lock   short, never sleeps; the _irq forms also mask interrupts and must be used for every lock that an
 *               interrupt handler takes. The plain forms are for locks that no handler takes.
 *   mutex       sleeping, one owner.
 *   rwlock      sleeping, many readers or one writer; a waiting writer holds new readers off.
 */
#ifndef CLOUDOS_LOCK_H
#define CLOUDOS_LOCK_H

#include <cloudos/list.h>
#include <cloudos/panic.h>
#include <cloudos/types.h>
#include <hal/hal.h>

/* Low rank = taken first (outermost). Sleeping locks come before all spin locks. Leave gaps; keep docs/LOCKING.md in step. */
enum lock_rank {
	RANK_NONE = 0, /* not checked against others; only for locks that nothing nests in or around */
	/* sleeping */
	RANK_URING = 2,		/* submissions to, and registrations with, an io_uring */
	RANK_URING_BUFFERS = 3,
	RANK_FILE_POS = 4, /* a file's position, during a read or write */
	RANK_TEXT = 6,	   /* a made text of /proc or /sys, while its function runs */
	RANK_FS_CONFIG = 7, /* an fsopen(2) context, while its file system is made */
	RANK_PROFILE = 8, /* starting, stopping and showing the profiler */
	RANK_SERVICE = 10,
	RANK_EPOLL_NEST = 12,
	RANK_EPOLL = 14, /* around the poll operations of any file */
	RANK_TTY = 20,
	RANK_PROC_TREE = 30,
	RANK_PROC_FILES = 31,
	RANK_BLOCK_PUBLISH = 36,
	RANK_MOUNT = 40,
	RANK_RENAME = 44,
	RANK_INODE = 48,
	RANK_INODE_CHILD = 49,
	RANK_CGROUP = 50, /* the tree of cgroups and what is set in it */
	RANK_PIPE = 52,
	RANK_SOCKET_GARBAGE = 54,
	RANK_SOCKET = 56,
	RANK_SOCKET_PEER = 57,
	RANK_IPC_IDS = 58,
	RANK_IPC_UNDO = 59,
	RANK_IPC = 60,
	RANK_FILES = 64,
	RANK_FUTEX_WORD = 66,
	RANK_VM_VDSO = 68,
	RANK_VM_SPACES = 69, /* the list of all spaces, around a look into one */
	RANK_VM_SPACE = 70,
	RANK_VM_SPACE_CHILD = 71,
	RANK_VM_OBJECT = 74,
	RANK_BLOCK_ATTEND = 80,
	RANK_BLOCK_BYTES = 82,
	RANK_SLEEP_LEAF = 90,
	/* spinning */
	RANK_SPIN = 100,
	RANK_PROC = 104,   /* process table, process groups  */
	RANK_SIGNAL = 108, /* a process's signal state       */
	RANK_SIGNAL_ACTIONS = 110,
	RANK_FUTEX = 112,
	RANK_INHERIT = 114,
	RANK_DENTRY = 116,
	RANK_MOUNT_USERS = 118, /* the fs contexts of a mount namespace */
	RANK_FD = 120,
	RANK_PAGE_TABLE = 124,
	RANK_BLOCK_QUEUE = 125,
	RANK_BLOCK_DRIVER = 126,
	RANK_BLOCK_DONE = 127,
	RANK_POLL = 128,
	RANK_CONSOLE_INPUT = 132,
	RANK_WALL = 136,   /* who waits for a time on the wall clock */
	RANK_NTP = 137,	   /* setting and slewing that clock    */
	RANK_WAIT = 140, /* wait queues                       */
	RANK_ASYNC = 144,  /* a task's asynchronous jobs        */
	RANK_TIMER = 150,
	RANK_RUN_QUEUE = 160,
	RANK_CALL = 164,
	RANK_MEMORY_GROUP = 167, /* which memory group a space is in  */
	RANK_KVA = 168,
	RANK_SLAB_LIST = 169,
	RANK_SLAB = 170,
	RANK_SWAP = 172,
	RANK_PAGE = 174,
	RANK_LEAF = 180,
	RANK_LOG = 190,
	RANK_CONSOLE = 194,
};

/* Interrupt handlers that take locks stand between lock_debug_irq_enter() and lock_debug_irq_exit(): what they interrupted does not count. */
struct spinlock {
	uint32_t locked;
#if CLOUDOS_LOCK_DEBUG
	uint16_t rank, cpu_plus_1;
	const void *taken_at;
#endif
};

#if CLOUDOS_LOCK_DEBUG
#define SPINLOCK_INIT(r) { .rank = (r) }
void lock_debug_spin_before(const struct spinlock *l);
void lock_debug_spin_after(struct spinlock *l);
void lock_debug_spin_release(struct spinlock *l);
void lock_debug_may_sleep(const char *what);
void lock_debug_irq_enter(void);
void lock_debug_irq_exit(void);
#define lock_may_sleep() lock_debug_may_sleep(__func__)
#else
#define SPINLOCK_INIT(r) { .locked = 0 }
#define lock_debug_spin_before(l)  ((void)(l))
#define lock_debug_spin_after(l)   ((void)(l))
#define lock_debug_spin_release(l) ((void)(l))
#define lock_debug_irq_enter() ((void)0)
#define lock_debug_irq_exit() ((void)0)
#define lock_may_sleep() ((void)0)
#endif

static inline void spin_init(struct spinlock *l, enum lock_rank rank)
{
	*l = (struct spinlock)SPINLOCK_INIT(rank);
	(void)rank;
}

void spin_lock_slow(struct spinlock *l);

static inline void spin_lock(struct spinlock *l)
{
	lock_debug_spin_before(l);
	hal_point(HAL_POINT_LOCK, l);
	if (unlikely(__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)))
		spin_lock_slow(l);
	lock_debug_spin_after(l);
}

static inline bool spin_try_lock(struct spinlock *l)
{
	hal_point(HAL_POINT_LOCK, l);
	if (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE))
		return false;
	lock_debug_spin_after(l);
	return true;
}

static inline void spin_unlock(struct spinlock *l)
{
	lock_debug_spin_release(l);
	__atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
	hal_point(HAL_POINT_UNLOCK, l);
}

static inline unsigned long spin_lock_irq(struct spinlock *l)
{
	unsigned long flags = hal_irq_save();

	spin_lock(l);
	return flags;
}

static inline void spin_unlock_irq(struct spinlock *l, unsigned long flags)
{
	spin_unlock(l);
	hal_irq_restore(flags);
}

static inline bool spin_is_locked(const struct spinlock *l)
{
	return __atomic_load_n(&l->locked, __ATOMIC_RELAXED) != 0;
}

#define assert_spin_held(l) ASSERT(spin_is_locked(l))

/* ---- sleeping locks ---- */

struct thread;

/* owner holds the owning thread's address, and bit 0 when others wait. `wait` guards `waiters`. */
struct mutex {
	uintptr_t owner;
	struct spinlock wait;
	uint16_t rank;
	struct list waiters;
};

#define MUTEX_INIT(name, r) { .wait = SPINLOCK_INIT(RANK_WAIT), .rank = (r), .waiters = LIST_INIT((name).waiters) }

void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_lock(struct mutex *m);		/* may sleep */
int mutex_lock_interruptible(struct mutex *m); /* 0 or -ERESTARTSYS */
/* mutex_lock() beside a held lock of the same rank: the caller has an order of its own (parent before child, by address). May sleep. */
void mutex_lock_beside(struct mutex *m);
bool mutex_try_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m); /* by this thread */
void mutex_describe(const struct mutex *m, char *buf, size_t size); /* for reports: ", waits for a mutex ... held by ..." */
#define assert_mutex_held(m) ASSERT(mutex_held(m))

/* state: number of readers, or -1 with a writer; guarded by `wait`. */
struct rwlock {
	struct spinlock wait;
	int32_t state;
	uint32_t writers_waiting;
	uint16_t rank;
	struct thread *writer;
	struct list waiters;
};

#define RWLOCK_INIT(name, r) { .wait = SPINLOCK_INIT(RANK_WAIT), .rank = (r), .waiters = LIST_INIT((name).waiters) }

void rwlock_init(struct rwlock *l, enum lock_rank rank);
void rwlock_read(struct rwlock *l); /* may sleep */
bool rwlock_try_read(struct rwlock *l); /* false: somebody writes, or waits to */
void rwlock_read_unlock(struct rwlock *l);
void rwlock_write(struct rwlock *l); /* may sleep */
void rwlock_write_unlock(struct rwlock *l);
bool rwlock_write_held(const struct rwlock *l); /* by this thread */

#endif
