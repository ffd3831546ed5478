/* SPDX-License-Identifier: MIT */
/*
 * The simulated wire, under a small reliable protocol: two peers send each other numbered messages, acknowledge, and send again what
 * was not acknowledged in time (go-back-N). Whatever the wire does, each side receives the other's messages unchanged, once, in order;
 * without faults also nothing is sent twice, and once faults have stopped everything arrives within a bounded time.
 */
#include "model.h"

#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <sim/event.h>
#include <sim/scenario.h>
#include <sim/wire.h>

#define WINDOW	   4
#define PAYLOAD	   200 /* bytes at most */
#define RESEND_NS  5000000
#define RECOVER_NS (60 * NSEC_PER_SEC)

struct message {
	uint32_t check; /* of all that follows */
	uint32_t number, acknowledged, len;
	uint8_t payload[PAYLOAD];
};
#define HEAD offsetof(struct message, payload)

static struct peer {
	struct sim_port port;
	struct sim_event resend;
	uint32_t next, base; /* to be sent next; the first that is not acknowledged */
	uint32_t expected;   /* of the other side's */
	uint32_t total;
	uint64_t resent;
} peers[2];

static struct sim_wire *wire;

static uint32_t check_of(const uint8_t *bytes, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(hash ^ hash >> 32);
}

/* The n-th message of a side, the same whenever it is made. */
static size_t make(unsigned side, uint32_t number, struct message *ret)
{
	struct sim_generator g = sim_generator(sim_scenario.seed ^ 0x77697265, (uint64_t)side << 32 | number);

	memset(ret, 0, sizeof(*ret));
	ret->number = number;
	ret->len = (uint32_t)sim_generate_below(&g, PAYLOAD - 136); /* so that even the smallest MTU carries some */
	for (uint32_t i = 0; i < ret->len; i++)
		ret->payload[i] = (uint8_t)sim_generate(&g);
	return HEAD + ret->len;
}

static void send_message(struct peer *p, uint32_t number, bool empty)
{
	struct message m;
	size_t len = make(p == &peers[1], number, &m);

	if (empty) {
		m.number = UINT32_MAX;
		m.len = 0;
		len = HEAD;
	}
	m.acknowledged = p->expected;
	m.check = check_of((const uint8_t *)&m + sizeof(m.check), len - sizeof(m.check));
	sim_wire_send(&p->port, (const uint8_t *)&m, len); /* refused ones are sent again like lost ones */
}

static void send_window(struct peer *p)
{
	while (p->next < p->total && p->next < p->base + WINDOW)
		send_message(p, p->next++, false);
	if (p->base < p->total)
		sim_event_arm(&p->resend, hal_clock_ns() + RESEND_NS);
}

static void resend(struct sim_event *e)
{
	struct peer *p = container_of(e, struct peer, resend);

	p->resent += p->next - p->base;
	p->next = p->base;
	send_window(p);
}

/* A message as it was received; false if the wire has damaged it. */
static bool intact(const uint8_t *frame, size_t len, struct message *ret)
{
	if (len < HEAD || len > sizeof(*ret))
		return false;
	memcpy(ret, frame, len);
	return ret->len == len - HEAD && ret->check == check_of(frame + sizeof(ret->check), len - sizeof(ret->check));
}

static void receive(struct sim_port *port, const uint8_t *frame, size_t len)
{
	struct peer *p = port->owner;
	struct message m, wanted;

	if (!intact(frame, len, &m)) {
		MODEL_CHECK(sim_fault_rate(SIM_FAULT_NET_CORRUPT) || sim_fault_rate(SIM_FAULT_NET_TRUNCATE));
		return;
	}
	MODEL_CHECK(m.acknowledged <= p->total);
	if (m.acknowledged > p->base) {
		p->base = m.acknowledged;
		p->next = max(p->next, p->base);
		sim_event_cancel(&p->resend);
		send_window(p);
	}
	if (m.number == UINT32_MAX)
		return;
	if (m.number == p->expected) {
		make(p == &peers[0], p->expected, &wanted);
		MODEL_EQUAL(m.len, wanted.len);
		MODEL_CHECK(memcmp(m.payload, wanted.payload, m.len) == 0);
		p->expected++;
		model_state((uint64_t)peers[0].expected << 32 | peers[1].expected);
	}
	send_message(p, 0, true);
}

static bool all_arrived(void)
{
	return peers[0].expected == peers[1].total && peers[1].expected == peers[0].total;
}

static bool quiet(void)
{
	for (unsigned i = SIM_FAULT_NET_LOSS; i <= SIM_FAULT_NET_FULL; i++)
		if (sim_fault_rate((enum sim_fault)i))
			return false;
	return true;
}

static void run(void)
{
	uint64_t limit;

	for (unsigned side = 0; side < 2; side++) {
		peers[side] = (struct peer){
		    .port = {.receive = receive, .owner = &peers[side]},
		    .resend.fn = resend,
		    .total = (uint32_t)model_operations(),
		};
	}
	wire = sim_wire_join(&peers[0].port, &peers[1].port);
	send_window(&peers[0]);
	send_window(&peers[1]);
	thread_delay(NSEC_PER_SEC);
	model_recover();
	sim_wire_heal(wire);
	limit = hal_clock_ns() + RECOVER_NS;
	while (!all_arrived()) {
		MODEL_CHECK(hal_clock_ns() < limit);
		thread_delay(10 * NSEC_PER_MSEC);
	}
	if (quiet())
		MODEL_EQUAL(peers[0].resent + peers[1].resent, 0);
	sim_event_cancel(&peers[0].resend);
	sim_event_cancel(&peers[1].resend);
}

MODEL_DEFINE(wire, .what = "the simulated wire and its faults, under a reliable protocol", .run = run, .cpus = 1, .operations = 60);
