/* SPDX-License-Identifier: MIT */
/*
 * Threads and the scheduler. A thread is a kernel stack and what the scheduler knows of it; a user thread is a kernel thread in a
 * loop around hal_user_run() (that loop is proc's). Nothing is preempted inside the kernel: a thread gives way when it sleeps,
 * at sched_point(), and on its way to user mode.
 */
#ifndef CLOUDOS_THREAD_H
#define CLOUDOS_THREAD_H

#include <cloudos/list.h>
#include <cloudos/rbtree.h>
#include <cloudos/timer.h>
#include <cloudos/types.h>
#include <hal/hal.h>

/* Linux's policies, in linux/sched.h: SCHED_NORMAL 0, FIFO 1, RR 2, BATCH 3, IDLE 5. */

/*
 * How urgent a thread is, in one number; less goes first: 0 .. 98 are real-time priorities 99 .. 1, 100 .. 139 nice values -20 .. 19. A thread that
 * others wait for may be lent a more urgent one (priority inheritance), and runs by that.
 */
#define URGENCY_NICE_MIN 100
#define URGENCY_NICE_0	 120
#define URGENCY_IDLE	 140 /* SCHED_IDLE */
#define URGENCY_NONE	 141

enum thread_state {
	THREAD_RUNNABLE,      /* running, or on a run queue                                       */
	THREAD_INTERRUPTIBLE, /* asleep; a signal wakes it                                        */
	THREAD_SLEEPING,      /* asleep; only what it waits for wakes it                          */
	THREAD_STOPPED,	      /* job control or a tracer stopped it; SIGCONT and SIGKILL wake it    */
	THREAD_NEW,	      /* not started yet                                                  */
	THREAD_DEAD,
};

/* Bits of thread.work: what a thread must see to before it goes (back) to user mode. Set by thread_post(). */
enum thread_work {
	THREAD_WORK_RESCHEDULE = 1,
	THREAD_WORK_SIGNAL = 2,	 /* a signal may be deliverable            */
	THREAD_WORK_EXIT = 4,	 /* the process is going down              */
	THREAD_WORK_TRACE = 8,	 /* system-call tracing                    */
	THREAD_WORK_RESTORE_MASK = 16, /* a saved signal mask is to be restored  */
	THREAD_WORK_RSEQ = 32,	 /* it may be in a restartable sequence    */
	THREAD_WORK_THROTTLE = 64, /* its group may have used up its time    */
	THREAD_WORK_PROFILE = 128, /* samples of it lack their user frames   */
	THREAD_WORK_MEMORY = 256,  /* its group has more memory than it should */
};

struct mutex;
struct sched_group;
struct vm_space;
struct fs_context;
struct fd_table;
struct cred;

/* The part of an address space that the scheduler switches; embedded in struct vm_space. */
struct sched_space {
	struct hal_aspace hal;
	uint64_t cpus; /* atomic mask of CPUs on which it is or may still be active */
};

/* Fields: Q = by the lock of the run queue of `cpu`; O = by the thread itself; A = atomic; C = constant once started. */
struct thread {
	uint32_t work;		      /* A */
	uint32_t state;		      /* Q: enum thread_state */
	uint32_t cpu;		      /* Q: where it runs, or last ran */
	bool on_queue;		      /* Q: runnable or running there  */
	bool throttled;		      /* O, read freely: it waits for its group to have time again */
	uint8_t policy;		      /* Q */
	int8_t nice;		      /* Q: -20 .. 19 */
	uint8_t rt_priority;	      /* Q: 1 .. 99 for FIFO and RR */
	uint8_t lent;		      /* Q: an urgency that others lend it, URGENCY_NONE: they do not */
	uint8_t urgency;	      /* Q: that it runs with: its own or the lent one */
	uint8_t level;		      /* Q: the real-time priority that goes with that; 0: it shares by weight ... */
	uint32_t weight;	      /* Q: ... this one */
	struct sched_group *group;    /* Q: with whom it shares; null: nobody */
	struct sched_group *counted_in; /* Q: whose load has its weight; null: none */
	struct hal_user *user;	      /* C: null for a kernel thread */
	uint32_t switch_work;	      /* O: bits of work that switching away from it sets */
	struct sched_space *space;    /* O: null for a kernel thread */
	struct hal_context context;   /* while not running */
	struct rb_node queue_node;    /* Q: fair */
	struct list queue_link;	      /* Q: real time */
	uint64_t vruntime;	      /* Q: weighted run time, ns */
	uint64_t slice_end_ns;	      /* Q */
	uint64_t queued_ns, run_from_ns; /* Q: clock */
	uint64_t affinity;	      /* Q: mask of CPUs allowed */
	struct timer sleep_timer;     /* of thread_sleep() */
	bool timed_out;		      /* O */
	const struct mutex *waits_for; /* O: the mutex that it sleeps for, or null; for reports */
	uint64_t run_ns, wait_ns;     /* Q: totals */
	uint64_t user_ns, system_ns;  /* O: totals, by where the thread was */
	uint64_t mode_from_ns;	      /* O */
	uint64_t switches, preemptions; /* Q: voluntary, not */
	void *stack;		      /* C */
	void (*entry)(void *);	      /* C */
	void *arg;		      /* C */
	void (*release)(struct thread *); /* C: after its last switch; must not sleep; null: the thread frees itself */
	char name[16];		      /* O; proc: written under its proc_lock as well */
	int tid; /* for messages; proc's thread id, or 0 */

	/* What the floors above keep for a thread; carried here, never followed by the scheduler. */
	struct vm_space *vm;
	struct memory_group *refused; /* O: the group that had no room for its last page, or null; compared, and not followed */
	struct fs_context *fs;
	struct fd_table *files;
	struct cred *cred;

#if CLOUDOS_LOCK_DEBUG
	uint16_t held_ranks[16];
	uint8_t held_count;
#endif
};

static inline struct thread *thread_current(void)
{
	return hal_current();
}

/*
 * Prepares caller's storage *t: kernel stack, name, entry(arg), policy and nice of the running thread (or SCHED_NORMAL 0).
 * 0 or -ENOMEM. thread_start() then makes it runnable.
 */
int thread_init(struct thread *t, const char *name, void (*entry)(void *), void *arg);
void thread_start(struct thread *t);

/* Frees what thread_init() took, of a thread never started. */
void thread_fini(struct thread *t);

/* Makes and starts a kernel thread that frees itself; it has no files and no credentials until it adopts some. 0 or -ENOMEM. */
int thread_spawn(const char *name, void (*entry)(void *), void *arg);

/* Ends the running thread; t->release(t) is called once its stack is no longer used. An entry that returns does this. */
_Noreturn void thread_exit(void);

/* ---- sleeping: set the state, look at the condition, sleep; a wake in between is not lost ---- */

static inline void thread_prepare_sleep(enum thread_state state)
{
	__atomic_store_n(&thread_current()->state, (uint32_t)state, __ATOMIC_SEQ_CST);
	hal_point(HAL_POINT_SLEEP, thread_current());
}

/* Stays awake after all. True if somebody has woken the thread since thread_prepare_sleep(). */
static inline bool thread_cancel_sleep(void)
{
	hal_point(HAL_POINT_ATOMIC, thread_current());
	return __atomic_exchange_n(&thread_current()->state, (uint32_t)THREAD_RUNNABLE, __ATOMIC_ACQ_REL) == THREAD_RUNNABLE;
}

/* Gives the CPU away; sleeps unless the state is THREAD_RUNNABLE (again). deadline HAL_TIMER_NEVER: none. False: the time was up. */
bool thread_sleep(uint64_t deadline_ns);

/* Sleeps for a while, not interruptible / interruptible (-EINTR when a signal is pending first). */
void thread_delay(uint64_t ns);

/* Makes a sleeping thread runnable; false if it was not asleep. Any context. */
bool thread_wake(struct thread *t);

/* The same, only if it sleeps in `state`. */
bool thread_wake_state(struct thread *t, enum thread_state state);

/* Sets bits of t->work and makes t see them soon if it is in user mode on another CPU. Any context. Does not wake a sleeper. */
void thread_post(struct thread *t, uint32_t work);

static inline void thread_clear_work(uint32_t work)
{
	__atomic_fetch_and(&thread_current()->work, ~work, __ATOMIC_ACQ_REL);
}

static inline bool thread_signal_pending(void)
{
	return (READ_ONCE(thread_current()->work) & (THREAD_WORK_SIGNAL | THREAD_WORK_EXIT)) != 0;
}

/* The running thread is to end: nobody waits for what it does. Long loops stop then. */
static inline bool thread_exit_pending(void)
{
	return (READ_ONCE(thread_current()->work) & THREAD_WORK_EXIT) != 0;
}

/* ---- giving way ---- */

void schedule(void);	/* picks the next thread; THREAD_WORK_RESCHEDULE is seen to */
void thread_yield(void); /* sched_yield(2) */

/* In long loops of the kernel: gives way if somebody should run. May sleep. */
static inline void sched_point(void)
{
	if (unlikely(READ_ONCE(thread_current()->work) & THREAD_WORK_RESCHEDULE))
		schedule();
}

/* ---- parameters ---- */

/* 0, or -EINVAL for a bad policy, priority or nice, or an empty affinity. Any thread. */
int thread_set_policy(struct thread *t, unsigned policy, unsigned rt_priority);
int thread_set_nice(struct thread *t, int nice);
void thread_lend(struct thread *t, unsigned urgency); /* URGENCY_NONE: takes it back */
static inline unsigned thread_urgency(const struct thread *t)
{
	return READ_ONCE(t->urgency);
}
int thread_set_affinity(struct thread *t, uint64_t mask); /* moves it at once if it must; may sleep */
int thread_post_affinity(struct thread *t, uint64_t mask); /* a running thread moves at its next switch; any context below RUN_QUEUE */
uint64_t sched_slice_ns(void);
void sched_set_slice_ns(uint64_t ns); /* the quantum of one of the fair class: 100 µs .. 1 s; "cloudos.quantum_us=" */

/* Run and wait time up to now. */
void thread_times(struct thread *t, uint64_t *ret_run_ns, uint64_t *ret_wait_ns);

/* Switches the running thread's address space (null: none). */
void thread_set_space(struct thread *t, struct sched_space *space);

/* Takes `space` off every CPU on which it is lazily active; afterwards no CPU uses it. May sleep. */
void sched_space_retire(struct sched_space *space);

/* ---- figures ---- */

struct sched_cpu_stats {
	uint64_t switches, idle_ns, busy_ns, user_ns, system_ns, steals, interrupts; /* busy = user + system, of which system is sampled */
	uint32_t runnable; /* with the running one */
};
/* The running user thread has spent so much time in the kernel; called now and then, for all of it. */
void sched_count_system(uint64_t ns);
void sched_cpu_get_stats(unsigned cpu, struct sched_cpu_stats *ret);
unsigned sched_runnable(void);
/* Load averages over 1, 5, 15 minutes, fixed point with 16 fraction bits. */
void sched_load(uint64_t ret[3]);

/* CPUs that run the scheduler. */
extern uint64_t cpus_online;
static inline unsigned cpus_online_count(void)
{
	return (unsigned)__builtin_popcountll(READ_ONCE(cpus_online));
}

/* Runs fn(arg) on each CPU of mask (not this one), interrupts off there, and waits. Not in interrupts, no spin lock held that those take. */
void cpus_call(uint64_t mask, void (*fn)(void *), void *arg);

/* Runs what cpus_call() asked of this CPU; for whoever spins with interrupts off while another CPU may call. */
void cpus_call_poll(void);

/* Boot: the boot CPU's scheduler (turns the caller into a thread), then the other CPUs. */
void sched_init(void);
void sched_start_cpus(void);

#endif
