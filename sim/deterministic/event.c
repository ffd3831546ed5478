/* SPDX-License-Identifier: MIT */
/* The heap of events: see <sim/event.h>. A binary heap of pointers, in which each event knows its place. */
#include <sim/event.h>
#include <sim/host.h>

static struct sim_event *heap[SIM_EVENTS_MAX];
static unsigned armed, foreground;
static uint64_t orders;

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void put(unsigned at, struct sim_event *e)
{
	heap[at] = e;
	e->slot = at + 1;
}

static void rise(unsigned at, struct sim_event *e)
{
	for (; at > 0 && before(e, heap[(at - 1) / 2]); at = (at - 1) / 2)
		put(at, heap[(at - 1) / 2]);
	put(at, e);
}

static void sink(unsigned at, struct sim_event *e)
{
	for (unsigned child; (child = 2 * at + 1) < armed; at = child) {
		if (child + 1 < armed && before(heap[child + 1], heap[child]))
			child++;
		if (!before(heap[child], e))
			break;
		put(at, heap[child]);
	}
	put(at, e);
}

void sim_event_cancel(struct sim_event *e)
{
	unsigned at = e->slot - 1;
	struct sim_event *last;

	if (!e->slot)
		return;
	e->slot = 0;
	foreground -= !e->background;
	last = heap[--armed];
	if (last == e)
		return;
	rise(at, last);
	sink(last->slot - 1, last);
}

void sim_event_arm(struct sim_event *e, uint64_t at_ns)
{
	sim_event_cancel(e);
	if (armed == SIM_EVENTS_MAX)
		host_fatal("more than %d events are armed", SIM_EVENTS_MAX);
	e->at_ns = at_ns;
	e->order = orders++;
	foreground += !e->background;
	rise(armed++, e);
}

uint64_t sim_event_next_ns(void)
{
	return armed ? heap[0]->at_ns : UINT64_MAX;
}

bool sim_event_foreground(void)
{
	return foreground > 0;
}

void sim_event_run(uint64_t now_ns)
{
	while (armed && heap[0]->at_ns <= now_ns) {
		struct sim_event *e = heap[0];

		sim_event_cancel(e);
		e->fn(e);
	}
}
