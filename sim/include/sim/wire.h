/* SPDX-License-Identifier: MIT */
/*
 * Simulated wires: the network seam of the deterministic world. A wire joins two ports; models of network cards, or of whole peers,
 * own a port each. What a port sends arrives at the other some time later, in order, unless a fault (fault.h, net.*) says
 * otherwise. Called at scheduling points and from events; calls neither the kernel nor anything that sleeps.
 */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include <hal/types.h>

#define SIM_WIRES_MAX	    8
#define SIM_WIRE_QUEUE_MAX  64	 /* frames under way in one direction; one more finds the queue full */
#define SIM_WIRE_FRAME_MAX  9216 /* bytes of a frame, from the destination address on, without the check sequence */
#define SIM_WIRE_LATENCY_NS 20000
#define SIM_WIRE_NS_PER_BYTE 8	 /* 1 Gbit/s */

struct sim_wire; /* opaque */

struct sim_port {
	/* A frame arrived; it is gone when this returns. */
	void (*receive)(struct sim_port *port, const uint8_t *frame, size_t len);
	/* The link went up or down; may be null. */
	void (*link)(struct sim_port *port, bool up);
	void *owner;
	/* The wire's: */
	struct sim_wire *wire;
	unsigned side;
};

/* Joins two ports; their `receive` must be set. Null when there are no wires left. */
struct sim_wire *sim_wire_join(struct sim_port *a, struct sim_port *b);

/*
 * Sends a frame: 0; -EMSGSIZE when it is larger than SIM_WIRE_FRAME_MAX; -ENOBUFS when the queue is full (then nothing is
 * sent); -ENETDOWN when the link is down. A frame that a fault swallows counts as sent.
 */
int sim_wire_send(struct sim_port *port, const uint8_t *frame, size_t len);

bool sim_wire_is_up(const struct sim_wire *wire);

/* The largest frame that gets through now. */
size_t sim_wire_mtu(const struct sim_wire *wire);

struct sim_wire_stats {
	uint64_t sent, received, lost, duplicated, corrupted, truncated, too_large, refused, flaps, partitions;
};
void sim_wire_stats(const struct sim_wire *wire, struct sim_wire_stats *ret);

/* The liveness phase: link up, no partition, full MTU; what is under way arrives. */
void sim_wire_heal(struct sim_wire *wire);

#endif
