/* SPDX-License-Identifier: MIT */
/* The wall clock that may be set: who must know of it (sched/wall.c), and the discipline of ntp (sched/ntp.c). */
#ifndef CLOUDOS_WALL_H
#define CLOUDOS_WALL_H

#include <cloudos/list.h>
#include <cloudos/types.h>

struct __kernel_timex;

/* Somebody with a deadline on the wall clock. */
struct wall_watch {
	struct list link;
	/*
	 * The wall clock was set (wall_jumps() counts that), or made to go faster or slower: a deadline on it is another on hal_clock_ns()'s scale.
	 * Interrupts off, a spin lock of RANK_WALL held.
	 */
	void (*moved)(struct wall_watch *w);
	uint32_t round; /* of telling, that it has been told of */
};

static inline void wall_watch_init(struct wall_watch *w, void (*moved)(struct wall_watch *w))
{
	list_init(&w->link);
	w->moved = moved;
}

/*
 * From now on it is told (again: no matter); from now on it is not, nor is it being told. Whoever translates a deadline after wall_watch_add() need
 * not fear to have missed a change.
 */
void wall_watch_add(struct wall_watch *w);
void wall_watch_remove(struct wall_watch *w);

/* A time on the wall clock as a deadline on hal_clock_ns()'s scale, never early; 0: past. */
uint64_t wall_deadline(uint64_t wall_ns);

/* Tells all watches. Any context in which no lock of RANK_WALL or above is held. */
void wall_tell(void);

/*
 * How often the clock was set. Who arms a timer by wall_deadline() reads it before and after, and does it again if it changed: moved() may have come
 * in between.
 */
uint32_t wall_jumps(void);

/* Sets the clock and tells; what was to be made up for little by little is void (settimeofday(2)). */
void wall_set(uint64_t wall_ns);
/* Moves it by so much, and tells. -EINVAL: to before 1970, or beyond what 63 bits hold. */
int wall_shift(int64_t ns);

/* timex.modes, bits of ADJ_OFFSET_SINGLESHOT and ADJ_OFFSET_SS_READ: adjtime(3)'s adjustment; and only to ask for that. */
#define NTP_ADJTIME  0x8000
#define NTP_ASK_ONLY 0x2000

/*
 * adjtimex(2): the caller has checked that the running thread may do it, and `tick`, `freq` and `time`; the rest is cut to what is possible. Fills
 * it in; TIME_*, or -EINVAL.
 */
int ntp_adjust(struct __kernel_timex *t);
/* Nanoseconds that TAI is ahead of UTC. */
uint64_t ntp_tai_ns(void);

#endif
