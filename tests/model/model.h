/* SPDX-License-Identifier: MIT */
/*
 * Model checks: a generator of operations, a simple reference that says what must come out, and invariants, run in the
 * deterministic world thousands of times, each time with another seed. A model is one file:
 *
 *   static void run(void)
 *   {
 *           struct model_op op = MODEL_OPS(0);
 *
 *           while (model_next(&op))
 *                   switch (model_below(&op, 2)) { ... do it, tell the reference, MODEL_CHECK(they agree); }
 *           model_recover();
 *           ... what must hold once no more faults happen ...
 *   }
 *   MODEL_DEFINE(foo, .what = "one line", .run = run, .cpus = 4, .operations = 200);
 *
 * and a line in meson.build. run() is called in a kernel thread on a booted kernel (no process exists), with faults armed.
 * When it returns, nothing may be in use that was not before: pages, slab objects, threads.
 *
 * Replay and shrinking: an operation's draws follow from the seed and the operation's number alone, so one that is left
 * out does not change the others. So draw what an operation does from `op`, never from what happened before, and let
 * operations that cannot be done (an object that is not there) do nothing.
 */
#ifndef MODEL_H
#define MODEL_H

#include <cloudos/types.h>
#include <sim/draw.h>
#include <sim/fault.h>

struct model {
	const char *name, *what;
	void (*machine)(void); /* null, or adds devices to the machine before it boots */
	void (*prepare)(void); /* null, or makes what stays: called before it is measured what is in use, no faults armed */
	void (*run)(void);
	unsigned cpus;	     /* at most; the seed chooses from 1 (or cpus_min) on */
	unsigned cpus_min;   /* 0: 1 */
	uint64_t operations; /* how many, unless a scenario says otherwise */
	unsigned memory_mib; /* 0: 24 */
	const char *faulty;  /* the verdict that it must end with; null: it must end well */
};

#define MODEL_DEFINE(ident, ...)                                                                             \
	__attribute__((section("cloudos_models"), used, aligned(8))) static const struct model model_##ident = { \
	    .name = #ident, __VA_ARGS__}

/* ---- operations ---- */

#define MODEL_WORKER_SHIFT 32 /* an operation's number is worker << 32 | index */

struct model_op {
	uint64_t number;	     /* of the operation; names it in scenarios and timelines */
	uint64_t index, count;	     /* the next one's, and how many there are                */
	struct sim_generator draws;
	uint64_t worker;
};
#define MODEL_OPS(worker_number) {.worker = (worker_number)}

/* Goes to the next operation that the scenario does not leave out; false after the last. */
bool model_next(struct model_op *op);

/* Draws for this operation. */
uint64_t model_draw(struct model_op *op);
uint64_t model_below(struct model_op *op, uint64_t n);
static inline bool model_chance(struct model_op *op, unsigned percent)
{
	return model_below(op, 100) < percent;
}

/* How many operations all workers together are to do. */
uint64_t model_operations(void);

/* ---- workers ---- */

/* The running thread computes for a while: time passes, interrupts come, and it gives way when it is told to. */
void model_compute(uint64_t ns);

/* Runs fn(0) .. fn(n - 1), each in a kernel thread of its own, and waits for all of them to end. */
void model_workers(unsigned n, void (*fn)(unsigned worker));

/* The CPUs on which such a thread runs, by the seed: for models that make threads in other ways. */
uint64_t model_affinity(unsigned worker);

/* ---- checking ---- */

/* Ends the run: the model has found a fault. */
_Noreturn __attribute__((format(printf, 3, 4))) void model_failed(const char *file, int line, const char *format, ...);

#define MODEL_CHECK(condition)                                                                               \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			model_failed(__FILE__, __LINE__, "%s", #condition);                                  \
	} while (0)

#define MODEL_EQUAL(a, b)                                                                                    \
	do {                                                                                                 \
		uint64_t model_a = (uint64_t)(a), model_b = (uint64_t)(b);                                   \
		if (model_a != model_b)                                                                      \
			model_failed(__FILE__, __LINE__, "%s is %#lx, %s is %#lx", #a, (unsigned long)model_a, #b,  \
				     (unsigned long)model_b);                                                \
	} while (0)

/* A state that was reached, for counting distinct ones. */
void model_state(uint64_t hash);

/* From here on no fault happens: the liveness phase. */
void model_recover(void);

/* True with so many faults armed that an error (-ENOMEM, -EIO) is a legal answer now. */
bool model_may_fail(void);

#endif
