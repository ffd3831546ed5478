/* SPDX-License-Identifier: MIT */
/*
 * Datagrams and records (SOCK_DGRAM, SOCK_SEQPACKET): each send is one message in the receiver's queue, each receive takes one; what does
 * not fit the reader's buffer is lost (MSG_TRUNC).
 *
 * A queue is full at MESSAGE_BYTES; and, for senders that are not the receiver's own peer, at STRANGERS_MAX messages. Senders wait on
 * unix_space, one queue for all: full queues are rare, and a queue at the receiver could go away under a poller.
 */
#include "unix_internal.h"

static void message_free(struct unix_message *msg)
{
	if (msg->from)
		unix_name_put(msg->from);
	kfree(msg);
}

void unix_message_purge_locked(struct unix_socket *u, struct rights **ret_drop)
{
	assert_mutex_held(&u->lock);
	while (!list_empty(&u->messages)) {
		struct unix_message *msg = list_first(&u->messages, struct unix_message, link);

		list_del(&msg->link);
		unix_garbage_received(msg->control.rights);
		unix_rights_chain(ret_drop, msg->control.rights);
		message_free(msg);
	}
	WRITE_ONCE(u->message_count, 0);
	WRITE_ONCE(u->message_bytes, 0);
}

bool unix_message_has_room(const struct unix_socket *to, const struct unix_socket *from)
{
	if (READ_ONCE(to->message_bytes) >= MESSAGE_BYTES)
		return false;
	return unix_peer(to) == from || to == from || READ_ONCE(to->message_count) <= STRANGERS_MAX;
}

/* ---- sending ---- */

/* Where it goes, with a reference. */
static int destination(struct unix_socket *u, const struct socket_message *m, struct unix_socket **ret)
{
	struct unix_socket *to;

	if (m->address && m->address->len > 0) {
		if (unix_is_dgram(u))
			return unix_name_find(m->address, SOCK_DGRAM, ret);
		return READ_ONCE(u->state) == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	}
	mutex_lock(&u->lock);
	to = u->peer;
	if (to)
		unix_get(to);
	mutex_unlock(&u->lock);
	*ret = to;
	return to ? 0 : -ENOTCONN;
}

static struct unix_name *own_name(struct unix_socket *u)
{
	struct unix_name *n = READ_ONCE(u->name);

	if (n)
		refcount_get(&n->refs); /* a name, once there, stays as long as its socket */
	return n;
}

static int message_make(struct unix_socket *u, struct socket_message *m, struct unix_message **ret)
{
	size_t len = m->data->count;
	struct unix_message *msg;

	if (len > MESSAGE_MAX)
		return -EMSGSIZE;
	msg = kmalloc(sizeof(*msg) + len);
	if (!msg)
		return -ENOMEM;
	*msg = (struct unix_message){ .len = (uint32_t)len };
	if (io_copy_from(m->data, msg->data, len) != len) {
		kfree(msg);
		return -EFAULT;
	}
	msg->from = own_name(u);
	if (m->control) {
		msg->control = *m->control;
		m->control->rights = NULL;
	}
	if (!msg->control.has_cred)
		msg->control.cred = socket_cred_real();
	msg->control.has_cred = true;
	*ret = msg;
	return 0;
}

/* 0 when it was queued, -EAGAIN when there was no room, or what is wrong with the receiver. */
static int enqueue(struct unix_socket *u, struct unix_socket *to, struct unix_message *msg)
{
	int error = 0;

	mutex_lock(&to->lock);
	if (READ_ONCE(to->state) == UNIX_DEAD)
		error = unix_is_dgram(u) ? -ECONNREFUSED : -EPIPE;
	else if (to->rx_shut || u->tx_shut)
		error = -EPIPE;
	else if (unix_is_dgram(u) && unix_peer(to) && unix_peer(to) != u && to != u)
		error = -EPERM;
	else if (!unix_message_has_room(to, u))
		error = -EAGAIN;
	if (!error) {
		list_add_tail(&to->messages, &msg->link);
		unix_garbage_sent(msg->control.rights);
		WRITE_ONCE(to->message_count, to->message_count + 1);
		WRITE_ONCE(to->message_bytes, to->message_bytes + msg->len + MESSAGE_OVERHEAD);
	}
	mutex_unlock(&to->lock);
	if (!error)
		wake_events(&to->can_read, POLLIN | POLLRDNORM, true);
	return error;
}

static bool may_send(const struct unix_socket *u, const struct unix_socket *to)
{
	return unix_message_has_room(to, u) || READ_ONCE(to->rx_shut) || READ_ONCE(u->tx_shut);
}

static int enqueue_waiting(struct unix_socket *u, struct unix_socket *to, struct unix_message *msg, unsigned flags)
{
	uint64_t timeout_ns = u->socket.send_timeout_ns, deadline_ns = socket_deadline(timeout_ns);

	for (;;) {
		int error = enqueue(u, to, msg);

		if (error != -EAGAIN || (flags & MSG_DONTWAIT))
			return error;
		error = wait_event_deadline(&unix_space, deadline_ns, may_send(u, to));
		if (error)
			return socket_wait_error(error, timeout_ns);
	}
}

/* A connection to a datagram socket that is gone is taken away by the first send that notices. */
static void forget_peer(struct unix_socket *u, struct unix_socket *gone)
{
	bool was_peer;

	mutex_lock(&unix_lock);
	mutex_lock(&u->lock);
	was_peer = u->peer == gone;
	if (was_peer) {
		__atomic_store_n(&u->peer, NULL, __ATOMIC_RELEASE);
		__atomic_store_n(&u->state, UNIX_IDLE, __ATOMIC_RELEASE);
	}
	mutex_unlock(&u->lock);
	mutex_unlock(&unix_lock);
	if (was_peer)
		unix_put(gone);
}

static ssize_t send_to(struct unix_socket *u, struct unix_socket *to, struct socket_message *m)
{
	struct unix_message *msg;
	ssize_t len = (ssize_t)m->data->count;
	int error = message_make(u, m, &msg);

	if (error)
		return error;
	error = enqueue_waiting(u, to, msg, m->flags);
	if (!error)
		return len;
	rights_drop(msg->control.rights);
	message_free(msg);
	if (error == -ECONNREFUSED && unix_is_dgram(u))
		forget_peer(u, to);
	return error;
}

ssize_t unix_message_send(struct socket *s, struct socket_message *m)
{
	struct unix_socket *u = unix_of(s), *to;
	ssize_t n;
	int error;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	error = socket_take_error(s);
	if (!error && unix_is_dgram(u) && (s->options & SOCKET_PASSCRED))
		error = unix_name_bind_any(u);
	if (!error)
		error = destination(u, m, &to);
	if (error)
		return error;
	n = send_to(u, to, m);
	unix_put(to);
	return n;
}

/* ---- receiving ---- */

static bool may_receive(const struct unix_socket *u)
{
	return READ_ONCE(u->message_count) > 0 || READ_ONCE(u->rx_shut) || READ_ONCE(u->socket.error);
}

/* Waits, locks, and gives the first message; null with *ret_error 0 at the end of a shut socket. The lock stays held. */
static struct unix_message *first_message(struct unix_socket *u, unsigned flags, int *ret_error)
{
	uint64_t timeout_ns = u->socket.receive_timeout_ns, deadline_ns = socket_deadline(timeout_ns);
	bool ended = false;

	*ret_error = 0;
	for (;;) {
		mutex_lock(&u->lock);
		if (u->message_count > 0)
			return list_first(&u->messages, struct unix_message, link);
		*ret_error = socket_take_error(&u->socket);
		ended = u->rx_shut;
		if (*ret_error || ended)
			return NULL;
		mutex_unlock(&u->lock);
		if (flags & MSG_DONTWAIT)
			*ret_error = -EAGAIN;
		else
			*ret_error = socket_wait_error(wait_event_deadline(&u->can_read, deadline_ns, may_receive(u)), timeout_ns);
		if (*ret_error) {
			mutex_lock(&u->lock);
			return NULL;
		}
	}
}

static void give_control(struct unix_message *msg, struct socket_message *m, bool peek)
{
	if (!m->control) {
		if (msg->control.rights)
			m->ret_flags |= MSG_CTRUNC;
		return;
	}
	*m->control = msg->control;
	if (!peek || !msg->control.rights)
		return;
	m->control->rights = unix_garbage_peeked(msg->control.rights);
	if (!m->control->rights)
		m->ret_flags |= MSG_CTRUNC;
}

/* The message to the reader: bytes (its whole length with MSG_TRUNC), or -EFAULT. */
static ssize_t give_message(struct unix_message *msg, struct socket_message *m)
{
	size_t n = min((size_t)msg->len, m->data->count);

	if (io_copy_to(m->data, msg->data, n) != n)
		return -EFAULT;
	if (n < msg->len)
		m->ret_flags |= MSG_TRUNC;
	if (m->address)
		m->address->len = 0;
	if (m->address && msg->from)
		unix_name_address(msg->from, m->address);
	give_control(msg, m, m->flags & MSG_PEEK);
	return m->flags & MSG_TRUNC ? (ssize_t)msg->len : (ssize_t)n;
}

ssize_t unix_message_receive(struct socket *s, struct socket_message *m)
{
	struct unix_socket *u = unix_of(s);
	struct unix_message *msg;
	ssize_t n;
	int error;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (!unix_is_dgram(u) && READ_ONCE(u->state) != UNIX_CONNECTED)
		return -ENOTCONN;
	msg = first_message(u, m->flags, &error);
	if (!msg) {
		mutex_unlock(&u->lock);
		return error;
	}
	n = give_message(msg, m);
	if (m->flags & MSG_PEEK) {
		mutex_unlock(&u->lock);
		return n;
	}
	list_del(&msg->link);
	WRITE_ONCE(u->message_count, u->message_count - 1);
	WRITE_ONCE(u->message_bytes, u->message_bytes - msg->len - MESSAGE_OVERHEAD);
	unix_garbage_received(msg->control.rights);
	mutex_unlock(&u->lock);
	wake_events(&unix_space, POLLOUT | POLLWRNORM, false);
	if (n < 0 || !m->control)
		rights_drop(msg->control.rights); /* else they are the reader's now */
	message_free(msg);
	return n;
}
