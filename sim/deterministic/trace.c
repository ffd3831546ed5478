/* SPDX-License-Identifier: MIT */
/*
 * The trace: each event is mixed into a hash with its virtual time and vCPU; if somebody wants to see events, it is handed out with
 * the names of what it is about, which do not count.
 */
#include <stdarg.h>

#include <sim/host.h>
#include "deterministic.h"

static struct sim_trace_sum sum;

void sim_trace_reset(void)
{
	sum = (struct sim_trace_sum){.hash = UINT64_C(0x243f6a8885a308d3)};
}

bool sim_trace_running(void)
{
	return sim_points;
}

void sim_trace_sum(struct sim_trace_sum *ret)
{
	*ret = sum;
	ret->time_ns = det_now_ns;
}

/* One round a word, of the kind that wyhash uses: a 128-bit product, folded. */
static inline uint64_t mix(uint64_t hash, uint64_t word)
{
	unsigned __int128 product = (unsigned __int128)(hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint64_t)product ^ (uint64_t)(product >> 64) ^ UINT64_C(0xe7037ed1a0b428db);
}

static void hand_out(const struct sim_trace_record *r, uintptr_t pc, const char *text)
{
	struct sim_trace_names names = {.thread = "", .text = text};
	char thread[48] = "";

	if (hal_upcalls.describe_context && sim_self() && sim_self()->running) {
		const struct hal_context *c = sim_self()->running;
		bool points = sim_points;

		sim_points = false; /* it is kernel code, in which points may be everywhere */
		hal_upcalls.describe_context(c->thread ? c->thread : c, thread, sizeof(thread), false);
		sim_points = points;
		names.thread = thread;
	}
	if (pc)
		hal_symbol_lookup(pc - 1, &names.symbol, &names.offset);
	host_trace_record(r, sum.events, &names);
}

static void note(enum sim_trace_kind kind, uint64_t a, uint64_t b, uintptr_t pc, const char *text)
{
	const struct sim_vcpu *v = sim_self();
	struct sim_trace_record r = {.time_ns = det_now_ns, .kind = kind, .cpu = v ? v->id : 0, .a = a, .b = b};

	sum.events++;
	sum.hash = mix(mix(mix(sum.hash, r.time_ns << 16 | r.kind << 8 | r.cpu), a), b);
	if (__builtin_expect(sim_trace_wanted, 0))
		hand_out(&r, pc, text);
	if (__builtin_expect(sum.events == sim_scenario.stop_at, 0))
		__asm__ volatile("int3"); /* the debugger that --gdb started stops here */
}

void sim_trace(enum sim_trace_kind kind, uint64_t a, uint64_t b)
{
	note(kind, a, b, 0, NULL);
}

void sim_trace_at(enum sim_trace_kind kind, uint64_t a, uint64_t b, uintptr_t pc)
{
	note(kind, a, b, pc, NULL);
}

void sim_note(const char *format, ...)
{
	char text[160];
	va_list args;
	uint64_t hash = 0;

	va_start(args, format);
	host_format(text, sizeof(text), format, args);
	va_end(args);
	for (const char *c = text; *c; c++)
		hash = mix(hash, (uint8_t)*c);
	note(SIM_TRACE_NOTE, 0, hash, 0, text);
}
