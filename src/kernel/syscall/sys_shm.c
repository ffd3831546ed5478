/* SPDX-License-Identifier: MIT */
/* System V shared memory. */
#include <cloudos/errno.h>
#include <cloudos/sysv.h>
#include <cloudos/uaccess.h>
#include "syscalls_gen.h"

int64_t sys_shmget(int key, size_t size, unsigned flags)
{
	return shm_get(key, size, flags);
}

int64_t sys_shmat(int id, uaddr_t addr, unsigned flags)
{
	uaddr_t at = 0;
	int error = shm_attach(id, addr, flags, &at);

	return error ? error : (int64_t)at;
}

int64_t sys_shmdt(uaddr_t addr)
{
	return shm_detach(addr);
}

static int64_t stat(int id, enum ipc_find how, uaddr_t to)
{
	struct shmid64_ds d;
	int64_t result = shm_stat(id, how, &d);

	return result >= 0 && copy_to_user(to, &d, sizeof(d)) ? -EFAULT : result;
}

static int64_t set(int id, uaddr_t from)
{
	struct ipc_change c = { 0 };
	struct shmid64_ds d;

	if (get_user(d, from))
		return -EFAULT;
	c.uid = d.shm_perm.uid;
	c.gid = d.shm_perm.gid;
	c.mode = d.shm_perm.mode;
	return shm_set(id, &c);
}

static int64_t limits(uaddr_t to)
{
	struct shminfo64 info;
	int64_t result = shm_limits(&info);

	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : result;
}

static int64_t figures(uaddr_t to)
{
	struct shm_info info;
	int64_t result = shm_figures(&info);

	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : result;
}

int64_t sys_shmctl(int id, int cmd, uaddr_t buf)
{
	if (id < 0 || cmd < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT:
		return stat(id, IPC_BY_ID, buf);
	case SHM_STAT:
		return stat(id, IPC_BY_INDEX, buf);
	case SHM_STAT_ANY:
		return stat(id, IPC_BY_INDEX_ANY, buf);
	case IPC_SET:
		return set(id, buf);
	case IPC_RMID:
		return shm_remove(id);
	case SHM_LOCK:
	case SHM_UNLOCK:
		return shm_lock(id, cmd == SHM_LOCK);
	case IPC_INFO:
		return limits(buf);
	case SHM_INFO:
		return figures(buf);
	default:
		return -EINVAL;
	}
}
