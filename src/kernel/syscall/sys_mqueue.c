/* SPDX-License-Identifier: MIT */
/* POSIX message queues. The names come without the slash that the C library's have. */
#include <asm/fcntl.h>
#include <cloudos/errno.h>
#include <cloudos/mqueue.h>
#include <cloudos/signal.h>
#include <cloudos/socket.h>
#include <linux/time.h>
#include "call_fd.h"
#include "call_name.h"
#include "call_wait.h"
#include "syscalls_gen.h"

int64_t sys_mq_open(uaddr_t name, int flags, uint32_t mode, uaddr_t attr)
{
	struct mq_attr a;
	struct name_arg n;
	struct file *f;
	int error;

	if (attr && get_user(a, attr))
		return -EFAULT;
	error = name_get(&n, name);
	if (error)
		return error;
	error = mqueue_open(n.text, (uint32_t)flags, mode, attr ? &a : NULL, &f);
	name_put(&n);
	return error ? error : fd_give(f, true);
}

int64_t sys_mq_unlink(uaddr_t name)
{
	struct name_arg n;
	int error = name_get(&n, name);

	if (error)
		return error;
	error = mqueue_unlink(n.text);
	name_put(&n);
	return error;
}

/* ---- messages ---- */

/* The queue of a descriptor that is open for `mode`; fd_end() what comes back, null or not. */
static struct file *begin(int fd, uint32_t mode, bool *ret_put)
{
	struct file *f = fd_begin(fd, ret_put);

	if (f && mq_of(f) && (f->mode & mode) == mode)
		return f;
	if (f)
		fd_end(f, *ret_put);
	return NULL;
}

static int64_t send(struct file *f, uaddr_t text, size_t length, unsigned priority, uint64_t deadline_ns)
{
	struct mq_message *m;
	int error;

	if (length > mq_size_of(mq_of(f)))
		return -EMSGSIZE;
	m = mq_message_alloc(length, priority);
	if (!m)
		return -ENOMEM;
	error = copy_from_user(mq_text(m), text, length);
	if (!error)
		error = mqueue_send(f, m, deadline_ns);
	if (error)
		mq_message_free(m);
	return error;
}

int64_t sys_mq_timedsend(int fd, uaddr_t text, size_t length, unsigned priority, uaddr_t timeout)
{
	uint64_t deadline_ns;
	struct file *f;
	int64_t result = deadline_at_timespec(timeout, CLOCK_REALTIME, &deadline_ns);
	bool put;

	if (result)
		return result;
	if (priority >= MQ_PRIO_MAX)
		return -EINVAL;
	f = begin(fd, FILE_WRITE, &put);
	if (!f)
		return -EBADF;
	result = send(f, text, length, priority, deadline_ns);
	fd_end(f, put);
	return result;
}

static int64_t receive(struct file *f, uaddr_t text, size_t size, uaddr_t priority, uint64_t deadline_ns)
{
	struct mq_message *m;
	int64_t result;

	if (size < mq_size_of(mq_of(f)))
		return -EMSGSIZE;
	result = mqueue_receive(f, deadline_ns, &m);
	if (result)
		return result;
	result = (int64_t)mq_length(m);
	if ((priority && put_user(mq_priority(m), priority)) || copy_to_user(text, mq_text(m), mq_length(m)))
		result = -EFAULT;
	mq_message_free(m);
	return result;
}

int64_t sys_mq_timedreceive(int fd, uaddr_t text, size_t size, uaddr_t priority, uaddr_t timeout)
{
	uint64_t deadline_ns;
	struct file *f;
	int64_t result = deadline_at_timespec(timeout, CLOCK_REALTIME, &deadline_ns);
	bool put;

	if (result)
		return result;
	f = begin(fd, FILE_READ, &put);
	if (!f)
		return -EBADF;
	result = receive(f, text, size, priority, deadline_ns);
	fd_end(f, put);
	return result;
}

/* ---- notification, attributes ---- */

/* SIGEV_THREAD has the descriptor of a netlink socket in place of the signal, and 32 bytes that are to be sent there. */
static int check_thread_event(const struct sigevent *e)
{
	char cookie[NOTIFY_COOKIE_LEN];
	struct file *f;
	bool put;
	int error;

	if (copy_from_user(cookie, (uaddr_t)e->sigev_value.sival_ptr, sizeof(cookie)))
		return -EFAULT;
	f = fd_begin(e->sigev_signo, &put);
	if (!f)
		return -EBADF;
	error = socket_of_file(f) ? -EINVAL : -ENOTSOCK;
	fd_end(f, put);
	return error;
}

static int check_event(const struct sigevent *e)
{
	switch (e->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL: /* 0 is taken: no signal comes then */
		return e->sigev_signo == 0 || signal_valid(e->sigev_signo) ? 0 : -EINVAL;
	case SIGEV_THREAD:
		return check_thread_event(e);
	default:
		return -EINVAL;
	}
}

int64_t sys_mq_notify(int fd, uaddr_t event)
{
	struct sigevent e;
	struct file *f;
	bool put;
	int error;

	if (event && get_user(e, event))
		return -EFAULT;
	error = event ? check_event(&e) : 0;
	if (error)
		return error;
	f = begin(fd, 0, &put);
	if (!f)
		return -EBADF;
	error = mqueue_notify(f, event ? &e : NULL);
	fd_end(f, put);
	return error;
}

int64_t sys_mq_getsetattr(int fd, uaddr_t new, uaddr_t old)
{
	struct mq_attr wanted, former;
	struct file *f;
	bool put;

	if (new && get_user(wanted, new))
		return -EFAULT;
	if (new && (wanted.mq_flags & ~(__kernel_long_t)O_NONBLOCK))
		return -EINVAL;
	f = begin(fd, 0, &put);
	if (!f)
		return -EBADF;
	mq_get(f, &former);
	if (new)
		mq_set_nonblocking(f, wanted.mq_flags & O_NONBLOCK);
	fd_end(f, put);
	return old && copy_to_user(old, &former, sizeof(former)) ? -EFAULT : 0;
}
