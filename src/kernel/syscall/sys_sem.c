/* SPDX-License-Identifier: MIT */
/* System V semaphores. */
#include <cloudos/errno.h>
#include <cloudos/mm.h>
#include <cloudos/sysv.h>
#include <cloudos/uaccess.h>
#include "call_wait.h"
#include "syscalls_gen.h"

#define OPS_FAST 32 /* operations that need no memory */

int64_t sys_semget(int key, int count, unsigned flags)
{
	return sem_get(key, count, flags);
}

static int64_t operate(int id, uaddr_t from, unsigned n, uint64_t deadline_ns)
{
	struct sembuf fast[OPS_FAST], *ops = n <= OPS_FAST ? fast : kmalloc(n * sizeof(*ops));
	int64_t result;

	if (!ops)
		return -ENOMEM;
	if (copy_from_user(ops, from, n * sizeof(*ops)))
		result = -EFAULT;
	else
		result = sem_operate(id, ops, n, deadline_ns);
	if (ops != fast)
		kfree(ops);
	return result;
}

int64_t sys_semtimedop(int id, uaddr_t ops, size_t n, uaddr_t timeout)
{
	uint64_t deadline_ns;
	struct seminfo limits;
	int error = deadline_from_timespec(timeout, &deadline_ns);

	if (error)
		return error;
	if (n == 0 || id < 0)
		return -EINVAL;
	(void)sem_limits(&limits, false);
	return n > (size_t)limits.semopm ? -E2BIG : operate(id, ops, (unsigned)n, deadline_ns);
}

int64_t sys_semop(int id, uaddr_t ops, size_t n)
{
	return sys_semtimedop(id, ops, n, 0);
}

/* ---- semctl ---- */

static int64_t stat(int id, enum ipc_find how, uaddr_t to)
{
	struct semid64_ds d;
	int64_t result = sem_stat(id, how, &d);

	return result >= 0 && copy_to_user(to, &d, sizeof(d)) ? -EFAULT : result;
}

static int64_t set(int id, uaddr_t from)
{
	struct ipc_change c = { 0 };
	struct semid64_ds d;

	if (get_user(d, from))
		return -EFAULT;
	c.uid = d.sem_perm.uid;
	c.gid = d.sem_perm.gid;
	c.mode = d.sem_perm.mode;
	return sem_set(id, &c);
}

static int64_t limits(uaddr_t to, bool figures)
{
	struct seminfo info;
	int64_t result = sem_limits(&info, figures);

	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : result;
}

/* GETALL, SETALL. */
static int64_t all(int id, uaddr_t buf, bool to_write)
{
	int64_t n = sem_count(id, to_write), result;
	uint16_t *values;

	if (n < 0)
		return n;
	values = kmalloc((size_t)n * sizeof(*values));
	if (!values)
		return -ENOMEM;
	if (to_write) {
		result = copy_from_user(values, buf, (size_t)n * sizeof(*values));
		if (!result)
			result = sem_set_all(id, values, (unsigned)n);
	} else {
		result = sem_get_all(id, values, (unsigned)n);
		if (!result)
			result = copy_to_user(buf, values, (size_t)n * sizeof(*values));
	}
	kfree(values);
	return result;
}

int64_t sys_semctl(int id, int number, int cmd, uint64_t arg)
{
	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT:
		return stat(id, IPC_BY_ID, arg);
	case SEM_STAT:
		return stat(id, IPC_BY_INDEX, arg);
	case SEM_STAT_ANY:
		return stat(id, IPC_BY_INDEX_ANY, arg);
	case IPC_SET:
		return set(id, arg);
	case IPC_RMID:
		return sem_remove(id);
	case IPC_INFO:
	case SEM_INFO:
		return limits(arg, cmd == SEM_INFO);
	case GETALL:
	case SETALL:
		return all(id, arg, cmd == SETALL);
	case SETVAL:
		return sem_set_value(id, (unsigned)number, (int)arg);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
		return sem_query(id, (unsigned)number, cmd);
	default:
		return -EINVAL;
	}
}
