/* SPDX-License-Identifier: MIT */
/* Clocks of the CPU time of a process or a thread (cpu_clock.c). */
#ifndef CPU_CLOCK_H
#define CPU_CLOCK_H

#include <cloudos/task.h>

/* Whose time, with references. */
struct cpu_clock {
	struct process *process; /* null: none */
	struct task *task;	 /* null: all of the process's */
	bool user_only;
};

/* For timers: -EOPNOTSUPP: no clock of CPU time; -EINVAL: of nothing that is there, or of a thread of another process. */
int cpu_clock_get(int clock, struct cpu_clock *ret);
void cpu_clock_put(struct cpu_clock *c);
struct cpu_clock cpu_clock_copy(const struct cpu_clock *c);

/* What it says. Takes S of its process. */
uint64_t cpu_clock_now(const struct cpu_clock *c);
/* The same, for who looks again and again: of a process it may be a little old, and then costs nothing. */
uint64_t cpu_clock_lately(const struct cpu_clock *c);
/* Whose time it is has ended: it stands. Likewise. */
bool cpu_clock_stands(const struct cpu_clock *c);

/* When to look again whether `left_ns` more have been used, on hal_clock_ns()'s scale. */
uint64_t cpu_clock_look(const struct cpu_clock *c, uint64_t left_ns);

/* CPU time of the living and the dead threads, S held; and the same as cpu_clock_look(). */
uint64_t cpu_time_locked(struct process *p, bool user_only);
uint64_t cpu_time_look(const struct process *p, uint64_t left_ns);

#endif
