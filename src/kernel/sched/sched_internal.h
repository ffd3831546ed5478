/* SPDX-License-Identifier: MIT */
/* What the files of sched share: the run queue of a CPU. */
#ifndef SCHED_INTERNAL_H
#define SCHED_INTERNAL_H

#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/percpu.h>
#include <cloudos/rbtree.h>
#include <cloudos/sched_group.h>
#include <cloudos/thread.h>
#include <linux/sched.h>

#define RT_LEVELS 100
#define WEIGHT_NICE_0 1024

/* Does it go before all that share by weight, by its own priority or a lent one? */
static inline bool thread_is_rt(const struct thread *t)
{
	return t->level > 0;
}

/* Does its time on the CPU end while others like it wait? */
static inline bool thread_has_slices(const struct thread *t)
{
	return !thread_is_rt(t) || t->policy == SCHED_RR;
}

/*
 * lock guards everything here, and the Q fields of every thread whose `cpu` this is. It is held across a context switch: the thread that is
 * switched to releases it (finish_switch).
 */
struct run_queue {
	struct spinlock lock;
	unsigned cpu;
	struct thread *current, *idle;
	uint32_t queued;	    /* threads waiting: without the running one */
	struct rb_tree fair;	    /* by vruntime */
	struct rb_node *fair_first;
	uint64_t min_vruntime;	    /* never falls */
	uint64_t rt_levels[2];	    /* bitmap of levels that are not empty; level 0 is priority 99 */
	struct list rt[RT_LEVELS];
	uint64_t slice_deadline_ns; /* when somebody waits: end of the running thread's slice, else HAL_TIMER_NEVER */
	struct thread *dead;	    /* switched away from for the last time; to be released */
	struct thread *moves;	    /* switched away from, runnable, and not allowed here: to be queued elsewhere */
	struct sched_space *active; /* address space in this CPU's MMU */
	struct sched_cpu_stats stats;
};
DECLARE_PER_CPU(struct run_queue, run_queue);

static inline struct run_queue *this_run_queue(void)
{
	return &this_cpu(run_queue);
}

extern uint64_t idle_cpus; /* atomic mask */

/* ---- queue.c: order among runnable threads; rq->lock is held ---- */

void queue_init(struct run_queue *rq, unsigned cpu);
void queue_add(struct run_queue *rq, struct thread *t, bool woken);
void queue_remove(struct run_queue *rq, struct thread *t);
struct thread *queue_take_first(struct run_queue *rq); /* null: none */
struct thread *queue_find_movable(struct run_queue *rq, unsigned to_cpu);
bool queue_preempts(const struct run_queue *rq, const struct thread *t); /* should t run instead of rq->current? */
void queue_charge(struct run_queue *rq, struct thread *t, uint64_t now);  /* run time since run_from_ns */
void queue_leave(struct run_queue *rq, struct thread *t); /* t goes to sleep or elsewhere */
void queue_enter(struct run_queue *rq, struct thread *t); /* t comes from another CPU's queue and runs at once */
/* t, which shares and is in line, is ahead by more than it could be if it came now: by so much only. */
void queue_limit_lag(struct run_queue *rq, struct thread *t);
void queue_classify(struct thread *t); /* its parameters have changed, and it is not started */
void queue_reclassify(struct run_queue *rq, struct thread *t); /* the same; it is rq's, but not in line */

void queue_charge_current(struct run_queue *rq, uint64_t now);
extern const uint32_t sched_nice_weights[40];

/* t, whose queue rq is, shares and waits for the CPU. */
static inline bool thread_is_in_line(const struct run_queue *rq, const struct thread *t)
{
	return t->on_queue && rq->current != t && !thread_is_rt(t);
}

/* ---- group.c; the lock of the thread's queue is held ---- */

/* t becomes runnable, or is that no longer (or changes its weight: leave, change, join). */
void group_join_slow(struct thread *t);
void group_leave_slow(struct thread *t);
static inline void group_join(struct thread *t)
{
	if (unlikely(t->group))
		group_join_slow(t);
}
static inline void group_leave(struct thread *t)
{
	if (unlikely(t->counted_in))
		group_leave_slow(t);
}
/* What so much run time adds to t's virtual one, by what it has of its group's share. */
uint64_t group_stretch(const struct thread *t, uint64_t ns);
/* t, in a group, has run: its virtual run time grows, and its groups' use. One that has used up all sets THREAD_WORK_THROTTLE. */
void group_charge(struct thread *t, uint64_t delta, uint64_t now);
/* When t, in a group, is to be looked at again although nobody waits; HAL_TIMER_NEVER. */
uint64_t group_deadline(struct thread *t, uint64_t now);

/* ---- schedule.c ---- */

struct run_queue *thread_lock_queue(struct thread *t, unsigned long *ret_irq);
void thread_unlock_queue(struct run_queue *rq, unsigned long irq);
unsigned choose_cpu(const struct thread *t); /* where t should be queued now; an idle CPU counts as taken */
void make_reschedule(struct run_queue *rq); /* its CPU is to look who comes first; rq->lock is held */
void enqueue_and_notify(struct run_queue *rq, struct thread *t, bool woken);
/* Queues t, which is on no queue, wherever it may run. rq is the queue of t->cpu, locked; released here. */
void queue_somewhere(struct run_queue *rq, struct thread *t);
void space_activate(struct run_queue *rq, struct sched_space *space);
_Noreturn void idle_loop(void);

/* ---- timer.c ---- */

/* The timer interrupt is wanted by then (for the end of a slice). Interrupts off. */
void cpu_timer_want(uint64_t deadline_ns);
void cpu_timer_interrupt(void);

/* ---- load.c ---- */

void load_sample(uint64_t now);

/* ---- thread.c ---- */

void thread_setup(struct thread *t, const char *name);
void thread_setup_context(struct thread *t); /* in schedule.c */
void sched_service_hooks(void);

#endif
