/* SPDX-License-Identifier: MIT */
/*
 * Wires: see <sim/wire.h>. Each direction has a queue of frames under way, each with an event at the time of its arrival. A frame
 * leaves when the one before it has left (serialisation) and arrives a latency later; a reordered or delayed one just later.
 *
 * W1  A frame arrives unchanged, once, in order, at its time, unless a net.* fault has said otherwise. W2  Faults are drawn when a frame
 * is sent, so that they follow from the order of sending. W3  While the link is down or a direction is cut nothing is put under
 * way; what was under way before a cut is lost with it, as in a broken cable.
 */
#include <asm/errno.h>

#include <sim/event.h>
#include <sim/fault.h>
#include <sim/wire.h>
#include "deterministic.h"

#define DELAY_MAX_NS   UINT64_C(1000000000)
#define REORDER_MAX_NS 2000000
#define DOWN_MAX_NS    UINT64_C(3000000000)
#define MTU_MIN	       68 /* RFC 791: every link carries this much, in a frame of 14 bytes more */
#define MTU_USUAL      1514
#define FLIPS_MAX      8

void *memcpy(void *, const void *, size_t);

struct frame {
	struct sim_event event;
	bool used;
	uint8_t from; /* side */
	struct sim_wire *wire;
	size_t len;
	uint8_t bytes[SIM_WIRE_FRAME_MAX];
};

struct sim_wire {
	struct sim_port *ports[2];
	struct frame frames[2][SIM_WIRE_QUEUE_MAX];
	uint64_t free_at_ns[2]; /* when the last frame sent has left */
	struct sim_event up, whole;
	bool down, cut[2];
	size_t mtu;
	struct sim_wire_stats stats;
};

static struct sim_wire wires[SIM_WIRES_MAX];
static unsigned joined;

/* ---- link and partitions ---- */

static void tell(struct sim_wire *w, bool up)
{
	for (unsigned side = 0; side < 2; side++)
		if (w->ports[side]->link)
			w->ports[side]->link(w->ports[side], up);
}

static void drop_under_way(struct sim_wire *w, unsigned side)
{
	for (unsigned i = 0; i < SIM_WIRE_QUEUE_MAX; i++) {
		struct frame *f = &w->frames[side][i];

		if (!f->used)
			continue;
		sim_event_cancel(&f->event);
		f->used = false;
		w->stats.lost++;
	}
}

static void goes_up(struct sim_event *e)
{
	struct sim_wire *w = (struct sim_wire *)((char *)e - offsetof(struct sim_wire, up));

	w->down = false;
	tell(w, true);
}

static void becomes_whole(struct sim_event *e)
{
	struct sim_wire *w = (struct sim_wire *)((char *)e - offsetof(struct sim_wire, whole));

	w->cut[0] = w->cut[1] = false;
}

static void flap(struct sim_wire *w)
{
	w->down = true;
	w->stats.flaps++;
	drop_under_way(w, 0);
	drop_under_way(w, 1);
	tell(w, false);
	sim_event_arm(&w->up, det_now_ns + 1 + sim_fault_draw(SIM_FAULT_NET_FLAP, DOWN_MAX_NS));
}

/* One direction, or both. */
static void partition(struct sim_wire *w)
{
	uint64_t which = sim_fault_draw(SIM_FAULT_NET_PARTITION, 3);

	w->stats.partitions++;
	for (unsigned side = 0; side < 2; side++) {
		if (which == side)
			continue;
		w->cut[side] = true;
		drop_under_way(w, side);
	}
	sim_event_arm(&w->whole, det_now_ns + 1 + sim_fault_draw(SIM_FAULT_NET_PARTITION, DOWN_MAX_NS));
}

/* ---- frames ---- */

static void arrives(struct sim_event *e)
{
	struct frame *f = (struct frame *)e;
	struct sim_port *to = f->wire->ports[!f->from];

	f->used = false;
	f->wire->stats.received++;
	sim_trace(SIM_TRACE_DEVICE, f->len, f->bytes[0]);
	to->receive(to, f->bytes, f->len);
}

static struct frame *free_frame(struct sim_wire *w, unsigned side)
{
	for (unsigned i = 0; i < SIM_WIRE_QUEUE_MAX; i++)
		if (!w->frames[side][i].used)
			return &w->frames[side][i];
	return NULL;
}

static void corrupt(struct frame *f)
{
	uint64_t flips = 1 + sim_fault_draw(SIM_FAULT_NET_CORRUPT, FLIPS_MAX);

	for (; flips && f->len; flips--) {
		uint64_t bit = sim_fault_draw(SIM_FAULT_NET_CORRUPT, f->len * 8);

		f->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* When the frame arrives, as far as nothing is wrong. */
static uint64_t arrival(struct sim_wire *w, unsigned side, size_t len)
{
	uint64_t leaves = w->free_at_ns[side] > det_now_ns ? w->free_at_ns[side] : det_now_ns;

	w->free_at_ns[side] = leaves + len * SIM_WIRE_NS_PER_BYTE;
	return w->free_at_ns[side] + SIM_WIRE_LATENCY_NS;
}

/* Puts one copy under way; false when there is no room. */
static bool put_under_way(struct sim_wire *w, unsigned side, const uint8_t *bytes, size_t len, uint64_t at_ns)
{
	struct frame *f = free_frame(w, side);

	if (!f)
		return false;
	*f = (struct frame){.event.fn = arrives, .used = true, .from = (uint8_t)side, .wire = w, .len = len};
	memcpy(f->bytes, bytes, len);
	if (sim_fault(SIM_FAULT_NET_CORRUPT)) {
		corrupt(f);
		w->stats.corrupted++;
	}
	if (sim_fault(SIM_FAULT_NET_TRUNCATE)) {
		f->len = (size_t)sim_fault_draw(SIM_FAULT_NET_TRUNCATE, len + 1);
		w->stats.truncated++;
	}
	if (sim_fault(SIM_FAULT_NET_REORDER))
		at_ns += sim_fault_draw(SIM_FAULT_NET_REORDER, REORDER_MAX_NS);
	if (sim_fault(SIM_FAULT_NET_DELAY))
		at_ns += sim_fault_draw(SIM_FAULT_NET_DELAY, DELAY_MAX_NS);
	sim_event_arm(&f->event, at_ns);
	return true;
}

static void change_link(struct sim_wire *w)
{
	if (sim_fault(SIM_FAULT_NET_FLAP))
		flap(w);
	if (sim_fault(SIM_FAULT_NET_PARTITION))
		partition(w);
	if (sim_fault(SIM_FAULT_NET_MTU))
		w->mtu = MTU_MIN + 14 + (size_t)sim_fault_draw(SIM_FAULT_NET_MTU, MTU_USUAL);
}

int sim_wire_send(struct sim_port *port, const uint8_t *frame, size_t len)
{
	struct sim_wire *w = port->wire;
	unsigned side = port->side;
	uint64_t at_ns;

	if (len > SIM_WIRE_FRAME_MAX)
		return -EMSGSIZE;
	change_link(w);
	if (w->down)
		return -ENETDOWN;
	if (sim_fault(SIM_FAULT_NET_FULL) || !free_frame(w, side)) {
		w->stats.refused++;
		return -ENOBUFS;
	}
	w->stats.sent++;
	at_ns = arrival(w, side, len);
	if (len > w->mtu) {
		w->stats.too_large++;
		return 0;
	}
	if (w->cut[side] || sim_fault(SIM_FAULT_NET_LOSS)) {
		w->stats.lost++;
		return 0;
	}
	put_under_way(w, side, frame, len, at_ns);
	if (sim_fault(SIM_FAULT_NET_DUPLICATE) && put_under_way(w, side, frame, len, at_ns + SIM_WIRE_LATENCY_NS))
		w->stats.duplicated++;
	return 0;
}

/* ---- the rest ---- */

struct sim_wire *sim_wire_join(struct sim_port *a, struct sim_port *b)
{
	struct sim_wire *w;

	if (joined == SIM_WIRES_MAX)
		return NULL;
	w = &wires[joined++];
	w->ports[0] = a;
	w->ports[1] = b;
	a->wire = b->wire = w;
	a->side = 0;
	b->side = 1;
	w->mtu = SIM_WIRE_FRAME_MAX;
	w->up.fn = goes_up;
	w->whole.fn = becomes_whole;
	return w;
}

bool sim_wire_is_up(const struct sim_wire *w)
{
	return !w->down;
}

size_t sim_wire_mtu(const struct sim_wire *w)
{
	return w->mtu;
}

void sim_wire_stats(const struct sim_wire *w, struct sim_wire_stats *ret)
{
	*ret = w->stats;
}

void sim_wire_heal(struct sim_wire *w)
{
	w->mtu = SIM_WIRE_FRAME_MAX;
	w->cut[0] = w->cut[1] = false;
	sim_event_cancel(&w->whole);
	if (w->down) {
		sim_event_cancel(&w->up);
		goes_up(&w->up);
	}
}
