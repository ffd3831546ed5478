/* SPDX-License-Identifier: MIT */
/* AF_UNIX sockets: their life, options and readiness. The rest is in the files that unix_internal.h lists. */
#include <asm/ioctls.h>
#include <linux/sockios.h>
#include <cloudos/uaccess.h>
#include "unix_internal.h"

struct mutex unix_lock = MUTEX_INIT(unix_lock, RANK_SOCKET);
struct wait_queue unix_space = WAIT_QUEUE_INIT(unix_space);

static const struct socket_ops stream_ops, record_ops, dgram_ops;

static const struct socket_ops *ops_of(int type)
{
	switch (type) {
	case SOCK_STREAM:
		return &stream_ops;
	case SOCK_SEQPACKET:
		return &record_ops;
	case SOCK_DGRAM:
	case SOCK_RAW: /* as Linux has it */
		return &dgram_ops;
	default:
		return NULL;
	}
}

/* ---- life ---- */

struct unix_socket *unix_alloc(int type)
{
	bool stream = type == SOCK_STREAM;
	struct unix_socket *u = kmalloc(sizeof(*u) + (stream ? STREAM_SLOTS * sizeof(void *) : 0));

	if (!u)
		return NULL;
	memset(u, 0, sizeof(*u));
	socket_init(&u->socket, ops_of(type), AF_UNIX, type == SOCK_RAW ? SOCK_DGRAM : type, 0);
	refcount_init(&u->refs, 1);
	mutex_init(&u->lock, RANK_SOCKET_PEER);
	list_init(&u->backlog);
	list_init(&u->attachments);
	list_init(&u->messages);
	wait_queue_init(&u->can_read);
	wait_queue_init(&u->can_write);
	if (stream)
		ring_init(&u->ring, u->slots, STREAM_BYTES);
	unix_garbage_add(u);
	return u;
}

void unix_put(struct unix_socket *u)
{
	if (!refcount_put(&u->refs))
		return;
	if (unix_is_stream(u))
		ring_fini(&u->ring);
	kfree(u);
}

static int create(int type, int protocol, struct socket **ret)
{
	struct unix_socket *u;

	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (!ops_of(type))
		return -ESOCKTNOSUPPORT;
	u = unix_alloc(type);
	if (!u)
		return -ENOMEM;
	*ret = &u->socket;
	return 0;
}

const struct socket_family unix_family = { .family = AF_UNIX, .create = create };

/* Nothing comes or goes any more. Returns whether data was left. */
static bool shut_for_good(struct unix_socket *u, struct rights **drop)
{
	bool left;

	mutex_lock(&u->lock);
	WRITE_ONCE(u->rx_shut, true);
	WRITE_ONCE(u->tx_shut, true);
	left = unix_is_stream(u) ? ring_used(&u->ring) > 0 : u->message_count > 0;
	unix_stream_purge_locked(u, drop);
	unix_message_purge_locked(u, drop);
	mutex_unlock(&u->lock);
	return left;
}

static void tell_peer(struct unix_socket *peer, bool reset)
{
	mutex_lock(&peer->lock);
	WRITE_ONCE(peer->rx_shut, true);
	WRITE_ONCE(peer->tx_shut, true);
	mutex_unlock(&peer->lock);
	if (reset)
		__atomic_store_n(&peer->socket.error, ECONNRESET, __ATOMIC_RELAXED);
	wake_all(&peer->can_read);
	wake_all(&peer->can_write);
}

static void close_backlog(struct list *waiting)
{
	while (!list_empty(waiting)) {
		struct unix_socket *u = list_first(waiting, struct unix_socket, backlog);

		list_del(&u->backlog);
		unix_close(u, true);
	}
}

void unix_close(struct unix_socket *u, bool never_accepted)
{
	struct rights *drop = NULL;
	struct unix_name *name;
	struct unix_socket *peer;
	struct list waiting;
	bool left;

	list_init(&waiting);
	mutex_lock(&unix_lock);
	name = u->name;
	if (name && name->owner == u)
		unix_name_disown_locked(name);
	if (u->state == UNIX_LISTENING)
		list_splice_tail(&waiting, &u->backlog);
	__atomic_store_n(&u->state, UNIX_DEAD, __ATOMIC_RELEASE);
	mutex_unlock(&unix_lock);
	unix_garbage_remove(u);
	left = shut_for_good(u, &drop);
	peer = u->peer;
	if (peer && !unix_is_dgram(u))
		tell_peer(peer, left || never_accepted);
	wake_all(&u->can_read);
	wake_all(&u->can_write);
	wake_events(&unix_space, POLLOUT | POLLWRNORM, false);
	close_backlog(&waiting);
	if (name)
		unix_name_put(name);
	unix_rights_drop_chain(drop);
	if (peer)
		unix_put(peer);
	unix_put(u);
}

static void release(struct socket *s)
{
	unix_close(unix_of(s), false);
	unix_garbage_collect();
}

void unix_rights_drop_chain(struct rights *chain)
{
	while (chain) {
		struct rights *r = chain;

		chain = r->next;
		rights_drop(r);
	}
}

/* ---- readiness ---- */

static bool readable(const struct unix_socket *u)
{
	if (READ_ONCE(u->state) == UNIX_LISTENING)
		return !list_empty_unlocked(&u->backlog);
	return (unix_is_stream(u) ? ring_used(&u->ring) > 0 : READ_ONCE(u->message_count) > 0) || READ_ONCE(u->rx_shut);
}

static bool connected_writable(const struct unix_socket *u)
{
	const struct unix_socket *peer = unix_peer(u);

	if (!peer || READ_ONCE(u->tx_shut))
		return true;
	return unix_is_stream(u) ? unix_stream_has_room(peer) : unix_message_has_room(peer, u);
}

static uint32_t shut_events(const struct unix_socket *u)
{
	bool rx = READ_ONCE(u->rx_shut), tx = READ_ONCE(u->tx_shut);

	return (rx ? POLLRDHUP | POLLIN | POLLRDNORM : 0) | (rx && tx ? POLLHUP : 0) |
	       (READ_ONCE(u->socket.error) ? POLLERR : 0) | (readable(u) ? POLLIN | POLLRDNORM : 0);
}

static uint32_t poll_connected(struct socket *s, struct poll_table *pt)
{
	struct unix_socket *u = unix_of(s);
	uint32_t ready;

	poll_wait(pt, &u->can_read);
	poll_wait(pt, unix_is_stream(u) ? &u->can_write : &unix_space);
	ready = shut_events(u);
	if (READ_ONCE(u->state) == UNIX_LISTENING)
		return ready;
	if (READ_ONCE(u->state) == UNIX_IDLE)
		ready |= POLLHUP;
	return ready | (connected_writable(u) ? POLLOUT | POLLWRNORM : 0);
}

/* A datagram socket's peer may change: look at it with a reference. */
static uint32_t poll_dgram(struct socket *s, struct poll_table *pt)
{
	struct unix_socket *u = unix_of(s);
	bool writable;

	poll_wait(pt, &u->can_read);
	poll_wait(pt, &unix_space);
	mutex_lock(&u->lock);
	writable = connected_writable(u);
	mutex_unlock(&u->lock);
	return shut_events(u) | (writable ? POLLOUT | POLLWRNORM : 0);
}

/* ---- options ---- */

static int get_option(struct socket *s, int level, int name, void *value, uint32_t *len)
{
	struct unix_socket *u = unix_of(s);
	struct socket_cred cred;
	int32_t listening = u->state == UNIX_LISTENING;

	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	switch (name) {
	case SO_PEERCRED:
		mutex_lock(&unix_lock);
		cred = u->peer_cred;
		mutex_unlock(&unix_lock);
		cred = socket_cred_seen(&cred);
		*len = min(*len, (uint32_t)sizeof(cred));
		memcpy(value, &cred, *len);
		return 0;
	case SO_ACCEPTCONN:
		*len = min(*len, (uint32_t)sizeof(listening));
		memcpy(value, &listening, *len);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_option(struct socket *s, int level, int name, const void *value, uint32_t len)
{
	(void)s;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	return -EOPNOTSUPP;
}

static uint32_t first_length(struct unix_socket *u)
{
	uint32_t len = 0;

	mutex_lock(&u->lock);
	if (unix_is_stream(u))
		len = ring_used(&u->ring);
	else if (u->message_count > 0)
		len = list_first(&u->messages, struct unix_message, link)->len;
	mutex_unlock(&u->lock);
	return len;
}

static uint32_t not_taken_yet(struct unix_socket *u)
{
	struct unix_socket *peer = unix_is_dgram(u) ? NULL : unix_peer(u);

	if (!peer)
		return 0;
	return unix_is_stream(u) ? ring_used(&peer->ring) : READ_ONCE(peer->message_bytes);
}

static int64_t ioctl(struct socket *s, unsigned cmd, uaddr_t arg)
{
	struct unix_socket *u = unix_of(s);

	switch (cmd) {
	case FIONREAD: /* SIOCINQ */
		if (READ_ONCE(u->state) == UNIX_LISTENING)
			return -EINVAL;
		return put_user((int32_t)first_length(u), arg);
	case TIOCOUTQ: /* SIOCOUTQ */
		return put_user((int32_t)not_taken_yet(u), arg);
	default:
		return -ENOTTY;
	}
}

#define COMMON_OPS                                                                                              \
	.bind = unix_bind, .connect = unix_connect, .pair = unix_pair, .shutdown = unix_shutdown,              \
	.name = unix_get_name, .ioctl = ioctl, .get_option = get_option, .set_option = set_option, .release = release

static const struct socket_ops stream_ops = {
	COMMON_OPS,
	.listen = unix_listen,
	.accept = unix_accept,
	.send = unix_stream_send,
	.receive = unix_stream_receive,
	.poll = poll_connected,
};

static const struct socket_ops record_ops = {
	COMMON_OPS,
	.listen = unix_listen,
	.accept = unix_accept,
	.send = unix_message_send,
	.receive = unix_message_receive,
	.poll = poll_connected,
};

static const struct socket_ops dgram_ops = {
	COMMON_OPS,
	.send = unix_message_send,
	.receive = unix_message_receive,
	.poll = poll_dgram,
};
