/* SPDX-License-Identifier: MIT */
/*
 * Sockets that nobody can reach any more: they were sent over each other and closed, so that only files in their own queues still hold
 * them. The collector finds and empties them; their files then go as all files go.
 *
 * A socket whose file has no other references than those in queues (in_flight) is a suspect. Suspects that can be received from a socket
 * that is none are cleared, and what can be received from those in turn. The rest is garbage.
 *
 * G1  in_flight counts exactly the references from queues: it changes together with the queue, under the queue's lock.
 * G2  Each such change, and each peek, counts in `moves`. A collector that sees another count at its end than at its beginning gives up:
 *     the queues that it looked at were not all of one moment. For a true garbage set nothing can move.
 *
 * It looks when a socket is released and, since the last close of a garbage socket's descriptor releases nothing, some time after sockets
 * were sent: after LOOK_FIRST_NS, then at growing distances while any are on their way.
 *
 * A connection that waits for accept() is never a suspect: sockets that only such ones hold stay, within the bound of files in flight.
 *
 * Locking: garbage_lock (RANK_SOCKET_GARBAGE) guards the list of all sockets and their colours; a socket leaves the list before it is
 * taken apart.
 */
#include <cloudos/timer.h>
#include <cloudos/work.h>
#include "unix_internal.h"

#define LOOK_FIRST_NS (50 * NSEC_PER_MSEC)
#define LOOK_LAST_NS  (30 * NSEC_PER_SEC)

enum color { CLEARED, SUSPECT, TO_SCAN };

static struct mutex garbage_lock = MUTEX_INIT(garbage_lock, RANK_SOCKET_GARBAGE);
static struct list all_sockets = LIST_INIT(all_sockets); /* garbage_lock */
static uint64_t moves;		 /* A */
static uint32_t total_in_flight; /* A: of all sockets */

static void look_fire(struct timer *t);
static void look(struct work *w);

static struct timer look_timer = { .fn = look_fire, .cpu = -1 };
static struct work look_work = { .link = LIST_INIT(look_work.link), .fn = look };
static bool look_planned;	  /* A */
static uint64_t look_distance_ns; /* by whoever planned */

/* ---- when to look ---- */

static void plan_look(uint64_t distance_ns)
{
	if (__atomic_exchange_n(&look_planned, true, __ATOMIC_ACQ_REL))
		return;
	look_distance_ns = distance_ns;
	timer_arm(&look_timer, hal_clock_ns() + distance_ns);
}

static void look_fire(struct timer *t)
{
	(void)t;
	work_queue(&look_work);
}

static void look(struct work *w)
{
	uint64_t next_ns = min(2 * look_distance_ns, (uint64_t)LOOK_LAST_NS);

	(void)w;
	__atomic_store_n(&look_planned, false, __ATOMIC_RELEASE);
	unix_garbage_collect();
	if (__atomic_load_n(&total_in_flight, __ATOMIC_SEQ_CST) > 0)
		plan_look(next_ns);
}

/* ---- counting ---- */

static struct unix_socket *unix_of_file(struct file *f)
{
	struct socket *s = socket_of_file(f);

	return s && s->family == AF_UNIX ? unix_of(s) : NULL;
}

static void count(const struct rights *r, uint32_t step)
{
	for (uint32_t i = 0; r && i < r->count; i++) {
		struct unix_socket *u = unix_of_file(r->files[i]);

		if (!u)
			continue;
		__atomic_fetch_add(&u->in_flight, step, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&total_in_flight, step, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&moves, 1, __ATOMIC_SEQ_CST);
	}
}

void unix_garbage_sent(const struct rights *r)
{
	count(r, 1);
	if (r && __atomic_load_n(&total_in_flight, __ATOMIC_SEQ_CST) > 0)
		plan_look(LOOK_FIRST_NS);
}

void unix_garbage_received(const struct rights *r)
{
	count(r, (uint32_t)-1);
}

struct rights *unix_garbage_peeked(const struct rights *r)
{
	__atomic_fetch_add(&moves, 1, __ATOMIC_SEQ_CST);
	return rights_copy(r);
}

void unix_garbage_add(struct unix_socket *u)
{
	mutex_lock(&garbage_lock);
	list_add(&all_sockets, &u->all);
	mutex_unlock(&garbage_lock);
}

void unix_garbage_remove(struct unix_socket *u)
{
	mutex_lock(&garbage_lock);
	list_del(&u->all);
	mutex_unlock(&garbage_lock);
}

/* ---- colouring; garbage_lock is held ---- */

static bool is_suspect(const struct unix_socket *u)
{
	uint32_t in_flight = __atomic_load_n(&u->in_flight, __ATOMIC_SEQ_CST);

	return in_flight > 0 && u->socket.file && refcount_read(&u->socket.file->refs) == in_flight;
}

static uint32_t color_all(void)
{
	struct unix_socket *u;
	uint32_t suspects = 0;

	list_for_each(u, &all_sockets, all) {
		u->color = is_suspect(u) ? SUSPECT : TO_SCAN;
		suspects += u->color == SUSPECT;
	}
	return suspects;
}

static void clear_bundle(const struct rights *r)
{
	for (uint32_t i = 0; r && i < r->count; i++) {
		struct unix_socket *u = unix_of_file(r->files[i]);

		if (u && u->color == SUSPECT)
			u->color = TO_SCAN;
	}
}

static void clear_queue(struct unix_socket *u)
{
	struct unix_attachment *a;
	struct unix_message *msg;

	mutex_lock(&u->lock);
	list_for_each(a, &u->attachments, link)
		clear_bundle(a->control.rights);
	list_for_each(msg, &u->messages, link)
		clear_bundle(msg->control.rights);
	mutex_unlock(&u->lock);
	u->color = CLEARED;
}

static void clear_reachable(void)
{
	struct unix_socket *u;
	bool again = true;

	while (again) {
		again = false;
		list_for_each(u, &all_sockets, all) {
			if (u->color != TO_SCAN)
				continue;
			clear_queue(u);
			again = true;
		}
	}
}

/* Empties what is left over; the files go to *drop. */
static void purge_suspects(struct rights **drop)
{
	struct unix_socket *u;

	list_for_each(u, &all_sockets, all) {
		if (u->color != SUSPECT)
			continue;
		mutex_lock(&u->lock);
		unix_stream_purge_locked(u, drop);
		unix_message_purge_locked(u, drop);
		mutex_unlock(&u->lock);
	}
}

void unix_garbage_collect(void)
{
	struct rights *drop = NULL;
	uint64_t before;

	if (likely(__atomic_load_n(&total_in_flight, __ATOMIC_SEQ_CST) == 0))
		return;
	mutex_lock(&garbage_lock);
	before = __atomic_load_n(&moves, __ATOMIC_SEQ_CST);
	if (color_all() > 0) {
		clear_reachable();
		if (__atomic_load_n(&moves, __ATOMIC_SEQ_CST) == before)
			purge_suspects(&drop);
	}
	mutex_unlock(&garbage_lock);
	unix_rights_drop_chain(drop);
}
