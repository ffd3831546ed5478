/* SPDX-License-Identifier: MIT */
/*
 * How AF_UNIX sockets come together and part: bind, listen, connect, accept, pairs, shutdown. unix_lock guards all of it, so that
 * no two sockets need to be locked at once.
 *
 * A connection is made by connect(): it creates the listener's end, ties the two, and leaves the new one in the listener's backlog,
 * where accept() only fetches it. Data may flow before that.
 */
#include "unix_internal.h"

int unix_bind(struct socket *s, const struct socket_address *a)
{
	struct unix_socket *u = unix_of(s);

	if (a->family == AF_UNIX && a->len == sizeof(a->family))
		return unix_name_bind_any(u);
	return unix_name_bind(u, a);
}

int unix_listen(struct socket *s, int backlog)
{
	struct unix_socket *u = unix_of(s);
	int error = 0;

	mutex_lock(&unix_lock);
	if (!u->name || (u->state != UNIX_IDLE && u->state != UNIX_LISTENING)) {
		error = -EINVAL;
	} else {
		WRITE_ONCE(u->backlog_max, backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (uint32_t)backlog);
		u->peer_cred = socket_cred_effective();
		__atomic_store_n(&u->state, UNIX_LISTENING, __ATOMIC_RELEASE);
	}
	mutex_unlock(&unix_lock);
	wake_events(&unix_space, POLLOUT | POLLWRNORM, false);
	return error;
}

/* ---- connections ---- */

/* Ties two ends that nobody else ties, under unix_lock. */
static void tie(struct unix_socket *a, struct unix_socket *b)
{
	unix_get(a);
	unix_get(b);
	__atomic_store_n(&a->peer, b, __ATOMIC_RELEASE);
	__atomic_store_n(&b->peer, a, __ATOMIC_RELEASE);
	__atomic_store_n(&a->state, UNIX_CONNECTED, __ATOMIC_RELEASE);
	__atomic_store_n(&b->state, UNIX_CONNECTED, __ATOMIC_RELEASE);
}

int unix_pair(struct socket *a, struct socket *b)
{
	struct socket_cred own = socket_cred_effective();

	mutex_lock(&unix_lock);
	unix_of(a)->peer_cred = unix_of(b)->peer_cred = own;
	tie(unix_of(a), unix_of(b));
	mutex_unlock(&unix_lock);
	return 0;
}

static bool backlog_full(const struct unix_socket *listener)
{
	return READ_ONCE(listener->backlog_count) > READ_ONCE(listener->backlog_max);
}

/* One try: 0, -EAGAIN (the backlog is full), or the errno. `end` is the listener's new end. */
static int try_connect(struct unix_socket *u, struct unix_socket *listener, struct unix_socket *end)
{
	if (u->state == UNIX_CONNECTED)
		return -EISCONN;
	if (u->state != UNIX_IDLE)
		return -EINVAL;
	if (listener->state != UNIX_LISTENING || listener->rx_shut)
		return -ECONNREFUSED;
	if (backlog_full(listener))
		return -EAGAIN;
	end->name = listener->name;
	refcount_get(&end->name->refs);
	end->peer_cred = socket_cred_effective();
	u->peer_cred = listener->peer_cred;
	end->socket.options = listener->socket.options & SOCKET_PASSCRED;
	tie(u, end);
	list_add_tail(&listener->backlog, &end->backlog);
	ADD_ONCE(listener->backlog_count, 1);
	return 0;
}

static int connect_to(struct unix_socket *u, struct unix_socket *listener, struct unix_socket *end, bool nonblock)
{
	uint64_t timeout_ns = u->socket.send_timeout_ns, deadline_ns = socket_deadline(timeout_ns);

	for (;;) {
		int error;

		mutex_lock(&unix_lock);
		error = try_connect(u, listener, end);
		mutex_unlock(&unix_lock);
		if (error != -EAGAIN || nonblock)
			return error;
		error = wait_event_deadline(&unix_space, deadline_ns,
					    !backlog_full(listener) || READ_ONCE(listener->state) != UNIX_LISTENING ||
					    READ_ONCE(listener->rx_shut));
		if (error)
			return socket_wait_error(error, timeout_ns);
	}
}

static int connect_stream(struct unix_socket *u, const struct socket_address *a, bool nonblock)
{
	struct unix_socket *listener, *end;
	int error = unix_name_find(a, u->socket.type, &listener);

	if (error)
		return error;
	end = unix_alloc(u->socket.type);
	error = end ? connect_to(u, listener, end, nonblock) : -ENOMEM;
	if (!error)
		wake_events(&listener->can_read, POLLIN | POLLRDNORM, true);
	else if (end)
		unix_close(end, false);
	unix_put(listener);
	return error;
}

/* AF_UNSPEC takes the connection away again. */
static int connect_dgram(struct unix_socket *u, const struct socket_address *a)
{
	struct unix_socket *peer = NULL, *old;

	if (a->family != AF_UNSPEC) {
		int error = unix_name_find(a, SOCK_DGRAM, &peer);

		if (error)
			return error;
	}
	mutex_lock(&unix_lock);
	mutex_lock(&u->lock);
	old = u->peer;
	__atomic_store_n(&u->peer, peer, __ATOMIC_RELEASE);
	__atomic_store_n(&u->state, peer ? UNIX_CONNECTED : UNIX_IDLE, __ATOMIC_RELEASE);
	mutex_unlock(&u->lock);
	mutex_unlock(&unix_lock);
	wake_events(&unix_space, POLLOUT | POLLWRNORM, false);
	if (old)
		unix_put(old);
	return 0;
}

int unix_connect(struct socket *s, const struct socket_address *a, bool nonblock)
{
	struct unix_socket *u = unix_of(s);
	int error;

	if (s->options & SOCKET_PASSCRED) {
		error = unix_name_bind_any(u);
		if (error)
			return error;
	}
	return unix_is_dgram(u) ? connect_dgram(u, a) : connect_stream(u, a, nonblock);
}

static struct unix_socket *take_from_backlog(struct unix_socket *listener)
{
	struct unix_socket *end = NULL;

	mutex_lock(&unix_lock);
	if (listener->state == UNIX_LISTENING && listener->backlog_count > 0) {
		end = list_first(&listener->backlog, struct unix_socket, backlog);
		list_del(&end->backlog);
		ADD_ONCE(listener->backlog_count, -1);
	}
	mutex_unlock(&unix_lock);
	return end;
}

int unix_accept(struct socket *s, bool nonblock, struct socket **ret)
{
	struct unix_socket *listener = unix_of(s), *end;
	uint64_t timeout_ns = s->receive_timeout_ns, deadline_ns = socket_deadline(timeout_ns);

	if (READ_ONCE(listener->state) != UNIX_LISTENING)
		return -EINVAL;
	while (!(end = take_from_backlog(listener))) {
		int error;

		if (READ_ONCE(listener->rx_shut))
			return -EINVAL;
		if (nonblock)
			return -EAGAIN;
		error = wait_event_deadline(&listener->can_read, deadline_ns,
					    READ_ONCE(listener->backlog_count) > 0 || READ_ONCE(listener->rx_shut));
		if (error)
			return socket_wait_error(error, timeout_ns);
	}
	wake_events(&unix_space, POLLOUT | POLLWRNORM, false);
	*ret = &end->socket;
	return 0;
}

/* ---- parting ---- */

static void shut(struct unix_socket *u, bool rx, bool tx)
{
	mutex_lock(&u->lock);
	WRITE_ONCE(u->rx_shut, u->rx_shut | rx);
	WRITE_ONCE(u->tx_shut, u->tx_shut | tx);
	mutex_unlock(&u->lock);
	wake_all(&u->can_read);
	wake_all(&u->can_write);
}

int unix_shutdown(struct socket *s, int how)
{
	struct unix_socket *u = unix_of(s), *peer = unix_is_dgram(u) ? NULL : unix_peer(u);
	bool rx = how != SHUT_WR, tx = how != SHUT_RD;

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	shut(u, rx, tx);
	if (peer)
		shut(peer, tx, rx);
	wake_events(&unix_space, POLLOUT | POLLWRNORM, false);
	return 0;
}

int unix_get_name(struct socket *s, bool peer, struct socket_address *ret)
{
	struct unix_socket *u = unix_of(s);
	int error = 0;

	mutex_lock(&unix_lock);
	if (peer)
		u = u->peer;
	if (u)
		unix_name_address(u->name, ret);
	else
		error = -ENOTCONN;
	mutex_unlock(&unix_lock);
	return error;
}
