/* SPDX-License-Identifier: MIT */
/* Sockets as files: the table of families, and the way from read, write and poll to a family's operations. */
#include <linux/stat.h>
#include <cloudos/errno.h>
#include <cloudos/format.h>
#include <cloudos/socket.h>
#include <cloudos/string.h>
#include <cloudos/wait.h>

static const struct socket_family *const families[] = {
	&unix_family,
};

static const struct file_ops socket_file_ops;

/* ---- making ---- */

void socket_init(struct socket *s, const struct socket_ops *ops, int family, int type, int protocol)
{
	*s = (struct socket){
		.ops = ops,
		.family = (uint16_t)family,
		.type = (uint16_t)type,
		.protocol = (uint16_t)protocol,
		.send_buffer = SOCKET_BUFFER_DEFAULT,
		.receive_buffer = SOCKET_BUFFER_DEFAULT,
		.low_water = 1,
	};
}

/* Gives a socket its file; on failure the socket is released. */
static int attach_file(struct socket *s, uint32_t flags, struct file **ret)
{
	int error = file_create_anonymous(&socket_file_ops, s, FILE_READ | FILE_WRITE | FILE_STREAM, O_RDWR | flags,
					  S_IFSOCK, &s->file);

	if (error)
		s->ops->release(s);
	else
		*ret = s->file;
	return error;
}

static int create(int family, int type, int protocol, struct socket **ret)
{
	if (family < 0 || family >= AF_MAX)
		return -EAFNOSUPPORT;
	if (type < 0 || type >= SOCK_TYPES)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (families[i]->family == family)
			return families[i]->create(type, protocol, ret);
	return -EAFNOSUPPORT;
}

int socket_create(int family, int type, int protocol, uint32_t flags, struct file **ret)
{
	struct socket *s;
	int error = create(family, type, protocol, &s);

	return error ? error : attach_file(s, flags, ret);
}

int socket_create_pair(int family, int type, int protocol, uint32_t flags, struct file *ret[2])
{
	struct socket *a, *b;
	int error = create(family, type, protocol, &a);

	if (error)
		return error;
	error = a->ops->pair ? create(family, type, protocol, &b) : -EOPNOTSUPP;
	if (error) {
		a->ops->release(a);
		return error;
	}
	error = a->ops->pair(a, b);
	if (error) {
		a->ops->release(a);
		b->ops->release(b);
		return error;
	}
	error = attach_file(a, flags, &ret[0]);
	if (error) {
		b->ops->release(b);
		return error;
	}
	error = attach_file(b, flags, &ret[1]);
	if (error)
		file_put(ret[0]);
	return error;
}

int socket_accept(struct socket *s, bool nonblock, uint32_t flags, struct file **ret)
{
	struct socket *made;
	int error;

	if (!s->ops->accept)
		return -EOPNOTSUPP;
	error = s->ops->accept(s, nonblock, &made);
	return error ? error : attach_file(made, flags, ret);
}

struct socket *socket_of_file(struct file *f)
{
	return f->ops == &socket_file_ops ? f->private : NULL;
}

/* ---- waiting ---- */

uint64_t socket_deadline(uint64_t timeout_ns)
{
	return timeout_ns > 0 ? hal_clock_ns() + timeout_ns : HAL_TIMER_NEVER;
}

int socket_wait_error(int error, uint64_t timeout_ns)
{
	if (error == -ETIMEDOUT)
		return -EAGAIN;
	return error == -ERESTARTSYS && timeout_ns > 0 ? -EINTR : error;
}

int socket_take_error(struct socket *s)
{
	if (likely(READ_ONCE(s->error) == 0))
		return 0;
	return -__atomic_exchange_n(&s->error, 0, __ATOMIC_RELAXED);
}

/* ---- the file ---- */

ssize_t socket_send(struct socket *s, struct socket_message *m)
{
	if (s->file->flags & O_NONBLOCK)
		m->flags |= MSG_DONTWAIT;
	return s->ops->send(s, m);
}

ssize_t socket_receive(struct socket *s, struct socket_message *m)
{
	if (s->file->flags & O_NONBLOCK)
		m->flags |= MSG_DONTWAIT;
	m->ret_flags = 0;
	return s->ops->receive(s, m);
}

static ssize_t socket_read(struct file *f, struct io_iter *to, int64_t *pos)
{
	struct socket_message m = { .data = to, .flags = to->nowait ? MSG_DONTWAIT : 0 };

	(void)pos;
	return socket_receive(f->private, &m);
}

static ssize_t socket_write(struct file *f, struct io_iter *from, int64_t *pos)
{
	struct socket_message m = { .data = from, .flags = from->nowait ? MSG_DONTWAIT : 0 };

	(void)pos;
	return socket_send(f->private, &m);
}

static uint32_t socket_poll(struct file *f, struct poll_table *pt)
{
	struct socket *s = f->private;

	return s->ops->poll(s, pt);
}

static int64_t socket_ioctl(struct file *f, unsigned cmd, uaddr_t arg)
{
	struct socket *s = f->private;

	return s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOTTY;
}

static void socket_release(struct file *f)
{
	struct socket *s = f->private;

	s->ops->release(s);
}

static int socket_name(struct file *f, char *buf, size_t size)
{
	return fmt_string(buf, size, "socket:[%lu]", (unsigned long)((uintptr_t)f->private >> 6 & 0xffffff));
}

static const struct file_ops socket_file_ops = {
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.ioctl = socket_ioctl,
	.release = socket_release,
	.name = socket_name,
	.splice = SPLICE_READ | SPLICE_WRITE,
	.nowait = true,
	.rwf_nowait = NOWAIT_HEEDED,
	.async = true,
};
