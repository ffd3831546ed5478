/* SPDX-License-Identifier: MIT */
/* The socket calls: addresses, vectors and control messages come in and go out here; the rest is cloudos/socket.h's. */
#include <asm/signal.h>
#include <cloudos/errno.h>
#include <cloudos/proc.h>
#include <cloudos/socket.h>
#include <cloudos/uaccess.h>
#include "call_fd.h"
#include "call_socket.h"
#include "call_wait.h"
#include "syscalls_gen.h"

#define MESSAGES_MAX	1024 /* of one sendmmsg or recvmmsg: Linux's UIO_MAXIOV */
#define OPTION_VALUE_MAX 256 /* bytes of an option's value */

/* ---- descriptors and addresses ---- */

/* The socket of a descriptor for the length of the call; null with *ret_error. socket_end() after. */
static struct socket *socket_begin(int fd, bool *ret_put, int64_t *ret_error)
{
	struct file *f = fd_begin(fd, ret_put);
	struct socket *s = f ? socket_of_file(f) : NULL;

	if (likely(s))
		return s;
	*ret_error = f ? -ENOTSOCK : -EBADF;
	if (f)
		fd_end(f, *ret_put);
	return NULL;
}

static void socket_end(struct socket *s, bool put)
{
	fd_end(s->file, put);
}

int call_address_from_user(uaddr_t addr, uint64_t len, struct socket_address *ret)
{
	if (len > SOCKET_ADDRESS_MAX)
		return -EINVAL;
	ret->len = (uint32_t)len;
	ret->family = AF_UNSPEC;
	return copy_from_user(ret->bytes, addr, len);
}

/* `len_at` points at the int that says how much room there is and is told how long the address was. */
static int address_to_user(const struct socket_address *a, uaddr_t addr, uaddr_t len_at)
{
	int32_t room;

	if (get_user(room, len_at))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (copy_to_user(addr, a->bytes, min((uint32_t)room, a->len)))
		return -EFAULT;
	return put_user((int32_t)a->len, len_at);
}

/* ---- making ---- */

bool call_socket_type_ok(int type)
{
	return !(type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int64_t sys_socket(int family, int type, int protocol)
{
	struct file *f;
	int error;

	if (!call_socket_type_ok(type))
		return -EINVAL;
	error = socket_create(family, type & SOCK_TYPE_MASK, protocol, (uint32_t)type & O_NONBLOCK, &f);
	return error ? error : fd_give(f, type & SOCK_CLOEXEC);
}

static int64_t give_pair(struct file *pair[2], bool close_on_exec, uaddr_t fds)
{
	int32_t fd[2];
	int64_t error = 0;

	fd[0] = fd_reserve(0, close_on_exec);
	fd[1] = fd[0] < 0 ? fd[0] : fd_reserve(0, close_on_exec);
	if (fd[1] < 0)
		error = fd[1];
	else if (copy_to_user(fds, fd, sizeof(fd)))
		error = -EFAULT;
	for (unsigned i = 0; i < 2; i++) {
		if (!error) {
			fd_install(fd[i], pair[i]);
			continue;
		}
		if (fd[i] >= 0)
			fd_release(fd[i]);
		file_put(pair[i]);
	}
	return error;
}

int64_t sys_socketpair(int family, int type, int protocol, uaddr_t fds)
{
	struct file *pair[2];
	int error;

	if (!call_socket_type_ok(type))
		return -EINVAL;
	error = socket_create_pair(family, type & SOCK_TYPE_MASK, protocol, (uint32_t)type & O_NONBLOCK, pair);
	return error ? error : give_pair(pair, type & SOCK_CLOEXEC, fds);
}

int call_accept(struct socket *s, uaddr_t addr, uaddr_t len, unsigned flags, bool nonblock, struct file **ret)
{
	struct socket_address from;
	struct socket *made;
	struct file *f;
	int error = socket_accept(s, nonblock, flags & O_NONBLOCK, &f);

	if (error)
		return error;
	made = socket_of_file(f);
	if (addr) {
		error = made->ops->name(made, true, &from);
		if (error == -ENOTCONN)
			error = -ECONNABORTED;
		if (!error)
			error = address_to_user(&from, addr, len);
	}
	if (error)
		file_put(f);
	else
		*ret = f;
	return error;
}

int64_t call_accept_fd(struct socket *s, uaddr_t addr, uaddr_t len, unsigned flags, bool nonblock)
{
	int fd = fd_reserve(0, flags & SOCK_CLOEXEC), error;
	struct file *f;

	if (fd < 0)
		return fd;
	error = call_accept(s, addr, len, flags, nonblock, &f);
	if (error) {
		fd_release(fd);
		return error;
	}
	fd_install(fd, f);
	return fd;
}

int64_t sys_accept4(int fd, uaddr_t addr, uaddr_t len, unsigned flags)
{
	struct socket *s;
	int64_t result;
	bool put;

	if (flags & ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	result = call_accept_fd(s, addr, len, flags, s->file->flags & O_NONBLOCK);
	socket_end(s, put);
	return result;
}

int64_t sys_accept(int fd, uaddr_t addr, uaddr_t len)
{
	return sys_accept4(fd, addr, len, 0);
}

/* ---- addresses ---- */

int call_connect(struct socket *s, const struct socket_address *a, bool nonblock)
{
	if (a->len < sizeof(a->family))
		return -EINVAL;
	return s->ops->connect ? s->ops->connect(s, a, nonblock) : -EOPNOTSUPP;
}

static int64_t bind_or_connect(int fd, uaddr_t addr, int len, bool connect)
{
	struct socket_address a;
	struct socket *s;
	int64_t result;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	result = len < 0 ? -EINVAL : call_address_from_user(addr, (uint64_t)len, &a);
	if (!result && a.len < sizeof(a.family))
		result = -EINVAL;
	if (!result && connect)
		result = call_connect(s, &a, s->file->flags & O_NONBLOCK);
	else if (!result)
		result = s->ops->bind ? s->ops->bind(s, &a) : -EOPNOTSUPP;
	socket_end(s, put);
	return result;
}

int64_t sys_bind(int fd, uaddr_t addr, int len)
{
	return bind_or_connect(fd, addr, len, false);
}

int64_t sys_connect(int fd, uaddr_t addr, int len)
{
	return bind_or_connect(fd, addr, len, true);
}

static int64_t get_name(int fd, uaddr_t addr, uaddr_t len, bool peer)
{
	struct socket_address a;
	struct socket *s;
	int64_t result;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	result = s->ops->name(s, peer, &a);
	socket_end(s, put);
	return result ? result : address_to_user(&a, addr, len);
}

int64_t sys_getsockname(int fd, uaddr_t addr, uaddr_t len)
{
	return get_name(fd, addr, len, false);
}

int64_t sys_getpeername(int fd, uaddr_t addr, uaddr_t len)
{
	return get_name(fd, addr, len, true);
}

int64_t sys_listen(int fd, int backlog)
{
	struct socket *s;
	int64_t result;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	result = s->ops->listen ? s->ops->listen(s, backlog) : -EOPNOTSUPP;
	socket_end(s, put);
	return result;
}

int call_shutdown(struct socket *s, int how)
{
	return s->ops->shutdown ? s->ops->shutdown(s, how) : -EOPNOTSUPP;
}

int64_t sys_shutdown(int fd, int how)
{
	struct socket *s;
	int64_t result;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	result = call_shutdown(s, how);
	socket_end(s, put);
	return result;
}

/* ---- options ---- */

int64_t sys_setsockopt(int fd, int level, int name, uaddr_t value, int len)
{
	uint8_t buf[OPTION_VALUE_MAX];
	struct socket *s;
	int64_t result;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	if (len < 0)
		result = -EINVAL;
	else if (copy_from_user(buf, value, min((size_t)len, sizeof(buf))))
		result = -EFAULT;
	else
		result = socket_set_option(s, level, name, buf, (uint32_t)min((size_t)len, sizeof(buf)));
	socket_end(s, put);
	return result;
}

int64_t sys_getsockopt(int fd, int level, int name, uaddr_t value, uaddr_t len_at)
{
	uint8_t buf[OPTION_VALUE_MAX];
	struct socket *s;
	int64_t result;
	int32_t room;
	uint32_t len;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	if (get_user(room, len_at)) {
		result = -EFAULT;
	} else if (room < 0) {
		result = -EINVAL;
	} else {
		len = (uint32_t)min((size_t)room, sizeof(buf));
		result = socket_get_option(s, level, name, buf, &len);
		if (!result && (copy_to_user(value, buf, len) || put_user((int32_t)len, len_at)))
			result = -EFAULT;
	}
	socket_end(s, put);
	return result;
}

/* ---- sending ---- */

static int64_t send_result(int64_t result, unsigned flags)
{
	if (unlikely(result == -EPIPE) && !(flags & MSG_NOSIGNAL))
		signal_self(SIGPIPE);
	return result;
}

int64_t sys_sendto(int fd, uaddr_t buf, size_t len, unsigned flags, uaddr_t addr, int addr_len)
{
	struct socket_address to;
	struct socket_message m = { .flags = flags };
	struct io_iter it;
	struct socket *s;
	int64_t result;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	result = 0;
	if (addr) {
		result = addr_len < 0 ? -EINVAL : call_address_from_user(addr, (uint64_t)addr_len, &to);
		m.address = &to;
	}
	if (!result && !user_range_ok(buf, len))
		result = -EFAULT;
	if (!result) {
		io_iter_user(&it, buf, min(len, (size_t)INT32_MAX));
		m.data = &it;
		result = send_result(socket_send(s, &m), flags);
	}
	socket_end(s, put);
	return result;
}

int message_begin(struct message_call *c, uaddr_t user, unsigned flags)
{
	int error;

	if (get_user(c->header, user))
		return -EFAULT;
	if (c->header.iov_len > IO_VEC_MAX)
		return -EMSGSIZE;
	error = io_import(c->header.iov, c->header.iov_len, c->few, CALL_VECS, &c->vec, &c->it);
	c->control = (struct socket_control){ 0 };
	c->m = (struct socket_message){ .data = &c->it, .flags = flags };
	return error;
}

void message_end(struct message_call *c)
{
	io_import_free(c->vec, c->few);
}

int64_t message_send(struct socket *s, struct message_call *c)
{
	int error = 0;
	int64_t n;

	if (c->header.name && c->header.name_len != 0) {
		error = c->header.name_len < 0 ? -EINVAL
					       : call_address_from_user(c->header.name, (uint32_t)c->header.name_len, &c->address);
		c->m.address = &c->address;
	}
	if (!error && c->header.control && c->header.control_len > 0) {
		error = control_from_user(c->header.control, c->header.control_len, &c->control);
		c->m.control = &c->control;
	}
	if (error)
		return error;
	n = send_result(socket_send(s, &c->m), c->m.flags);
	rights_drop(c->control.rights); /* what the family did not take over */
	return n;
}

static int64_t send_message(struct socket *s, uaddr_t header, unsigned flags)
{
	struct message_call c;
	int64_t result = message_begin(&c, header, flags);

	if (result)
		return result;
	result = message_send(s, &c);
	message_end(&c);
	return result;
}

int64_t sys_sendmsg(int fd, uaddr_t header, unsigned flags)
{
	struct socket *s;
	int64_t result;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	result = send_message(s, header, flags);
	socket_end(s, put);
	return result;
}

static int64_t put_length(uaddr_t many, unsigned i, int64_t n)
{
	return put_user((uint32_t)n, many + i * sizeof(struct message_header_many) + offsetof(struct message_header_many, len));
}

int64_t sys_sendmmsg(int fd, uaddr_t many, unsigned count, unsigned flags)
{
	struct socket *s;
	int64_t result = 0;
	unsigned done = 0;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	for (; done < min(count, (unsigned)MESSAGES_MAX); done++) {
		result = send_message(s, many + done * sizeof(struct message_header_many), flags);
		if (result >= 0)
			result = put_length(many, done, result);
		if (result)
			break;
	}
	socket_end(s, put);
	return done > 0 ? done : result;
}

/* ---- receiving ---- */

int64_t sys_recvfrom(int fd, uaddr_t buf, size_t len, unsigned flags, uaddr_t addr, uaddr_t addr_len)
{
	struct socket_address from = { .len = 0 };
	struct socket_message m = { .flags = flags, .address = addr ? &from : NULL };
	struct io_iter it;
	struct socket *s;
	int64_t result;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	if (user_range_ok(buf, len)) {
		io_iter_user(&it, buf, min(len, (size_t)INT32_MAX));
		m.data = &it;
		result = socket_receive(s, &m);
	} else {
		result = -EFAULT;
	}
	socket_end(s, put);
	if (result >= 0 && addr && address_to_user(&from, addr, addr_len))
		return -EFAULT;
	return result;
}

/* What a receive tells beside the data: the sender, the control messages, the flags. */
static int64_t give_results(struct message_call *c, uaddr_t user)
{
	unsigned flags = c->m.ret_flags | (c->m.flags & MSG_CMSG_CLOEXEC);
	uint64_t written = control_to_user(&c->control, c->header.control, c->header.control_len, &flags);

	if (c->header.name) {
		uint32_t room = c->header.name_len < 0 ? 0 : (uint32_t)c->header.name_len;

		if (copy_to_user(c->header.name, c->address.bytes, min(room, c->address.len)) ||
		    put_user((int32_t)c->address.len, user + offsetof(struct message_header, name_len)))
			return -EFAULT;
	}
	if (put_user(written, user + offsetof(struct message_header, control_len)) ||
	    put_user((uint32_t)flags, user + offsetof(struct message_header, flags)))
		return -EFAULT;
	return 0;
}

int64_t message_receive(struct socket *s, struct message_call *c, uaddr_t user)
{
	int64_t result, error;

	c->address.len = 0;
	c->m.address = c->header.name ? &c->address : NULL;
	c->m.control = &c->control;
	if (!c->header.control)
		c->header.control_len = 0;
	result = c->header.name_len < 0 ? -EINVAL : socket_receive(s, &c->m);
	if (result < 0)
		return result;
	c->control.has_cred = c->control.has_cred && (s->options & SOCKET_PASSCRED);
	error = give_results(c, user);
	return error ? error : result;
}

static int64_t receive_message(struct socket *s, uaddr_t header, unsigned flags)
{
	struct message_call c;
	int64_t result = message_begin(&c, header, flags);

	if (result)
		return result;
	result = message_receive(s, &c, header);
	message_end(&c);
	return result;
}

int64_t sys_recvmsg(int fd, uaddr_t header, unsigned flags)
{
	struct socket *s;
	int64_t result;
	bool put;

	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	result = receive_message(s, header, flags);
	socket_end(s, put);
	return result;
}

/* The time-out is looked at when a message has come, as on Linux: it ends no wait. */
int64_t sys_recvmmsg(int fd, uaddr_t many, unsigned count, unsigned flags, uaddr_t timeout)
{
	struct socket *s;
	uint64_t deadline_ns;
	int64_t result;
	unsigned done = 0;
	bool put, late = false;

	result = deadline_from_timespec(timeout, &deadline_ns);
	if (result < 0)
		return result;
	s = socket_begin(fd, &put, &result);
	if (!s)
		return result;
	for (; done < min(count, (unsigned)MESSAGES_MAX) && !late; done++) {
		result = receive_message(s, many + done * sizeof(struct message_header_many), flags & ~(unsigned)MSG_WAITFORONE);
		if (result >= 0)
			result = put_length(many, done, result);
		if (result)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (hal_clock_ns() >= deadline_ns)
			late = true;
	}
	socket_end(s, put);
	return done > 0 ? deadline_to_timespec(timeout, deadline_ns, done) : result;
}
