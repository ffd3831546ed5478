/* SPDX-License-Identifier: MIT */
/*
 * Streams: bytes go from the sender straight into the receiver's ring. What travels beside them is attached to a range of them: a read
 * that reaches bytes with files attached delivers the files and ends with those bytes; with SO_PASSCRED a read also ends
 * where another sender's bytes begin (unix(7)). Attachments exist only where there is something to attach.
 *
 * A wake-up goes to one sleeper. One that was woken and leaves data, or room, to another passes it on.
 *
 * S1  Attachments lie in ring order, do not overlap, and have len > 0; their positions count as the ring's do. An empty ring has none.
 */
#include "unix_internal.h"

void unix_stream_purge_locked(struct unix_socket *u, struct rights **ret_drop)
{
	assert_mutex_held(&u->lock);
	while (!list_empty(&u->attachments)) {
		struct unix_attachment *a = list_first(&u->attachments, struct unix_attachment, link);

		list_del(&a->link);
		unix_garbage_received(a->control.rights);
		unix_rights_chain(ret_drop, a->control.rights);
		kfree(a);
	}
	if (unix_is_stream(u))
		ring_drop(&u->ring, ring_used(&u->ring));
}

/* ---- sending ---- */

static bool may_send(const struct unix_socket *u, const struct unix_socket *peer)
{
	return unix_stream_has_room(peer) || READ_ONCE(peer->rx_shut) || READ_ONCE(u->tx_shut);
}

/* Puts in what there is room for: bytes, 0 or -EPIPE, -EFAULT, -ENOMEM. The attachment, if any, is used up with the first bytes. */
static ssize_t put_some(struct unix_socket *u, struct unix_socket *peer, struct io_iter *from, struct unix_attachment **attach)
{
	uint32_t position;
	ssize_t n;

	mutex_lock(&peer->lock);
	if (unlikely(peer->rx_shut || u->tx_shut)) {
		mutex_unlock(&peer->lock);
		return -EPIPE;
	}
	position = peer->ring.head;
	n = ring_put(&peer->ring, from, from->count);
	if (unlikely(*attach) && n > 0) {
		(*attach)->position = position;
		(*attach)->len = (uint32_t)n;
		unix_garbage_sent((*attach)->control.rights);
		list_add_tail(&peer->attachments, &(*attach)->link);
		*attach = NULL;
	}
	mutex_unlock(&peer->lock);
	if (n > 0)
		wake_events(&peer->can_read, POLLIN | POLLRDNORM, true);
	return n;
}

static ssize_t send_all(struct unix_socket *u, struct unix_socket *peer, struct socket_message *m, struct unix_attachment **attach)
{
	uint64_t timeout_ns = u->socket.send_timeout_ns, deadline_ns = 0; /* 0: has not slept */
	size_t done = 0;
	ssize_t n;

	for (;;) {
		n = put_some(u, peer, m->data, attach);
		if (n < 0)
			break;
		done += (size_t)n;
		if (m->data->count == 0)
			break;
		if (n > 0)
			continue;
		if (m->flags & MSG_DONTWAIT) {
			n = -EAGAIN;
			break;
		}
		if (deadline_ns == 0)
			deadline_ns = socket_deadline(timeout_ns);
		n = wait_event_deadline(&u->can_write, deadline_ns, may_send(u, peer));
		if (n) {
			n = socket_wait_error((int)n, timeout_ns);
			break;
		}
	}
	if (unlikely(deadline_ns) && may_send(u, peer))
		wake_events(&u->can_write, POLLOUT | POLLWRNORM, true);
	return done > 0 ? (ssize_t)done : n;
}

/* What must go along with the bytes: files, given credentials, or the sender's own when the receiver asked for them. */
static int make_attachment(const struct unix_socket *u, const struct unix_socket *peer, struct socket_message *m,
			   struct unix_attachment **ret)
{
	struct socket_control *c = m->control;
	struct unix_attachment *a;

	if (!(c && (c->rights || c->has_cred)) && !((u->socket.options | peer->socket.options) & SOCKET_PASSCRED))
		return 0;
	a = kzalloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	if (c) {
		a->control = *c;
		c->rights = NULL;
	}
	if (!a->control.has_cred) {
		a->control.cred = socket_cred_real();
		a->control.has_cred = true;
	}
	*ret = a;
	return 0;
}

static void attachment_free(struct unix_attachment *a)
{
	if (a)
		rights_drop(a->control.rights);
	kfree(a);
}

ssize_t unix_stream_send(struct socket *s, struct socket_message *m)
{
	struct unix_socket *u = unix_of(s), *peer = unix_peer(u);
	struct unix_attachment *attach = NULL;
	ssize_t n;

	if (unlikely(m->flags & MSG_OOB))
		return -EOPNOTSUPP;
	if (unlikely(m->address && m->address->len > 0))
		return READ_ONCE(u->state) == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (unlikely(!peer))
		return -ENOTCONN;
	n = READ_ONCE(u->tx_shut) ? -EPIPE : socket_take_error(s); /* a reset that came with the end is the reader's to learn */
	if (!n)
		n = make_attachment(u, peer, m, &attach);
	if (n || m->data->count == 0) {
		attachment_free(attach);
		return n;
	}
	n = send_all(u, peer, m, &attach);
	attachment_free(attach);
	return n;
}

/* ---- receiving ---- */

static bool may_receive(const struct unix_socket *u)
{
	return ring_used(&u->ring) > 0 || READ_ONCE(u->rx_shut) || READ_ONCE(u->socket.error);
}

/* Takes `n` bytes off the front attachment. */
static void shrink(struct unix_attachment *a, uint32_t n)
{
	a->position += n;
	a->len -= n;
	if (a->len == 0) {
		list_del(&a->link);
		kfree(a);
	}
}

/* Gives what is attached to the bytes that were just copied to the reader; a peek gets copies. */
static void deliver(struct unix_attachment *a, struct socket_message *m, bool peek, struct rights **drop)
{
	struct rights *r = a->control.rights;

	if (m->control) {
		m->control->has_cred = a->control.has_cred;
		m->control->cred = a->control.cred;
	}
	if (!r)
		return;
	if (peek) {
		r = m->control ? unix_garbage_peeked(r) : NULL;
	} else {
		a->control.rights = NULL;
		unix_garbage_received(r);
	}
	if (!m->control || !r)
		m->ret_flags |= MSG_CTRUNC;
	if (m->control)
		m->control->rights = r;
	else
		unix_rights_chain(drop, r);
}

static ssize_t copy_some(struct unix_socket *u, struct socket_message *m, uint32_t skip, size_t max)
{
	return m->flags & MSG_PEEK ? ring_peek(&u->ring, skip, m->data, max) : ring_get(&u->ring, m->data, max);
}

/* The attachment that covers byte `position`, or the next behind it; null if none. */
static struct unix_attachment *attachment_at(const struct unix_socket *u, uint32_t position)
{
	struct unix_attachment *a;

	list_for_each(a, &u->attachments, link)
		if ((int32_t)(a->position + a->len - position) > 0)
			return a;
	return NULL;
}

/* Copies until the reader is full, the ring is empty, or a boundary comes (*ret_stop): bytes or -EFAULT. */
static ssize_t take_attached(struct unix_socket *u, struct socket_message *m, bool *ret_stop, struct rights **drop)
{
	bool peek = m->flags & MSG_PEEK;
	ssize_t done = 0;

	while (m->data->count > 0 && ring_used(&u->ring) > (peek ? (uint32_t)done : 0) && !*ret_stop) {
		uint32_t skip = peek ? (uint32_t)done : 0, position = u->ring.tail + skip;
		struct unix_attachment *a = attachment_at(u, position);
		bool inside = a && a->position <= position;
		size_t max = !a ? SIZE_MAX : inside ? a->position + a->len - position : a->position - position;
		ssize_t n;

		if (inside && done > 0 && (u->socket.options & SOCKET_PASSCRED))
			break;
		n = copy_some(u, m, skip, max);
		if (n < 0)
			return done > 0 ? done : n;
		done += n;
		if (inside) {
			*ret_stop = a->control.rights || (u->socket.options & SOCKET_PASSCRED);
			deliver(a, m, peek, drop);
			if (!peek)
				shrink(a, (uint32_t)n);
		}
	}
	return done;
}

static ssize_t take(struct unix_socket *u, struct socket_message *m, bool *ret_stop, struct rights **drop)
{
	if (unlikely(!list_empty(&u->attachments)))
		return take_attached(u, m, ret_stop, drop);
	return copy_some(u, m, 0, m->data->count);
}

/* How one receive goes. */
struct receiving {
	bool was_full;	      /* there was no room for writers when it last looked */
	uint64_t deadline_ns; /* 0: has not slept */
	struct rights *drop;  /* files that nobody wants */
};

/* Makes a writer go on if reads have taken the ring from "no room" to "room". Without the lock. */
static void wake_writer(struct unix_socket *u, struct receiving *r)
{
	if (!r->was_full || !unix_stream_has_room(u))
		return;
	r->was_full = false;
	wake_events(&unix_peer(u)->can_write, POLLOUT | POLLWRNORM, true);
}

/* Too little was there: waits for more, without the lock. 0: look again; 1: end of the stream; or an errno. */
static int wait_for_data(struct unix_socket *u, unsigned flags, struct receiving *r)
{
	uint64_t timeout_ns = u->socket.receive_timeout_ns;
	bool ended = u->rx_shut;
	int error;

	mutex_unlock(&u->lock);
	wake_writer(u, r);
	error = socket_take_error(&u->socket);
	if (!error && ended)
		error = 1;
	else if (!error && (flags & MSG_DONTWAIT))
		error = -EAGAIN;
	if (!error) {
		if (r->deadline_ns == 0)
			r->deadline_ns = socket_deadline(timeout_ns);
		error = socket_wait_error(wait_event_deadline(&u->can_read, r->deadline_ns, may_receive(u)), timeout_ns);
	}
	mutex_lock(&u->lock);
	return error;
}

/* With u->lock held. */
static ssize_t receive_locked(struct unix_socket *u, struct socket_message *m, struct receiving *r)
{
	size_t wanted = m->flags & MSG_WAITALL && !(m->flags & MSG_PEEK) ? m->data->count : 1, done = 0;
	bool stop = false;

	for (;;) {
		ssize_t n;
		int error;

		r->was_full |= !unix_stream_has_room(u);
		n = ring_used(&u->ring) > 0 ? take(u, m, &stop, &r->drop) : 0;
		if (unlikely(n < 0))
			return done > 0 ? (ssize_t)done : n;
		done += (size_t)n;
		if (done >= wanted || stop)
			return (ssize_t)done;
		error = wait_for_data(u, m->flags, r);
		if (error)
			return done > 0 || error > 0 ? (ssize_t)done : error;
	}
}

ssize_t unix_stream_receive(struct socket *s, struct socket_message *m)
{
	struct unix_socket *u = unix_of(s);
	struct receiving r = { 0 };
	ssize_t n;

	if (unlikely(m->flags & MSG_OOB))
		return -EOPNOTSUPP;
	if (unlikely(!unix_peer(u)))
		return -EINVAL;
	if (m->data->count == 0)
		return 0;
	mutex_lock(&u->lock);
	n = receive_locked(u, m, &r);
	mutex_unlock(&u->lock);
	wake_writer(u, &r);
	if (r.deadline_ns && may_receive(u))
		wake_events(&u->can_read, POLLIN | POLLRDNORM, true);
	if (m->address)
		m->address->len = 0;
	if (unlikely(r.drop))
		unix_rights_drop_chain(r.drop);
	return n;
}
