/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX sockets, in four parts that run side by side.
 *
 *   pairs     a stream, a record and a datagram pair: one worker sends at each end, and the same takes what the other sends. The bytes of a
 *             stream come in order; messages come whole and in order; after shutdown or close 0 or EPIPE, never more data than was sent
 *   rendezvous  workers connect to a listener, others accept and close it or shut it down; each connection carries its number
 *   passing   files travel; a socket is sent over itself, or two over each other, and closed: nothing of them stays
 */
#include "model.h"

#include <asm/fcntl.h>
#include <asm/poll.h>
#include <cloudos/errno.h>
#include <cloudos/fs.h>
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/pipe.h>
#include <cloudos/socket.h>
#include <cloudos/string.h>
#include <cloudos/thread.h>
#include <cloudos/vfs.h>
#include "../../src/kernel/net/unix_internal.h"

#define WORKERS	  4
#define PAIRS	  3
#define BYTES_MAX 3000
#define NAMES	  2
#define LOOK_NS	  (200 * NSEC_PER_MSEC) /* the collector has looked by then */

static const int types[PAIRS] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

/* Ends 0 and 1; `sent` and `got` count bytes of a stream, messages of the others. A worker has one end, as its user. */
static struct pair {
	struct file *ends[2];
	uint64_t sent[2], got[2]; /* by the sending end */
	struct mutex busy[2][2];  /* [end][sends]: one at a time, so that order is known */
	bool closed[2], shut[2];  /* shut: either side of either end */
	bool ended[2];		  /* nothing comes to this end any more: the other one is closed, or it was shut */
} pairs[PAIRS];

static char buffers[WORKERS][BYTES_MAX];

/* ---- messages ---- */

static ssize_t send(struct file *f, const struct socket_address *to, const void *buf, size_t len, struct rights *rights)
{
	struct socket_address where;
	struct socket_control control = {.rights = rights};
	struct io_iter data;
	struct socket_message m = {.data = &data, .flags = MSG_DONTWAIT, .control = rights ? &control : NULL};
	ssize_t n;

	if (to) {
		where = *to;
		m.address = &where;
	}
	io_iter_kernel(&data, buf, len);
	n = socket_send(socket_of_file(f), &m);
	rights_drop(control.rights); /* null if the socket has taken them over */
	return n;
}

static ssize_t receive_flags(struct file *f, void *buf, size_t len, unsigned flags, struct rights **ret_rights)
{
	struct socket_control control = {.rights = NULL};
	struct io_iter data;
	struct socket_message m = {.data = &data, .flags = MSG_DONTWAIT | flags, .control = &control};
	ssize_t n;

	io_iter_kernel(&data, buf, len);
	n = socket_receive(socket_of_file(f), &m);
	if (ret_rights)
		*ret_rights = control.rights;
	else
		rights_drop(control.rights);
	return n;
}

static ssize_t receive(struct file *f, void *buf, size_t len, struct rights **ret_rights)
{
	return receive_flags(f, buf, len, 0, ret_rights);
}

/* ---- pairs ---- */

static char byte_of(unsigned end, uint64_t n)
{
	return (char)(end << 7 | (n * 11 & 127));
}

static bool excused(const struct pair *p, ssize_t n)
{
	if (n == -ENOMEM)
		return model_may_fail();
	return n == -EAGAIN || ((n == -EPIPE || n == -ECONNRESET || n == -ECONNREFUSED || n == -ENOTCONN || n == 0) &&
				(p->closed[0] || p->closed[1] || p->shut[0] || p->shut[1]));
}

static void pair_send(struct model_op *op, unsigned worker, struct pair *p, unsigned end)
{
	bool stream = p == &pairs[0];
	size_t len = 1 + (size_t)(model_below(op, BYTES_MAX) >> model_below(op, 8));
	char *buf = buffers[worker];
	ssize_t n;

	mutex_lock(&p->busy[end][1]);
	if (p->closed[end]) {
		mutex_unlock(&p->busy[end][1]);
		return;
	}
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_of(end, stream ? p->sent[end] + i : p->sent[end] + len);
	n = send(p->ends[end], NULL, buf, len, NULL);
	if (n > 0) {
		MODEL_CHECK(stream ? n <= (ssize_t)len : n == (ssize_t)len);
		p->sent[end] += stream ? (uint64_t)n : 1;
	} else {
		MODEL_CHECK(excused(p, n));
	}
	mutex_unlock(&p->busy[end][1]);
}

/* n bytes were taken; the first `copied` of them are in buf, the rest of a message is lost. */
static void check_received(struct pair *p, unsigned from, const char *buf, size_t n, size_t copied)
{
	bool stream = p == &pairs[0];

	for (size_t i = 0; i < copied; i++)
		MODEL_EQUAL((uint8_t)buf[i], (uint8_t)byte_of(from, stream ? p->got[from] + i : p->got[from] + n));
	p->got[from] += stream ? n : 1;
}

static void pair_receive(struct model_op *op, unsigned worker, struct pair *p, unsigned end)
{
	bool stream = p == &pairs[0];
	size_t some = 1 + (size_t)model_below(op, BYTES_MAX), len = stream || model_chance(op, 20) ? some : BYTES_MAX;
	char *buf = buffers[worker];
	uint32_t ready;
	bool ended;
	ssize_t n;

	mutex_lock(&p->busy[end][0]);
	ended = __atomic_load_n(&p->ended[end], __ATOMIC_ACQUIRE);
	if (!p->closed[end]) {
		ready = file_poll(p->ends[end], NULL);
		n = receive_flags(p->ends[end], buf, len, stream ? 0 : MSG_TRUNC, NULL);
		if (n > 0)
			check_received(p, !end, buf, (size_t)n, min((size_t)n, len));
		else
			MODEL_CHECK(excused(p, n) && !(n == -EAGAIN && (ended || (ready & POLLIN))));
	}
	mutex_unlock(&p->busy[end][0]);
}

/* Of datagram sockets neither end knows what the other does. */
static void note_ended(struct pair *p, unsigned end)
{
	if (p != &pairs[PAIRS - 1])
		__atomic_store_n(&p->ended[end], true, __ATOMIC_RELEASE);
}

static void pair_shut(struct model_op *op, struct pair *p, unsigned end)
{
	int how = (int)model_below(op, 3);

	mutex_lock(&p->busy[end][1]);
	WRITE_ONCE(p->shut[end], true);
	if (!p->closed[end]) {
		MODEL_EQUAL(socket_of_file(p->ends[end])->ops->shutdown(socket_of_file(p->ends[end]), how), 0);
		if (how != SHUT_WR)
			note_ended(p, end);
		if (how != SHUT_RD)
			note_ended(p, !end);
	}
	mutex_unlock(&p->busy[end][1]);
}

static void pair_close(struct pair *p, unsigned end)
{
	bool was;

	mutex_lock(&p->busy[end][0]);
	mutex_lock_beside(&p->busy[end][1]);
	was = p->closed[end];
	WRITE_ONCE(p->closed[end], true);
	if (!was) {
		file_put(p->ends[end]);
		note_ended(p, !end);
	}
	mutex_unlock(&p->busy[end][1]);
	mutex_unlock(&p->busy[end][0]);
}

static void with_pair(struct model_op *op, unsigned worker)
{
	struct pair *p = &pairs[model_below(op, PAIRS)];
	unsigned end = (unsigned)model_below(op, 2);
	uint64_t what = model_below(op, 40);

	if (what < 18)
		pair_send(op, worker, p, end);
	else if (what < 38)
		pair_receive(op, worker, p, end);
	else if (what < 39)
		pair_shut(op, p, end);
	else
		pair_close(p, end);
}

/* ---- rendezvous ---- */

static void name_of(uint64_t which, struct socket_address *ret)
{
	*ret = (struct socket_address){.len = 5, .family = AF_UNIX};
	ret->bytes[3] = 'm';
	ret->bytes[4] = (uint8_t)which;
}

static struct file *make(int type, uint32_t flags)
{
	struct file *f;
	int error = socket_create(AF_UNIX, type, 0, flags, &f);

	MODEL_CHECK(error == 0 || (error == -ENOMEM && model_may_fail()));
	return error ? NULL : f;
}

static uint32_t connected, accepted;

/* A listener from birth to close: accepts for a while. Blocks in accept only if somebody wakes it: so it does not. */
static void listen_a_while(struct model_op *op)
{
	uint64_t which = model_below(op, NAMES), rounds = model_below(op, 4), how = model_below(op, 3);
	struct file *f = make(SOCK_SEQPACKET, 0), *server;
	struct socket *s = f ? socket_of_file(f) : NULL;
	struct socket_address a;
	uint64_t number;
	ssize_t n;

	if (!f)
		return;
	name_of(which, &a);
	if (s->ops->bind(s, &a) == 0 && s->ops->listen(s, (int)model_below(op, 2)) == 0) {
		for (uint64_t i = 0; i < rounds; i++) {
			thread_delay(model_below(op, 30000));
			if (socket_accept(s, true, 0, &server))
				continue;
			__atomic_fetch_add(&accepted, 1, __ATOMIC_RELAXED);
			n = receive(server, &number, sizeof(number), NULL);
			MODEL_CHECK(n == sizeof(number) ? number >> 32 == which : n == 0 || n == -EAGAIN || n == -ECONNRESET);
			file_put(server);
		}
		if (how == 0)
			(void)s->ops->shutdown(s, SHUT_RDWR);
		thread_delay(how * 10000);
	}
	file_put(f);
}

/* Connects, waiting if the backlog is full: whatever happens to the listener ends that. */
static void connect_once(struct model_op *op)
{
	uint64_t which = model_below(op, NAMES), nonblock = model_below(op, 2), number = which << 32 | op->index;
	struct file *f = make(SOCK_SEQPACKET, 0);
	struct socket_address a;
	ssize_t n;
	int error;

	if (!f)
		return;
	name_of(which, &a);
	error = socket_of_file(f)->ops->connect(socket_of_file(f), &a, nonblock);
	MODEL_CHECK(error == 0 || error == -ECONNREFUSED || (error == -EAGAIN && nonblock) ||
		    (error == -ENOMEM && model_may_fail()));
	if (!error) {
		__atomic_fetch_add(&connected, 1, __ATOMIC_RELAXED);
		n = send(f, NULL, &number, sizeof(number), NULL);
		MODEL_CHECK(n == sizeof(number) || n == -EPIPE || n == -ECONNRESET || (n == -ENOMEM && model_may_fail()));
	}
	file_put(f);
}

/* ---- passing ---- */

static struct rights *bundle(struct file *a, struct file *b)
{
	struct rights *r = kmalloc(sizeof(*r) + 2 * sizeof(r->files[0]));

	if (!r)
		return NULL;
	r->next = NULL;
	r->count = b ? 2 : 1;
	r->files[0] = a;
	r->files[1] = b;
	for (unsigned i = 0; i < r->count; i++)
		file_get(r->files[i]);
	return r;
}

/* Sends files over a socket; false: they were dropped. */
static bool pass(struct file *over, struct file *a, struct file *b)
{
	struct rights *r = bundle(a, b);
	char byte = 'x';

	return r && send(over, NULL, &byte, 1, r) == 1;
}

/* Two sockets that hold each other in their queues, or one itself; sometimes somebody takes a part out again. */
static void cycle(struct model_op *op)
{
	int type = types[model_below(op, PAIRS)];
	uint64_t shape = model_below(op, 4), takes = model_below(op, 3);
	struct rights *rights = NULL;
	struct file *a[2], *b[2];
	char byte;

	if (socket_create_pair(AF_UNIX, type, 0, 0, a))
		return;
	if (socket_create_pair(AF_UNIX, type, 0, 0, b)) {
		file_put(a[0]);
		file_put(a[1]);
		return;
	}
	if (shape & 1)
		(void)pass(a[0], a[1], a[0]);
	(void)pass(a[0], b[1], shape & 2 ? b[0] : NULL);
	(void)pass(b[0], a[1], a[0]);
	if (takes == 0 && receive(a[1], &byte, 1, &rights) == 1)
		MODEL_CHECK(!rights || rights->count <= 2);
	for (unsigned i = 0; i < 2; i++) {
		file_put(a[i]);
		file_put(b[i]);
	}
	thread_yield();
	rights_drop(rights);
}

/* An ordinary file goes over a socket, and comes out as it was. */
static void pass_pipe(struct model_op *op)
{
	struct file *ends[2], *reads, *writes;
	struct rights *rights = NULL;
	bool sent, peek = model_chance(op, 50);
	char byte;

	if (socket_create_pair(AF_UNIX, types[model_below(op, PAIRS)], 0, 0, ends))
		return;
	if (pipe_create(0, &reads, &writes) == 0) {
		sent = pass(ends[0], reads, writes);
		MODEL_CHECK(sent || model_may_fail());
		if (sent && !peek) {
			MODEL_EQUAL(receive(ends[1], &byte, 1, &rights), 1);
			MODEL_CHECK(rights && rights->count == 2 && rights->files[0] == reads && rights->files[1] == writes);
		}
		rights_drop(rights);
		file_put(reads);
		file_put(writes);
	}
	file_put(ends[0]);
	file_put(ends[1]);
}

/* ---- all of it ---- */

static void work(unsigned worker)
{
	struct model_op op = MODEL_OPS(worker);

	while (vfs_adopt_kernel_thread() == -ENOMEM)
		MODEL_CHECK(model_may_fail());
	while (model_next(&op)) {
		uint64_t what = model_below(&op, 16);

		if (what < 10)
			with_pair(&op, worker);
		else if (what < 11)
			listen_a_while(&op);
		else if (what < 13)
			connect_once(&op);
		else if (what < 15)
			cycle(&op);
		else
			pass_pipe(&op);
		model_state(pairs[0].sent[0] << 24 ^ pairs[1].sent[0] << 16 ^ pairs[2].got[0] << 8 ^ connected << 4 ^ accepted);
	}
	vfs_release_kernel_thread();
}

/* What is on its way still comes, if nothing was cut. */
static void check_rest(struct pair *p)
{
	for (unsigned end = 0; end < 2; end++) {
		ssize_t n;

		if (p->closed[0] || p->closed[1] || p->shut[0] || p->shut[1])
			continue;
		while ((n = receive(p->ends[end], buffers[0], BYTES_MAX, NULL)) > 0)
			check_received(p, !end, buffers[0], (size_t)n, (size_t)n);
		MODEL_EQUAL(n, -EAGAIN);
		MODEL_EQUAL(p->got[!end], p->sent[!end]);
		MODEL_EQUAL(unix_of(socket_of_file(p->ends[end]))->message_bytes, 0);
	}
}

static void prepare(void)
{
	MODEL_EQUAL(vfs_adopt_kernel_thread(), 0);
}

static void run(void)
{
	struct model_op op = MODEL_OPS(100);

	sim_faults_arm(false);
	for (unsigned i = 0; i < PAIRS; i++) {
		MODEL_EQUAL(socket_create_pair(AF_UNIX, types[i], 0, 0, pairs[i].ends), 0);
		for (unsigned j = 0; j < 4; j++)
			mutex_init(&pairs[i].busy[j / 2][j % 2], RANK_FILE_POS);
	}
	sim_faults_arm(true);
	model_workers(WORKERS, work);
	model_recover();
	for (unsigned i = 0; i < PAIRS; i++) {
		check_rest(&pairs[i]);
		pair_close(&pairs[i], 0);
		pair_close(&pairs[i], 1);
	}
	(void)model_next(&op);
	cycle(&op); /* after which no socket is closed that would make the collector look */
	thread_delay(LOOK_NS);
}

MODEL_DEFINE(unix, .what = "AF_UNIX sockets", .prepare = prepare, .run = run, .cpus = 4, .operations = 30);
