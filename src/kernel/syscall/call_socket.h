/* SPDX-License-Identifier: MIT */
/* Parts of the socket calls, for those who have the socket already. */
#ifndef CALL_SOCKET_H
#define CALL_SOCKET_H

#include <cloudos/io.h>
#include <cloudos/socket.h>

#define CALL_VECS 8

/* An address from user memory: 0, -EINVAL, -EFAULT. */
int call_address_from_user(uaddr_t addr, uint64_t len, struct socket_address *ret);

bool call_socket_type_ok(int type); /* SOCK_* with SOCK_CLOEXEC and SOCK_NONBLOCK */

/* bind(2) or connect(2) with an address that was copied. */
int call_connect(struct socket *s, const struct socket_address *a, bool nonblock);
int call_shutdown(struct socket *s, int how);

/* accept4(2), but for the descriptor: a file with one reference. */
int call_accept(struct socket *s, uaddr_t addr, uaddr_t len, unsigned flags, bool nonblock, struct file **ret);
/* The same with the descriptor, which is taken first: when there is none, the connection is left for later. */
int64_t call_accept_fd(struct socket *s, uaddr_t addr, uaddr_t len, unsigned flags, bool nonblock);

/* What one send or receive of a message holds. */
struct message_call {
	struct message_header header;
	struct io_vec few[CALL_VECS], *vec;
	struct io_iter it;
	struct socket_address address;
	struct socket_control control;
	struct socket_message m;
};

/* Takes header and vectors from user memory: 0 or an errno, and then there is nothing to end. */
int message_begin(struct message_call *c, uaddr_t user, unsigned flags);
void message_end(struct message_call *c);
int64_t message_send(struct socket *s, struct message_call *c);
/* `user`: the header, which is told what came. */
int64_t message_receive(struct socket *s, struct message_call *c, uaddr_t user);

#endif
