/* SPDX-License-Identifier: MIT */
/*
 * Kernel contexts on the host: a stack, switched by switch_x86_64.S. The sanitizers must be told of each
 * switch, since they keep shadow state a stack: AddressSanitizer where the stack lies, ThreadSanitizer a
 * "fiber" with its own history.
 *
 * A context that ends is just never switched to again: its fiber is found again by the stack's address when
 * the stack gets its next context (fiber_of()), so that fibers are bounded by stacks.
 */
#include <hal/hal.h>
#include <sim/host.h>
#include <sim/context.h>
#include <sim/sanitizer.h>
#include <sim/trace.h>

/* In switch_x86_64.S. */
void sim_switch(void **save_sp, void *load_sp);
void sim_context_first(void);
_Noreturn void sim_context_begin(struct hal_context *self);

/* What sim_switch() pops: see there. */
struct first_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp;
	void (*pc)(void);
	uint64_t end[2]; /* a null return address and frame pointer for backtraces; also the alignment */
};

/* On the new stack, first thing: tells the sanitizers that the switch is complete, then runs the entry. */
_Noreturn void sim_context_begin(struct hal_context *self)
{
	struct hal_context *left = sim_self()->left;

	sim_fiber_arrived(NULL, &left->stack, &left->size);
	self->entry(self->arg);
	host_fatal("a kernel context returned from its entry");
}

/* ---- the list of contexts, for verdicts: the deterministic world's, which has one thread ---- */

static struct hal_context contexts = {.previous = &contexts, .next = &contexts};

struct hal_context *sim_context_next(struct hal_context *c)
{
	struct hal_context *next = c ? c->next : contexts.next;

	return next == &contexts ? NULL : next;
}

static void list_insert(struct hal_context *c)
{
	c->previous = contexts.previous;
	c->next = &contexts;
	c->previous->next = c->next->previous = c;
}

void hal_context_fini(struct hal_context *c)
{
	if (!c->next)
		return;
	c->previous->next = c->next;
	c->next->previous = c->previous;
	c->previous = c->next = NULL;
}

size_t sim_context_backtrace(const struct hal_context *c, uintptr_t *ret_pcs, size_t max)
{
	const struct first_frame *frame = c->sp;

	return hal_backtrace_from((uintptr_t)frame->pc, frame->rbp, ret_pcs, max);
}

/* ---- making and switching ---- */

void sim_context_prepare(struct hal_context *c, void *stack, size_t size, void (*entry)(void *), void *arg)
{
	struct first_frame *frame = (void *)((char *)stack + size - sizeof(struct first_frame));

	sim_stack_fresh(stack, size);
	*frame = (struct first_frame){.r12 = (uintptr_t)c, .pc = sim_context_first};
	*c = (struct hal_context){
	    .sp = frame,
	    .stack = stack,
	    .size = size,
	    .fiber = sim_fiber_of(stack),
	    .entry = entry,
	    .arg = arg,
	};
}

SIM_NO_TSAN void sim_context_go(struct hal_context *from, struct hal_context *to)
{
	struct sim_vcpu *v = sim_self();
	struct hal_context *left;

	v->left = from;
	v->running = to;
	sim_fiber_leave(&from->fiber, to->fiber, to->stack, to->size);
	sim_switch(&from->sp, to->sp);
	left = sim_self()->left;
	sim_fiber_arrived(from->fiber, &left->stack, &left->size);
}

void hal_context_init(struct hal_context *c, void *stack, size_t size, void (*entry)(void *), void *arg)
{
	sim_context_prepare(c, stack, size, entry, arg);
	if (sim_points)
		list_insert(c);
}

/* The boot thread's context was never made: it is known from its first switch. */
SIM_NO_TSAN void hal_context_switch(struct hal_context *from, struct hal_context *to)
{
	if (sim_points) {
		if (!from->next)
			list_insert(from);
		sim_trace(SIM_TRACE_THREAD, (uintptr_t)to, 0);
	}
	sim_context_go(from, to);
}
