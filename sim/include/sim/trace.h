/* SPDX-License-Identifier: MIT */
/*
 * The trace of a deterministic run. Every event goes into a hash; where somebody wants to see them they also go, with
 * names, to the hosted half. Nothing in an event may depend on the host.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <hal/types.h>

/* kind, word in timelines */
#define SIM_TRACE_LIST(X)                                                                                     \
	X(POINT, "point")	/* a scheduling point: enum hal_point, object                              */ \
	X(SWITCH, "switch")	/* to vCPU a                                                               */ \
	X(THREAD, "thread")	/* this vCPU goes on in another kernel context                             */ \
	X(IDLE, "idle")		/* nothing to do                                                           */ \
	X(INTERRUPT, "irq")	/* delivered: pending bits a                                               */ \
	X(KICK, "kick")		/* vCPU a gets pending bits b                                              */ \
	X(TIMER, "timer")	/* armed for a                                                             */ \
	X(DRAW, "draw")		/* stream a drew b                                                         */ \
	X(FAULT, "fault")	/* fault a happens                                                         */ \
	X(USER, "user")		/* user code ran: exit kind a, what b                                      */ \
	X(CONSOLE, "console")	/* a bytes with hash b                                                     */ \
	X(DEVICE, "device")	/* a device model: the model's own words                                   */ \
	X(OPERATION, "op")	/* a model's operation number a                                            */ \
	X(NOTE, "note")		/* a model's state, or a message                                           */

enum sim_trace_kind {
#define X(name, text) SIM_TRACE_##name,
	SIM_TRACE_LIST(X)
#undef X
	SIM_TRACE_KINDS
};

/* One event as it is recorded (--record) and compared. Layout of the file, little endian. */
struct sim_trace_record {
	uint64_t time_ns;
	uint32_t kind;
	uint32_t cpu;
	uint64_t a, b;
};
_Static_assert(sizeof(struct sim_trace_record) == 32, "the record file's layout");

/* Notes an event of the running vCPU. `pc`: the kernel code that it is of, for timelines only; or 0. */
void sim_trace(enum sim_trace_kind kind, uint64_t a, uint64_t b);
void sim_trace_at(enum sim_trace_kind kind, uint64_t a, uint64_t b, uintptr_t pc);

/* Hash, number and virtual time of the run so far. */
struct sim_trace_sum {
	uint64_t hash, events, time_ns;
};
void sim_trace_sum(struct sim_trace_sum *ret);

/* Starts afresh. */
void sim_trace_reset(void);

/* True between the start of the world and its end. */
bool sim_trace_running(void);

/* A word of free text in the timeline (printf style, at most 160 bytes), part of the hash. */
__attribute__((format(printf, 1, 2))) void sim_note(const char *format, ...);

/* ---- hosted half ---- */

/* Whether anybody wants records: if not, they are only hashed. */
extern bool sim_trace_wanted;

struct sim_trace_names {
	const char *thread; /* running kernel thread */
	const char *symbol; /* function that `pc` lies in, or null */
	size_t offset;
	const char *object; /* name of the object `b` of a POINT, or null */
	const char *text;   /* of a NOTE, or null */
};
void host_trace_record(const struct sim_trace_record *record, uint64_t number, const struct sim_trace_names *names);

/* Files to write: records (binary) and a timeline (text; "-": standard error); null: none. */
void host_trace_open(const char *record, const char *timeline);
void host_trace_close(void);

/* The first user program is about to run: for the host's time until then. */
void host_trace_user(void);

/* On standard error what it cost the host, then the run's own line: seed, commit, time, events, hash. */
void host_trace_report(const struct sim_trace_sum *sum);

#endif
