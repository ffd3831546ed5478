/* SPDX-License-Identifier: MIT */
/* System V message queues. A message in user memory is a long, its type, and its text behind that. */
#include <cloudos/errno.h>
#include <cloudos/sysv.h>
#include <cloudos/uaccess.h>
#include "syscalls_gen.h"

int64_t sys_msgget(int key, unsigned flags)
{
	return msg_get(key, flags);
}

int64_t sys_msgsnd(int id, uaddr_t from, size_t size, unsigned flags)
{
	int64_t type;
	struct msg *m;
	int error;

	if (get_user(type, from))
		return -EFAULT;
	if (size > msg_size_max() || id < 0 || type < 1)
		return -EINVAL;
	m = msg_alloc(size);
	if (!m)
		return -ENOMEM;
	error = copy_from_user(msg_text(m), from + sizeof(type), size);
	if (!error)
		error = msg_send(id, type, m, flags);
	if (error)
		msg_free(m);
	return error;
}

int64_t sys_msgrcv(int id, uaddr_t to, size_t size, int64_t type, unsigned flags)
{
	struct msg *m;
	int64_t result = id < 0 ? -EINVAL : msg_receive(id, type, size, flags, &m);
	size_t n;

	if (result)
		return result;
	n = size < msg_size(m) ? size : msg_size(m);
	result = (int64_t)n;
	if (put_user(msg_type(m), to) || copy_to_user(to + sizeof(int64_t), msg_text(m), n))
		result = -EFAULT;
	msg_free(m);
	return result;
}

static int64_t stat(int id, enum ipc_find how, uaddr_t to)
{
	struct msqid64_ds d;
	int64_t result = msg_stat(id, how, &d);

	return result >= 0 && copy_to_user(to, &d, sizeof(d)) ? -EFAULT : result;
}

static int64_t set(int id, uaddr_t from)
{
	struct ipc_change c;
	struct msqid64_ds d;

	if (get_user(d, from))
		return -EFAULT;
	c = (struct ipc_change){ .uid = d.msg_perm.uid, .gid = d.msg_perm.gid, .mode = d.msg_perm.mode, .queue_bytes = d.msg_qbytes };
	return msg_set(id, &c);
}

static int64_t limits(uaddr_t to, bool figures)
{
	struct msginfo info;
	int64_t result = msg_limits(&info, figures);

	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : result;
}

int64_t sys_msgctl(int id, int cmd, uaddr_t buf)
{
	if (id < 0 || cmd < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT:
		return stat(id, IPC_BY_ID, buf);
	case MSG_STAT:
		return stat(id, IPC_BY_INDEX, buf);
	case MSG_STAT_ANY:
		return stat(id, IPC_BY_INDEX_ANY, buf);
	case IPC_SET:
		return set(id, buf);
	case IPC_RMID:
		return msg_remove(id);
	case IPC_INFO:
	case MSG_INFO:
		return limits(buf, cmd == MSG_INFO);
	default:
		return -EINVAL;
	}
}
