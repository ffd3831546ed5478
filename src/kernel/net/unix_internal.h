/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX (unix(7)): what its files share.
 *
 *   unix.c		 life, options, poll
 *   unix_name.c	 addresses: in the file system, abstract, automatic
 *   unix_connect.c	 bind, listen, connect, accept, pairs, shutdown
 *   unix_stream.c	 bytes: a ring at the receiver, with attachments
 *   unix_message.c	 datagrams and records: a queue at the receiver
 *   unix_garbage.c	 sockets that only their own queues still hold
 *
 * U1  Data waits at the receiver. A sender holds a reference on its peer, so that a peer's storage outlives its file.
 * U2  The peer of a stream or record socket is set once, before the socket can be used as connected, and stays until its release.
 *     The peer of a datagram socket changes under both locks, and is read under its own.
 * U3  A socket's `rx_shut` means that nothing more comes in, `tx_shut` that nothing more may go out.
 *
 * Locking: unix_lock (RANK_SOCKET) > unix_socket.lock (RANK_SOCKET_PEER), never two of the latter. Files that were on their way are
 * dropped with no lock held.
 */
#ifndef UNIX_INTERNAL_H
#define UNIX_INTERNAL_H

#include <asm/poll.h>
#include <linux/un.h>
#include <cloudos/errno.h>
#include <cloudos/hash.h>
#include <cloudos/list.h>
#include <cloudos/lock.h>
#include <cloudos/mm.h>
#include <cloudos/refcount.h>
#include <cloudos/ring.h>
#include <cloudos/socket.h>
#include <cloudos/string.h>
#include <cloudos/wait.h>

#define STREAM_BYTES	 UINT32_C(131072)	  /* of a stream that its reader has not taken: writers wait      */
#define STREAM_SLOTS	 (STREAM_BYTES / PAGE_SIZE)
#define MESSAGE_BYTES	 SOCKET_BUFFER_DEFAULT	  /* of messages in one queue: senders wait                       */
#define MESSAGE_OVERHEAD 256			  /* each counts as its length and this                           */
#define MESSAGE_MAX	 (MESSAGE_BYTES - MESSAGE_OVERHEAD) /* -EMSGSIZE beyond                                   */
#define STRANGERS_MAX	 10			  /* messages in a queue from others than the peer: max_dgram_qlen */
#define BACKLOG_MAX	 SOMAXCONN

enum unix_state { UNIX_IDLE, UNIX_LISTENING, UNIX_CONNECTED, UNIX_DEAD };

struct unix_name {
	struct refcount refs;
	struct socket_address address;
	int type;		  /* C: of its socket */
	struct hash_link link;	  /* unix_lock: an abstract name's */
	struct path path;	  /* C: of a name in the file system; null inode otherwise */
	struct inode *inode;	  /* C */
	struct unix_socket *owner; /* unix_lock: no reference; null when it is gone */
};

/* Fields: C = constant; G = unix_lock; L = lock; S = see U2; A = atomic. */
struct unix_socket {
	struct socket socket;
	struct refcount refs;
	struct mutex lock;
	uint32_t state;		  /* G, read freely: enum unix_state */
	struct unix_socket *peer; /* S: with a reference */
	struct unix_name *name;	  /* G: with a reference, or null */
	struct socket_cred peer_cred; /* G: of the peer when it connected or listened */
	struct list backlog;	  /* G: of a listener: sockets that wait for accept; also the link in it */
	uint32_t backlog_count, backlog_max; /* G */
	bool rx_shut, tx_shut;	  /* L, read freely */
	struct wait_queue can_read, can_write;

	/* Data that came in. */
	struct ring ring;	    /* L: stream */
	struct list attachments;    /* L: stream, by position */
	struct list messages;	    /* L: others */
	uint32_t message_count, message_bytes; /* L */

	/* For the collector (unix_garbage.c). */
	struct list all;	 /* garbage_lock */
	uint32_t in_flight;	 /* A: references on its file that wait in queues */
	uint32_t color;		 /* garbage_lock */
	void *slots[];		 /* the ring's: STREAM_SLOTS of a stream */
};

/* A place in a stream where credentials or files belong to the next `len` bytes. */
struct unix_attachment {
	struct list link;
	uint32_t position, len;
	struct socket_control control;
};

struct unix_message {
	struct list link;
	struct unix_name *from; /* with a reference, or null */
	struct socket_control control;
	uint32_t len;
	char data[];
};

extern struct mutex unix_lock;
extern struct wait_queue unix_space; /* a full queue of messages, or a full backlog, has room again */

static inline struct unix_socket *unix_of(struct socket *s)
{
	return container_of(s, struct unix_socket, socket);
}

static inline void unix_get(struct unix_socket *u)
{
	refcount_get(&u->refs);
}
void unix_put(struct unix_socket *u);

static inline struct unix_socket *unix_peer(const struct unix_socket *u)
{
	return __atomic_load_n(&u->peer, __ATOMIC_ACQUIRE);
}

static inline bool unix_is_stream(const struct unix_socket *u)
{
	return u->socket.type == SOCK_STREAM;
}

static inline bool unix_is_dgram(const struct unix_socket *u)
{
	return u->socket.type == SOCK_DGRAM;
}

/* unix.c */
struct unix_socket *unix_alloc(int type);
void unix_close(struct unix_socket *u, bool never_accepted); /* takes over the reference */

/* unix_name.c; unix_lock is held where `_locked` says so. */
void unix_name_put(struct unix_name *n);
int unix_name_bind(struct unix_socket *u, const struct socket_address *a);
int unix_name_bind_any(struct unix_socket *u); /* an automatic abstract name, if it has none */
int unix_name_find(const struct socket_address *a, int type, struct unix_socket **ret); /* with a reference */
void unix_name_disown_locked(struct unix_name *n);
void unix_name_address(const struct unix_name *n, struct socket_address *ret);

/* unix_connect.c */
int unix_bind(struct socket *s, const struct socket_address *a);
int unix_connect(struct socket *s, const struct socket_address *a, bool nonblock);
int unix_listen(struct socket *s, int backlog);
int unix_accept(struct socket *s, bool nonblock, struct socket **ret);
int unix_pair(struct socket *a, struct socket *b);
int unix_shutdown(struct socket *s, int how);
int unix_get_name(struct socket *s, bool peer, struct socket_address *ret);

/* unix_stream.c */
ssize_t unix_stream_send(struct socket *s, struct socket_message *m);
ssize_t unix_stream_receive(struct socket *s, struct socket_message *m);
/* Takes all attachments off; their rights go to *ret_drop, a chain by rights.next. */
void unix_stream_purge_locked(struct unix_socket *u, struct rights **ret_drop);

static inline bool unix_stream_has_room(const struct unix_socket *peer)
{
	return ring_space(&peer->ring) >= STREAM_BYTES / 2;
}

/* unix_message.c */
ssize_t unix_message_send(struct socket *s, struct socket_message *m);
ssize_t unix_message_receive(struct socket *s, struct socket_message *m);
void unix_message_purge_locked(struct unix_socket *u, struct rights **ret_drop);
bool unix_message_has_room(const struct unix_socket *to, const struct unix_socket *from);

/* unix_garbage.c */
void unix_garbage_add(struct unix_socket *u);
void unix_garbage_remove(struct unix_socket *u); /* with no lock held */
void unix_garbage_collect(void);		 /* with no lock held */
/* A bundle (or null) goes into a queue, or out of it: the queue's lock is held. */
void unix_garbage_sent(const struct rights *r);
void unix_garbage_received(const struct rights *r);
/* A copy of a bundle in a queue, whose lock is held; null: out of memory. */
struct rights *unix_garbage_peeked(const struct rights *r);

static inline void unix_rights_chain(struct rights **chain, struct rights *r)
{
	if (!r)
		return;
	r->next = *chain;
	*chain = r;
}
void unix_rights_drop_chain(struct rights *chain);

#endif
